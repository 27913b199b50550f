"""Clocks: steps found, hours that come twice or not at all, disorder, gaps, two frequencies."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import DataError, InvalidInput
from bptt.forecast.tables.reading import read_panel
from bptt.forecast.tables.steps import advance, parse_step, step_words
from bptt.forecast.tables.writing import last_offsets, text_times, write_forecast

pandas = pytest.importorskip("pandas")
HOUR = np.timedelta64(3600, "s")


def kinds(data):
    return {finding.kind for finding in data.findings}


@pytest.mark.parametrize(
    ("freq", "step", "periods"),
    [
        ("15s", "15s", 99), ("10min", "600s", 300), ("h", "3600s", 99), ("D", "86400s", 99), ("W", "604800s", 60),
        ("MS", "1M", 50), ("ME", "1M", 50), ("QS", "3M", 30), ("YS", "12M", 30),
    ],
)  # fmt: skip
def test_every_step_is_found_and_goes_on(rng, freq, step, periods):
    times = pandas.date_range("2011-12-31", periods=periods + 4, freq=freq)
    data = read_panel(pandas.DataFrame({"when": times[:periods], "y": rng.normal(size=periods)}))
    assert data.layout.step == step
    assert data.findings == ()
    line = data.panel.lines[0]
    assert np.array_equal(line.times, times[:periods].values.astype("M8[s]"))
    ahead = write_forecast(data, {"y_hat": rng.normal(size=(1, 4))})
    assert list(ahead["ds"]) == list(times[periods:])


@pytest.mark.parametrize(
    ("zone", "freq"),
    [
        ("Europe/Berlin", "h"),
        ("America/New_York", "10min"),
        ("Australia/Sydney", "30min"),
        ("Europe/London", "h"),
    ],
)
def test_hours_that_come_twice_or_not_are_neither_doubles_nor_gaps(rng, zone, freq):
    periods = {"h": 8760, "30min": 2 * 8760, "10min": 6 * 8760}[freq]
    aware = pandas.date_range("2013-01-05", periods=periods, freq=freq, tz=zone)
    y = rng.normal(size=periods)
    by_zone = read_panel(pandas.DataFrame({"t": aware, "y": y}))
    naive = pandas.DataFrame({"t": aware.tz_localize(None), "y": y})
    shuffled = naive.sort_values("t", kind="stable")
    for data in (
        by_zone,
        read_panel(naive),
        read_panel(naive.iloc[::-1]),
        read_panel(shuffled),
        read_panel(naive, zone=zone),
    ):
        line = data.panel.lines[0]
        assert np.array_equal(line.y, y)
        assert np.unique(np.diff(line.times)).size == 1
        assert np.array_equal(line.local, aware.tz_localize(None).values.astype("M8[s]"))
        assert not kinds(data) & {"gap", "duplicate"}
    assert by_zone.layout.zone == zone
    assert str(write_forecast(by_zone, {"y_hat": y[None, :1]})["ds"].dt.tz) == zone
    told = next(f for f in read_panel(naive).findings if f.kind == "clock")
    assert "comes twice" in told.text
    assert "is missing" in told.text


def test_a_double_or_a_missing_hour_elsewhere_is_one(rng):
    times = np.datetime64("2013-06-01T00:00:00") + np.arange(400) * HOUR
    y = rng.normal(size=400)
    twice = np.concatenate([np.arange(50), [49], np.arange(50, 400)])
    with pytest.raises(DataError, match="must have each time once"):
        read_panel({"t": times[twice], "y": y[np.r_[:50, 7, 50:400]]})
    data = read_panel({"t": np.delete(times, 100), "y": np.delete(y, 100)})
    assert kinds(data) == {"gap"}
    assert np.isnan(data.panel.lines[0].y[100])
    assert np.array_equal(data.panel.lines[0].times, times)


def test_days_of_a_zone_have_23_to_25_hours(rng):
    days = pandas.date_range("2013-03-01", periods=60, freq="D", tz="Europe/Berlin")
    y = rng.normal(size=60)
    data = read_panel(pandas.DataFrame({"t": days[:40], "y": y[:40]}))
    assert data.layout.step == "86400s"
    assert data.findings == ()
    ahead = write_forecast(data, {"y_hat": y[None, :20]})
    assert list(ahead["ds"]) == list(days[40:])


def test_disorder_jitter_and_rows_beside_the_clock(rng):
    times = np.datetime64("2013-01-01T00:00:00") + np.arange(60) * HOUR
    y = rng.normal(size=60)
    order = rng.permutation(60)
    data = read_panel({"t": times[order], "y": y[order]})
    assert np.array_equal(data.panel.lines[0].y, y)
    # No order at all is not the order of the newest first, whichever half of the steps falls.
    assert [finding.text.split(":")[1] for finding in data.findings] == [" sorted by time"]
    turned = read_panel({"t": times[::-1], "y": y[::-1]})
    assert [finding.text for finding in turned.findings] == ["rows stood with the newest first: turned round"]
    jitter = times + rng.integers(-5, 6, 60).astype("m8[s]")
    data = read_panel({"t": jitter, "y": y})
    assert np.array_equal(data.panel.lines[0].y, y)
    assert kinds(data) == {"rounded"}
    beside = np.sort(np.append(times, times[30] + np.timedelta64(1800, "s")))
    data = read_panel({"t": beside, "y": np.insert(y, 31, 9.0)})
    assert np.array_equal(data.panel.lines[0].y, y)
    assert [f.count for f in data.findings if f.kind == "beside"] == [1]
    uneven = np.datetime64("2013-01-01T00:00:00") + np.cumsum(rng.integers(1, 9000, 60)).astype("m8[s]")
    with pytest.raises(DataError, match=r"rows one step = .* apart. Got .* beside that"):
        read_panel({"t": uneven, "y": y})


def test_two_frequencies_are_named(rng):
    daily = np.datetime64("2013-01-01T00:00:00") + np.arange(20) * 24 * HOUR
    hourly = daily[-1] + np.arange(1, 200) * HOUR
    data = read_panel({"t": np.concatenate([daily, hourly]), "y": rng.normal(size=219)})
    assert data.layout.step == "3600s"
    mixed = next(f for f in data.findings if f.kind == "mixed")
    assert "19 rows from 2013-01-01 on are 1 day apart, most others 1 h" in mixed.text


def test_offsets_in_text_keep_the_wall_clock(tmp_path, rng):
    aware = pandas.date_range("2013-03-30", periods=60, freq="h", tz="Europe/Berlin")
    path = tmp_path / "d.csv"
    pandas.DataFrame({"when": [t.isoformat() for t in aware], "y": rng.normal(size=60)}).to_csv(
        path, index=False
    )
    data = read_panel(path)
    line = data.panel.lines[0]
    assert np.array_equal(line.times, aware.tz_convert("UTC").tz_localize(None).values.astype("M8[s]"))
    assert np.array_equal(line.local, aware.tz_localize(None).values.astype("M8[s]"))
    made = write_forecast(data, {"y_hat": rng.normal(size=(1, 2))})
    # The clocks are those of Berlin, whoever keeps them.
    assert data.layout.zone == "Europe/Berlin"
    assert text_times(data.layout, made["ds"]) == ["2013-04-01T13:00:00+02:00", "2013-04-01T14:00:00+02:00"]


def stamped(zone, start, rows, step="h"):
    """Return a table whose times are text with the offsets of a zone."""
    times = pandas.date_range(start, periods=rows, freq=step, tz=zone)
    return {"when": [t.isoformat() for t in times], "y": np.arange(float(rows)) % 7}, times


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe"]
)
def test_times_come_back_by_the_clock_that_went_in(zone):
    """Also beyond the next night on which it is set."""
    table, times = stamped(zone, "2021-01-01", 24 * 300)
    data = read_panel(table)
    assert (data.layout.zone, data.findings[0].kind) == (zone, "clock")
    assert "later times are shown by its clock" in data.findings[0].text
    made = write_forecast(data, {"y_hat": np.zeros((1, 24 * 120))})
    ahead = pandas.date_range(times[-1], periods=24 * 120 + 1, freq="h")[1:]
    assert text_times(data.layout, made["ds"]) == [t.isoformat() for t in ahead]


def test_an_offset_that_never_changes_comes_back():
    fixed = pandas.Timestamp("2021-01-01T00:00+05:30").tz
    table, times = stamped(fixed, "2021-01-01", 50)
    data = read_panel(table)
    assert data.layout.zone is None
    made = write_forecast(data, {"y_hat": np.zeros((1, 2))})
    wanted = ["2021-01-03T02:00:00+05:30", "2021-01-03T03:00:00+05:30"]
    assert text_times(data.layout, made["ds"], last_offsets(data)[0]) == wanted
    # In a frame, as times: in what pandas calls UTC+05:30.
    for frame in (pandas.DataFrame({"when": times, "y": table["y"]}), pandas.DataFrame(table)):
        shown = write_forecast(read_panel(frame), {"y_hat": np.zeros((1, 2))})["ds"]
        assert [t.isoformat() for t in shown] == wanted
    # Days are days of the wall's clock; what they begin at is an instant.
    data = read_panel(stamped(fixed, "2021-01-01T06:00", 50, "D")[0])
    made = write_forecast(data, {"y_hat": np.zeros((1, 1))})
    assert text_times(data.layout, made["ds"]) == ["2021-02-20T06:00:00+05:30"]


def test_offsets_of_no_clock_are_said_and_the_last_one_is_kept():
    table, _ = stamped("Europe/Berlin", "2021-03-25", 60)
    # Set forward on a Friday, by the clock of nobody.
    table["when"] = [t.isoformat() for t in pandas.date_range("2021-03-25", periods=30, freq="h", tz="UTC").tz_convert(
        pandas.Timestamp("2021-01-01T00:00+01:00").tz)] + [
        t.isoformat() for t in pandas.date_range("2021-03-26T06:00", periods=30, freq="h", tz="UTC").tz_convert(
        pandas.Timestamp("2021-01-01T00:00+02:00").tz)]  # fmt: skip
    data = read_panel(table)
    assert data.layout.zone is None
    assert "by the rules of no zone that is known here" in data.findings[0].text
    assert data.findings[0].warning
    made = write_forecast(data, {"y_hat": np.zeros((1, 1))})
    assert text_times(data.layout, made["ds"], last_offsets(data)[0]) == ["2021-03-27T14:00:00+02:00"]
    named = read_panel(table, zone="Africa/Lagos")
    assert named.layout.zone == "Africa/Lagos"


def test_a_zone_that_is_not_used_is_said():
    table, _ = stamped("UTC", "2021-01-01", 60)
    data = read_panel(table, zone="Europe/Berlin")
    assert data.layout.zone == "UTC"
    assert "zone Europe/Berlin is not used: the times say that they are in UTC" in [
        f.text for f in data.findings
    ]


def test_rows_that_tell_more_than_training_did():
    """A winter has one offset; the year after shows whose clock it is."""
    winter, _ = stamped("Europe/Berlin", "2021-01-01", 24 * 30)
    year, times = stamped("Europe/Berlin", "2021-01-01", 24 * 300)
    layout = read_panel(winter).layout
    assert layout.zone is None
    data = read_panel(year, layout=layout)
    made = write_forecast(data, {"y_hat": np.zeros((1, 24 * 20))})
    ahead = pandas.date_range(times[-1], periods=24 * 20 + 1, freq="h")[1:]
    assert text_times(data.layout, made["ds"]) == [t.isoformat() for t in ahead]


def test_columns_that_make_a_time_together(tmp_path, rng):
    y = rng.normal(size=50)
    times = np.datetime64("2012-02-28T00:00:00") + np.arange(50) * HOUR
    when = pandas.DatetimeIndex(times)
    parts = {"year": when.year, "month": when.month, "day": when.day, "hour": when.hour, "y": y}
    data = read_panel(pandas.DataFrame(parts))
    assert data.layout.time == ("year", "month", "day", "hour")
    assert np.array_equal(data.panel.lines[0].times, times)
    two = {"date": [str(d.date()) for d in when], "time": [f"{d:%H:%M}" for d in when], "y": y}
    data = read_panel(pandas.DataFrame(two))
    assert data.layout.time == ("date", "time")
    assert np.array_equal(data.panel.lines[0].times, times)
    parts["day"] = np.where(np.arange(50) == 30, 31, when.day)
    with pytest.raises(DataError, match=r"row 31, column 'day' must hold a day of its month"):
        read_panel(pandas.DataFrame(parts))


def test_epochs_and_counts(rng):
    y = rng.normal(size=30)
    stamps = 1356998400 + 3600 * np.arange(30)
    for unit in (1, 1000):
        data = read_panel({"timestamp": stamps * unit, "y": y})
        assert (data.layout.clock, data.layout.zone, data.layout.step) == ("utc", "UTC", "3600s")
    counted = read_panel({"ds": np.arange(7, 37), "y": y})
    assert counted.layout.clock == "count"
    assert write_forecast(counted, {"y_hat": np.zeros((1, 2))})["ds"].tolist() == [37, 38]


def test_steps_in_words():
    for text, words in (("600s", "10 min"), ("1h", "1 h"), ("day", "1 day"), ("2 weeks", "2 weeks")):
        assert step_words(parse_step(text)) == words
    for text, words in (("month", "1 month"), ("quarter", "3 months"), ("2 years", "2 years")):
        assert step_words(parse_step(text)) == words
    assert parse_step(np.timedelta64(1, "h")) == HOUR
    for wrong in ("fortnight", "0 h", "", 3, np.timedelta64(5, "ms")):
        with pytest.raises(InvalidInput, match="step must be a time such as"):
            parse_step(wrong)
    ends = np.array(["2013-01-31T06:00:00", "2013-02-28T06:00:00"], "M8[s]")
    assert [str(t)[5:10] for t in advance(ends, 3, np.timedelta64(1, "M"))] == ["03-31", "04-30", "05-31"]
    assert [str(t)[5:10] for t in advance(ends[1:], 2, np.timedelta64(1, "M"))] == ["03-31", "04-30"]


def test_zones_are_checked():
    with pytest.raises(InvalidInput, match="zone must be the name of a time zone"):
        read_panel({"t": ["2013-01-01", "2013-01-02"], "y": [1.0, 2.0]}, zone="Mars/Base")
