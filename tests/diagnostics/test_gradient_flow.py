"""Norms of dL/d(state) against the complex step from that state on, in every cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics.gradient_flow import GradientFlow, gradient_flow
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent

B, T, D, H, K = 3, 6, 2, 4, 5
RTOL = 1e-11  # a complex step through T layers
TINY = 1e-30


def make(rng: np.random.Generator, cell: str = "elman", **options: Any) -> Network:
    stack = Recurrent(cell, D, H, **options.pop("stack", {}))
    net = Network(stack, K, **{"readout": "last", **options})
    for p in net.parameters.values():
        p[...] = 0.7 * rng.standard_normal(p.shape)
    return net


def slopes(
    net: Network, x: np.ndarray, y: np.ndarray, t: int, name: str, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return dL/d(state after t steps) by the complex step: the steps from t on, begun from that state."""
    state = {each: s.astype(complex) for each, s in net.recurrent.zero_state(len(x)).items()}
    if t:
        state = {each: s.astype(complex) for each, s in net.forward(x[:, :t]).state.items()}
    found = np.empty((len(x), H))
    rest = y if net.readout == "last" else y[:, t:]
    counted = None if weights is None else weights[:, t:]
    for row, unit in np.ndindex(found.shape):
        moved = {each: s.copy() for each, s in state.items()}
        moved[name][-1, row, unit] += 1j * TINY
        value = net.loss_value(x[:, t:], rest, state=moved, weights=counted)
        found[row, unit] = np.imag(value) / TINY
    return found


@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"])
def test_norms_are_those_of_the_complex_step(cell: str, rng: np.random.Generator) -> None:
    net = make(rng, cell)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    flow = gradient_flow(net, x, y)
    assert flow.loss == pytest.approx(float(net.loss_value(x, y)), rel=1e-13)
    assert sorted(flow.norms) == sorted(f"layers.0.{s}" for s in net.recurrent.states)
    for name in net.recurrent.states:
        assert flow.norms[f"layers.0.{name}"].shape == (T + 1, B)
        for t in range(T):
            wanted = np.linalg.norm(slopes(net, x, y, t, name), axis=1)
            np.testing.assert_allclose(flow.norms[f"layers.0.{name}"][t], wanted, rtol=RTOL)


def test_the_top_of_a_stack(rng: np.random.Generator) -> None:
    net = make(rng, "lstm", stack={"num_layers": 2})
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    flow = gradient_flow(net, x, y)
    for t in range(T):
        wanted = np.linalg.norm(slopes(net, x, y, t, "c"), axis=1)
        np.testing.assert_allclose(flow.norms["layers.1.c"][t], wanted, rtol=RTOL)


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_below_other_layers_it_is_the_gradient_of_a_linear_networks_input(
    readout: str, direction: str, rng: np.random.Generator
) -> None:
    """With no activation and an identity for input weights, x_t is added to h_t: one gradient is the other."""
    stack = Recurrent("elman", H, H, num_layers=2, direction=direction, activation="identity")
    net = Network(stack, K, readout=readout)
    for p in net.parameters.values():
        p[...] = 0.6 * rng.standard_normal(p.shape)
    net.parameters["layers.0.W_xh"][...] = np.eye(H)
    if direction == "bidirectional":
        net.parameters["layers.0.reverse.W_xh"][...] = 0
    x = rng.standard_normal((B, T, H))
    y = rng.standard_normal((B, T, K) if readout == "every" else (B, K))
    lengths = np.array([T, 2, T - 1])
    dx = net.loss_and_gradients(x, y, lengths=lengths, want_x=True).gradients.x
    assert dx is not None
    flow = gradient_flow(net, x, y, lengths=lengths)
    wanted = np.linalg.norm(dx, axis=2).T
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(
            flow.norms["layers.0.h"][1 : length + 1, row], wanted[:length, row], rtol=RTOL
        )


def test_weights_choose_the_outputs_that_count(rng: np.random.Generator) -> None:
    net = make(rng, readout="every")
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    weights = np.zeros((B, T))
    weights[:, 3] = 1
    norms = gradient_flow(net, x, y, weights=weights).norms["layers.0.h"]
    assert np.all(norms[5:] == 0)
    assert np.all(norms[:5] > 0)
    np.testing.assert_allclose(
        norms[2], np.linalg.norm(slopes(net, x, y, 2, "h", weights), axis=1), rtol=RTOL
    )


def test_what_vanishes_in_float32_is_still_seen(rng: np.random.Generator) -> None:
    net = make(rng, stack={"dtype": "float32"})
    net.parameters["layers.0.W_hh"] *= np.float32(1e-9)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    medians = gradient_flow(net, x, y).medians()
    assert medians.shape == (T + 1,)
    assert 0 < medians[0] < 1e-45


def test_states_of_a_layer_are_taken_together_and_drawn(rng: np.random.Generator) -> None:
    norms = {"layers.0.c": np.full((2, 1), 3.0), "layers.0.h": np.full((2, 1), 4.0)}
    flow = GradientFlow(1.0, norms)
    np.testing.assert_allclose(flow.of_layer(), 5.0, rtol=1e-15)
    with pytest.raises(InvalidInput, match="prefix must be one of"):
        flow.of_layer("layers.1.")
    (line,) = flow.plot().get_lines()
    np.testing.assert_allclose(np.asarray(line.get_ydata()), 5.0, rtol=1e-15)
    net = make(rng)
    with pytest.raises(InvalidType, match=r"^net must be a Network"):
        gradient_flow("net", np.zeros((B, T, D)), np.zeros((B, K)))  # type: ignore[arg-type]  # the point of it
    fed_back = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
    for wrong in (fed_back, Network(Recurrent("elman", D, H), K, linear_lags=2)):
        with pytest.raises(InvalidInput, match=r"^net must be without feedback and linear path"):
            gradient_flow(wrong, np.zeros((B, T, D)), np.zeros((B, K)))
    with pytest.raises(InvalidInput, match="x must have shape"):
        gradient_flow(net, np.zeros((B, D)), np.zeros((B, K)))
