"""Every part is what an independent computation makes of it, and the parts add up to the gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import PathLengths, age_sums, gradient_by_path_length, sliding_gradient
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from tests.diagnostics.unrolled import slope
from tests.engine.own_cells import Leaky, Oscillator

B, T, D, H, K = 3, 6, 2, 4, 5
CELLS = ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"]
SUM_RTOL = 1e-12  # of each tensor's largest entry: the bar; 5e-15 is what is found
BRUTE_RTOL = 1e-11  # a complex step through T * L layers


def make(
    rng: np.random.Generator, cell: Any = "elman", *, layers: int = 1, direction: str = "forward", **options: Any
) -> Network:  # fmt: skip
    stack = Recurrent(cell, D, H, num_layers=layers, direction=direction, **options.pop("stack", {}))
    net = Network(stack, K, **{"readout": "every", **options})
    for p in net.parameters.values():
        p[...] = 0.7 * rng.standard_normal(p.shape)
    return net


def examples(rng: np.random.Generator, net: Network) -> tuple[np.ndarray, np.ndarray]:
    shape = (B, T, K) if net.readout == "every" else (B, K)
    return rng.standard_normal((B, T, D)), rng.standard_normal(shape)


def worst(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    assert list(found) == list(wanted)
    return max(float(np.abs(found[n] - d).max() / max(np.abs(d).max(), 1e-300)) for n, d in wanted.items())


def check_against_scaled_jacobians(
    net: Network, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, rng: np.random.Generator
) -> PathLengths:
    """As many scales as there are lengths decide every part, for a random direction through each parameter."""
    found = gradient_by_path_length(net, x, y, weights=weights)
    count = len(found.lengths)
    for name, p in net.parameters.items():
        direction = rng.standard_normal(p.shape)
        along = np.array([float((part * direction).sum()) for part in found.parts[name]])
        for scale in np.cos(np.pi * (np.arange(count) + 0.5) / count):
            wanted = slope(net, x, y, weights, {name: direction}, float(scale))
            terms = along * scale**found.lengths
            assert abs(terms.sum() - wanted) <= BRUTE_RTOL * max(np.abs(along).max(), abs(wanted)), (
                name,
                scale,
            )
    return found


@pytest.mark.parametrize("readout", ["every", "last"])
@pytest.mark.parametrize("cell", [*CELLS, Leaky, Oscillator], ids=[*CELLS, "leaky", "oscillator"])
def test_one_layer_equals_brute_force(cell: Any, readout: str, rng: np.random.Generator) -> None:
    net = make(rng, cell, readout=readout, learned_initial_state=True)
    found = check_against_scaled_jacobians(net, *examples(rng, net), None, rng)
    # From the last step to a learned initial state there are T Jacobians; a parameter at the first step is T - 1 away.
    assert len(found.lengths) == T + 1
    assert not found.parts["layers.0.W_xh"][T].any()
    assert found.parts["initial.h"][T].any()
    assert not found.parts["initial.h"][0].any()
    assert not found.parts["readout.W_hy"][1:].any()


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
def test_stacks_and_directions_equal_brute_force(cell: str, direction: str, rng: np.random.Generator) -> None:
    net = make(rng, cell, layers=3 if cell == "elman" else 2, direction=direction)
    found = check_against_scaled_jacobians(net, *examples(rng, net), rng.random((B, T)), rng)
    # One way, no path is longer than the sequence; both ways, it turns back at each layer.
    layers = net.recurrent.num_layers
    longest = {"bidirectional": layers * (T - 1)}.get(direction, T - 1)
    assert len(found.lengths) == longest + 1
    assert found.parts["layers.0.W_xh"][longest].any()


@pytest.mark.parametrize(
    ("cell", "layers", "direction", "readout", "ragged"),
    list(itertools.product(CELLS, [1, 2], ["forward", "reverse", "bidirectional"], ["last", "every"], [False, True])),
)  # fmt: skip
def test_the_parts_add_up_to_the_gradient(
    cell: str, layers: int, direction: str, readout: str, ragged: bool, rng: np.random.Generator
) -> None:
    net = make(
        rng,
        cell,
        layers=layers,
        direction=direction,
        readout=readout,
        linear_lags=2,
        learned_initial_state=True,
    )
    x, y = examples(rng, net)
    lengths = [T, 2, 5] if ragged else None
    weights = rng.random(B)
    full = net.loss_and_gradients(x, y, lengths=lengths, weights=weights)
    found = gradient_by_path_length(net, x, y, lengths=lengths, weights=weights)
    assert found.loss == pytest.approx(full.loss, rel=1e-13)
    assert worst(found.total(), full.gradients.parameters) <= SUM_RTOL


def test_rows_of_unequal_length_are_as_alone(rng: np.random.Generator) -> None:
    net = make(rng, "lstm", layers=2, direction="bidirectional")
    x, y = examples(rng, net)
    lengths, loss = [T, 1, 4], 0.0
    together = gradient_by_path_length(net, x, y, lengths=lengths)
    total = {name: np.zeros_like(part) for name, part in together.parts.items()}
    for row, length in enumerate(lengths):
        alone = gradient_by_path_length(net, x[row : row + 1, :length], y[row : row + 1, :length])
        share = length / sum(lengths)
        loss += share * alone.loss
        for name, part in alone.parts.items():
            total[name][: len(part)] += share * part
    assert together.loss == pytest.approx(loss, rel=1e-13)
    assert worst(together.parts, total) <= SUM_RTOL


def test_a_given_state_a_change_target_and_a_mask_of_weights(rng: np.random.Generator) -> None:
    mask = rng.integers(0, 2, (H, H))
    net = make(rng, "gru", change_of=[0, 1, 1, 0, 1], change_scale=0.3, linear_lags=1, stack={"mask": mask})
    x, y = examples(rng, net)
    state = {"h": rng.standard_normal((1, B, H))}
    other = {name: 0.5 * rng.standard_normal(p.shape) for name, p in net.parameters.items()}
    full = net.loss_and_gradients(x, y, state=state, parameters=other)
    found = gradient_by_path_length(net, x, y, state=state, parameters=other)
    assert worst(found.total(), full.gradients.parameters) <= SUM_RTOL
    assert not found.parts["layers.0.W_hh"][:, np.tile(mask, (1, 3)) == 0].any()


def double_sum(p: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dL/dW (T, H, H) by the assignment's exercise 3: per output, back along its paths, one length at a time."""
    U, W, V = (p[name].T for name in ("layers.0.W_xh", "layers.0.W_hh", "readout.W_hy"))
    found = np.zeros((T, H, H))
    for sequence, digits in zip(x, y, strict=True):
        s = [np.zeros(H)]
        for x_t in sequence:
            s.append(np.tanh(U @ x_t + W @ s[-1]))
        for j in range(T):
            a = V @ s[j + 1]
            da = (np.exp(a) / np.exp(a).sum() - np.eye(K)[digits[j]]) / (B * T)
            ds = V.T @ da
            for k in range(j + 1):
                dz = (1 - s[j - k + 1] ** 2) * ds
                found[k] += np.outer(dz, s[j - k])
                ds = W.T @ dz
    return found


