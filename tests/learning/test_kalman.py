"""The extended Kalman filter against closed forms where the network is linear, and a second program where it is not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.engine import reference
from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.learning import EKF, RTRL
from bptt.learning.forward_pass import ForwardPass
from bptt.network import Network, Recurrent
from bptt.network.readout import read
from bptt.optim import SGD, InverseTime
from bptt.verify import random_parameters

Array = npt.NDArray[Any]

T, D, H, K, S = 23, 2, 5, 3, 2
TINY = 1e-30
READOUT = ["readout.W_hy", "readout.b_y", "linear.W_xy"]

# A recursion of T updates against one solve of the whole: rounding, times the condition of the covariance (below 1e3).
SAME = {"rtol": 1e-9, "atol": 1e-11}


def make(rng: np.random.Generator, cell: str = "gru", layers: int = 1, **more: Any) -> Network:
    net = Network(Recurrent(cell, D, H, num_layers=layers, engine="numpy"), K, readout="every", **more)
    net.parameters.update(random_parameters(net, rng))
    return net


def linear_features(net: Network, x: Array) -> Array:
    """Return what the readout multiplies at every step: states, 1, and the three newest rows (T, F)."""
    h = net.forward(x[None]).tape.readout.features[:, 0]
    padded = np.concatenate([np.zeros((2, D)), x])
    window = np.stack([padded[t : t + 3].reshape(-1) for t in range(len(x))])
    return np.concatenate([h, np.ones((len(x), 1)), window], axis=1)


def stacked(net: Network) -> Array:
    """Return the trained weights as one matrix (F, K), in the order of the features."""
    return np.concatenate([np.atleast_2d(net.parameters[name]) for name in READOUT])


def test_where_the_network_is_linear_it_is_recursive_least_squares(rng: np.random.Generator) -> None:
    net = make(rng, linear_lags=3)
    x, y = rng.standard_normal((T, D)), rng.standard_normal((T, K))
    features, start = linear_features(net, x), stacked(net)
    noise, variance = 0.3, 2.0
    learner = EKF(net, initial_variance=variance, observation_noise=noise, only=READOUT)
    precision = np.eye(features.shape[1]) / variance
    for t in range(T):
        learner.step(x[t], y[t])
        # Ridge regression towards the start, of all targets so far, solved anew.
        seen = features[: t + 1]
        gram = precision + seen.T @ seen / noise
        wanted = start + np.linalg.solve(gram, seen.T @ (y[: t + 1] - seen @ start) / noise)
        np.testing.assert_allclose(stacked(net), wanted, **SAME)
    covariance = np.linalg.inv(gram)
    # The K outputs are K filters with one covariance: that of the first output's weights to the states.
    np.testing.assert_allclose(learner.covariance[: H * K : K, : H * K : K], covariance[:H, :H], **SAME)
    deviations = learner.deviations()
    assert list(deviations) == [n for n in net.parameters if n in READOUT]
    np.testing.assert_allclose(
        deviations["readout.W_hy"], np.sqrt(np.diag(covariance))[:H, None].repeat(K, axis=1), **SAME
    )


def test_with_process_noise_it_is_the_kalman_filter(rng: np.random.Generator) -> None:
    """The weights' walk and all targets are jointly normal: the last weights' mean given the targets, in one solve."""
    net = make(rng)
    x, y = rng.standard_normal((T, D)), rng.standard_normal((T, K))
    names = ["readout.W_hy", "readout.b_y"]
    h = net.forward(x[None]).tape.readout.features[:, 0]
    features = np.concatenate([h, np.ones((T, 1))], axis=1)
    start = np.concatenate([np.atleast_2d(net.parameters[name]) for name in names])
    noise, variance, walk = 0.3, 2.0, 0.07
    learner = EKF(
        net,
        initial_variance=variance,
        observation_noise=noise,
        process_noise=InverseTime(walk, 0.0),
        only=names,
    )
    for t in range(T):
        learner.step(x[t], y[t])
    # cov(theta_s, theta_t) = (variance + walk min(s, t)) I, with theta_0 at the first target.
    steps = np.arange(T)
    shared = variance + walk * np.minimum(steps[:, None], steps[None])
    targets = shared * (features @ features.T) + noise * np.eye(T)
    with_last = (variance + walk * steps)[:, None] * features  # cov(y_t, theta_{T-1})
    wanted = start + with_last.T @ np.linalg.solve(targets, y - features @ start)
    found = np.concatenate([np.atleast_2d(net.parameters[name]) for name in names])
    np.testing.assert_allclose(found, wanted, **SAME)


def complex_jacobian(net: Network, path: list[dict[str, Array]], x: Array, names: list[str]) -> Array:
    """Return dy_hat_T/dtheta (S K, P), every weight shifted at all steps of the path: one pass a weight."""
    stack, rows = net.recurrent, []
    for name in names:
        for entry in np.ndindex(path[0][name].shape):
            state = [
                {s: np.zeros((len(x), H), complex) for s in stack.states} for _ in range(stack.num_layers)
            ]
            for t, weights in enumerate(path):
                moved = {n: p.astype(complex) for n, p in weights.items()}
                moved[name][entry] += 1j * TINY
                inputs = x[:, t].astype(complex)
                for k, prefix in enumerate(stack.prefixes):
                    own = {n.removeprefix(prefix): p for n, p in moved.items() if n.startswith(prefix)}
                    _, state[k], _ = reference.forward(stack.cell, own, inputs[None], state[k], tape=False)
                    inputs = state[k]["h"]
            y_hat, _ = read(net, moved, inputs, None, x[:, -1])
            rows.append(y_hat.imag.reshape(-1) / TINY)
    return np.array(rows).T


@pytest.mark.parametrize(("cell", "layers"), [("elman", 2), ("lstm_peephole", 1), ("gru_reset_before", 1)])
def test_each_update_is_the_textbooks_in_another_form(
    cell: str, layers: int, rng: np.random.Generator
) -> None:
    """Information form (inverse covariances), with derivatives by the complex step, two streams, one target missing."""
    net = make(rng, cell, layers, output_activation="tanh")
    names = list(net.parameters)
    x, y = rng.standard_normal((S, 4, D)), rng.uniform(-0.8, 0.8, (S, 4, K))
    weights = [[1.0, 1.0], [0.0, 2.0], [1.0, 1.0], [1.0, 0.5]]
    noise, variance, walk = 0.4, 0.5, 0.01
    learner = EKF(net, initial_variance=variance, observation_noise=noise, process_noise=walk, streams=S)
    size = sum(p.size for p in net.parameters.values())
    precision, path = np.eye(size) / variance, []
    for t in range(4):
        before = {name: p.copy() for name, p in net.parameters.items()}
        path.append(before)
        y_hat = learner.step(x[:, t], y[:, t], weights=weights[t]).y_hat
        C = complex_jacobian(net, path, x, names)
        inverse_noise = np.repeat(np.array(weights[t]), K) / noise
        precision = precision + C.T @ (inverse_noise[:, None] * C)
        covariance = np.linalg.inv(precision)
        change = covariance @ C.T @ (inverse_noise * (y[:, t] - y_hat).reshape(-1))
        found = np.concatenate([(net.parameters[n] - before[n]).ravel() for n in names])
        np.testing.assert_allclose(found, change, rtol=1e-9, atol=1e-12)
        covariance = covariance + walk * np.eye(size)
        np.testing.assert_allclose(learner.covariance, covariance, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(learner.covariance, learner.covariance.T, rtol=0, atol=0)
        precision = np.linalg.inv(covariance)


def test_the_derivatives_are_the_complex_steps_with_a_change_and_a_linear_path(
    rng: np.random.Generator,
) -> None:
    net = make(
        rng, "lstm", 2, output_activation="sigmoid", linear_lags=3, change_of=[1, 0, 1], change_scale=0.3,
        learned_initial_state=True,
    )  # fmt: skip
    x = rng.standard_normal((S, 6, D))
    run = ForwardPass(net, S, parameters=net.parameters)
    for t in range(6):
        run.step(x[:, t], net.parameters)
    for name, found in run.jacobian(net.parameters).items():
        direction = rng.standard_normal(net.parameters[name].shape)
        moved = {**net.parameters, name: net.parameters[name] + 1j * TINY * direction}
        wanted = net.forward(x, parameters=moved).y_hat[:, -1].imag / TINY
        axes = list(range(2, 2 + direction.ndim))
        along = np.tensordot(found, direction, axes=(axes, range(direction.ndim)))
        np.testing.assert_allclose(along, wanted, rtol=1e-10, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_a_series_in_fewer_steps_than_descent_does(seed: int) -> None:
    rng = np.random.default_rng([seed, 9])
    t = np.arange(1201)
    series = np.sin(2 * np.pi * t / 17) * np.cos(2 * np.pi * t / 53) + 0.02 * rng.standard_normal(1201)

    def errors(learner: EKF | RTRL) -> list[float]:
        return [float(learner.step([a], [b]).loss or 0) for a, b in pairwise(series)]

    def fresh() -> Network:
        return Network(Recurrent("elman", 1, 8, seed=seed), readout="every", seed=seed)

    filtered = np.mean(errors(EKF(fresh(), observation_noise=0.01))[-400:])
    descent = min(np.mean(errors(RTRL(fresh(), SGD(rate)))[-400:]) for rate in (0.01, 0.03, 0.1))
    assert filtered < 0.7 * descent


def test_wrong_settings_are_named(rng: np.random.Generator) -> None:
    net = make(rng)
    with pytest.raises(
        InvalidInput, match=r"^net must have a squared loss for a Kalman filter. Got absolute$"
    ):
        EKF(Network(Recurrent("elman", D, H), K, loss="mae"))
    with pytest.raises(InvalidInput, match=r"^only must name parameters of the network: .* Got 'W'"):
        EKF(net, only=["W"])
    with pytest.raises(InvalidInput, match=r"Got \['W'\]$"):
        EKF(net, only=[["W"]])  # type: ignore[list-item]  # the point of it
    with pytest.raises(InvalidInput, match=r"Got none$"):
        EKF(net, only=[])
    with pytest.raises(InvalidType, match=r"^only must be a sequence of parameter names. Got 'readout.W_hy'"):
        EKF(net, only="readout.W_hy")
    with pytest.raises(InvalidInput, match="observation_noise must be above 0"):
        EKF(net, observation_noise=0.0)
    with pytest.raises(InvalidInput, match="process_noise must be at least 0"):
        EKF(net, process_noise=-1.0)
    with pytest.raises(InvalidInput, match="initial_variance must be above 0"):
        EKF(net, initial_variance=0.0)
    with pytest.raises(
        InvalidInput, match=r"^net must have at most 12000 trained weights.* Got 1\d{4}: take"
    ):
        EKF(Network(Recurrent("elman", D, 110), 1))
    with pytest.raises(DivergedError, match="lower initial_variance"):
        EKF(net).step(np.zeros(D), np.full(K, 1e200))
    spoilt = EKF(net, observation_noise=1e-9)
    spoilt.covariance *= -1
    with pytest.raises(
        DivergedError, match=r"^the error's expected variance must be positive.* at update 0: lower"
    ):
        spoilt.step(np.zeros(D), np.zeros(K))


def test_an_update_that_the_weights_dtype_cannot_hold_changes_nothing() -> None:
    net = Network(Recurrent("elman", 1, H, dtype="float32"), 1, readout="every")
    net.parameters["readout.W_hy"][...] = 1e-30
    learner = EKF(net, only=["layers.0.b_h"], initial_variance=1e80, observation_noise=1e-3)
    before, covariance = net.parameters["layers.0.b_h"].copy(), learner.covariance.copy()
    with pytest.raises(
        DivergedError, match=r"^the update of layers\.0\.b_h must be finite.* at update 0: lower"
    ):
        learner.step([0.1], [1e12])
    np.testing.assert_array_equal(net.parameters["layers.0.b_h"], before)
    np.testing.assert_array_equal(learner.covariance, covariance)
