"""What is settled in closed form: the trust in each line, the transform, the window, the reading of the level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import encode
from bptt.forecast.features.measuring import fit_encoding
from bptt.forecast.fitting.choices.settling import (
    longer_windows,
    longest_window,
    read_level,
    transform_options,
    weigh_lines,
    window_options,
)
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.networks.members import taught_steps
from bptt.forecast.fitting.readouts.heads import Penalty, encode_panel, make_head, normal_equations
from bptt.forecast.fitting.readouts.ridge_path import solve, sums
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut
from bptt.forecast.recipe import Recipe
from tests.forecast.panels import HOUR, NETWORK, START, TINY, make_panel

WINDOW_ONLY = Penalty(np.inf, 4e-3)


def panel_of(values: list[np.ndarray]) -> Panel:
    lines = []
    for k, y in enumerate(values):
        times = START + np.arange(len(y)) * HOUR
        nothing = np.zeros((len(y), 0))
        lines.append(Line(f"s{k:02d}", times, times, y, nothing, nothing, np.zeros(0)))
    return Panel(tuple(lines), "y", (), (), (), HOUR)


def encoding_of(panel: Panel, window: int = 9, level: str = "own"):  # type: ignore[no-untyped-def]  # an Encoding
    return fit_encoding(
        panel, horizon=5, calendar=Calendar(()), transform=None, anchor="last", period=6, window=window,
        past_window=1, level=level,
    )  # fmt: skip


def test_what_is_left_open_and_what_is_not() -> None:
    panel = panel_of([np.arange(1.0, 102.0) for _ in range(20)])
    recipe = Recipe()
    assert window_options(24, 47) == [168]
    assert window_options(24, 48) == [168, 336]
    assert longest_window(panel) == 50
    assert [r.window for r in longer_windows(recipe, panel, 3, 6)] == [None, 48]
    assert [r.window for r in longer_windows(recipe, panel, 6, 12)] == [None]  # 84 rows of 101
    assert longer_windows(replace(recipe, window=7), panel, 3, 6) == [replace(recipe, window=7)]
    assert [r.transform for r in transform_options(recipe, panel, 3, 6)] == ["none", "log1p"]
    for few in (replace(panel, lines=panel.lines[1:]), panel_of([np.arange(-1.0, 99.0)] * 20)):
        assert transform_options(recipe, few, 3, 6) == [recipe]
    assert [read_level(recipe, 24, K) for K in (47, 48)] == ["own", "window"]
    assert read_level(replace(recipe, level="own"), 24, 720) == "own"
    assert read_level(recipe, 1, 720) == "own"


def test_a_noisy_line_counts_less(rng: np.random.Generator) -> None:
    t = np.arange(301)
    wave = np.sin(2 * np.pi * t / 6)
    panel = panel_of([wave + 0.05 * rng.standard_normal(301), 7 * wave + 14 * rng.standard_normal(301)])
    encoding = encoding_of(panel)
    trust = weigh_lines(encoding, encode_panel(encoding, panel), panel)
    assert trust["s00"] > 2 * trust["s01"] > 0
    np.testing.assert_allclose(np.mean(list(trust.values())), 1.0, rtol=1e-9, atol=0.0)
    alone = replace(panel, lines=panel.lines[:1])
    assert weigh_lines(encoding_of(alone), encode_panel(encoding_of(alone), alone), alone) == {}


def test_lines_that_grow_by_a_share_are_seen_through_a_logarithm(rng: np.random.Generator) -> None:
    t = np.arange(181)
    shape = np.exp(0.5 * np.sin(2 * np.pi * t / 6) + 0.004 * t)
    recipe = replace(TINY, updates=20, trial_members=1, ensemble=1)
    grown = [50 * 3.0**k * shape * np.exp(0.1 * rng.standard_normal(181)) for k in rng.uniform(0, 3, 21)]
    found = fit_panel(panel_of(grown), horizon=5, recipe=recipe, calendar=None, threads=1)
    assert found.trained.encoding.transform == "log1p"
    assert found.recipe.transform == "log1p"


def test_the_level_as_a_distance_ignores_where_a_series_stands(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 61, past=0)
    encoding = encoding_of(panel, window=7, level="window")
    x = encode(encoding, panel.lines[0]).x
    z = (panel.lines[0].y - encoding.centres[0]) / encoding.scales[0]
    for row in (6, 23, 60):
        np.testing.assert_allclose(x[row, 0], z[row] - z[row - 6 : row + 1].mean(), rtol=1e-9, atol=1e-12)
    raised = replace(panel.lines[0], y=panel.lines[0].y + 2.5)
    np.testing.assert_allclose(encode(encoding, raised).x, x, rtol=0.0, atol=1e-9)
    assert np.abs(encode(replace(encoding, level="own"), raised).x - x).max() > 1.0
    # Row by row and all at once.
    first = encode(encoding, cut(panel.lines[0], 0, 37))
    rest = encode(encoding, cut(panel.lines[0], 37, 61), first.memory)
    np.testing.assert_allclose(np.concatenate([first.x, rest.x]), x, rtol=0.0, atol=1e-12)


def test_without_a_drift_nothing_is_centred(rng: np.random.Generator) -> None:
    F, y = rng.standard_normal((53, 4)) + 1.5, rng.standard_normal((53, 3)) + 2.0
    found = solve(sums(F, y, np.ones(53)), np.full(4, 0.03), drift=False)
    expected = np.linalg.solve(F.T @ F + 53 * 0.03 * np.eye(4), F.T @ y)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-9, atol=1e-12)
    assert not found.intercept.any()
    panel = make_panel(rng, 91, past=0)
    for level, drifts in (("own", True), ("window", False)):
        encoding = encoding_of(panel, level=level)
        from_lines = normal_equations(encoding, encode_panel(encoding, panel), None, 1000)
        head = make_head(encoding, from_lines, None, WINDOW_ONLY)
        assert head.linear.intercept.any() == drifts


def test_far_horizons_are_taught_at_some_steps() -> None:
    np.testing.assert_array_equal(taught_steps(5), np.arange(5))
    found = taught_steps(720)
    assert len(found) == 48
    assert (found[0], found[-1]) == (14, 719)
    assert set(np.diff(found)) == {15}


@pytest.mark.parametrize("horizon", [50])
def test_a_network_taught_at_some_steps_forecasts_all(horizon: int, rng: np.random.Generator) -> None:
    panel = make_panel(rng, 601, past=0)
    model = Forecaster(horizon=horizon, recipe=NETWORK, calendar=None, threads=1).fit(panel, progress=False)
    trained = model.fitted.trained
    assert trained.kind == "network"
    assert trained.encoding.level == "window"
    assert trained.nets[0].parameters["readout.W_hy"].shape == (NETWORK.hidden, horizon)
    assert (np.abs(trained.nets[0].parameters["readout.W_hy"]).sum(axis=0) > 0).all()
    assert model.check_alignment().sound
