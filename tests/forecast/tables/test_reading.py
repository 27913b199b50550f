"""From a table to a panel: roles, policies, findings, and every source alike."""

from __future__ import annotations

import datetime
import json
import tracemalloc

import numpy as np
import pytest

from bptt.errors import DataError, FileFormatError, InvalidInput
from bptt.forecast.tables.layout import Layout
from bptt.forecast.tables.reading import read_panel

START = np.datetime64("2013-01-01T00:00:00")
HOUR = np.timedelta64(3600, "s")


def hours(count, start=START):
    return start + np.arange(count) * HOUR


@pytest.fixture
def wide(rng):
    """Return a table of all kinds of columns, 61 hours long."""
    n = 61
    x = rng.normal(size=n)
    x[[0, 1, 20, 21, 22]] = np.nan
    wind = np.array(["NE", "SW", "calm"], object)[rng.integers(0, 3, n)]
    wind[7] = None
    return {
        "No": np.arange(1, n + 1),
        "when": hours(n),
        "TEMP": rng.normal(size=n),
        "x": x,
        "wind": wind,
        "same": np.full(n, 3.5),
        "note": np.array([f"remark {k}" for k in range(n)], object),
    }


def as_csv(table, path):
    rows = zip(*table.values(), strict=True)
    lines = [",".join("" if v is None or v != v else str(v) for v in row) for row in rows]
    path.write_text("\n".join([",".join(table), *lines]) + "\n")
    return path


@pytest.mark.parametrize("kind", ["dict", "csv", "parquet", "pandas", "polars", "pyarrow"])
def test_every_source_gives_the_same_panel(wide, kind, tmp_path):
    source = wide
    if kind == "csv":
        source = as_csv(wide, tmp_path / "w.csv")
    elif kind != "dict":
        polars = pytest.importorskip("polars", reason="polars is not installed: pip install polars")
        listed = {
            "when": wide["when"].astype("M8[us]"),
            "wind": list(wide["wind"]),
            "note": list(wide["note"]),
        }
        source = polars.DataFrame({**wide, **listed})
        source = source.with_columns(polars.col("x").fill_nan(None))
        if kind == "parquet":
            source.write_parquet(tmp_path / "w.parquet")
            source = tmp_path / "w.parquet"
        elif kind != "polars":
            pytest.importorskip(kind)
            source = source.to_pandas() if kind == "pandas" else source.to_arrow()
    data = read_panel(source, target="TEMP")
    panel, (line,) = data.panel, data.panel.lines
    assert data.kind == kind
    assert panel.past == ("x", "x age", "wind=NE", "wind=SW", "wind=calm", "wind age")
    assert (panel.future, panel.static, panel.step) == ((), (), HOUR)
    assert np.array_equal(line.times, wide["when"])
    assert np.array_equal(line.local, wide["when"])
    assert np.array_equal(line.y, wide["TEMP"])  # to the last bit
    assert dict(data.layout.left_out) == {"No": "counts the rows", "same": "constant", "note": "text"}
    assert (len(data.sha256 or "") == 64) == (kind in ("csv", "parquet"))
    assert [finding.kind for finding in data.findings] == ["missing", "missing", *["left out"] * 3]


def test_the_last_value_goes_on_with_its_age(wide):
    line = read_panel(wide, target="TEMP").panel.lines[0]
    x, age, ne, sw, calm, wind_age = line.past.T
    assert np.isnan(x[:2]).all()  # nothing was known that could stand for it
    assert np.array_equal(x[20:23], [wide["x"][19]] * 3)
    assert np.array_equal(x[[2, 19, 23]], wide["x"][[2, 19, 23]])
    assert np.allclose(
        np.expm1(age[[0, 1, 2, 19, 20, 21, 22, 23]]), [1, 2, 0, 0, 1, 2, 3, 0], rtol=0, atol=1e-12
    )
    assert np.array_equal(ne + sw + calm, np.ones(61))
    assert [ne[7], sw[7], calm[7]] == [ne[6], sw[6], calm[6]]
    assert np.flatnonzero(wind_age).tolist() == [7]


