"""Which weather is chosen, why, and what a file of one's own must be."""

import numpy as np
import pytest

from bptt.data import cache_folder, load_weather
from bptt.data.weather.nyc import FILE as NYC_FILE
from bptt.errors import DataError, FileMissing, InvalidInput, InvalidType


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Let the Beijing file be in no place that is looked at."""
    monkeypatch.setenv("BPTT_OFFLINE", "1")
    monkeypatch.delenv("BPTT_DATA_DIR", raising=False)
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path, rng):
    """Return a function that writes hourly rows to mine.csv, some lines replaced, and returns path and numbers."""

    def to_file(rows, *, header="time,TEMP,wind,word", replaced=None, hours=None):
        values = np.round(rng.normal(size=(rows, 2)), 6)
        first = np.datetime64("2021-03-01T00:00")
        moments = [first + np.timedelta64(int(k), "h") for k in (range(rows) if hours is None else hours)]
        lines = [header]
        lines += [f"{t},{float(a)!r},{float(b)!r},x" for t, (a, b) in zip(moments, values, strict=True)]
        for line, text in (replaced or {}).items():
            lines[line - 1] = text
        path = tmp_path / "mine.csv"
        path.write_text("\n".join(lines) + "\n")
        return path, values

    return to_file


def said(kind, *arguments, **options):
    with pytest.raises(kind) as caught:
        load_weather(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_embedded_data_are_there_for_the_asking(nowhere):
    data = load_weather("nyc")
    assert (data.name, data.title) == ("nyc", "New York LaGuardia 2013")
    assert data.columns == ("DEWP", "TEMP", "PRES", "HUMID", "WIND", "PRECIP")
    assert (data.target, data.target_index, data.unit) == ("TEMP", 1, "deg C")
    assert (data.values.shape, data.days, data.times.shape) == ((8_712, 6), 363, (8_712,))
    assert data.chosen_because == "the embedded New York data, as asked for"
    assert data.notes == (
        "24 missing hours and missing values (963 of PRES) filled with the last ones known",
    )
    assert "CC0" in data.source
    assert data.clock == "Eastern standard time"
    assert data.sha256 in (NYC_FILE.parent / "PROVENANCE.md").read_text(encoding="utf-8")


def test_auto_takes_the_embedded_data_where_beijing_cannot_be_had_and_says_why(nowhere):
    data = load_weather()
    assert data.name == "nyc"
    assert data.chosen_because == (
        "the embedded New York data, because the Beijing file is not in BPTT_DATA_DIR (not set) and not in the cache "
        f"({cache_folder()}), and BPTT_OFFLINE=1 forbids its download"
    )


def test_auto_does_not_stumble_over_another_file_of_that_name(nowhere, tmp_path, monkeypatch):
    (tmp_path / "pollution.csv").write_text("a\n1\n")
    monkeypatch.setenv("BPTT_DATA_DIR", str(tmp_path))
    data = load_weather("auto")
    assert data.name == "nyc"
    assert f"because {tmp_path / 'pollution.csv'} must have the sha256 " in data.chosen_because


def test_beijing_is_an_error_where_it_cannot_be_had(nowhere):
    assert said(DataError, "beijing").endswith("or use the embedded data (nyc)")


@pytest.fixture
def beijing_file(data_file):
    """Return the path of the lab's file; to be asked for before `nowhere` hides it."""
    return data_file("beijing_pm25.csv")


@pytest.mark.parametrize("choice", ["auto", "beijing", "path"])
def test_beijing_where_it_is_at_hand(beijing_file, nowhere, monkeypatch, choice):
    path = beijing_file
    if choice != "path":
        monkeypatch.setenv("BPTT_DATA_DIR", str(path.parent))
    data = load_weather(path if choice == "path" else choice)
    assert (data.name, data.title) == ("beijing", "Beijing 2010-2014")
    assert data.values.shape == (42_984, 6)
    assert (data.target, data.unit) == ("TEMP", "deg C")
    assert "CC BY 4.0" in data.source
    where = f"from {path}, known by its checksum" if choice == "path" else f"found in BPTT_DATA_DIR ({path})"
    assert data.chosen_because == f"the lab's Beijing data, {where}"


def test_another_target_and_fewer_columns(nowhere):
    data = load_weather("nyc", "WIND", columns=["TEMP", "WIND"])
    assert (data.columns, data.target, data.target_index, data.unit) == (("TEMP", "WIND"), "WIND", 1, "m/s")
    assert np.array_equal(data.values, load_weather("nyc").values[:, [1, 4]])


