"""Norms of dL/d(state) against the complex step from that state on, in every cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics.gradient_flow import GradientFlow, gradient_flow
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from tests.engine.own_cells import OWN, Oscillator, Staged

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
    with pytest.raises(InvalidInput, match=r"^net must be without feedback"):
        gradient_flow(fed_back, np.zeros((B, T, D)), np.zeros((B, K)))
    with pytest.raises(InvalidInput, match="x must have shape"):
        gradient_flow(net, np.zeros((B, D)), np.zeros((B, K)))


def along_columns(net: Network, cell: Any, x: np.ndarray, y: np.ndarray, t: int) -> dict[str, np.ndarray]:
    """Return |dL/da| (B,) of step t by the complex step: each bias moved in that step alone, row by row."""
    found: dict[str, np.ndarray] = {}
    p = net.parameters
    state = net.forward(x[:, :t]).state if t else net.recurrent.zero_state(len(x))
    begun = {name: s.astype(complex) for name, s in state.items()}
    names = [(f"a_{g}", "layers.0.b_h", k * H) for k, g in enumerate(cell.plan.gates)]
    if net.recurrent.cell.name == "gru":  # the candidate's bias is the input part's; b_hn is the other one's
        names = [(n.replace("a_n", "a_xn"), b, k) for n, b, k in names] + [("a_hn", "layers.0.b_hn", 0)]
    for column, name, first in names:
        slope = np.empty((len(x), H))
        for unit in range(H):
            bias = p[name].astype(complex)
            bias[first + unit] += 1j * TINY
            after = net.forward(x[:, t : t + 1], begun, parameters={**p, name: bias}).state
            for row in range(len(x)):
                one = {
                    each: np.where(np.arange(len(x))[:, None] == row, s, s.real) for each, s in after.items()
                }
                if t + 1 < T:
                    value = net.loss_value(x[:, t + 1 :], y, state=one)
                else:
                    y_hat = one["h"][-1] @ p["readout.W_hy"] + p["readout.b_y"]
                    value = net.loss.value(y_hat, y)
                slope[row, unit] = np.imag(value) / TINY
        found[column] = np.linalg.norm(slope, axis=1)
    return found


@pytest.mark.parametrize(
    "cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole", Oscillator, Staged]
)
def test_gates_are_those_of_the_complex_step(cell: Any, rng: np.random.Generator) -> None:
    net = make(rng, cell)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    flow = gradient_flow(net, x, y)
    for t in (0, 3, T - 1):
        wanted = along_columns(net, net.recurrent.cell, x, y, t)
        assert sorted(flow.gates) == sorted(f"layers.0.{name}" for name in wanted)
        for name, norms in wanted.items():
            np.testing.assert_allclose(flow.gates[f"layers.0.{name}"][t], norms, rtol=RTOL, atol=1e-16)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole", *OWN])
def test_the_parts_of_every_step_add_up(cell: Any, engine: str, rng: np.random.Generator) -> None:
    net = make(rng, cell, stack={"num_layers": 2, "direction": "bidirectional", "engine": engine}, readout="every",
               linear_lags=2)  # fmt: skip
    for name, p in net.parameters.items():
        if name.endswith((".leak", ".s")):
            p[...] = rng.uniform(0.2, 0.9, p.shape)
    x, y, lengths = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K)), np.array([T, 1, T - 2])
    flow = gradient_flow(net, x, y, lengths=lengths)
    for prefix in net.recurrent.prefixes:
        norms = flow.of_layer(prefix)
        found = {part: flow.gains[prefix + part] for part in ("gates", "saturation", "weights", "arrivals")}
        gained = np.sum(list(found.values()), axis=0)
        for row, length in enumerate(lengths):
            np.testing.assert_allclose(
                gained[:length, row],
                np.log(norms[:length, row] / norms[1 : length + 1, row]),
                rtol=0,
                atol=1e-12,
            )
            assert not gained[length:, row].any()
        decades = flow.decades(prefix)
        assert sum(decades.values()) == pytest.approx(
            np.mean(np.log10(norms[0] / norms[lengths, np.arange(B)])), abs=1e-12
        )
        assert sum(flow.shares(prefix).values()) == pytest.approx(1, rel=1e-12)


def test_an_elman_networks_parts_are_its_slopes_and_its_weight(rng: np.random.Generator) -> None:
    """By hand: |f' dh| / |dh| and |W f' dh| / |f' dh|, with nothing that could be a gate."""
    net = make(rng)
    x, y = rng.standard_normal((1, T, D)), rng.standard_normal((1, K))
    flow = gradient_flow(net, x, y)
    _, _, tape = net.recurrent.forward(x)
    h, W = tape.tapes[0].states["h"][:, 0], net.parameters["layers.0.W_hh"]
    dh = slopes(net, x, y, T - 1, "h")[0]  # of state T - 1, made by step T - 2
    for t in range(T - 2, -1, -1):
        da = (1 - h[t + 1] ** 2) * dh
        before = W @ da
        size = np.linalg.norm
        assert flow.gains["layers.0.saturation"][t, 0] == pytest.approx(
            np.log(size(da) / size(dh)), abs=1e-11
        )
        assert flow.gains["layers.0.weights"][t, 0] == pytest.approx(
            np.log(size(before) / size(da)), abs=1e-11
        )
        assert flow.gains["layers.0.gates"][t, 0] == pytest.approx(0, abs=1e-14)
        dh = before


