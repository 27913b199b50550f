"""The sine lab: the assignment's shapes and equations, and what the report says of its numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bptt.labs.outcome import as_json
from bptt.labs.sine import lab as sine
from bptt.labs.sine.data import make_sine, measure_baselines, rmse
from bptt.labs.sine.free import fit_sine, run_freely
from bptt.labs.sine.gradients import NAMES, gradient_flow, loop
from bptt.labs.sine.lab import Setting, SineResult, Trained, make_network, settings, train_one
from bptt.labs.sine.report import CLIP_TITLES, make_outcome, table
from bptt.labs.sine.verdicts import verdicts
from bptt.plots import png_bytes
from bptt.report.png import png_size

# Two ways to add up in float64, over 25 steps that double what they find.
RTOL = 1e-8
PICTURES = (
    "losses", "norms", "prediction", "free_run", "drift", "unrolled_small", "unrolled_large", "unrolled_huge",
    "unrolled_trained",
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> SineResult:
    return sine.run(seed=3, seeds=2, epochs={"full batch": 3, "per sample": 2})


def test_the_data_are_the_assignments() -> None:
    data = make_sine()
    assert data.x.shape == (175, 25, 1)
    assert data.y.shape == (175, 1)
    for n in (0, 1, 2, 174):
        np.testing.assert_array_equal(data.x[n, :, 0], np.sin(np.arange(n, n + 25)))
        assert data.y[n, 0] == np.sin(n + 25)
    # The continuation goes on where training stopped, and has no target of it.
    assert data.x_test.shape == (200, 25, 1)
    np.testing.assert_array_equal(data.x_test[0, :, 0], np.sin(np.arange(175, 200)))
    np.testing.assert_array_equal(data.y_test[:, 0], np.sin(np.arange(200, 400)))


def test_the_network_is_the_assignments() -> None:
    net = make_network("huge", "identity", 5)
    assert {name: p.shape for name, p in net.parameters.items()} == {
        "layers.0.W_xh": (1, 100),
        "layers.0.W_hh": (100, 100),
        "readout.W_hy": (100, 1),
    }
    for p in net.parameters.values():
        assert np.std(p) == pytest.approx(1.0, rel=0.25)
    other = make_network("huge", "identity", 6)
    assert not np.array_equal(net.parameters["layers.0.W_hh"], other.parameters["layers.0.W_hh"])


def test_two_lags_and_a_linear_rule_are_exact() -> None:
    data = make_sine()
    found = measure_baselines(data)
    assert found.coefficients == pytest.approx((2 * math.cos(1), -1.0), rel=1e-12)
    assert found.two_lags < 1e-14
    assert found.least_squares < 1e-14
    assert found.persistence == pytest.approx(
        np.sqrt(np.mean((np.sin(np.arange(199, 399)) - np.sin(np.arange(200, 400))) ** 2)), rel=1e-12
    )
    assert found.zero == pytest.approx(np.sqrt(0.5), rel=0.01)


@pytest.mark.parametrize("activation", sine.ACTIVATIONS)
@pytest.mark.parametrize("start", ["small", "large"])
def test_the_loop_is_the_engines_sweep(start: str, activation: str) -> None:
    data = make_sine()
    net = make_network(start, activation, 7, "float64")
    x, y = data.x[:31], data.y[:31]
    engine = net.loss_and_gradients(x, y).gradients.parameters
    for name, d in loop(net, x, y).parameters.items():
        np.testing.assert_allclose(d, engine[name], rtol=0, atol=RTOL * np.abs(d).max(), err_msg=name)
    assert list(engine) == list(NAMES)


def test_what_flows_back_is_the_derivative_of_the_loss_by_the_state() -> None:
    """From state t on by hand, with h_t moved: central differences against the loop's dL/dh_t."""
    data = make_sine()
    net = make_network("small", "tanh", 2)
    x, y = data.x[40:41], data.y[40:41]
    W_xh, W_hh, W_hy = (net.parameters[name].astype(np.float64) for name in NAMES)

    def loss_from(t: int, h: np.ndarray) -> float:
        for step in range(t, 25):
            h = np.tanh(x[0, step] @ W_xh + h @ W_hh)
        return 0.5 * float(np.tanh(h @ W_hy)[0] - y[0, 0]) ** 2

    found = loop(net, x, y)
    h = np.zeros(100)
    for t in range(1, 25):
        h = np.tanh(x[0, t - 1] @ W_xh + h @ W_hh)
        if t not in (1, 11, 24):
            continue
        for unit in (0, 37):
            step = np.zeros(100)
            step[unit] = 1e-5
            slope = (loss_from(t, h + step) - loss_from(t, h - step)) / 2e-5
            assert found.dh[t - 1, 0, unit] == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_the_flow_is_the_loops_median_window() -> None:
    data = make_sine()
    net = make_network("large", "identity", 1)
    flow, found = gradient_flow(net, data.x, data.y), loop(net, data.x, data.y)
    assert flow.dh[4] == pytest.approx(np.median(np.sqrt((found.dh[4] ** 2).sum(axis=1))), rel=1e-12)
    assert flow.dx[9] == pytest.approx(np.median(np.abs(found.dx[9])), rel=1e-12)
    assert flow.radius == pytest.approx(2.0, rel=0.2)


