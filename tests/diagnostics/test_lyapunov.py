"""Exponents of maps whose own are known, and of a network against a run of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import lyapunov_exponents, step_jacobians
from bptt.diagnostics.lyapunov import LyapunovExponents
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent

D, H, K = 2, 5, 3


def linear(W: np.ndarray) -> Network:
    """h_t = h_(t-1) W, one unit a row of W."""
    net = Network(Recurrent("elman", D, len(W), activation="identity", bias=False), K)
    net.parameters["layers.0.W_hh"][...] = W
    return net


def test_a_linear_maps_exponents_are_the_logarithms_of_its_eigenvalues(rng: np.random.Generator) -> None:
    """Real eigenvalues of different size in a basis that is not orthogonal."""
    basis = rng.standard_normal((H, H)) + 2 * np.eye(H)
    values = np.array([-1.3, 0.9, 0.5, -0.2, 0.05])
    net = linear(basis @ np.diag(values) @ np.linalg.inv(basis))
    found = lyapunov_exponents(net, np.zeros((300, D)), settle=200)
    np.testing.assert_allclose(found.exponents, np.log(np.abs(values)), rtol=1e-9)
    first_two = lyapunov_exponents(net, np.zeros((300, D)), settle=200, count=2, seed=3)
    np.testing.assert_allclose(first_two.exponents, np.log([1.3, 0.9]), rtol=1e-9)


def test_a_complex_pair_shares_its_modulus(rng: np.random.Generator) -> None:
    turn = 0.7 * np.array([[np.cos(1.1), -np.sin(1.1)], [np.sin(1.1), np.cos(1.1)]])
    block = np.zeros((3, 3))
    block[:2, :2], block[2, 2] = turn, 0.3
    basis = rng.standard_normal((3, 3)) + 2 * np.eye(3)
    found = lyapunov_exponents(linear(basis @ block @ np.linalg.inv(basis)), np.zeros((2000, D)), settle=100)
    # In a sheared basis each of the two swings around the mean: 1 / T of that is left.
    np.testing.assert_allclose(found.exponents, np.log([0.7, 0.7, 0.3]), rtol=0, atol=3e-3)
    assert found.exponents[:2].sum() == pytest.approx(2 * np.log(0.7), rel=1e-9)


@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"])
def test_all_exponents_add_up_to_the_volumes_growth(cell: str, rng: np.random.Generator) -> None:
    net = Network(Recurrent(cell, D, H, num_layers=2), K)
    for p in net.parameters.values():
        p[...] = 0.8 * rng.standard_normal(p.shape)
    x = rng.standard_normal((40, D))
    found = lyapunov_exponents(net, x)
    J = step_jacobians(net, x, layer=None).jacobians
    wanted = np.linalg.slogdet(J)[1]
    assert found.exponents.sum() == pytest.approx(wanted.mean(), rel=1e-9)
    assert np.all(np.diff(found.exponents) <= 0)
    np.testing.assert_allclose(found.history.sum(axis=1) * np.arange(1, 41), np.cumsum(wanted), rtol=1e-9)


def test_one_unit_has_a_closed_form(rng: np.random.Generator) -> None:
    """h' = tanh(w h + u x): the exponent is the mean of log |w (1 - h'^2)|."""
    net = Network(Recurrent("elman", 1, 1, bias=False), 1)
    w, u = -1.4, 0.6
    net.parameters["layers.0.W_hh"][...], net.parameters["layers.0.W_xh"][...] = w, u
    x, h, logs = rng.standard_normal(200), 0.0, []
    for x_t in x:
        h = np.tanh(w * h + u * x_t)
        logs.append(np.log(abs(w * (1 - h * h))))
    found = lyapunov_exponents(net, x[:, None])
    np.testing.assert_allclose(found.history[:, 0], np.cumsum(logs) / np.arange(1, 201), rtol=1e-10)


def looped(rng: np.random.Generator, cell: Any) -> Network:
    net = Network(Recurrent(cell, K, H), K, readout="every", output_activation="tanh")
    for p in net.parameters.values():
        p[...] = 1.1 * rng.standard_normal(p.shape)
    return net


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_a_free_runs_largest_exponent_is_that_of_its_neighbours(cell: str, rng: np.random.Generator) -> None:
    """Two runs of `Network.forward`, the second moved by 1e-7 and set back to that distance after every step."""
    net = looped(rng, cell)
    x, free, size = rng.standard_normal((7, K)), 400, 1e-7
    found = lyapunov_exponents(net, x, free=free)
    first = net.forward(x[None])
    state, y = first.state, first.y_hat[:, -1:]
    outputs = [y[0, 0]]
    move = {name: rng.standard_normal(s.shape) for name, s in state.items()}
    logs = []
    for _ in range(free):
        norm = np.sqrt(sum((d**2).sum() for d in move.values()))
        near = {name: state[name] + size / norm * move[name] for name in state}
        W, b = net.parameters["readout.W_hy"], net.parameters["readout.b_y"]
        after = net.forward(y, state)
        other = net.forward(np.tanh(near["h"][0] @ W + b)[:, None], near)
        move = {name: other.state[name] - after.state[name] for name in state}
        logs.append(np.log(np.sqrt(sum((d**2).sum() for d in move.values())) / size))
        state, y = after.state, after.y_hat
        outputs.append(y[0, 0])
    np.testing.assert_allclose(net.generate(x[None], 9)[0], outputs[:9], rtol=1e-9)
    # The first steps turn both to the same direction.
    assert found.exponents[0] == pytest.approx(np.mean(logs), abs=0.02)


def test_horizon_and_dimension_of_known_exponents() -> None:
    found = LyapunovExponents(np.array([0.9, 0.0, -14.6]), np.ones((3, 3)))
    assert found.dimension == pytest.approx(2 + 0.9 / 14.6)
    assert found.horizon() == np.inf
    shrinking = LyapunovExponents(np.log([0.8, 0.5]), np.ones((3, 2)))
    assert shrinking.horizon(level=0.01) == pytest.approx(np.log(0.01) / np.log(0.8))
    assert shrinking.dimension == 0
    assert LyapunovExponents(np.array([0.3, 0.1]), np.ones((3, 2))).dimension == 2


def test_running_means_are_drawn(rng: np.random.Generator) -> None:
    found = lyapunov_exponents(linear(rng.standard_normal((H, H))), np.zeros((20, D)))
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in found.plot(shown=2).lines}
    np.testing.assert_array_equal(drawn["exponent 2"], found.history[:, 1])
    assert "exponent 3" not in drawn


def test_a_collapsed_direction_has_no_bound() -> None:
    found = lyapunov_exponents(linear(np.diag([0.5, 0.0])), np.zeros((9, D)), settle=2)
    np.testing.assert_allclose(found.exponents[0], np.log(0.5), rtol=1e-12)
    assert found.exponents[1] < -30  # log 0, or of what rounding leaves


def test_what_has_no_exponents_is_refused(rng: np.random.Generator) -> None:
    net, x = linear(0.5 * np.eye(3)), np.zeros((4, D))
    with pytest.raises(InvalidType, match=r"^net must be a Network"):
        lyapunov_exponents("net", x)  # type: ignore[arg-type]  # the point of it
    with pytest.raises(InvalidInput, match=r"^count must be at most the n = 3 numbers of the state\. Got 4"):
        lyapunov_exponents(net, x, count=4)
    with pytest.raises(InvalidInput, match=r"^settle must leave a step to measure, below 4\. Got 4"):
        lyapunov_exponents(net, x, settle=4)
    with pytest.raises(InvalidInput, match=r"^net must predict its own input, K = D = 2, to be closed"):
        lyapunov_exponents(net, x, free=5)
    for options, words in (
        ({"linear_lags": 1}, "be without a linear path"),
        ({"change_of": [0, 1]}, "predict values, not changes"),
    ):
        bent = Network(Recurrent("elman", 2, H), 2, readout="every", **options)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=f"^net must {words}"):
            lyapunov_exponents(bent, x, free=5)
    fed = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
    with pytest.raises(InvalidInput, match=r"^free must be 0 for a network with feedback"):
        lyapunov_exponents(fed, x, free=5)
    both = Network(Recurrent("elman", D, H, direction="bidirectional"), K)
    with pytest.raises(InvalidInput, match=r"^net must run forward in time"):
        lyapunov_exponents(both, x)
    with pytest.raises(InvalidInput, match=r"^net must stay finite along the trajectory"):
        lyapunov_exponents(linear(1e200 * np.eye(3)), x, state={"h": np.ones((1, 1, 3))})


def test_blocks_of_steps_are_one_trajectory(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With feedback only the first step of all is fed zeros, not the first one of each block."""
    net = Network(Recurrent("gru", D + K, H), K, readout="every", feedback=True)
    for p in net.parameters.values():
        p[...] = 0.8 * rng.standard_normal(p.shape)
    x = rng.standard_normal((11, D))
    whole = lyapunov_exponents(net, x)
    monkeypatch.setattr("bptt.diagnostics.lyapunov._BLOCK", 3 * H * H)
    np.testing.assert_allclose(lyapunov_exponents(net, x).history, whole.history, rtol=1e-12, atol=1e-14)
