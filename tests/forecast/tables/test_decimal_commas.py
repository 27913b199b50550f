"""Tables with decimal commas: the same numbers as with points to the last bit, and nothing taken for a thousand."""

from __future__ import annotations

import numpy as np
import pytest

from bptt import Forecaster, load
from bptt.data import read_table
from bptt.errors import BpttError, DataError, FileFormatError, InvalidInput
from bptt.files.model import read_arrays, read_header, write_model
from bptt.forecast import Recipe
from bptt.forecast.tables.reading import read_panel

ROWS = 45
# What may stand where a number is expected: (written, its value or None where it is refused).
TOKENS = (
    ("1,5", 1.5), ("-0,25", -0.25), (",5", 0.5), ("5,", 5.0), ("1,234", 1.234), ("12", 12.0), ("1,5e-3", 0.0015),
    ("1.5", None), ("1.234", None), ("1.234,5", None), ("1.234.567", None), ("1,234,567", None), ("1,234.5", None),
    ("1 234,5", None), ("1'234,5", None), ("1_0,5", None), ("1,5 %", None), ("3,,5", None), ("1,5-", None),
)  # fmt: skip


def numbers(seed):
    rng = np.random.default_rng(seed)
    return [f"{v:.7g}" for v in 1e3 * rng.normal(size=ROWS)], [f"{v:.4f}" for v in rng.normal(size=ROWS)]


def rows_of(y, x, days=False):
    start = np.datetime64("2013-03-29T05")
    times = [start + k for k in range(len(y))]
    shown = [str(t)[:10] + " " + str(t)[11:13] + ":00" for t in times]
    if days:
        shown = [f"{t[8:10]}.{t[5:7]}.{t[:4]} {t[11:]}" for t in shown]
    return list(zip(shown, y, x, strict=True))


def write(path, header, rows, delimiter, quote=False):
    cells = [[f'"{c}"' if quote and "," in c else c for c in row] for row in (header, *rows)]
    path.write_text("\n".join(delimiter.join(row) for row in cells) + "\n")
    return path


def with_commas(values):
    return [value.replace(".", ",") for value in values]


@pytest.mark.parametrize(("delimiter", "quote"), [(";", False), ("\t", False), (",", True)])
def test_the_same_panel_as_with_points(tmp_path, delimiter, quote):
    y, x = numbers(3)
    names = ["Zeit", "y", "Temp, innen" if quote or delimiter == ";" else "innen"]
    rows = rows_of(with_commas(y), with_commas(x), days=True)
    commas = write(tmp_path / "c.csv", names, rows, delimiter, quote)
    points = write(tmp_path / "p.csv", names, rows_of(y, x), ";")
    found, wanted = read_panel(commas, target="y", decimal=","), read_panel(points, target="y")
    assert found.panel.past == wanted.panel.past == (names[2],)
    assert np.array_equal(found.panel.lines[0].times, wanted.panel.lines[0].times)
    assert np.array_equal(found.panel.lines[0].y, np.array(y, float))
    assert np.array_equal(found.panel.lines[0].past, wanted.panel.lines[0].past)
    assert np.array_equal(found.panel.lines[0].past[:, 0], np.array(x, float))


@pytest.mark.parametrize(("token", "value"), TOKENS, ids=[token for token, _ in TOKENS])
def test_one_odd_entry(tmp_path, token, value):
    y, x = numbers(4)
    for column in (1, 2):
        table = [with_commas(y), with_commas(x)]
        table[column - 1][21] = token
        path = write(tmp_path / f"{column}.csv", ["time", "y", "x"], rows_of(*table), ";")
        if value is None:
            with pytest.raises(
                DataError, match=f"{column}.csv, line 23, column '{'yx'[column - 1]}' must hold a"
            ):
                read_panel(path, target="y", decimal=",")
            continue
        line = read_panel(path, target="y", decimal=",").panel.lines[0]
        assert (line.y if column == 1 else line.past[:, 0])[21] == value


