"""Real-time recurrent learning against BPTT and the complex step, on every cell of the protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.cells import Cell, get_cell
from bptt.engine import reference
from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.learning import EKF, RTRL, LeakyElman, rtrl_gradients
from bptt.learning.influence import Influence
from bptt.network import Network, Recurrent
from bptt.network.readout import read
from bptt.optim import SGD, Adam, ClipNorm
from bptt.verify import random_parameters
from tests.engine.own_cells import OWN

Array = npt.NDArray[Any]

# All different, most of them odd.
B, T, D, H, K = 4, 7, 3, 5, 2
LENGTHS = np.array([3, 7, 1, 6])

# The same sums in another order, float64, gain below 1; the bar is 1e-10.
SAME = {"rtol": 1e-11, "atol": 1e-13}
TINY = 1e-30

BUILT_IN = ("elman", "gru", "gru_reset_before", "lstm", "lstm_peephole")
CELLS = [get_cell(name) for name in BUILT_IN] + [cell() for cell in OWN] + [LeakyElman(leak=0.4)]
SMOOTH = [cell for cell in CELLS if not cell.surrogate]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Cell) else ""


def make(cell: str | Cell, rng: np.random.Generator, settings: dict[str, Any], **more: Any) -> Network:
    net = Network(Recurrent(cell, D, H, **{"engine": "numpy", **settings}), K, **more)
    net.parameters.update(random_parameters(net, rng))
    return net


def assert_same(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name], gradient, err_msg=name, **SAME)


def test_the_last_step_of_ragged_rows_reads_its_own_newest_inputs(rng: np.random.Generator) -> None:
    net = make("gru", rng, {}, linear_lags=3, learned_initial_state=True)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    wanted = net.loss_and_gradients(x, y, lengths=LENGTHS)
    found = rtrl_gradients(net, x, y, lengths=LENGTHS)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-13)
    assert_same(found.gradients.parameters, wanted.gradients.parameters)


def test_a_clipped_update_is_that_of_the_clipped_gradient(rng: np.random.Generator) -> None:
    net, x, y = make("elman", rng, {}), rng.standard_normal(D), 9 * rng.standard_normal(K)
    gradients = net.loss_and_gradients(x[None, None], y[None]).gradients.parameters
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
    assert norm > 1
    for clip, factor in ((0.25, 0.25 / norm), (ClipNorm(2 * norm), 1.0)):
        wanted = {name: p - 0.1 * factor * gradients[name] for name, p in net.parameters.items()}
        other = make("elman", rng, {})
        for name, p in net.parameters.items():
            other.parameters[name][...] = p
        RTRL(other, SGD(0.1), clip=clip).step(x, y)
        assert_same(other.parameters, wanted)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("layers", [1, 3])
def test_gradients_are_those_of_bptt_on_ragged_rows(
    cell: Cell, layers: int, rng: np.random.Generator
) -> None:
    net = make(
        cell, rng, {"num_layers": layers, "engine": "auto"}, readout="every", output_activation="tanh",
        learned_initial_state=True, linear_lags=4,
    )  # fmt: skip
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    x[np.arange(T) >= LENGTHS[:, None]] = np.nan
    weights = rng.uniform(0.2, 1.0, (B, T))
    given = {"weights": weights, "lengths": LENGTHS}
    wanted, found = net.loss_and_gradients(x, y, **given), rtrl_gradients(net, x, y, **given)
    assert_same(found.gradients.parameters, wanted.gradients.parameters)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-13)
    np.testing.assert_allclose(found.y_hat, wanted.y_hat, **SAME)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_gradients_of_the_last_step_from_a_given_state(
    cell: Cell, bias: bool, rng: np.random.Generator
) -> None:
    net = make(
        cell, rng, {"num_layers": 2, "bias": bias}, bias=bias, change_of=[2, 0], change_scale=0.3, loss="mae"
    )
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    state = {name: rng.uniform(-0.6, 0.6, (2, B, H)) for name in net.recurrent.states}
    for lengths in (None, LENGTHS):
        wanted = net.loss_and_gradients(x, y, state=state, lengths=lengths)
        found = rtrl_gradients(net, x, y, state=state, lengths=lengths)
        assert_same(found.gradients.parameters, wanted.gradients.parameters)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_any_cotangent_of_any_state_is_answered(cell: Cell, rng: np.random.Generator) -> None:
    """Random cotangents on every output and on the final states, with missing and signed connections."""
    mask, signs = (rng.random((H, H)) < 0.6).astype(float), np.array([1, -1, -1, 1, -1])
    stack = Recurrent(cell, D, H, num_layers=2, mask=mask, signs=signs)
    stack.parameters.update(random_parameters(stack, rng))
    shape = stack.state_shape(B)
    state = {name: rng.uniform(-0.6, 0.6, shape) for name in stack.states}
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, H))
    dstate = {name: rng.standard_normal(shape) for name in stack.states}
    _, _, tape = stack.forward(x, state)
    wanted = stack.backward(tape, dh, dstate)
    run = Influence(stack, state, start=True)
    total = {name: np.zeros_like(p) for name, p in stack.parameters.items()}
    total.update({f"initial.{name}": np.zeros((2, H)) for name in stack.states})
    for t in range(T):
        run.step(x[:, t], stack.parameters)
        d = {name: np.zeros(shape) for name in stack.states}
        d["h"][-1] = dh[:, t]
        if t == T - 1:
            d = {name: d[name] + dstate[name] for name in d}
        for name, gradient in run.gradients(d, stack.parameters).items():
            total[name] += gradient
    starts = {f"initial.{name}": d.sum(axis=1) for name, d in (wanted.state or {}).items()}
    assert_same(total, {**wanted.parameters, **starts})


def test_a_classifier(rng: np.random.Generator) -> None:
    net = make("gru", rng, {}, readout="every", loss="cross_entropy")
    x, y = rng.standard_normal((B, T, D)), rng.integers(0, K, (B, T))
    wanted = net.loss_and_gradients(x, y).gradients.parameters
    assert_same(rtrl_gradients(net, x, y).gradients.parameters, wanted)
    learner = RTRL(net, SGD(0.0))
    first = learner.step(x[0, 0], y[0, 0])
    assert first.loss == pytest.approx(net.loss_value(x[:1, :1], y[:1, :1]), rel=1e-13)


def test_float32_agrees_with_float64(rng: np.random.Generator) -> None:
    exact = make("lstm", rng, {}, readout="every")
    single = Network(Recurrent("lstm", D, H, dtype="float32"), K, readout="every")
    single.parameters.update({name: p.astype(np.float32) for name, p in exact.parameters.items()})
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    wanted = rtrl_gradients(exact, x, y).gradients.parameters
    for name, gradient in rtrl_gradients(single, x, y).gradients.parameters.items():
        assert gradient.dtype == np.float32
        scale = np.abs(wanted[name]).max()
        np.testing.assert_allclose(gradient, wanted[name], rtol=0, atol=5e-6 * scale, err_msg=name)


# ---------------------------------------------------------------- online


def slope_along_the_path(
    net: Network, path: list[dict[str, Array]], x: Array, y: Array, direction: dict[str, Array]
) -> float:
    """Return dL_T along one shift of the weights of all steps, each step's being what they were: complex step."""
    stack = net.recurrent
    state = [{name: np.zeros((len(x), H), complex) for name in stack.states} for _ in range(stack.num_layers)]
    for t, weights in enumerate(path):
        moved = {name: p + 1j * TINY * direction[name] for name, p in weights.items()}
        inputs = x[:, t].astype(complex)
        for k, prefix in enumerate(stack.prefixes):
            own = {n.removeprefix(prefix): p for n, p in moved.items() if n.startswith(prefix)}
            _, state[k], _ = reference.forward(stack.cell, own, inputs[None], state[k], tape=False)
            inputs = state[k]["h"]
    y_hat, _ = read(net, moved, inputs, None, x[:, -1])
    return float(np.imag(net.loss.value(y_hat, y[:, len(path) - 1])) / TINY)


