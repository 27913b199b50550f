"""The forecasting benchmark: its scores and its table."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.forecasting.m4 import NAIVE2, scores
from benchmarks.forecasting.series import Absent, data_file, hourly_line, window_error
from benchmarks.forecasting.table import Measured, text
from bptt.forecast import Forecaster
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