def test_the_parts_are_the_assignments_only_paths_of_size(rng: np.random.Generator) -> None:
    net = make(rng, bias=False, loss="cross_entropy", stack={"bias": False})
    x, y = rng.standard_normal((B, T, D)), rng.integers(0, K, (B, T))
    wanted = double_sum(net.parameters, x, y)
    found = gradient_by_path_length(net, x, y)
    np.testing.assert_allclose(
        found.parts["layers.0.W_hh"].transpose(0, 2, 1), wanted, rtol=0, atol=1e-14 * np.abs(wanted).max()
    )
    # bptt_truncate = k: each output looks back over at most k steps.
    for k in range(T):
        _, gradients = sliding_gradient(net, x, y, truncate=k)
        np.testing.assert_allclose(
            gradients["layers.0.W_hh"].T, wanted[: k + 1].sum(axis=0), rtol=0, atol=1e-13 * np.abs(wanted).max()
        )  # fmt: skip
    assert not np.allclose(wanted[:2].sum(axis=0), wanted.sum(axis=0), rtol=0.1, atol=0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_truncation_is_the_sum_of_the_short_paths(
    cell: str, direction: str, rng: np.random.Generator
) -> None:
    net = make(rng, cell, layers=2, direction=direction, learned_initial_state=True)
    x, y = examples(rng, net)
    found = gradient_by_path_length(net, x, y, lengths=[T, 3, 5])
    for k in (0, 2, 100):
        loss, gradients = sliding_gradient(net, x, y, truncate=k, lengths=[T, 3, 5])
        assert loss == found.loss
        assert worst(gradients, found.up_to(k)) <= SUM_RTOL
        short = gradient_by_path_length(net, x, y, lengths=[T, 3, 5], longest=k)
        assert len(short.lengths) == min(k + 1, len(found.lengths))
        wanted = {name: part[: k + 1] for name, part in found.parts.items()}
        assert worst(short.parts, wanted) <= SUM_RTOL


def test_a_loss_at_the_last_step_is_one_sweep(rng: np.random.Generator) -> None:
    every = make(rng, "lstm", layers=2)
    last = Network(every.recurrent, K, readout="last")
    last.parameters.update(every.parameters)
    x, y = examples(rng, every)
    weights = np.zeros((B, T))
    weights[:, -1] = 1
    one = gradient_by_path_length(every, x, y, weights=weights)
    other = gradient_by_path_length(last, x, y[:, -1])
    assert worst(one.parts, other.parts) <= SUM_RTOL


def test_few_rows_and_little_memory_change_nothing(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are gathered before the weights' products: all at once, some, or one by one."""
    net = make(rng, "gru", layers=2)
    x, y = examples(rng, net)
    weights = np.zeros((B, T))
    weights[:, 1::2] = rng.random((B, T // 2))
    whole = gradient_by_path_length(net, x, y, weights=weights)
    for rows in (1, 2 * B, 4 * B):
        monkeypatch.setattr(age_sums, "_ROWS", rows)
        assert worst(gradient_by_path_length(net, x, y, weights=weights).parts, whole.parts) <= SUM_RTOL
    monkeypatch.setattr(age_sums, "_HELD", 1)
    assert worst(gradient_by_path_length(net, x, y, weights=weights).parts, whole.parts) <= SUM_RTOL


def test_a_float32_network_is_read_in_float64_and_left_as_it_is(rng: np.random.Generator) -> None:
    net = make(rng, "lstm", stack={"dtype": "float32"})
    before = {name: p.copy() for name, p in net.parameters.items()}
    x, y = examples(rng, net)
    engine = net.recurrent.engine
    found = gradient_by_path_length(net, x, y)
    twin = make(rng, "lstm")
    wide = {name: p.astype(np.float64) for name, p in net.parameters.items()}
    full = twin.loss_and_gradients(x, y, parameters=wide)
    assert worst(found.total(), full.gradients.parameters) <= SUM_RTOL
    assert net.recurrent.dtype == np.float32
    assert net.recurrent.engine == engine
    for name, p in net.parameters.items():
        np.testing.assert_array_equal(p, before[name])


def test_the_record_measures_its_parts(rng: np.random.Generator) -> None:
    parts = {"layers.0.W_hh": rng.standard_normal((4, 3, 2)), "layers.0.b_h": rng.standard_normal((4, 3))}
    record = PathLengths(0.5, parts)
    np.testing.assert_array_equal(record.lengths, [0, 1, 2, 3])
    W = parts["layers.0.W_hh"]
    np.testing.assert_allclose(
        record.mean_abs("layers.0.W_hh"), [np.abs(w).sum() / 6 for w in W], rtol=1e-14, atol=0
    )
    np.testing.assert_allclose(
        record.norms("layers.0.b_h"), [np.sqrt((b**2).sum()) for b in parts["layers.0.b_h"]], rtol=1e-14, atol=0
    )  # fmt: skip
    np.testing.assert_allclose(record.up_to(1)["layers.0.W_hh"], W[0] + W[1], rtol=1e-14, atol=0)
    ax = record.plot("layers.0.b_h", theme="dark", size="narrow")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), record.mean_abs("layers.0.b_h"))
    with pytest.raises(InvalidInput, match=r"^name must be one of"):
        record.mean_abs("layers.7.W_hh")


def test_what_cannot_be_taken_apart_is_refused(rng: np.random.Generator) -> None:
    net = make(rng)
    x, y = examples(rng, net)
    for function, options in ((gradient_by_path_length, {}), (sliding_gradient, {"truncate": 1})):
        with pytest.raises(InvalidType, match=r"^net must be a Network"):
            function(net.recurrent, x, y, **options)  # type: ignore[operator]
        fed = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
        with pytest.raises(InvalidInput, match=r"^net must be without feedback"):
            function(fed, x, y, **options)  # type: ignore[operator]
    with pytest.raises(InvalidInput, match="longest must be"):
        gradient_by_path_length(net, x, y, longest=-1)
    with pytest.raises(InvalidInput, match="truncate must be"):
        sliding_gradient(net, x, y, truncate=-1)
    with pytest.raises(InvalidInput, match="x must have shape"):
        gradient_by_path_length(net, x[:, :, :1], y)