@pytest.mark.parametrize("cell", SMOOTH, ids=name_of)
def test_an_update_follows_the_derivative_along_the_path_that_was_taken(
    cell: Cell, rng: np.random.Generator
) -> None:
    net = make(cell, rng, {"num_layers": 2}, readout="every")
    x, y = rng.standard_normal((2, T, D)), rng.standard_normal((2, T, K))
    rate = 0.3
    learner = RTRL(net, SGD(rate), streams=2)
    path: list[dict[str, Array]] = []
    for t in range(T):
        before = {name: p.copy() for name, p in net.parameters.items()}
        path.append(before)
        learner.step(x[:, t], y[:, t])
        for _ in range(2):
            direction = {name: rng.standard_normal(p.shape) for name, p in before.items()}
            found = sum(np.sum((before[n] - net.parameters[n]) / rate * d) for n, d in direction.items())
            wanted = slope_along_the_path(net, path, x, y, direction)
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-11)


def test_steps_predict_as_a_stream_does_and_look_ahead_changes_nothing(rng: np.random.Generator) -> None:
    net = make("lstm", rng, {"num_layers": 2}, readout="last", linear_lags=3)
    x = rng.standard_normal((T, D))
    learner, stream = RTRL(net), net.stream()
    for row in x:
        expected = learner.predict(row)
        found = learner.step(row)
        assert found.loss is None
        np.testing.assert_allclose(found.y_hat, expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found.y_hat, stream.step(row), **SAME)
    assert learner.updates == 0
    for name, s in stream.state.items():
        np.testing.assert_allclose(learner.state[name], s, **SAME)
    learner.reset()
    np.testing.assert_allclose(learner.predict(x[0]), net.stream().step(x[0]), **SAME)


