"""The forecasting benchmark: its scores and its table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.forecasting.day_ahead import HORIZON, rival_errors, root_mean_square
from benchmarks.forecasting.m4 import NAIVE2, scores
from benchmarks.forecasting.next_hour import judge_interval
from benchmarks.forecasting.series import Absent, data_file, hourly_line, window_error
from benchmarks.forecasting.table import Measured, text
from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.measuring import fit_encoding
from bptt.forecast.pieces import cut
from tests.forecast.panels import START, TINY, make_panel


def test_scores_of_the_competition() -> None:
    x = np.tile(np.arange(24.0), 3) + np.repeat([0.0, 2.0, 4.0], 24)  # a season's change of 2
    y, y_hat = np.array([10.0, 30.0]), np.array([11.0, 27.0])
    smape, mase, owa = scores([x], [y], y_hat[None])
    assert smape == pytest.approx((200 / 21 + 600 / 57) / 2, rel=1e-12)
    assert mase == pytest.approx(1.0, rel=1e-12)
    assert owa == pytest.approx((smape / NAIVE2[0] + mase / NAIVE2[1]) / 2, rel=1e-12)


def test_every_window_of_the_test_part_counts_and_no_other(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 101, past=0)
    model = Forecaster(horizon=3, recipe=TINY, calendar=None).fit(panel, progress=False)
    line = panel.lines[0]
    squares = []
    for first in range(81, 99):  # of three rows forecast, the first in 81..98
        before = hourly_line("", START, line.y[:first])
        said = np.asarray(model.predict(type(panel)((before,), "y", (), (), (), panel.step))["y_hat"])
        squares.append((said - line.y[first : first + 3]) ** 2)
    assert window_error(model, line, 81, 3) == pytest.approx(float(np.mean(squares)), rel=1e-4)


def test_intervals_are_judged_as_they_are_predicted(rng: np.random.Generator) -> None:
    """Each row's interval from the history up to it alone; the worst hour and month counted by hand."""
    panel = make_panel(rng, 307, past=0)
    line = panel.lines[0]
    model = Forecaster(horizon=1, recipe=TINY, calendar=None).fit(
        replace(panel, lines=(cut(line, 0, 250),)), progress=False
    )
    rows, missed, scored, squares = np.arange(255, 306), [], [], []
    for row in rows:
        before = replace(panel, lines=(cut(line, 0, row + 1),))
        told = model.predict_interval(before, coverage=0.9)
        y_hat, low, high = (float(np.asarray(told[name])[0]) for name in ("y_hat", "lo_90", "hi_90"))
        y = line.y[row + 1]
        missed.append(not low <= y <= high)
        scored.append(high - low + 20 * (max(low - y, 0) + max(y - high, 0)))
        squares.append((y_hat - y) ** 2)
    hours = [str(line.times[row + 1])[11:13] for row in rows]
    worst = max(np.mean([m for m, at in zip(missed, hours, strict=True) if at == h]) for h in set(hours))
    rmse, off, worst_missed, score, covered = judge_interval(model, line, rows)
    assert rmse == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-4)
    assert covered == pytest.approx(100 * (1 - np.mean(missed)), rel=1e-12)
    assert off == pytest.approx(abs(10 - 100 * np.mean(missed)), abs=1e-9)
    assert worst_missed == pytest.approx(100 * worst, rel=1e-12)
    assert score == pytest.approx(np.mean(scored), rel=1e-4)


def test_the_table_and_absent_files(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = [Measured("a", "MSE", 0.371, 0.370), Measured("b", "MSE", 0.4, 0.4, 0.3, "chosen")]
    shown = text(found).splitlines()
    assert "NOT met" in shown[1]
    assert shown[2].endswith("met")
    assert "NOT" not in shown[2]
    assert shown[-1] == "b: chosen"
    monkeypatch.setenv("BPTT_DATA_DIR", str(tmp_path))
    with pytest.raises(Absent, match="set BPTT_DATA_DIR"):
        data_file("no such file")


def test_rivals_of_the_day_ahead_are_what_their_names_say(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a wave of a day with noise each error is known, or that of its own forecasts written out."""
    monkeypatch.setattr("benchmarks.forecasting.day_ahead.has_trees", lambda: False)
    panel = make_panel(rng, 900, past=1)
    line = panel.lines[0]
    y = 5 * np.sin(2 * np.pi * np.arange(900) / 24) + rng.standard_normal(900)
    line = replace(line, y=y)
    training = replace(panel, lines=(cut(line, 0, 700),))
    encoding = fit_encoding(
        training, horizon=HORIZON, calendar=Calendar(()), transform=None, anchor="last", period=24, window=48,
        past_window=3,
    )  # fmt: skip
    rows = np.arange(699, 900 - HORIZON)
    found = rival_errors(encoding, training, line, rows, seed=0)
    assert set(found) == {"last value", "day before", "ridge"}
    k = np.arange(1, HORIZON + 1)
    truth = y[rows[:, None] + k]
    np.testing.assert_allclose(
        found["last value"] ** 2, ((truth - y[rows][:, None]) ** 2).mean(axis=0), rtol=1e-12, atol=0
    )
    np.testing.assert_allclose(
        found["day before"] ** 2, ((truth - y[rows[:, None] + k - 24]) ** 2).mean(axis=0), rtol=1e-12, atol=0
    )
    np.testing.assert_array_equal(root_mean_square(truth + 2.0, line, rows), 2.0)
    # The noise has a deviation of 1, two days of it are 1.4 apart; the wave is linear in two values.
    assert (found["ridge"] < found["day before"]).all()
    assert 0.9 < found["ridge"].mean() < 1.25