def test_marks_of_thousands_and_points_are_refused_by_name(tmp_path):
    y, x = numbers(5)
    for token, remedy in (
        ("1.234", "without thousands marks, or with a decimal comma"),
        ("1.234,5", "without thousands marks, or with a decimal comma"),
        ("1.5", "a decimal comma as was asked for"),
    ):
        path = write(tmp_path / "t.csv", ["time", "y", "x"], rows_of([token, *with_commas(y[1:])], x), ";")
        with pytest.raises(DataError, match=remedy):
            read_panel(path, target="y", decimal=",")
    path = write(tmp_path / "t.csv", ["time", "y", "x"], rows_of(["1,234", *y[1:]], x), ";")
    with pytest.raises(
        DataError, match=r"without thousands marks, or say that commas .* \(decimal=',', --decimal ,\)"
    ):
        read_panel(path, target="y")
    path = write(tmp_path / "t.csv", ["time", "y", "x"], rows_of(["1,5", *y[1:]], x), ";")
    with pytest.raises(DataError, match=r"a decimal point, or say that commas are .* --decimal ,\)"):
        read_panel(path, target="y")
    # A whole column of points is no column of words either.
    path = write(tmp_path / "t.csv", ["time", "y", "x"], rows_of(with_commas(y), x), ";")
    with pytest.raises(DataError, match="column 'x' must hold a number"):
        read_panel(path, target="y", decimal=",")
    # Nor is a counted row of 1.000 the first one.
    path.write_text("t;y\n" + "".join(f"{k}.000;{v}\n" for k, v in enumerate(with_commas(y))))
    with pytest.raises(BpttError, match=r"[01]\.000"):
        read_panel(path, target="y", time="t", decimal=",")


