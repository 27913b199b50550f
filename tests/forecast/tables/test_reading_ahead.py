"""A table at prediction: the model's layout, what is unseen, what is known ahead; and the way back to a frame."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import DataError
from bptt.forecast.tables.reading import read_panel
from bptt.forecast.tables.writing import text_times, write_forecast, write_rows

HOUR = np.timedelta64(3600, "s")
START = np.datetime64("2013-10-25T00:00:00")


@pytest.fixture
def table(rng):
    """Return 60 hours of which the last 12 are known ahead only."""
    y, x = rng.normal(size=60), rng.normal(size=60)
    y[48:] = x[48:] = np.nan
    kind = np.array(["a", "b", "c"], object)[np.arange(60) % 3]
    return {"t": START + np.arange(60) * HOUR, "y": y, "x": x, "plan": rng.normal(size=60), "kind": kind}


def fitted(table):
    return read_panel(table, target="y", future=["plan", "kind"])


def first(table, stop, start=0):
    return {name: values[start:stop] for name, values in table.items()}


def test_rows_after_the_target_are_known_ahead_and_not_missing(table):
    data = fitted(table)
    line = data.panel.lines[0]
    assert (len(line), len(line.local), line.future.shape) == (48, 60, (60, 4))
    assert np.array_equal(line.future[:, 0], table["plan"])
    assert data.findings == ()
    assert data.panel.past == ("x",)


def test_the_rows_ahead_come_from_the_table_or_beside_it(table):
    layout = fitted(table).layout
    own = read_panel(table, layout=layout, horizon=12).panel.lines[0]
    beside = {name: table[name][40:] for name in ("t", "plan", "kind")}
    given = read_panel(first(table, 48), layout=layout, horizon=12, future_values=beside).panel.lines[0]
    assert np.array_equal(own.future, given.future)
    assert np.array_equal(own.local, given.local)
    assert np.array_equal(own.y, given.y)


def test_rows_ahead_that_are_not_there_are_named(table):
    layout = fitted(table).layout

    def told(source, **options):
        with pytest.raises(DataError) as caught:
            read_panel(source, layout=layout, horizon=12, **options)
        return str(caught.value)

    start = "future values of plan, kind must be known for horizon = 12 rows after the last. Got "
    assert told(first(table, 48)).startswith(start + "0, the first missing at 2013-10-27 00:00:00: give them")
    some = {name: np.delete(table[name], 51)[48:] for name in ("t", "plan", "kind")}
    assert told(first(table, 48), future_values=some).startswith(
        start + "3, the first missing at 2013-10-27 03:00:00"
    )
    hole = first(table, 60)
    hole["plan"] = np.where(np.arange(60) == 50, np.nan, table["plan"])
    assert told(hole).startswith(start + "2, ")
    lacking = {name: table[name][48:] for name in ("t", "plan")}
    assert "must have the columns t, plan, kind for rows ahead. Got none called 'kind'" in told(
        first(table, 48), future_values=lacking
    )
    between = {name: table[name][48:].copy() for name in ("t", "plan", "kind")}
    between["t"] = between["t"] + np.timedelta64(60, "s")
    assert "row 1 must lie a whole number of steps of 1 h after the last row" in told(
        first(table, 48), future_values=between
    )
    plain = read_panel(first(table, 48), target="y").layout
    with pytest.raises(DataError, match="future must be left out for a model without columns known ahead"):
        read_panel(first(table, 48), layout=plain, future_values=some)


def test_the_wall_clock_reaches_over_a_change_of_the_clock():
    pandas = pytest.importorskip("pandas")
    aware = pandas.date_range("2013-10-25", periods=80, freq="h", tz="Europe/Berlin")
    frame = pandas.DataFrame({"t": aware[:48], "y": np.arange(48.0) % 5})
    data = read_panel(frame, horizon=32)
    assert np.array_equal(data.panel.lines[0].local, aware.tz_localize(None).values.astype("M8[s]"))
    assert data.panel.lines[0].future.shape == (80, 0)


def test_unseen_categories_and_series_are_findings(rng, caplog):
    history = {
        "unique_id": np.repeat(["a", "b"], 9),
        "ds": np.tile(START + np.arange(9) * HOUR, 2),
        "y": rng.normal(size=18),
        "wind": np.array(["N", "S", "N"] * 6),
    }
    layout = read_panel(history).layout
    later = {name: values[9:].copy() for name, values in history.items()}
    later["unique_id"] = np.repeat(["c"], 9)
    later["wind"] = np.array(["N", "W", "S"] * 3)
    data = read_panel(later, layout=layout)
    assert [f.kind for f in data.findings] == ["unseen", "unseen"]
    assert "wind: 'W' did not occur in training" in data.findings[0].text
    assert "series that training did not see: c" in data.findings[1].text
    assert [record.getMessage() for record in caplog.records] == [f"table: {f.text}" for f in data.findings]
    assert data.panel.past == ("wind=N", "wind=S")
    assert data.panel.lines[0].past.sum(axis=1).tolist() == [1, 0, 1] * 3


def test_a_table_that_does_not_fit_the_model(table):
    layout = fitted(table).layout
    with pytest.raises(
        DataError, match=r"must have the columns that the model was trained with. Got none called 'x'"
    ):
        read_panel({k: v for k, v in table.items() if k != "x"}, layout=layout)
    with pytest.raises(DataError, match=r"column 'x' must hold a number. Got 'high'"):
        read_panel({**table, "x": np.repeat(np.array(["high"], object), 60)}, layout=layout)
    with pytest.raises(
        DataError, match=r"must have times as the model was trained on, with none. Got an offset or a zone"
    ):
        read_panel({**table, "t": [f"{t}Z" for t in table["t"]]}, layout=layout)
    short = {"t": table["t"][::2], "y": np.arange(30.0)}
    with pytest.raises(DataError, match="rows one step = 2 h apart"):
        read_panel({"t": table["t"][[0, 2, 3, 5, 6]], "y": np.arange(5.0)}, layout=read_panel(short).layout)


def test_what_is_missing_anew_is_said(table):
    layout = fitted(table).layout
    gone = {**table, "x": np.where(np.arange(60) % 7 == 3, np.nan, table["x"])}
    data = read_panel(gone, layout=layout)
    assert data.panel.past == ("x",)  # the model's columns, no new one
    assert "none was missing in training" in data.findings[0].text
    assert data.findings[0].warning


@pytest.mark.parametrize("kind", ["dict", "pandas", "polars", "pyarrow"])
def test_forecasts_come_back_as_what_went_in(rng, kind):
    times = START + np.arange(30) * HOUR
    source = {
        "unique_id": ["b"] * 30 + ["a"] * 20,
        "ds": np.concatenate([times, times[:20]]),
        "y": rng.normal(size=50),
    }
    if kind != "dict":
        library = pytest.importorskip(kind)
        source["ds"] = source["ds"].astype("M8[us]")
        source = library.table(source) if kind == "pyarrow" else library.DataFrame(source)
    data = read_panel(source)
    y_hat, low = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    made = write_forecast(data, {"y_hat": y_hat, "lo_90": low})
    assert type(made) is type(source)
    columns = made
    if kind in ("polars", "pyarrow"):
        columns = made.to_dict() if kind == "polars" else made.to_pydict()
    assert list(columns) == ["unique_id", "ds", "y_hat", "lo_90"]
    assert list(columns["unique_id"]) == ["b"] * 3 + ["a"] * 3
    wanted = np.concatenate([times[-1] + np.arange(1, 4) * HOUR, times[19] + np.arange(1, 4) * HOUR])
    assert np.array_equal(np.array(list(columns["ds"]), "M8[s]"), wanted)
    assert np.array_equal(np.array(columns["y_hat"]), y_hat.reshape(-1))


def test_rows_of_the_past_show_the_wall_clock():
    pandas = pytest.importorskip("pandas")
    aware = pandas.date_range("2013-10-26", periods=48, freq="h", tz="Europe/Berlin")
    data = read_panel(pandas.DataFrame({"t": aware.tz_localize(None), "y": np.arange(48.0) % 7}))
    line = data.panel.lines[0]
    made = write_rows(data, np.zeros(48, int), line.times, {"y": line.y})
    assert np.array_equal(made["ds"].values.astype("M8[s]"), line.local)
    assert text_times(data.layout, line.local[:1]) == ["2013-10-26 00:00:00"]
