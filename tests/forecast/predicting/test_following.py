"""Rows of months follow one another whatever the day they stand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.errors import DataError
from bptt.forecast import Forecaster
from tests.forecast.panels import NETWORK

K, ROWS = 3, 75
# Carried on row by row, or run again from the first one: another order of sums.
CARRIED = 1e-9


def months(count: int, day: str) -> np.ndarray:
    """Return days of months from January 2015 on: the first, the 15th, or the last of each."""
    begins = np.datetime64("2015-01", "M") + np.arange(count)
    if day == "last":
        return (begins + 1).astype("datetime64[D]") - 1
    return begins.astype("datetime64[D]") + {"first": 0, "middle": 14}[day]


@pytest.mark.parametrize("day", ["first", "middle", "last"])
def test_months_are_taken_in_one_by_one_as_all_together(rng: np.random.Generator, day: str) -> None:
    times, y = (
        months(ROWS + 6, day),
        np.sin(np.arange(ROWS + 6) * np.pi / 6) + 0.2 * rng.standard_normal(ROWS + 6),
    )
    recipe = replace(NETWORK, ensemble=1, trial_members=1, period=None)
    model = Forecaster("y", K, recipe=recipe, calendar="year", seed=1)
    model.fit({"time": times[:ROWS], "y": y[:ROWS]}, progress=False)
    for t in range(ROWS, ROWS + 3):
        model.update({"time": times[t : t + 1], "y": y[t : t + 1]})
        whole = model.predict({"time": times[: t + 1], "y": y[: t + 1]})
        np.testing.assert_allclose(model.predict()["y_hat"], whole["y_hat"], rtol=0, atol=CARRIED)
        np.testing.assert_array_equal(model.predict()["ds"], whole["ds"])
    for t in range(ROWS + 3, ROWS + 5):
        said = model.step({"y": y[t]})
        whole = model.predict({"time": times[: t + 1], "y": y[: t + 1]})
        np.testing.assert_allclose(said, whole["y_hat"], rtol=0, atol=CARRIED)
        np.testing.assert_array_equal(model.predict()["ds"], whole["ds"])


def test_months_that_were_left_out_are_missing_values(rng: np.random.Generator) -> None:
    times, y = months(ROWS + 4, "last"), rng.standard_normal(ROWS + 4)
    recipe = replace(NETWORK, ensemble=1, trial_members=1, period=None)
    model = Forecaster("y", K, recipe=recipe, calendar="year", seed=1)
    model.fit({"time": times[:ROWS], "y": y[:ROWS]}, progress=False)
    model.update({"time": times[ROWS + 3 :], "y": y[ROWS + 3 :]})
    y[ROWS : ROWS + 3] = np.nan
    whole = model.predict({"time": times, "y": y})
    np.testing.assert_allclose(model.predict()["y_hat"], whole["y_hat"], rtol=0, atol=CARRIED)
    with pytest.raises(
        DataError, match="new rows must begin at most 1000 rows after the last one, 2021-07-31"
    ):
        model.update({"time": [np.datetime64("2121-01-31")], "y": [1.0]})