def test_the_other_policies(wide):
    data = read_panel(wide, target="TEMP", missing={"x": "mask", "wind": "drop"})
    assert data.panel.past == ("x", "x missing")
    assert np.array_equal(data.panel.lines[0].past[:, 1], np.isnan(wide["x"]))
    assert data.layout.left_out["wind"].startswith("values are missing")
    with pytest.raises(
        DataError, match=r"column 'x' must have a value in every row \(missing='error'\). Got 5 missing"
    ):
        read_panel(wide, target="TEMP", missing="error")
    with pytest.raises(InvalidInput, match="missing must name columns that are used"):
        read_panel(wide, target="TEMP", missing={"rain": "mask"})
    with pytest.raises(InvalidInput, match="missing of 'x' must be one of"):
        read_panel(wide, target="TEMP", missing={"x": "guess"})


def test_what_is_named_wins(wide):
    data = read_panel(wide, target="x", inputs=["same", "wind"], future="TEMP", time="No", missing="forward")
    assert data.layout.clock == "count"
    assert data.panel.past == ("same", "wind=NE", "wind=SW", "wind=calm", "wind age")
    assert data.panel.future == ("TEMP",)
    assert np.isnat(data.panel.lines[0].local).all()
    assert np.array_equal(data.panel.lines[0].y, wide["x"], equal_nan=True)
    assert read_panel(wide, target="TEMP", inputs=()).panel.past == ()
    with pytest.raises(
        InvalidInput, match=r"future must name no column that has a role already. Got 'x', which is inputs"
    ):
        read_panel(wide, target="TEMP", inputs="x", future="x")


def test_the_target_is_found_or_asked_for(wide):
    assert read_panel({"t": hours(5), "v": np.arange(5.0)}).layout.target == "v"
    assert read_panel({"t": hours(5), "y": np.arange(5.0), "v": np.arange(5.0) ** 2}).layout.target == "y"
    with pytest.raises(
        DataError, match=r"target must name the column to forecast .*, and the columns No, TEMP, x, same"
    ):
        read_panel(wide)
    with pytest.raises(DataError, match=r"must have some value to be forecast. Got none in all rows"):
        read_panel({"t": hours(3), "y": np.full(3, np.nan), "x": np.arange(3.0)})
    with pytest.raises(DataError, match=r"column 'note' must hold a number. Got 'remark 0'"):
        read_panel(wide, target="note")


def test_series_by_a_column(rng):
    names = np.repeat(["b", "a", "c"], [7, 9, 5])
    table = {
        "unique_id": names,
        "ds": np.concatenate([hours(7), hours(9), hours(5)]),
        "y": rng.normal(size=21),
        "size": np.repeat([3.0, 1.0, 2.0], [7, 9, 5]),
        "sort": np.repeat(["u", "v", "u"], [7, 9, 5]),
        "x": rng.normal(size=21),
    }
    shuffled = rng.permutation(21)
    data = read_panel({name: values[shuffled] for name, values in table.items()})
    assert data.layout.group == ("unique_id",)
    assert data.panel.static == ("size", "sort=u", "sort=v")
    assert data.panel.past == ("x",)
    for line in data.panel:
        mine = names == line.id
        assert np.array_equal(line.y, table["y"][mine])
        assert line.static.tolist()[0] == table["size"][mine][0]
    other = {("origin" if k == "unique_id" else k): v for k, v in table.items()}
    assert read_panel(other).layout.group == ("origin",)  # by it no time comes twice
    with pytest.raises(DataError, match=r"column 'x' must be constant in a series to be static"):
        read_panel(table, static="x")
    assert [line.id for line in read_panel(table, group=["unique_id", "sort"]).panel] == ["b/u", "a/v", "c/u"]


@pytest.mark.parametrize("none", [None, "", "NA", float("nan")])
def test_a_row_without_a_series_is_named(none):
    names = np.array(["a", "b", none, "a"], object)
    table = {"unique_id": names, "ds": hours(4), "y": np.arange(4.0)}
    with pytest.raises(DataError, match=r"row 3, column 'unique_id' must name the row's series. Got none"):
        read_panel(table)


def test_arrays(rng):
    y = rng.normal(size=31)
    data = read_panel(y)
    assert data.layout.time == ()
    assert np.array_equal(data.panel.lines[0].y, y)
    assert np.isnat(data.panel.lines[0].local).all()
    both = rng.normal(size=(31, 3))
    assert read_panel(both, target=2).panel.past == ("0", "1")
    assert np.array_equal(read_panel(both, target=2).panel.lines[0].past, both[:, :2])


