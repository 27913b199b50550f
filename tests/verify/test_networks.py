"""`gradient_check` of layers and networks: what it checks, what it leaves alone, what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.engine import reference
from bptt.engine.choice import ENGINES
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.verify import gradient_check, random_parameters
from tests.cells.foreign import SpikingUnit


def network(**settings: Any) -> Network:
    stack = {
        name: settings.pop(name)
        for name in ("num_layers", "direction", "dropout", "dtype", "input_size")
        if name in settings
    }
    net = Network(
        Recurrent("gru", stack.pop("input_size", 3), 5, **stack), settings.pop("output_size", 2), **settings
    )
    net.parameters.update(random_parameters(net, np.random.default_rng(11)))
    return net


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"readout": "every"},
        {"readout": "every", "direction": "bidirectional", "num_layers": 2, "bias": False},
        {"output_activation": "tanh", "linear_lags": 2, "change_of": [2, 0], "change_scale": 0.7},
        {"readout": "every", "linear_lags": 3, "change_of": [1, 1]},
        {"loss": "mae"},
        {"loss": "huber"},
        {"loss": "pinball", "output_size": 6},
        {"loss": "cross_entropy", "output_size": 4, "readout": "every"},
        {"feedback": True, "readout": "every", "input_size": 5},
        {"feedback": True, "input_size": 2, "learned_initial_state": True},
        {"learned_initial_state": True, "num_layers": 2},
    ],
    ids=repr,
)
def test_networks_pass_by_both_methods(settings: dict[str, Any]) -> None:
    net = network(**settings)
    report = gradient_check(net, max_entries={"complex": 8, "central": 3})
    names = {*net.parameters, "x", *({"y_start"} if net.feedback else set())}
    if not net.learned_initial_state:
        names.add("state.h")
    assert {row.name for row in report.rows} == names - ({"x"} if net.input_size == 0 else set())
    assert report.worst("complex") <= 1e-12
    assert report.worst("central") <= 1e-7


@pytest.mark.parametrize("readout", ["last", "every"])
def test_given_input_lengths_state_weights_and_targets(readout: str, rng: np.random.Generator) -> None:
    net = network(readout=readout, direction="bidirectional")
    x, lengths = rng.standard_normal((4, 6, 3)), np.array([2, 6, 1, 5])
    x[np.arange(6) >= lengths[:, None]] = np.nan
    state = {"h": rng.standard_normal((2, 4, 5))}
    y = rng.standard_normal((4, 2) if readout == "last" else (4, 6, 2))
    report = gradient_check(net, x, y, lengths=lengths, state=state, weights=[0.5, 0.0, 2.0, 1.0])
    assert report.passed
    # The row of weight 0 and the padding have no gradient: the check of x saw zeros there, and no NaN.
    assert all(row.error <= row.tolerance for row in report.rows)


def test_an_absolute_loss_whose_terms_cancel(rng: np.random.Generator) -> None:
    net = network(loss="mae", output_size=1)
    x = rng.standard_normal((6, 4, 3))
    y = net.forward(x).y_hat + np.array([[1.0], [-1.0], [1.0], [-1.0], [2.0], [-2.0]])
    report = gradient_check(net, x, y)
    assert {abs(row.found) < 1e-15 for row in report.rows if row.name == "readout.b_y"} == {True}


def test_dropout_is_checked_under_its_key() -> None:
    net = network(num_layers=2, dropout=0.5, readout="every")
    with_dropout = gradient_check(net, dropout_key=(5, 3), max_entries=8)
    without = gradient_check(net, max_entries=8)
    assert with_dropout.rows[0].found != without.rows[0].found
    layer = net.recurrent
    assert gradient_check(layer, dropout_key=(5, 3), max_entries=8).passed


def test_y_start_and_learned_state_can_be_given(rng: np.random.Generator) -> None:
    net = network(feedback=True, input_size=5, readout="every", learned_initial_state=True)
    x, y_start = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 2))
    names = {row.name for row in gradient_check(net, x, y_start=y_start).rows}
    assert {"initial.h", "y_start"} <= names
    assert "state.h" not in names
    report = gradient_check(net, x, y_start=y_start, state={"h": rng.standard_normal((1, 2, 5))})
    assert {"initial.h", "state.h"} <= {row.name for row in report.rows}
    # A state that is handed in takes the learned one's place.
    assert {row.found for row in report.rows if row.name == "initial.h"} == {0.0}


def test_a_learned_state_fills_in_what_is_not_given(rng: np.random.Generator) -> None:
    net = Network(Recurrent("lstm", 3, 5), learned_initial_state=True)
    parameters = random_parameters(net, rng)
    x, c = rng.standard_normal((2, 4, 3)), rng.standard_normal((1, 2, 5))
    report = gradient_check(net, x, state={"c": c}, parameters=parameters)
    found = {row.name: row.found for row in report.rows}
    assert "state.h" not in found
    assert found["state.c"] != 0
    assert found["initial.h"] != 0
    assert found["initial.c"] == 0


def test_the_model_is_left_as_it_was() -> None:
    net = network(dtype="float32")
    arrays = dict(net.parameters)
    before = {name: p.copy() for name, p in arrays.items()}
    settings = (net.recurrent, net.recurrent.engine, net.dtype)
    gradient_check(net)
    for name, p in net.parameters.items():
        assert p is arrays[name]
        assert p.dtype == np.float32
        np.testing.assert_allclose(p, before[name], rtol=0, atol=0)
    assert (net.recurrent, net.recurrent.engine, net.dtype) == settings


def test_float32_is_checked_in_float64_and_says_so() -> None:
    report = gradient_check(network(dtype="float32"))
    assert report.notes == ("parameters were cast from float32 to float64 for the check",)
    assert report.worst("complex") <= 1e-12
    assert gradient_check(network()).notes == ()


def test_other_parameters_can_be_checked() -> None:
    net = network()
    other = random_parameters(net, np.random.default_rng(12))
    x = np.random.default_rng(1).standard_normal((2, 4, 3))
    first, second = gradient_check(net, x, parameters=other), gradient_check(net, x)
    assert first.rows[0].found != second.rows[0].found


def test_the_same_seed_gives_the_same_report() -> None:
    net = network()
    assert gradient_check(net, seed=3) == gradient_check(net, seed=3)
    assert gradient_check(net, seed=3) != gradient_check(net, seed=4)


def test_a_layer_takes_cotangents_on_outputs_and_final_states(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    right = reference.backward

    def backward(tape: Any, dh: Any = None, dstate_T: Any = None, **options: Any) -> Any:
        seen.append((dh, dstate_T))
        return right(tape, dh, dstate_T, **options)

    monkeypatch.setattr(reference, "backward", backward)
    gradient_check(Recurrent("lstm", 2, 3, engine="numpy"))
    ((dh, dstate),) = seen
    assert dh.std(axis=0).min() > 0.01
    assert dstate["h"].std() > 0.1
    assert dstate["c"].std() > 0.1


def test_complex_step_runs_the_reference_engine_and_differences_the_models_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own:
        NAME = "own"
        calls: list[Any] = []

        @classmethod
        def forward(cls, cell: Any, parameters: Any, x: Any, *rest: Any, **options: Any) -> Any:
            cls.calls.append(x.dtype.kind)
            return reference.forward(cell, parameters, x, *rest, **options)

        backward = staticmethod(reference.backward)

    monkeypatch.setitem(ENGINES, "own", "tests.own_engine")
    monkeypatch.setattr(
        "bptt.engine.choice.importlib.import_module", lambda name: Own if "own" in name else reference
    )
    layer = Recurrent("elman", 2, 3, engine="own")
    gradient_check(layer)
    assert Own.calls
    assert set(Own.calls) == {"f"}


def test_surrogate_is_reported() -> None:
    report = gradient_check(Recurrent(SpikingUnit, 2, 3), seed=2)
    assert report.passed
    assert report.notes == (
        "the spiking cell has a surrogate gradient: the complex step carries the surrogate's slope; central "
        "differences see the true step, and are shown, not judged",
    )
    only = gradient_check(Recurrent(SpikingUnit, 2, 3), methods=("complex",))
    assert only.notes == (
        "the spiking cell has a surrogate gradient: the complex step carries the surrogate's slope",
    )


LAYER, NET = Recurrent("lstm", 3, 5), network()
X = np.zeros((2, 4, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((lambda p: 0,), {}, InvalidType,
         r"^model must be a Network or a Recurrent\. Got function: check_gradients takes any function$"),
        ((LAYER, X, X), {}, InvalidInput,
         r"^y must be left out for a Recurrent, which has no loss\. Got one: put it into a Network$"),
        ((LAYER, X), {"weights": [1, 1]}, InvalidInput, r"^weights must be left out for a Recurrent"),
        ((LAYER, X), {"y_start": [1, 1]}, InvalidInput, r"^y_start must be left out for a Recurrent"),
        ((NET, X), {"y_start": [[1, 1]]}, InvalidInput,
         r"^y_start must be left out of a network without feedback\. Got one$"),
        ((NET, X * 1j), {}, InvalidType, r"^x must hold real numbers\. Got dtype complex128$"),
        ((NET, X[:, :, :2]), {}, InvalidInput, r"^x must have shape \(B, T, D\) = \(\*, \*, 3\)\. Got \(2, 4, 2\)"),
        ((LAYER, X), {"lengths": [1, 5]}, InvalidInput, r"^lengths must lie in 1\.\.T = 1\.\.4\. Got 5 in row 1"),
        ((LAYER, X), {"state": {"z": X}}, InvalidInput, r"^state must have only the keys h, c"),
        ((LAYER, X), {"parameters": {}}, InvalidInput,
         r"^parameters must hold layers\.0\.W_xh of shape \(3, 20\)\. Got none$"),
        ((LAYER, X), {"parameters": {**LAYER.parameters, "layers.0.b_h": np.zeros(3)}}, InvalidInput,
         r"^parameters must hold layers\.0\.b_h of shape \(20,\)\. Got \(3,\)$"),
        ((LAYER, X), {"methods": ("exact",)}, InvalidInput, r"^methods must be one of complex, central\. Got 'exact'$"),
        ((LAYER, X), {"seed": -1}, InvalidInput, r"^seed must be at least 0\. Got -1$"),
    ],
)  # fmt: skip
def test_messages(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gradient_check(*arguments, **options)


def test_any_function_with_its_parameters_and_gradients(rng: np.random.Generator) -> None:
    w = rng.standard_normal((3, 5))
    right = 1 - np.tanh(w) ** 2

    def loss(p: dict[str, Any]) -> Any:
        return np.sum(np.tanh(p["w"]))

    report = gradient_check(loss, {"w": w}, {"w": right})
    assert [row.method for row in report.rows] == ["central"]
    assert report.passed
    wrong = right.copy()
    wrong[2, 1] *= 1.01
    report = gradient_check(loss, {"w": w}, {"w": wrong}, methods=("complex",), raise_on_failure=False)
    assert [(row.place, row.method) for row in report.failures] == [("w[2, 1]", "complex")]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            (NET, {}, {}),
            {},
            r"^x and y may be mappings, of parameters and of gradients, with a function and nothing",
        ),
        ((lambda p: 0.0, {}, {}), {"lengths": [1]}, r"^x and y may be mappings"),
        (
            (lambda p: 0.0, {}, None),
            {},
            r"^x and y must both be mappings with a function\. Got dict and NoneType$",
        ),
    ],
)
def test_mappings_go_with_a_function(given: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        gradient_check(*given, **options)
