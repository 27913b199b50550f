"""Times as people write them: read by one rule a column, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.data.tables.times import looks_like_time, read_moments
from bptt.data.tables.zones import offsets_at, offsets_of_wall
from bptt.errors import DataError, InvalidInput


def read(*entries):
    return read_moments(entries, file="data.csv", column="t", place=lambda row: f"line {row + 2}")


@pytest.mark.parametrize(
    ("entries", "first"),
    [
        (("2013-02-01 05:00", "2013-02-01 06:00:00"), "2013-02-01T05:00:00"),
        (("2013-02-01T05:00:30.000", "2013-02-01T06:00:00.000"), "2013-02-01T05:00:30"),
        (("20130201T0500", "20130201T0600"), "2013-02-01T05:00:00"),
        (("2013-02-01T05", "2013-02-01T06"), "2013-02-01T05:00:00"),
        (("2013-02-01T05", "2013-02-01T05:30"), "2013-02-01T05:00:00"),
        (("2013/2/1 5:00", "2013/2/1 6:00"), "2013-02-01T05:00:00"),
        (("01.02.2013 05:00", "13.02.2013 05:00"), "2013-02-01T05:00:00"),
        (("01/02/2013", "13/02/2013"), "2013-02-01T00:00:00"),
        (("02/01/2013 12:00 AM", "02/13/2013 3:00 PM"), "2013-02-01T00:00:00"),
        (("1-Feb-2013", "2-Feb-2013"), "2013-02-01T00:00:00"),
        (("February 1, 2013", "March 1, 2013"), "2013-02-01T00:00:00"),
        (("2013-02", "2013-03"), "2013-02-01T00:00:00"),
        (("Feb 2013", "Mar 2013"), "2013-02-01T00:00:00"),
        (("2013Q2", "2013Q3"), "2013-04-01T00:00:00"),
        (("2013", "2014"), "2013-01-01T00:00:00"),
    ],
)
def test_every_writing_is_read_exactly(entries, first):
    moments = read(*entries)
    assert str(moments.local[0]) == first
    assert moments.local.dtype == np.dtype("datetime64[s]")
    assert moments.offset is None


def test_offsets_are_kept_beside_the_clock():
    moments = read("2013-03-31T01:30+01:00", "2013-03-31T03:30+0200", "2013-03-31T02:30Z")
    assert moments.offset.tolist() == [3600, 7200, 0]
    assert [str(t)[11:16] for t in moments.utc] == ["00:30", "01:30", "02:30"]
    assert read("2013-01-01T05:00Z").zone == "UTC"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            ("2013-01-01 05:00Z", "2013-01-01 06:00"),
            "line 3, column 't' must have an offset as in line 2, or none",
        ),
        (
            ("01/02/2013", "02/02/2013"),
            "line 2, column 't' must show by some number above 12 which one is the day",
        ),
        (
            ("13/02/2013", "02/14/2013"),
            "line 3, column 't' must have the day and the month in one order throughout",
        ),
        (("2013-01-01 00:00:00.5",), "line 2, column 't' must hold whole seconds"),
        (("2013-02-01", "2013-02-30"), "line 3, column 't' must hold a time such as"),
        (("2013-02-01", "02.02.2013"), "line 3, column 't' must hold a time such as"),
        (("01/02/13",), "line 2, column 't' must hold a time such as"),
        (("2013-01-01 24:00",), "line 2, column 't' must hold a time such as"),
        (("2013-01-01 13:00 PM",), "line 2, column 't' must hold a time such as"),
        (("2013-01-01", None), "line 3, column 't' must hold a time such as"),
    ],
)
def test_what_could_be_misread_is_refused_in_one_line(entries, said):
    with pytest.raises(DataError) as caught:
        read(*entries)
    assert str(caught.value).startswith(f"data.csv, {said}")
    assert "\n" not in str(caught.value)


def test_digits_alone_are_a_time_only_where_one_is_expected():
    assert not looks_like_time("2013")
    assert looks_like_time("2013", bare=True)
    assert not looks_like_time("3.14")


def test_zones_know_their_changes():
    utc = np.array(["2013-03-31T00:59:00", "2013-03-31T01:00:00", "2013-10-27T00:59:59"], "M8[s]")
    assert offsets_at(utc, "Europe/Berlin").tolist() == [3600, 7200, 7200]
    twice = np.array(["2013-10-27T02:30:00"] * 2, "M8[s]")
    assert offsets_of_wall(twice, "Europe/Berlin", np.array([False, True])).tolist() == [7200, 3600]
    with pytest.raises(InvalidInput, match="zone must be the name of a time zone"):
        offsets_at(utc, "Europe/Atlantis")