def test_what_holds_a_line_open_loses_at_its_gates_alone() -> None:
    """An LSTM without recurrent weights: c passes by f, so all that is lost is log f a step."""
    net = Network(Recurrent("lstm", D, H), K)
    for name, p in net.parameters.items():
        p[...] = 0
        if name == "layers.0.b_h":
            p[H : 2 * H] = 1.7
    net.parameters["readout.W_hy"][...] = 1 + np.arange(K)
    x, y = np.zeros((B, 9, D)), np.ones((B, K))
    flow = gradient_flow(net, x, y)
    forget = 1 / (1 + np.exp(-1.7))
    norms = flow.norms["layers.0.c"]
    np.testing.assert_allclose(norms[:-2] / norms[1:-1], forget, rtol=1e-13)
    gains = np.sum([flow.gains[f"layers.0.{part}"] for part in ("gates", "saturation", "weights")], axis=0)
    np.testing.assert_allclose(gains[:-1], np.log(forget), rtol=1e-13)
    # c = 0 leaves one gate open, a_g: what goes to it ends at a weight of 0, and is the weights' loss.
    aside = np.hypot(forget, 0.5)
    np.testing.assert_allclose(flow.gains["layers.0.weights"][:-1], np.log(forget / aside), rtol=1e-13)
    np.testing.assert_allclose(flow.gains["layers.0.saturation"][:-1], 0, rtol=0, atol=1e-14)


def test_dead_units_are_lost_to_saturation(rng: np.random.Generator) -> None:
    net = make(rng, stack={"activation": "relu"})
    net.parameters["layers.0.b_h"][...] = -100
    flow = gradient_flow(net, rng.standard_normal((B, T, D)), rng.standard_normal((B, K)))
    assert flow.decades()["saturation"] == -np.inf
    assert flow.shares() == {"gates": 0.0, "saturation": 1.0, "weights": 0.0}
    assert flow.horizon() == 1


def test_the_horizon_is_where_a_known_decay_passes_the_level(rng: np.random.Generator) -> None:
    """h_t = 0.8 h_(t-1): the gradient k steps back is 0.8^k of the last, below 1 % from k = 21 on."""
    net = Network(Recurrent("elman", D, H, activation="identity"), K)
    net.parameters["layers.0.W_hh"][...] = 0.8 * np.linalg.qr(rng.standard_normal((H, H)))[0]
    x, y = rng.standard_normal((B, 30, D)), rng.standard_normal((B, K))
    flow = gradient_flow(net, x, y)
    assert flow.horizon() == 21
    assert flow.horizon(level=0.5) == 4
    assert flow.horizon(level=1e-9) is None
    decades = flow.decades()
    assert decades["weights"] == pytest.approx(30 * np.log10(0.8), rel=1e-12)
    assert flow.shares() == {"gates": 0.0, "saturation": 0.0, "weights": pytest.approx(1.0)}
    with pytest.raises(InvalidInput, match=r"^level must be"):
        flow.horizon(level=0)


def test_gates_and_losses_are_drawn(rng: np.random.Generator) -> None:
    net = make(rng, "lstm")
    flow = gradient_flow(net, rng.standard_normal((B, T, D)), rng.standard_normal((B, K)))
    lines = flow.plot_gates().get_lines()
    assert [line.get_label() for line in lines] == ["a_f", "a_g", "a_i", "a_o"]
    np.testing.assert_array_equal(lines[0].get_xdata(), np.arange(1, T + 1))
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in flow.plot_losses().get_lines()}
    decades = flow.decades()
    for part in ("gates", "saturation", "weights"):
        assert drawn[part][0] == pytest.approx(decades[part], rel=1e-12)
    assert "arrivals" not in drawn  # the loss is at the last step
    assert drawn["all together"][0] == pytest.approx(sum(decades.values()), rel=1e-12)


def test_what_is_not_a_number_is_not_called_a_loss(rng: np.random.Generator) -> None:
    net = make(rng, "gru")
    net.parameters["layers.0.W_hh"][0, 0] = np.nan
    flow = gradient_flow(net, rng.standard_normal((B, T, D)), rng.standard_normal((B, K)))
    assert np.isnan(flow.decades()["weights"])
    assert np.isnan(list(flow.shares().values())).all()
    assert flow.horizon() is None
