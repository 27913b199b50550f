"""Cutting and stepping in time."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.forecast.pieces import after
from bptt.forecast.tables.steps import advance


@pytest.mark.parametrize("months", [1, 2, 3, 12, 13])
def test_a_month_later_is_what_a_table_has_there(months: int) -> None:
    days = np.arange(np.datetime64("2019-01-01"), np.datetime64("2021-03-02")).astype("datetime64[s]")
    times = days + np.arange(days.size) * np.timedelta64(97, "s")
    step = np.timedelta64(months, "M")
    found = after(times, step)
    assert found.dtype == np.dtype("datetime64[s]")
    assert np.array_equal(
        found, np.concatenate([advance(times[k : k + 1], 1, step) for k in range(times.size)])
    )
    assert np.array_equal(found.astype("datetime64[M]"), times.astype("datetime64[M]") + step)


def test_the_ends_of_months_stay_ends() -> None:
    ends = (np.datetime64("2019-02") + np.arange(25)).astype("datetime64[D]") - 1
    ends = ends.astype("datetime64[s]") + np.timedelta64(82_800, "s")
    assert np.array_equal(after(ends[:-1], np.timedelta64(1, "M")), ends[1:])
    assert str(ends[1]) == "2019-02-28T23:00:00"
    firsts = np.arange("2019-01", "2021-02", dtype="datetime64[M]").astype("datetime64[s]")
    assert np.array_equal(after(firsts[:-1], np.timedelta64(1, "M")), firsts[1:])


def test_rows_that_are_only_counted_have_no_clock() -> None:
    none = np.array(["NaT", "NaT"], "datetime64[s]")
    assert np.isnat(after(none, np.timedelta64(1, "M"))).all()
    assert np.isnat(after(none, np.timedelta64(3600, "s"))).all()