def test_streams_share_one_loss_and_a_weight_of_0_leaves_one_out(rng: np.random.Generator) -> None:
    one, two = (make("gru", np.random.default_rng(5), {}, readout="every") for _ in range(2))
    x, y = rng.standard_normal((2, T, D)), rng.standard_normal((2, T, K))
    alone, beside = RTRL(one, Adam(0.02), clip=0.5), RTRL(two, Adam(0.02), clip=ClipNorm(0.5), streams=2)
    for t in range(T):
        first = alone.step(x[1, t], y[1, t])
        second = beside.step(x[:, t], y[:, t], weights=[0.0, 3.0])
        assert first.loss == pytest.approx(second.loss, rel=1e-12)
    assert_same(two.parameters, one.parameters)
    assert alone.updates == T


# ---------------------------------------------------------------- the diagonal approximation


class Separate(Cell):
    """Units that never meet: the recurrent part is a vector."""

    name = "separate"
    gates = ("h",)
    products = {"W_xh": "x"}
    vectors = {"w": 0.7}

    @staticmethod
    def forward(a_h: Any, h_prev: Any, w: Any) -> Any:
        h = (a_h + w * h_prev) / 2
        return h  # noqa: RET504  # a formula returns names


@pytest.mark.parametrize("layers", [1, 2])
def test_the_diagonal_is_exact_where_units_do_not_meet(layers: int, rng: np.random.Generator) -> None:
    net = make(Separate(), rng, {"num_layers": layers}, readout="every", learned_initial_state=True)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    wanted = net.loss_and_gradients(x, y).gradients.parameters
    found = rtrl_gradients(net, x, y, influence="diagonal").gradients.parameters
    top = {name: g for name, g in found.items() if name.startswith((f"layers.{layers - 1}.", "readout."))}
    # What a lower layer does to an upper one's memory crosses units: it is cut, and only the last step's way is left.
    assert_same(top, {name: wanted[name] for name in top})
    if layers == 1:
        assert_same(found, wanted)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_the_diagonal_sees_one_step_exactly(cell: Cell, rng: np.random.Generator) -> None:
    net = make(cell, rng, {"num_layers": 2}, readout="every")
    x, y = rng.standard_normal((B, 1, D)), rng.standard_normal((B, 1, K))
    state = {name: rng.uniform(-0.6, 0.6, (2, B, H)) for name in net.recurrent.states}
    wanted = net.loss_and_gradients(x, y, state=state).gradients.parameters
    found = rtrl_gradients(net, x, y, state=state, influence="diagonal").gradients.parameters
    stages = len(cell.plan.stages)
    for name, gradient in wanted.items():
        if stages == 1 or name.startswith("readout"):
            np.testing.assert_allclose(found[name], gradient, err_msg=name, **SAME)


def test_the_diagonal_is_another_gradient_but_one_of_the_same_half_space(rng: np.random.Generator) -> None:
    net = make("gru", rng, {}, readout="every")
    x, y = rng.standard_normal((B, 30, D)), rng.standard_normal((B, 30, K))
    full = rtrl_gradients(net, x, y).gradients.parameters
    cut = rtrl_gradients(net, x, y, influence="diagonal").gradients.parameters
    one, two = (np.concatenate([g.ravel() for g in each.values()]) for each in (full, cut))
    cosine = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    assert 0.5 < cosine < 0.9999