def test_doubles_and_clashes(rng):
    table = {"t": hours(9), "y": rng.normal(size=9), "x": rng.normal(size=9)}
    order = np.array([0, 1, 2, 2, 3, 4, 5, 6, 7, 8])
    data = read_panel({k: v[order] for k, v in table.items()}, target="y")
    assert np.array_equal(data.panel.lines[0].y, table["y"])
    assert [f.kind for f in data.findings] == ["duplicate"]
    clash = {k: v[order].copy() for k, v in table.items()}
    clash["x"][3] += 1
    with pytest.raises(
        DataError, match=r"row 4, column 't' must have each time once.*than in row 3: keep one of the two"
    ):
        read_panel(clash, target="y")


def test_awkward_values_name_their_place(tmp_path):
    path = tmp_path / "d.csv"

    def told(rows):
        path.write_text("t,y,x\n" + "\n".join(rows))
        with pytest.raises(DataError) as caught:
            read_panel(path, target="y")
        return str(caught.value).partition("d.csv, ")[2]

    good = [f"2013-01-01 0{k}:00,{k}.5,{k * k}" for k in range(6)]
    assert told([*good[:3], "2013-01-01 03:00,inf,1"]).startswith(
        "line 5, column 'y' must be finite. Got 'inf'"
    )
    assert told([*good[:3], '2013-01-01 03:00,"3,5",1']).startswith(
        "line 5, column 'y' must hold a number. Got '3,5'"
    )
    assert told([*good[:3], "2013-01-01 03:00,3.5,bad"]).startswith(
        "line 5, column 'x' must hold a number. Got 'bad'"
    )
    assert told([*good[:3], "yesterday,3.5,1"]).startswith("line 5, column 't' must hold a time")
    path.write_text("date,y\n" + "\n".join(f"{41275 + k},{k}" for k in range(5)))
    with pytest.raises(DataError, match="column 'date' must hold times"):
        read_panel(path)
    assert read_panel(path, target="y", time=()).layout.clock == "count"


def test_an_age_old_date_is_a_mistake_and_no_gap():
    times = hours(100)
    times[0] = np.datetime64("1900-01-01")
    with pytest.raises(
        DataError, match="Got nothing from 1900-01-01T00:00:00 to 2013-01-01T01:00:00: correct the time"
    ):
        read_panel({"t": times, "y": np.arange(100.0)})


@pytest.mark.parametrize(
    ("unit", "last", "shown"),
    [("s", "9999-12-31T00:00:00", "9999-12-31T00:00:00"), ("count", 1_614_700_800_000, "1614700800000")],
)
def test_one_far_time_takes_no_memory(unit, last, shown):
    # A clock of seconds up to the year 9999 was made before it was refused: two terabytes.
    times = [1_614_556_800 + k for k in range(50)]
    if unit == "s":
        times = [str(np.datetime64(each, "s")) for each in times]
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"Got nothing from .* to {shown}: correct the time"):
            read_panel({"time": [*times, last], "y": np.arange(51.0)})
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("form", "name", "hours"),
    [
        ("%Y%m%d", "time", 24),
        ("%Y%m%d%H", "date", 1),
        ("%Y%m%d%H", "MESS_DATUM", 1),
        ("%Y%m%d%H%M", "time", 24),  # all of them whole seconds, taken for milliseconds since 1970
        ("%Y%m%d%H%M%S", "stand", 1),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "numbers"])
def test_days_and_clocks_without_marks(tmp_path, form, name, hours, kind):
    first = datetime.datetime(2021, 2, 27, 5)
    moments = [first + datetime.timedelta(hours=hours * k) for k in range(60)]
    table = {name: [int(each.strftime(form)) for each in moments], "y": list(np.arange(60.0) ** 2 % 7)}
    source = table if kind == "numbers" else tmp_path / "data.csv"
    if kind == "csv":
        source.write_text(
            "\n".join([f"{name},y", *(f"{t},{y}" for t, y in zip(*table.values(), strict=True))])
        )
    data = read_panel(source, target="y")
    shift = datetime.timedelta(hours=5) if form == "%Y%m%d" else datetime.timedelta(0)
    assert data.layout.time == (name,)
    assert data.panel.lines[0].local.tolist() == [each - shift for each in moments]
    assert data.layout.past == ()


