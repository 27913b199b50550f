"""Rows at even steps of time."""

import tracemalloc

import numpy as np
import pytest

from bptt.data import Table, regular
from bptt.errors import DataError, InvalidInput

NAN = np.nan


def table_at(*hours, values=None):
    times = np.datetime64("2013-01-01T00:00:00") + np.array(hours) * np.timedelta64(3600, "s")
    columns = np.array(values, float) if values is not None else np.arange(2.0 * len(hours)).reshape(-1, 2)
    return Table(("a", "b"), columns, times, "data.csv")


def said(kind, *arguments, **options):
    with pytest.raises(kind) as caught:
        regular(*arguments, **options)
    return str(caught.value)


def test_a_table_without_gaps_is_returned_as_it_is():
    table = table_at(0, 1, 2)
    checked = regular(table)
    assert checked.table is table
    assert checked.added.size == 0


def test_missing_rows_are_an_error_unless_asked_for():
    assert said(DataError, table_at(0, 1, 4, 6)) == (
        "data.csv must have rows 1 hours apart. Got 3 missing, the first at 2013-01-01T02:00:00: fill them first "
        "(bptt.data.regular with fill='forward')"
    )


def test_one_wrong_year_takes_no_memory():
    table = table_at(0, 1, 69_000_000)
    tracemalloc.start()
    try:
        assert "missing, the first at" in said(DataError, table)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_missing_rows_are_added_as_asked():
    table = table_at(0, 1, 4, 6, values=[[1, NAN], [2, 20], [NAN, 40], [6, 60]])
    empty = regular(table, fill="missing")
    wanted = [[1, NAN], [2, 20], [NAN, NAN], [NAN, NAN], [NAN, 40], [NAN, NAN], [6, 60]]
    assert np.array_equal(empty.table.values, wanted, equal_nan=True)
    forward = regular(table, fill="forward")
    wanted = [
        [1, NAN],
        [2, 20],
        [2, 20],
        [2, 20],
        [NAN, 40],
        [NAN, 40],
        [6, 60],
    ]  # only added rows are filled
    assert np.array_equal(forward.table.values, wanted, equal_nan=True)
    for result in (empty, forward):
        assert np.array_equal(result.table.times, table_at(*range(7)).times)
        assert np.array_equal(result.added, table_at(2, 3, 5).times)


def test_another_step():
    table = table_at(0, 6, 18)
    assert (
        regular(table, np.timedelta64(6, "h"), fill="forward").added.tolist() == table_at(12).times.tolist()
    )


def test_times_that_do_not_increase():
    assert said(DataError, table_at(0, 2, 2, 3)) == (
        "data.csv must have times that increase. Got 2013-01-01T02:00:00 in row 3 after 2013-01-01T02:00:00: "
        "sort the rows and drop doubles"
    )


def test_times_between_the_steps():
    times = np.array(["2013-01-01T00:00", "2013-01-01T01:00", "2013-01-01T01:15"], "datetime64[s]")
    table = Table(("a",), np.zeros((3, 1)), times, "data.csv")
    assert said(DataError, table) == (
        "data.csv must have rows 1 hours apart. Got 900 seconds before row 3 (2013-01-01T01:15:00): resample it first"
    )


def test_what_regular_needs():
    table = table_at(0, 1)
    assert said(InvalidInput, Table(("a",), np.zeros((2, 1)), source="data.csv")) == (
        "data.csv must have times to be checked for missing rows. Got none: read it with time="
    )
    assert (
        said(InvalidInput, table, fill="linear")
        == "fill must be one of error, missing, forward. Got 'linear'"
    )
    assert said(InvalidInput, table, np.timedelta64(0, "h")) == "step must be positive. Got 0 hours"