# ---------------------------------------------------------------- what is refused


def test_networks_that_do_not_run_forward_are_refused() -> None:
    reverse = Network(Recurrent("elman", D, H, direction="bidirectional"), K)
    with pytest.raises(InvalidInput, match=r"^net must run forward in time.* Got direction 'bidirectional'"):
        RTRL(reverse)
    fed = Network(Recurrent("elman", D + K, H), K, feedback=True)
    with pytest.raises(InvalidInput, match="feedback=True"):
        rtrl_gradients(fed, np.zeros((1, 2, D)), np.zeros((1, K)))
    dropped = Network(Recurrent("elman", D, H, num_layers=2, dropout=0.3), K)
    with pytest.raises(InvalidInput, match=r"dropout = 0\.3$"):
        RTRL(dropped)
    with pytest.raises(InvalidType, match=r"^net must be a Network. Got str"):
        RTRL("elman")  # type: ignore[arg-type]


def test_wrong_rows_and_settings_are_named(rng: np.random.Generator) -> None:
    net = make("elman", rng, {})
    with pytest.raises(InvalidInput, match=r"influence must be one of full, diagonal. Got 'sparse'"):
        RTRL(net, influence="sparse")
    with pytest.raises(InvalidType, match="clip must be a number or a Clipping"):
        RTRL(net, clip="much")  # type: ignore[arg-type]
    learner, several = RTRL(net), RTRL(net, streams=3)
    before = {name: s.copy() for name, s in learner.state.items()}
    with pytest.raises(InvalidInput, match=rf"x_t must have shape \(D\) = \({D}\). Got \(1, {D}\)"):
        learner.step(np.zeros((1, D)))
    with pytest.raises(InvalidInput, match=rf"x_t must have shape \(S, D\) = \(3, {D}\)"):
        several.step(np.zeros(D))
    with pytest.raises(InvalidInput, match="x_t must hold finite real numbers"):
        learner.step(np.full(D, np.nan))
    with pytest.raises(InvalidInput, match=rf"y_t must have shape \({K},\) beside S = 1 streams. Got \(9,\)"):
        learner.step(np.zeros(D), np.zeros(9))
    with pytest.raises(InvalidInput, match="y_t must hold finite numbers"):
        learner.step(np.zeros(D), np.full(K, np.inf))
    with pytest.raises(InvalidType, match=r"^y_t must be a rectangular array of numbers\. Got nested"):
        learner.step(np.zeros(D), [[1.0], [1.0, 2.0]])  # type: ignore[arg-type, list-item]
    with pytest.raises(InvalidInput, match="weights must be left out where there is no y_t"):
        several.step(np.zeros((3, D)), weights=[1, 1, 1])
    with pytest.raises(InvalidInput, match=r"weights must have shape \(B,\) = \(3,\)"):
        several.step(np.ones((3, D)), np.ones((3, K)), weights=[1, 1])
    assert not any(s.any() for s in several.state.values())
    for name, s in learner.state.items():
        np.testing.assert_allclose(s, before[name], rtol=0, atol=0)


def test_a_loss_or_gradient_that_is_not_finite_stops_before_the_weights_move(
    rng: np.random.Generator,
) -> None:
    net = make("elman", rng, {})
    learner = RTRL(net)
    kept = {name: p.copy() for name, p in net.parameters.items()}
    with pytest.raises(
        DivergedError, match=r"^the loss must be finite to learn from. Got inf at update 0: lower"
    ):
        learner.step(np.zeros(D), np.full(K, 1e200))
    for name, p in net.parameters.items():
        np.testing.assert_allclose(p, kept[name], rtol=0, atol=0)


def test_learners_say_in_one_line_what_they_are() -> None:
    net = Network(Recurrent("elman", 2, 3, seed=0), 1, readout="every")
    learner = RTRL(net, streams=2, influence="diagonal")
    learner.step(np.ones((2, 2)), np.ones((2, 1)))
    assert repr(learner) == f"RTRL({net!r}, streams=2, influence='diagonal', updates=1)"
    assert repr(EKF(net)) == f"EKF({net!r}, streams=1, influence='full', updates=0)"