def test_seconds_since_1970_are_no_days(rng):
    for unit in (1, 1000):
        first = 1_300_000_000 + int(rng.integers(5e8)) // 3600 * 3600
        times = [unit * (first + 3600 * k) for k in range(100)]
        data = read_panel({"time": times, "y": rng.normal(size=100)})
        assert data.layout.clock == "utc"
        assert data.panel.lines[0].times[0] == np.datetime64(first, "s")


def test_a_line_of_units_is_named(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("time,y\nUTC,mm\n2013-01-01,1.5\n2013-01-02,2.5\n")
    with pytest.raises(DataError, match=r"line 2, column 'time' must hold times .*Got 'UTC': rewrite it"):
        read_panel(path, target="y")


def test_numbers_as_text_are_not_taken_silently(rng):
    data = read_panel(
        {"t": hours(9), "y": rng.normal(size=9), "x": np.array([f"{k}.5" for k in range(9)], object)}
    )
    assert data.layout.left_out == {"x": "numbers as text"}
    assert [f.warning for f in data.findings if f.column == "x"] == [True]


def test_too_many_inputs_are_refused(rng):
    table = {f"c{k}": np.arange(3.0) ** 2 for k in range(2100)}
    with pytest.raises(DataError, match="must have at most 2000 inputs"):
        read_panel(table, target="c0")
    assert read_panel(table, target="c0", inputs="c7").panel.past == ("c7",)


def test_a_layout_goes_through_json(wide):
    layout = read_panel(wide, target="TEMP").layout
    config = json.loads(json.dumps(layout.to_config()))
    assert Layout.from_config(config) == layout
    for name, wrong in (
        ("step", "0s"),
        ("past", [1]),
        ("levels", {"wind": "NE"}),
        ("zone", 3),
        ("target", ""),
    ):
        with pytest.raises(FileFormatError, match=f"layout must have a valid {name}"):
            Layout.from_config({**config, name: wrong})
    with pytest.raises(FileFormatError, match="layout must have the fields"):
        Layout.from_config({**config, "code": "x"})


@pytest.mark.parametrize(
    "form", ["%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d-%b-%y", "%d/%m/%y 06:30", "%m/%Y", "%b-%y", "%B '%y"]
)
@pytest.mark.parametrize("name", ["month", "first of"])
def test_dates_in_a_form_that_is_not_read_are_no_remark(form, name):
    """Without its clock the table would lose season and calendar, and say so in half a line."""
    days = [datetime.date(2019 + k // 12, 1 + k % 12, 1) for k in range(30)]
    table = {name: [day.strftime(form) for day in days], "y": np.arange(30.0) ** 2}
    with pytest.raises(DataError, match=rf"column '{name}' must hold times in a form that is known"):
        read_panel(table)
    assert read_panel(table, time="").layout.clock == "count"


@pytest.mark.parametrize(
    "words", ["1.2.13", "10-4-", "3/4", "2013-A-17 ", "12 may be 4", "junction 1", "room-1"]
)
def test_words_with_digits_are_no_dates(words):
    table = {"what": [f"{words}{k}" for k in range(60)], "y": np.arange(60.0) ** 2}
    assert read_panel(table).layout.clock == "count"


def test_one_row_is_no_rows():
    table = {"t": np.append(hours(40), hours(40)[-1:]), "y": np.append(np.arange(40.0) ** 2, 39.0**2)}
    (told,) = [f.text for f in read_panel(table).findings if f.kind == "duplicate"]
    assert told == "1 row repeats another one of the same time in every column: left out"
    y = np.arange(40.0)
    y[17] = -999
    (told,) = [f.text for f in read_panel({"t": hours(40), "y": y}).findings if f.kind == "stand-in"]
    assert "-999 stands in 1 row, far" in told


def test_a_target_of_text_says_how_to_turn_it():
    table = {"t": hours(9), "y": np.array([f"{k}.5" for k in range(9)], object)}
    with pytest.raises(
        DataError, match=r"row 1, column 'y' must hold a number. Got '0.5': it is text in this"
    ):
        read_panel(table, target="y")