def test_the_grid_has_every_combination_and_the_right_shapes(result: SineResult) -> None:
    assert list(result.grid) == settings()
    assert len(result.grid) == 3 * 2 * 2 * 2 * 3
    for setting, trained in result.grid.items():
        epochs = 3 if setting.batch == "full batch" else 2
        assert trained.losses.shape == trained.norms.shape == (2, epochs)
        assert trained.rmse.shape == (2,)
        assert np.isfinite(trained.rmse).all() == (trained.failures == 0)
    assert result.seeds == (3, 4)


def test_curves_and_errors_are_those_of_the_runs(result: SineResult) -> None:
    data = make_sine()
    setting = Setting("small", "per sample", "momentum", "tanh", "norm")
    net, history, diverged = train_one(setting, data, 4, 2)
    trained = result.grid[setting]
    assert diverged is None
    assert history.steps == 350
    np.testing.assert_allclose(trained.losses[1], history.losses.reshape(2, 175).mean(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(trained.norms[1], history.gradient_norms.reshape(2, 175).max(axis=1))
    assert trained.rmse[1] == rmse(net.predict(data.x_test.astype(np.float32)), data.y_test)


def test_clipping_momentum_and_start_do_something(result: SineResult) -> None:
    for changed in (
        {"clip": "norm"}, {"clip": "value"}, {"optimizer": "momentum"}, {"start": "large"}, {"activation": "tanh"},
        {"batch": "per sample"},
    ):  # fmt: skip
        base = Setting("small", "full batch", "plain", "identity", "off")
        assert result.grid[base].losses[0, -1] != result.grid[replace(base, **changed)].losses[0, -1], changed


def test_a_diverged_run_is_a_result() -> None:
    """randn weights, one sample at a time with momentum: beyond float32 within a few epochs, at any seed."""
    setting = Setting("huge", "per sample", "momentum", "identity", "off")
    trained = sine._train_all(setting, make_sine(), (0, 1), 8)
    assert trained.failures == 2
    assert np.isinf(trained.rmse).all()
    assert np.isnan(trained.losses[:, -1]).all()
    assert trained.last_loss == np.inf
    for row, step in enumerate(trained.diverged):
        assert step is not None
        last = step // 175
        assert np.isfinite(trained.norms[row, last])
        assert np.isnan(trained.norms[row, last + 1 :]).all()


def test_the_best_setting_is_chosen_by_the_training_loss(result: SineResult) -> None:
    losses = {setting: trained.last_loss for setting, trained in result.grid.items()}
    assert losses[result.best] == min(losses.values())
    test_x = result.data.x_test.astype(np.float32)
    for net, predicted, error in zip(
        result.nets, result.predictions, result.grid[result.best].rmse, strict=True
    ):
        np.testing.assert_array_equal(net.predict(test_x)[:, 0], predicted)
        assert rmse(predicted[:, None], result.data.y_test) == error


def test_a_fitted_sine_is_found_again() -> None:
    k = np.arange(31, 78)
    assert fit_sine(k, 0.7 * np.sin(k - 0.3)) == pytest.approx((0.7, -0.3), rel=1e-12)


def test_the_free_run_lives_on_its_own_predictions(result: SineResult) -> None:
    net = result.nets[0]
    free = run_freely(net, result.data)
    window = np.sin(np.arange(175, 200)).astype(np.float32)
    for value in free.values[:9]:
        predicted = net.predict(window[None, :, None])[0, 0]
        assert value == predicted
        window = np.append(window[1:], predicted)
    assert free.values.shape == (200,)
    np.testing.assert_array_equal(free.errors, free.values - result.data.y_test[:, 0])
    assert free.rmse[2] == pytest.approx(np.sqrt(np.mean(free.errors[100:150] ** 2)), rel=1e-12)
    assert free.recent[20] == pytest.approx(np.sqrt(np.mean(free.errors[15:21] ** 2)), rel=1e-12)
    assert np.isnan(free.recent[:5]).all()
    assert free.recent.shape == (200,)


def scored(result: SineResult, **errors: list[float]) -> SineResult:
    """Give all settings an error of 0.5, and those of a clipping what is said."""
    grid = {
        setting: replace(trained, rmse=np.array(errors.get(setting.clip, [0.5, 0.5])), diverged=(None, None))
        for setting, trained in result.grid.items()
    }
    return replace(result, grid=grid)


def line(result: SineResult, begin: str) -> str:
    (found,) = (one for one in verdicts(result) if one.startswith(begin))
    return found


def test_verdicts_on_clipping_count_the_table(result: SineResult) -> None:
    made = scored(result, norm=[0.1, 0.2], value=[0.9, 0.8])
    helped = line(made, "Does clipping by norm help?")
    assert helped.count("better in 8, worse in 0, no clear difference in 0 of 8") == 3
    assert "0.15 instead of 0.5" in helped
    harmed = line(made, "Does clipping by value help?")
    assert harmed.count("better in 0, worse in 8, no clear difference in 0 of 8") == 3
    assert "instead of" not in harmed
    assert line(made, "Does tanh").count("no clear difference in 12 of 12") == 3


def test_verdicts_name_diverged_runs(result: SineResult) -> None:
    made = scored(result)
    assert "0 of 48 runs without clipping left the finite numbers; with clipping none did" in line(
        made, "During"
    )
    lost = Setting("large", "per sample", "momentum", "identity", "off")
    failed = replace(made.grid[lost], rmse=np.array([np.inf, 0.5]), diverged=(17, None))
    made = replace(made, grid={**made.grid, lost: failed})
    assert (
        "1 of 48 runs without clipping left the finite numbers, all of them per sample with momentum"
        in line(made, "During")
    )


def test_verdicts_call_an_explosion_one(result: SineResult) -> None:
    flows = {
        name: replace(result.flows[name], dh=np.geomspace(first, 1.0, 25))
        for name, first in (("small", 1.5), ("large", 1e-3), ("huge", 2.0**24))
    }
    told = line(replace(result, flows={**result.flows, **flows}), "Do gradients explode?")
    assert "it keeps its size: 1.5 times" in told
    assert "it vanishes: 0.001 times" in told
    assert "it explodes: 1.7e+07 times as large at the first state as at the last, 2 a step" in told


@pytest.mark.parametrize(
    ("error", "words"), [(0.009, "within the bar of 0.01"), (0.011, "above the bar of 0.01")]
)
def test_the_bar_is_judged_at_the_worst_seed(result: SineResult, error: float, words: str) -> None:
    best = replace(result.grid[result.best], rmse=np.array([0.002, error]))
    assert words in line(replace(result, grid={**result.grid, result.best: best}), "How accurate")


def test_the_table_tells_medians_and_divergence(result: SineResult) -> None:
    def changed(errors: list[float], diverged: tuple[int | None, ...]) -> Trained:
        return replace(result.grid[base], rmse=np.array(errors), diverged=diverged)

    base = Setting("small", "full batch", "plain", "identity", "off")
    for errors, diverged, cell in (
        ([0.1, 0.3], (None, None), "0.2"),
        ([0.1, np.inf], (None, 5), "- (1)"),
        ([np.inf, np.inf], (2, 5), "- (2)"),
    ):
        shown = table(replace(result, grid={**result.grid, base: changed(errors, diverged)}))
        assert shown.rows[0][:2] == ("small, full batch, plain, identity", cell)
    assert shown.headers[1:4] == tuple(CLIP_TITLES.values())
    assert [row[0] for row in shown.rows[24:]] == [
        "always 0",
        "the last value again",
        "least squares, 25 lags",
        "least squares, 2 lags",
    ]


def test_the_outcome_has_every_picture_and_number(result: SineResult) -> None:
    outcome = make_outcome(result)
    assert set(outcome.drawings) == set(PICTURES)
    for name, drawing in outcome.drawings.items():
        assert png_size(name, png_bytes(drawing.draw(theme="dark", size="narrow")))[0] > 300, name
    numbers = as_json(outcome)
    assert numbers["lab"] == "sine"
    assert len(numbers["grid"]) == 72
    assert numbers["baselines"]["two_lag_coefficients"] == pytest.approx([2 * math.cos(1), -1], rel=1e-9)
    assert set(outcome.nets) == {"best_seed_3", "best_seed_4"}


@pytest.mark.slow
def test_the_best_setting_passes_the_bar() -> None:
    """The setting that the default run ends with, at its default size, on every seed."""
    setting = Setting("small", "per sample", "momentum", "identity", "norm")
    data = make_sine()
    for seed in range(5):
        net, _, diverged = train_one(setting, data, seed)
        assert diverged is None
        assert rmse(net.predict(data.x_test.astype(np.float32)), data.y_test) <= sine.BAR
        # 200 steps on its own predictions, and still within a few per cent.
        assert max(run_freely(net, data).rmse) <= 0.05
