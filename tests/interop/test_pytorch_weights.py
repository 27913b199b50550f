"""PyTorch's weights as arrays, in and out, without PyTorch: round trips, independent vectors, refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.interop import from_pytorch, gradients_to_pytorch, to_pytorch
from bptt.network import Network, Recurrent
from tests.test_conformance import CASES, load, misses, run

H, D = 5, 3
KINDS = {"elman": 1, "gru": 3, "lstm": 4}


def random_stack(
    cell: str, rng: np.random.Generator, layers: int = 2, direction: str = "forward", **options: Any
) -> Recurrent:
    """Return a stack in which no number stands twice, biases and vectors included."""
    stack = Recurrent(cell, D, H, num_layers=layers, direction=direction, **options)
    for p in stack.parameters.values():
        p[...] = rng.standard_normal(p.shape) * 0.4
    return stack


@pytest.mark.parametrize("cell", KINDS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_out_and_in_again(cell: str, bias: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 7, D))
    for layers, direction, dtype in ((1, "forward", "float64"), (3, "bidirectional", "float32")):
        stack = random_stack(cell, rng, layers, direction, bias=bias, dtype=dtype)
        arrays = to_pytorch(stack)
        G = KINDS[cell]
        assert arrays["weight_ih_l0"].shape == (G * H, D)
        assert ("bias_hh_l0" in arrays) == bias
        assert len(arrays) == layers * len(stack.directions) * (4 if bias else 2)
        back = from_pytorch(arrays)
        assert back.config() == stack.config()
        for name, p in stack.parameters.items():
            np.testing.assert_array_equal(back.parameters[name], p, err_msg=name)
        h, _, _ = stack.forward(x)
        np.testing.assert_array_equal(back.forward(x)[0], h)


def test_what_comes_out_shares_no_memory(rng: np.random.Generator) -> None:
    stack = random_stack("gru", rng)
    arrays = to_pytorch(stack)
    for source, made in ((stack.parameters, arrays), (arrays, from_pytorch(arrays).parameters)):
        assert not any(np.shares_memory(a, b) for a in source.values() for b in made.values())


def test_two_biases_become_one_but_for_the_gru(rng: np.random.Generator) -> None:
    for cell in KINDS:
        arrays = to_pytorch(random_stack(cell, rng, 1))
        moved = {name: a.copy() for name, a in arrays.items()}
        shift = rng.standard_normal(moved["bias_ih_l0"].shape)
        if cell == "gru":
            shift[2 * H :] = 0
        moved["bias_ih_l0"] += shift
        moved["bias_hh_l0"] -= shift
        one, other = from_pytorch(arrays).parameters, from_pytorch(moved).parameters
        np.testing.assert_allclose(other["layers.0.b_h"], one["layers.0.b_h"], rtol=0, atol=1e-15)
        if cell == "gru":
            moved["bias_hh_l0"][2 * H :] += 1
            np.testing.assert_allclose(
                from_pytorch(moved).parameters["layers.0.b_hn"], one["layers.0.b_hn"] + 1, rtol=0, atol=1e-15
            )


def test_networks_with_a_readout(rng: np.random.Generator) -> None:
    net = Network(random_stack("lstm", rng, direction="bidirectional"), 2, readout="every", loss="huber")
    net.parameters["readout.b_y"][...] = rng.standard_normal(2)
    arrays = to_pytorch(net)
    assert arrays["readout.weight"].shape == (2, 2 * H)
    back = from_pytorch(arrays, recurrent="recurrent", linear="readout", readout="every", loss="huber")
    assert back.config() == net.config()
    x = rng.standard_normal((3, 4, D))
    np.testing.assert_array_equal(back.predict(x), net.predict(x))


def test_constraints_are_written_as_the_equations_use_them(rng: np.random.Generator) -> None:
    mask, signs = (rng.random((H, H)) < 0.6).astype(int), np.where(rng.random(H) < 0.5, 1, -1)
    stack = random_stack("elman", rng, mask=mask, signs=signs)
    x = rng.standard_normal((2, 6, D))
    back = from_pytorch(to_pytorch(stack))
    np.testing.assert_allclose(back.forward(x)[0], stack.forward(x)[0], rtol=0, atol=1e-14)


def test_cell_modules_and_lists_and_dtypes(rng: np.random.Generator) -> None:
    arrays = to_pytorch(random_stack("gru", rng, 1))
    plain = {name.removesuffix("_l0"): a.tolist() for name, a in arrays.items()}
    stack = from_pytorch(plain)
    assert stack.dtype == np.float64
    np.testing.assert_array_equal(stack.parameters["layers.0.W_hh"], arrays["weight_hh_l0"].T)
    half = {name: a.astype(np.float16) for name, a in arrays.items()}
    assert from_pytorch(half).dtype == np.float32
    assert from_pytorch(half, dtype="float64").dtype == np.float64


def test_settings_that_arrays_do_not_have(rng: np.random.Generator) -> None:
    arrays = to_pytorch(random_stack("elman", rng))
    assert from_pytorch(arrays, nonlinearity="relu", dropout=0.25).config() == {
        **from_pytorch(arrays).config(),
        "cell": {"name": "elman", "activation": "relu"},
        "dropout": 0.25,
    }
    assert from_pytorch(arrays, direction="reverse").direction == "reverse"
    gru = to_pytorch(random_stack("gru", rng))
    before = from_pytorch(gru, reset_after=False)
    assert before.cell.name == "gru_reset_before"
    np.testing.assert_array_equal(before.parameters["layers.1.b_h"], gru["bias_ih_l1"] + gru["bias_hh_l1"])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_vectors_of_other_libraries(conformance_dir: Path, dtype: str) -> None:
    for library, name in CASES:
        about, arrays = load(conformance_dir, library, name)
        weights = {key: a for key, a in arrays.items() if key.startswith(("weight_", "bias_"))}
        kind, _, nonlinearity = about["cell"].partition("_")
        stack = from_pytorch(
            weights,
            nonlinearity=nonlinearity or None,
            reset_after=about["reset_after"] is not False,
            direction="reverse" if about["reverse"] else None,
            dtype=dtype,
        )
        assert stack.cell.name.startswith({"rnn": "elman"}.get(kind, kind))
        assert (stack.num_layers, len(stack.directions)) == (about["num_layers"], 1 + about["bidirectional"])
        assert misses(run(stack, about, arrays), about, arrays) == [], name


def test_gradients_have_the_shapes_of_the_weights(rng: np.random.Generator) -> None:
    # That their numbers are PyTorch's own is in test_pytorch_modules.py.
    stack = random_stack("gru", rng, direction="bidirectional")
    h, _, tape = stack.forward(rng.standard_normal((2, 3, D)))
    found = gradients_to_pytorch(stack, stack.backward(tape, rng.standard_normal(h.shape)).parameters)
    arrays = to_pytorch(stack)
    assert list(found) == list(arrays)
    assert {name: a.shape for name, a in found.items()} == {name: a.shape for name, a in arrays.items()}
    assert not np.shares_memory(found["bias_ih_l0"], found["bias_hh_l0"])


def refusal(call: Any, kind: type[Exception] = InvalidInput) -> str:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(r"\bGot\b", message), message
    return message


def test_refused_going_in(rng: np.random.Generator) -> None:
    good = to_pytorch(random_stack("lstm", rng))

    def without(name: str) -> dict[str, Any]:
        return {key: a for key, a in good.items() if key != name}

    nested = {f"enc.rnn.{name}": a for name, a in good.items()}
    assert "say recurrent='enc.rnn'" in refusal(lambda: from_pytorch(nested))
    assert "recurrent must name a part" in refusal(lambda: from_pytorch(nested, recurrent="rnn"))
    assert "bias_hh_l1 must be there" in refusal(lambda: from_pytorch(without("bias_hh_l1")))
    assert "weight_ih_l0" in refusal(lambda: from_pytorch(without("weight_ih_l0")))
    assert "proj_size" in refusal(lambda: from_pytorch({**good, "weight_hr_l0": np.ones((2, H))}))
    assert "fc.weight must be left out" in refusal(
        lambda: from_pytorch({**good, "fc.weight": np.ones((2, H))})
    )
    far = {name.replace("_l1", "_l999999999"): a for name, a in good.items()}
    assert "numbered 0 to 1" in refusal(lambda: from_pytorch(far))
    odd = {**good, "weight_hh_l1": np.ones((4 * H, H + 1))}
    assert f"weight_hh_l1 must have shape ({4 * H}, {H})" in refusal(lambda: from_pytorch(odd))
    assert "G = 1, 3 or 4" in refusal(lambda: from_pytorch({**good, "weight_hh_l0": np.ones((2 * H, H))}))
    assert "nonlinearity" in refusal(lambda: from_pytorch(good, nonlinearity="relu"))
    assert "reset_after" in refusal(lambda: from_pytorch(good, reset_after=False))
    assert "direction" in refusal(lambda: from_pytorch(good, direction="bidirectional"))
    both = to_pytorch(random_stack("gru", rng, direction="bidirectional"))
    assert "direction" in refusal(lambda: from_pytorch(both, direction="reverse"))
    assert "readout must be left out" in refusal(lambda: from_pytorch(good, readout="last"))  # type: ignore[call-overload]
    assert "linear" in refusal(lambda: from_pytorch(nested, recurrent="enc.rnn", linear="fc"))
    wide = {**nested, "fc.weight": np.ones((2, H + 1))}
    assert f"(*, {H})" in refusal(lambda: from_pytorch(wide, recurrent="enc.rnn", linear="fc"))
    wrong = {**nested, "fc.weight": np.ones((2, H)), "fc.bias": np.ones(3)}
    assert "bias must have shape (2,)" in refusal(
        lambda: from_pytorch(wrong, recurrent="enc.rnn", linear="fc")
    )
    refusal(lambda: from_pytorch(7), InvalidType)
    refusal(lambda: from_pytorch({"weight_hh_l0": np.array(["a"])}), InvalidType)
    refusal(lambda: from_pytorch(good, recurrent=None), InvalidType)  # type: ignore[call-overload]


def test_refused_going_out(rng: np.random.Generator) -> None:
    for cell, options in (
        ("gru_reset_before", {}),
        ("lstm_peephole", {}),
        ("elman", {"activation": "sigmoid"}),
    ):
        assert "PyTorch has no other" in refusal(
            lambda c=cell, o=options: to_pytorch(Recurrent(c, D, H, **o))
        )
    assert "reverse" in refusal(lambda: to_pytorch(Recurrent("lstm", D, H, direction="reverse")))
    stack = Recurrent("lstm", D, H)
    for options in (
        {"linear_lags": 2},
        {"change_of": [0]},
        {"learned_initial_state": True},
        {"output_activation": "tanh"},
    ):
        (name,) = options
        assert name in refusal(lambda o=options: to_pytorch(Network(stack, 1, **o)))
    refusal(lambda: to_pytorch("lstm"), InvalidType)  # type: ignore[arg-type]