def test_a_file_of_ones_own_is_cut_to_whole_days(write):
    path, values = write(24 * 3 + 5)
    data = load_weather(path, "wind")
    assert (data.name, data.title, data.columns) == ("mine", "mine.csv", ("TEMP", "wind"))
    assert np.array_equal(data.values, values[:72])
    assert (data.target, data.unit, data.clock) == ("wind", "units of wind", "as in the file")
    assert np.array_equal(
        data.times, np.datetime64("2021-03-01T00:00:00") + np.arange(72) * np.timedelta64(1, "h")
    )
    assert data.chosen_because == f"the file {path}, as asked for"
    assert data.notes == ("columns without numbers left out: word",)
    assert load_weather(str(path)).target == "TEMP"


def test_decimal_commas(write, tmp_path):
    path, values = write(48)
    commas = tmp_path / "commas.csv"
    commas.write_text(path.read_text().replace(",", ";").replace(".", ","))
    assert np.array_equal(load_weather(commas, decimal=",").values, values)
    with pytest.raises(DataError, match="say that commas are decimal marks"):
        load_weather(commas)
    with pytest.raises(InvalidInput, match=r"decimal must be one of .*Got ';'"):
        load_weather(commas, decimal=";")


def test_a_row_without_a_time_is_a_fault_and_a_column_without_one_is_not(write):
    path, _ = write(48, replaced={49: "later,1.5,2.5,x"})
    assert said(DataError, path).startswith(f"{path}, line 49, column 'time' must hold a time")
    path, _ = write(48, replaced={k: f"hour {k},{k}.5,2.5,x" for k in range(2, 50)})
    data = load_weather(path)
    assert data.times is None
    assert data.values[1].tolist() == [3.5, 2.5]
    assert data.notes[0].startswith(
        f"rows are taken to be hourly: {path}, line 2, column 'time' must hold a time"
    )
    assert data.notes[1] == "columns without numbers left out: time, word"


def test_a_missing_file(tmp_path):
    assert (
        said(FileMissing, tmp_path / "no.csv")
        == f"path must name a file that exists. Got {tmp_path / 'no.csv'}"
    )
    assert said(FileMissing, "bejing") == "path must name a file that exists. Got bejing"
    assert said(InvalidType, 3) == "data must be auto, nyc, beijing or a path. Got 3"


def test_a_missing_target(write):
    path, _ = write(48, header="time,temperature,wind,word")
    assert said(DataError, path) == (
        f"target must be a column of numbers of {path}. Got 'TEMP', and the columns temperature, wind: name the one to "
        "forecast (target=, --target)"
    )
    assert "Got 'rain', and the columns" in said(DataError, path, "rain")
    assert load_weather(path, "temperature").target_index == 0


def test_a_missing_column(write):
    path, _ = write(48)
    assert said(DataError, path, columns=["TEMP", "rain"]) == (
        f"{path} must have the column 'rain'. Got the columns time, TEMP, wind, word"
    )


def test_text_in_a_number_column(write):
    path, _ = write(48, replaced={30: "2021-03-02T04:00,1.5,calm,x"})
    assert f"{path}, line 30, column 'wind' must hold a number. Got 'calm': " in said(DataError, path)
    assert load_weather(path, columns=["TEMP"]).columns == ("TEMP",)


def test_a_missing_value(write):
    path, _ = write(48, replaced={30: "2021-03-02T04:00,1.5,,x"})
    assert said(DataError, path).startswith(
        f"{path}, column 'wind' must have a number in every row. Got 1 of 48 missing, the first in row 29: "
    )


def test_a_missing_hour_and_rows_that_are_not_hourly(write):
    path, _ = write(48, hours=[*range(10), *range(12, 50)])
    assert "Got 2 missing, the first at 2021-03-01T10:00:00: fill them first" in said(DataError, path)
    path, _ = write(48, hours=range(0, 96, 2))
    assert f"{path} must have rows 1 hours apart. Got 47 missing" in said(DataError, path)


def test_less_than_a_day(write):
    path, _ = write(23)
    assert said(DataError, path) == f"{path} must have at least one day of 24 hourly rows. Got 23 rows"


def test_parquet(write, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    path, values = write(48)
    parquet.write_table(csv.read_csv(path), tmp_path / "mine.parquet")
    data = load_weather(tmp_path / "mine.parquet")
    assert (data.columns, data.name) == (("TEMP", "wind"), "mine")
    assert np.array_equal(data.values, values)
    assert data.times[1] == np.datetime64("2021-03-01T01:00:00")