def test_a_table_in_commas_that_part_columns_too(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,y\n2013-01-01,1,5\n2013-01-02,2,5\n")
    with pytest.raises(
        DataError, match=r"2 fields like the header\. Got 3: .*in quotes, or part the columns by semi"
    ):
        read_panel(path, target="y", decimal=",")
    path.write_text("y\n1,5\n2,5\n4\n")  # one column: the comma can only be a decimal mark
    assert read_panel(path, decimal=",").panel.lines[0].y.tolist() == [1.5, 2.5, 4.0]


def test_read_table_and_the_mark_itself(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;2\n,25;-3,125\n")
    assert read_table(path, decimal=",").values.tolist() == [[1.5, 2.0], [0.25, -3.125]]
    with pytest.raises(InvalidInput, match="decimal must be one of"):
        read_panel(path, target="a", decimal=";")
    with pytest.raises(InvalidInput, match="decimal must be one of"):
        Forecaster(decimal="comma")


def test_a_model_keeps_the_mark_and_what_was_left_out(tmp_path):
    y, x = numbers(6)
    path = write(tmp_path / "c.csv", ["time", "y", "x"], rows_of(with_commas(y), with_commas(x)), ";")
    settings = {
        "target": "y",
        "decimal": ",",
        "without": "x",
        "recipe": Recipe(ensemble=1, hidden=3, updates=20),
    }
    model = Forecaster(**settings).fit(path, progress=False)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert (again.asked.decimal, again.asked.without) == (",", "x")
    assert again._source.layout.left_out == {"x": "as asked"}
    # Without the column that was left out, or with words in it.
    rows = [f"{time};{value}" for time, value, _ in rows_of(with_commas(y), x)]
    later = tmp_path / "later.csv"
    later.write_text("\n".join(["time;y", *rows]) + "\n")
    assert np.array_equal(again.predict(later)["y_hat"], model.predict()["y_hat"])
    points = write(tmp_path / "p.csv", ["time", "y", "x"], rows_of(y, ["?"] * ROWS), ";")
    data = read_panel(points, layout=again._source.layout, decimal=".", horizon=1)
    assert np.array_equal(again.predict(data)["y_hat"], model.predict()["y_hat"])
    with pytest.raises(DataError, match="line 2, column 'y' must hold a number"):
        again.predict(points)


def test_columns_left_out_are_not_looked_at(tmp_path):
    y, x = numbers(7)
    path = tmp_path / "t.csv"
    # Left out: another time that would be taken for it, and a column that would be refused.
    lines = [f"{t};2013-01-0{k % 9 + 1};{a};1,5;{b}" for k, (t, a, b) in enumerate(rows_of(y, x))]
    path.write_text("\n".join(["when;date;y;price;x", *lines]) + "\n")
    found = read_panel(path, target="y", without=["date", "price"])
    assert found.layout.time == ("when",)
    assert found.panel.past == ("x",)
    assert dict(found.layout.left_out) == {"date": "as asked", "price": "as asked"}
    for without, told in (
        ("rain", "must have the column 'rain'"),
        ("y", "without must not name the target"),
        (3, "without must be"),
    ):
        with pytest.raises(BpttError, match=told):
            read_panel(path, target="y", without=without)
    with pytest.raises(InvalidInput, match="must name no column that has a role already"):
        read_panel(path, target="y", inputs="x", without="x")


def test_a_clock_beside_the_date_by_any_name(tmp_path):
    y, _ = numbers(8)
    path = tmp_path / "t.csv"
    rows = [f"{t[:10]};{t[11:]};{v}" for t, v, _ in rows_of(y, y, days=True)]
    path.write_text("\n".join(["Datum;Uhrzeit;y", *rows]) + "\n")
    found = read_panel(path, target="y")
    assert found.layout.time == ("Datum", "Uhrzeit")
    assert found.layout.group == ()
    assert found.panel.lines[0].times[0] == np.datetime64("2013-03-29T05:00:00")
    assert np.array_equal(found.panel.lines[0].y, np.array(y, float))


def test_files_of_before_there_was_a_choice_are_read(tmp_path):
    y, x = numbers(9)
    path = write(tmp_path / "p.csv", ["time", "y", "x"], rows_of(y, x), ",")
    model = Forecaster(target="y", recipe=Recipe(ensemble=1, hidden=3, updates=20)).fit(path, progress=False)
    file = model.save(tmp_path / "m.safetensors")
    header = read_header(file)
    arrays = read_arrays(file, header)
    config = header.description["config"]
    del config["asked"]["without"], config["asked"]["decimal"], config["source"]["layout"]["decimal"]
    write_model(file, arrays, header.description)
    again = load(file)
    assert (again.asked.without, again.asked.decimal, again._source.layout.decimal) == (None, ".", ".")
    assert np.array_equal(again.predict(path)["y_hat"], model.predict()["y_hat"])
    for name, value in (("decimal", ";"), ("without", 3)):
        config["asked"] |= {"without": None, "decimal": ".", name: value}
        write_model(file, arrays, header.description)
        with pytest.raises(FileFormatError, match=f"asked.{name} must be a"):
            load(file)


@pytest.mark.parametrize("places", [1, 2])
def test_the_hour_of_sunrise_is_no_part_of_the_date(tmp_path, places):
    """Once a day in every series: rows of days stay rows of days."""
    days = np.datetime64("2021-01-01") + np.arange(60)
    rows = [
        f"{day},{'ab'[k]},{400 - t // 2:03d},05:{t % 60:02d},{t % 7 + k}"
        for t, day in enumerate(days)
        for k in range(places)
    ]
    path = tmp_path / "days.csv"
    path.write_text("\n".join(["date,place,pressure,sunrise,y", *rows]) + "\n")
    found = read_panel(path, target="y")
    assert found.layout.time == ("date",)
    assert found.layout.timedelta == np.timedelta64(86400, "s")
    np.testing.assert_array_equal(found.panel.lines[0].times, days.astype("datetime64[s]"))
