"""Echo state networks against plain loops, closed forms and two series that have been measured for decades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.diagnostics import spectral_radius
from bptt.errors import InvalidInput, InvalidType
from bptt.learning import LeakyElman, echo_state_network, fit_readout, mackey_glass, narma10
from bptt.models import load, save
from bptt.network import Network, Recurrent
from bptt.verify import check_formulas, random_parameters

Array = npt.NDArray[Any]
D, K, H, T, B = 3, 2, 17, 90, 4

# The same sums in another order, float64, spectral radius below 1.
SAME = {"rtol": 1e-10, "atol": 1e-12}


def run_by_hand(net: Network, x: Array, leak: float) -> Array:
    """Return the states (T, H) of one series by the equation, a unit vector at a time."""
    W_xh, W_hh, b_h = (net.parameters[f"layers.0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    h, states = np.zeros(len(W_hh)), []
    for row in x:
        h = (1 - leak) * h + leak * np.tanh(row @ W_xh + h @ W_hh + b_h)
        states.append(h)
    return np.array(states)


def test_the_leaky_cell_keeps_the_cells_contract() -> None:
    rows = check_formulas(LeakyElman(leak=0.3, activation="softplus"))
    assert len(rows) == 2
    assert all(row.passed for row in rows)


def test_a_reservoir_is_what_was_asked_for() -> None:
    net = echo_state_network(
        D, K, 60, spectral_radius=0.7, leak=0.4, input_scaling=0.3, bias_scaling=0.2, density=0.25, seed=3
    )
    p = net.parameters
    assert spectral_radius(p["layers.0.W_hh"]) == pytest.approx(0.7, rel=1e-9)
    assert 0.2 < np.mean(p["layers.0.W_hh"] != 0) < 0.3
    for name, size in (("W_xh", 0.3), ("b_h", 0.2)):
        values = np.abs(p[f"layers.0.{name}"])
        assert 0.9 * size < values.max() <= size
    assert not net.predict(np.ones((1, 5, D))).any()  # nothing is read out yet
    again = echo_state_network(
        D, K, 60, spectral_radius=0.7, leak=0.4, input_scaling=0.3, bias_scaling=0.2, density=0.25, seed=3
    )
    for name in p:
        np.testing.assert_allclose(again.parameters[name], p[name], rtol=0, atol=0)
    other = echo_state_network(D, K, 60, seed=4)
    assert not np.allclose(other.parameters["layers.0.W_xh"], p["layers.0.W_xh"])


@pytest.mark.usefixtures("each_engine")
def test_the_readout_is_ridge_regression_on_the_states(rng: np.random.Generator) -> None:
    net = echo_state_network(D, K, H, leak=0.6, bias_scaling=0.5, linear_lags=2, seed=1)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K)) + 3
    washout, ridge = 7, 0.4
    features = []
    for series in x:
        h = run_by_hand(net, series, 0.6)
        before = np.concatenate([np.zeros((1, D)), series[:-1]])
        features.append(np.concatenate([h, before, series], axis=1)[washout:])
    found = fit_readout(net, x, y, ridge=ridge, washout=washout)
    F, z = np.concatenate(features), y[:, washout:].reshape(-1, K)
    # The penalty as more rows; the constant, last, has none.
    size = F.shape[1]
    above = np.concatenate([F, np.ones((len(F), 1))], axis=1)
    below = np.concatenate([np.sqrt(ridge) * np.eye(size), np.zeros((size, 1))], axis=1)
    w = np.linalg.lstsq(np.concatenate([above, below]), np.concatenate([z, np.zeros((size, K))]), rcond=None)[
        0
    ]
    np.testing.assert_allclose(net.parameters["readout.W_hy"], w[:H], **SAME)
    np.testing.assert_allclose(net.parameters["linear.W_xy"], w[H:-1], **SAME)
    np.testing.assert_allclose(net.parameters["readout.b_y"], w[-1], **SAME)
    np.testing.assert_allclose(found.rmse, np.sqrt(np.mean((above @ w - z) ** 2, axis=0)), **SAME)
    assert found.steps == B * (T - washout)
    assert found.largest_weight == pytest.approx(np.abs(w[:-1]).max(), rel=1e-9)
    y_hat = net.predict(x)
    np.testing.assert_allclose(y_hat[:, washout:].reshape(-1, K), above @ w, **SAME)


def test_pieces_of_long_series_are_the_whole(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    fits = []
    for size in (10_000, 4 * 13):
        monkeypatch.setattr("bptt.learning.echo_state.CHUNK", size)
        net = echo_state_network(D, K, H, linear_lags=3, seed=1)
        found = fit_readout(net, x, y, washout=20)
        fits.append([found.rmse, *net.parameters.values()])
    for one, two in zip(*fits, strict=True):
        np.testing.assert_allclose(one, two, **SAME)


def test_any_trained_stack_can_have_its_readout_solved(rng: np.random.Generator) -> None:
    """Two GRU layers, a predicted change, a learned initial state: the solution is where the gradient is 0."""
    net = Network(
        Recurrent("gru", D, 5, num_layers=2), K, readout="every", change_of=[2, 0], change_scale=0.3,
        linear_lags=2, learned_initial_state=True,
    )  # fmt: skip
    net.parameters.update(random_parameters(net, rng))
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    kept = {name: p.copy() for name, p in net.parameters.items() if name.startswith(("layers", "initial"))}
    found = fit_readout(net, x, y, ridge=0.0)
    left = net.loss_and_gradients(x, y)
    for name, gradient in left.gradients.parameters.items():
        if name.startswith(("readout", "linear")):
            assert np.abs(gradient).max() < 1e-12
        else:
            np.testing.assert_allclose(net.parameters[name], kept[name], rtol=0, atol=0)
    assert left.loss == pytest.approx(np.mean(found.rmse**2), rel=1e-10)


def test_echoes_fade_below_radius_1_and_a_linear_net_remembers_by_it(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 200, D))
    net = echo_state_network(D, K, H, spectral_radius=0.8, seed=2)
    shape = net.recurrent.state_shape(1)
    ends = [
        net.forward(x, {"h": s * rng.uniform(-0.9, 0.9, shape)}, tape=False).state["h"] for s in (0.0, 1.0)
    ]
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-12)


def test_free_running_feeds_predictions_back(rng: np.random.Generator) -> None:
    series = np.sin(0.3 * np.arange(400))[:, None] * [1.0, 0.5]
    net = echo_state_network(2, 2, 40, leak=0.7, bias_scaling=0.3, linear_lags=2, seed=5)
    fit_readout(net, series[:299], series[1:300], washout=50)
    free = net.generate(series[None, :300], 60)[0]
    np.testing.assert_allclose(free, series[300:360], rtol=0, atol=0.01)
    seen = list(series[:300])
    for step in free[:20]:
        h = run_by_hand(net, np.array(seen), 0.7)[-1]
        p = net.parameters
        own = h @ p["readout.W_hy"] + np.concatenate(seen[-2:]) @ p["linear.W_xy"] + p["readout.b_y"]
        np.testing.assert_allclose(step, own, rtol=0, atol=1e-9)
        seen.append(step)


def test_it_is_saved_and_streams_as_any_network(tmp_path: Path, rng: np.random.Generator) -> None:
    net = echo_state_network(D, K, H, leak=0.3, seed=1)
    x = rng.standard_normal((T, D))
    fit_readout(net, x, rng.standard_normal((T, K)))
    save(net, tmp_path / "echo.safetensors")
    found = load(tmp_path / "echo.safetensors", cells=[LeakyElman])
    wanted = net.predict(x[None])[0]
    np.testing.assert_allclose(found.predict(x[None])[0], wanted, rtol=0, atol=0)
    np.testing.assert_allclose(net.stream().push(x), wanted, **SAME)


# ---------------------------------------------------------------- the two series


def test_mackey_glass_is_foreseen_and_run_freely() -> None:
    series = mackey_glass(3200)
    z = (series - series[:2000].mean()) / series[:2000].std()
    errors, free = [], []
    for seed in range(3):
        net = echo_state_network(
            1, 1, 300, spectral_radius=1.25, leak=0.3, bias_scaling=0.2, density=0.1, seed=seed
        )
        fit_readout(net, z[:2000], z[1:2001], ridge=1e-7, washout=100)
        errors.append(np.sqrt(np.mean((net.predict(z[None, :-1])[0] - z[1:])[2000:] ** 2)))
        free.append(np.abs(net.generate(z[None, :2500], 84)[0] - z[2500:2584]).max())
    no_change = np.sqrt(np.mean((z[2001:] - z[2000:-1]) ** 2))
    assert max(errors) < 1e-3 < 0.01 * no_change  # measured on these seeds: about 2e-4
    assert np.median(free) < 0.05  # in deviations of the series, 84 steps on


def test_narma_is_learnt_by_memory_and_not_by_the_mean() -> None:
    u, y = narma10(4000, seed=1)
    errors = []
    for seed in range(3):
        net = echo_state_network(
            1, 1, 200, spectral_radius=0.95, input_scaling=0.2, bias_scaling=0.1, density=0.1, seed=seed
        )
        fit_readout(net, u[:2000], y[:2000], ridge=1e-8, washout=100)
        errors.append(np.sqrt(np.mean((net.predict(u[None])[0] - y)[2000:] ** 2)) / y[2000:].std())
    assert max(errors) < 0.35  # the mean has 1, least squares on 40 lags 0.41


def test_mackey_glass_is_its_equation() -> None:
    dt, lag = 0.1, 170
    x = mackey_glass(2000, dt=dt, substeps=1, discard=3000)[:, 0]
    assert x.shape == (2000,)
    slope = (x[lag + 1 :] - x[lag - 1 : -2]) / (2 * dt)  # at steps lag, lag + 1, ...
    delayed, now = x[: -lag - 1], x[lag:-1]
    wanted = 0.2 * delayed / (1 + delayed**10) - 0.1 * now
    # The central difference is out by dt^2 / 6 times the third derivative.
    np.testing.assert_allclose(slope, wanted, rtol=0, atol=2e-4)
    np.testing.assert_allclose(
        mackey_glass(40, discard=60), mackey_glass(100, discard=0)[60:], rtol=0, atol=0
    )
    with pytest.raises(
        InvalidInput, match=r"^tau must be a whole number of substeps of dt / substeps = 0\.1. Got 17.05"
    ):
        mackey_glass(10, tau=17.05)
    with pytest.raises(
        InvalidInput, match=r"^tau must be a whole number of substeps of dt / substeps = 9\.98013e-322"
    ):
        mackey_glass(10, dt=1e-320)
    with pytest.raises(InvalidInput, match=r"^seed must be at least 0\. Got -1"):
        mackey_glass(10, seed=-1)


def test_narma_is_its_equation() -> None:
    u, y = narma10(200, seed=4)
    u, y = u[:, 0], y[:, 0]
    for t in range(20, 200):
        own = (
            0.3 * y[t - 1]
            + 0.05 * y[t - 1] * sum(y[t - i] for i in range(1, 11))
            + 1.5 * u[t - 9] * u[t]
            + 0.1
        )
        assert y[t] == pytest.approx(own, rel=1e-13)
    assert 0 <= u.min() < u.max() <= 0.5
    assert not y[:9].any()


# ---------------------------------------------------------------- what is refused


def test_wrong_settings_are_named(rng: np.random.Generator) -> None:
    for wrong, message in (
        ({"leak": 1.5}, "leak must be at most 1. Got 1.5"),
        ({"leak": 0}, "leak must be above 0"),
        ({"density": 2}, "density must be at most 1. Got 2"),
        ({"spectral_radius": -1}, "spectral_radius must be at least 0"),
        ({"input_scaling": -1}, "input_scaling must be at least 0"),
        ({"density": 1e-9}, "density must leave recurrent weights with a loop among H = 17 units. Got 1e-09"),
    ):
        with pytest.raises(InvalidInput, match=message):
            echo_state_network(D, K, H, **wrong)
    net = echo_state_network(D, K, H)
    x, y = rng.standard_normal((T, D)), rng.standard_normal((T, K))
    with pytest.raises(InvalidInput, match=r"^washout must be below T = 90. Got 90"):
        fit_readout(net, x, y, washout=T)
    with pytest.raises(
        InvalidInput, match=r"^y must have a target beside each step of x, \(B, T\) = \(1, 90\)"
    ):
        fit_readout(net, x, y[1:])
    with pytest.raises(InvalidInput, match=r"x must have shape \(T, D\) = \(\*, 3\)"):
        fit_readout(net, x[:, :2], y)
    with pytest.raises(InvalidInput, match=r"^y must be finite"):
        fit_readout(net, x, np.where(y > 2, np.nan, y) * np.inf)
    with pytest.raises(
        InvalidInput, match=r"^ridge must be large enough for 20 features of 90 steps. Got 0, and sing"
    ):
        fit_readout(net, np.zeros((T, D)), y, ridge=0.0)
    with pytest.raises(
        InvalidInput, match=r"^ridge must be large enough for 20 features of 20 steps. Got 0, and"
    ):
        fit_readout(net, x[:20], y[:20], ridge=0.0)
    for scaling in ("input_scaling", "bias_scaling", "spectral_radius"):
        with pytest.raises(InvalidInput, match=rf"^{scaling} must be at most 1e\+30. Got 1e\+300"):
            echo_state_network(D, K, H, dtype="float32", **{scaling: 1e300})
    before = net.parameters["readout.b_y"].copy()
    with pytest.raises(
        InvalidInput, match=r"^x and y must be of a size whose readout float64 can hold.*scale them"
    ):
        fit_readout(net, x * 1e200, y)
    small = echo_state_network(D, K, H, dtype="float32")
    with pytest.raises(
        InvalidInput, match=r"^x and y must be .* float32 can hold, up to 3.4e\+38. Got .*: scale them"
    ):
        fit_readout(small, x, y * 1e60)
    np.testing.assert_array_equal(net.parameters["readout.b_y"], before)
    with pytest.raises(InvalidInput, match="Got readout 'last'"):
        fit_readout(Network(Recurrent("elman", D, H), K), x, y)
    with pytest.raises(InvalidInput, match="Got 'tanh', bias=True, squared"):
        fit_readout(Network(Recurrent("elman", D, H), K, readout="every", output_activation="tanh"), x, y)
    with pytest.raises(InvalidType, match=r"^net must be a Network. Got int"):
        fit_readout(3, x, y)  # type: ignore[arg-type]
