"""Missing values are named, or filled by a stated rule."""

import numpy as np
import pytest

from bptt.data import Table, check_complete, fill_forward
from bptt.errors import DataError, InvalidInput

NAN = np.nan


@pytest.fixture
def table():
    values = np.array([[1, 10, 5], [2, NAN, 6], [3, NAN, NAN], [4, 40, 8], [5, NAN, 9]], float)
    return Table(("a", "b", "c"), values, source="data.csv")


def test_the_first_incomplete_column_is_named_with_count_and_row(table):
    with pytest.raises(DataError) as caught:
        check_complete(table)
    assert str(caught.value) == (
        "data.csv, column 'b' must have a number in every row. Got 3 of 5 missing, the first in row 2: name "
        "the columns to use (columns=, --columns), or fill it (bptt.data.fill_forward)"
    )
    with pytest.raises(DataError, match=r"column 'c' .* Got 1 of 5 missing, the first in row 3"):
        check_complete(table, ["a", "c"])
    check_complete(table, ["a"])


def test_an_infinite_value_is_named_too():
    with pytest.raises(DataError, match=r"column 'x' .* Got 1 of 2 missing or infinite, the first in row 2"):
        check_complete(Table(("x",), np.array([[1.0], [np.inf]])))


def test_fill_forward_repeats_the_last_value_known_and_counts(table):
    before = table.values.copy()
    filled = fill_forward(table)
    assert filled.table.values.tolist() == [[1, 10, 5], [2, 10, 6], [3, 10, 6], [4, 40, 8], [5, 40, 9]]
    assert filled.counts == {"b": 3, "c": 1}
    assert np.array_equal(table.values, before, equal_nan=True)
    check_complete(filled.table)


def test_fill_forward_agrees_with_a_plain_loop(rng):
    values = rng.normal(size=(211, 4))
    values[1:][rng.random((210, 4)) < 0.4] = NAN
    wanted = values.copy()
    for row in range(1, 211):
        wanted[row] = np.where(np.isnan(wanted[row]), wanted[row - 1], wanted[row])
    assert np.array_equal(fill_forward(Table(("a", "b", "c", "d"), values)).table.values, wanted)


def test_only_the_columns_named_are_filled(table):
    filled = fill_forward(table, ["c"])
    assert filled.counts == {"c": 1}
    assert np.isnan(filled.table.column("b")).sum() == 3


def test_nothing_is_taken_from_after_a_gap():
    with pytest.raises(DataError) as caught:
        fill_forward(Table(("a",), np.array([[NAN], [1.0]]), source="data.csv"))
    assert str(caught.value) == (
        "data.csv, column 'a' must begin with a number to be filled forward. Got a missing value in row 1: "
        "drop the rows "
        "before the first number"
    )


def test_a_gap_longer_than_allowed(table):
    assert fill_forward(table, longest=2).counts == {"b": 3, "c": 1}
    with pytest.raises(DataError) as caught:
        fill_forward(table, longest=1)
    assert str(caught.value) == (
        "data.csv, column 'b' must have no gap longer than longest = 1 rows. Got 2: raise longest, or cut "
        "the table there"
    )
    with pytest.raises(InvalidInput, match=r"^longest must be at least 1. Got 0$"):
        fill_forward(table, longest=0)
