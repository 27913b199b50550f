"""Awkward files: read to the last bit, or refused in one line that names the place."""

from __future__ import annotations

import contextlib
import gzip
import os
import threading

import numpy as np
import pytest

from bptt.data import read_table
from bptt.data.tables import csv_file
from bptt.data.tables.frames import make_frame, with_index
from bptt.data.tables.reading import read_file
from bptt.errors import BpttError, DataError, FileFormatError, FileMissing

TEXT = "a,b\n1.5,2\n3.5,4\n"


@pytest.fixture
def told(tmp_path):
    """Return a function that writes a file and returns the one line that reading it raises."""

    def read(content, kind=DataError, **options):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(kind) as caught:
            read_table(path, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_says_its_encoding_is_read(tmp_path, encoding):
    path = tmp_path / "data.csv"
    path.write_bytes(TEXT.replace("b", "ü").encode(encoding))
    table = read_table(path)
    assert table.columns == ("a", "ü")
    assert table.values.tolist() == [[1.5, 2], [3.5, 4]]


def test_nul_bytes_and_unmarked_utf16(told):
    assert told(TEXT.replace("3.5", "3\0"), FileFormatError).startswith(
        "data.csv, line 3 must be text. Got a NUL byte"
    )
    assert "line 1 must be text. Got a NUL byte" in told(TEXT.encode("utf-16-le"), FileFormatError)
    assert "must be UTF-16 text" in told(TEXT.encode("utf-16")[:-1], FileFormatError)


@pytest.mark.parametrize(
    "entry", ["1 234", "12 %", "$5", "(3)", "−3", "1.5D+02", "1.234.567", "1'234", "1,5", "12,345,678"]
)
def test_a_column_of_numbers_in_a_dress_is_not_dropped_as_text(told, entry):
    rows = "".join(f'"{entry}",{k}\n' for k in range(3))
    assert told(f"a,b\n{rows}").startswith(
        f"data.csv, line 2, column 'a' must hold a number. Got {entry!r}: write "
    )


@pytest.mark.parametrize("mark", ["-", "--", ".", "?", "#N/A", "#VALUE!", "missing", "k.A.", '="7.5"'])
def test_numbers_among_marks_of_missing_ones_are_no_words(told, mark):
    # They were left out as text, or taken for 32 kinds of weather.
    rows = "".join(f"{k}.5,{mark if k % 3 else f'{k}.25'}\n" for k in range(1, 31))
    assert told(f"a,b\n{rows}").startswith(f"data.csv, line 2, column 'b' must hold a number. Got {mark!r}: ")


@pytest.mark.parametrize("word", ["Total", "average:", "SUM", "Mittelwert"])
def test_sums_under_the_columns_are_no_row(tmp_path, told, word):
    rows = "".join(f"A,{k}.5\n" for k in range(20))
    assert told(f"station,y\n{rows}{word},9\n").startswith(
        f"data.csv, line 22, column 'station' must be of a row like the others. Got {word!r}: take the row out"
    )
    path = tmp_path / "data.csv"
    path.write_text(f"station,y\n{word},9\n{rows}{word},9\n")  # a name like others
    assert len(read_table(path)) == 22


@pytest.mark.parametrize("words", ["-,", "x,1", "sun,-", "a,b,1.5"])
def test_words_among_marks_of_missing_ones_stay_words(tmp_path, words):
    some = words.split(",")
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "".join(f"{k},{some[k % len(some)]}\n" for k in range(2, 13)))
    assert read_table(path).dropped == ("b",)


@pytest.mark.parametrize("entry", ["1e999", "9007199254740993", "-1e400"])
def test_what_no_float_holds_is_refused(told, entry):
    assert f"line 3, column 'b' must hold a number. Got '{entry}'" in told(f"a,b\n1,2\n3,{entry}\n4,5\n")
    assert np.isinf(read_table({"b": [float("inf"), 1.0]}).values[0, 0])  # said outright, it is a value


def test_whole_numbers_of_frames_keep_their_digits():
    with pytest.raises(DataError, match=r"row 2, column 'n' must hold a number. Got 9007199254740993"):
        read_table({"n": np.array([1, 2**53 + 1])})
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install polars")
    with pytest.raises(DataError, match="Got 9007199254740993"):
        read_table(polars.DataFrame({"n": [1, 2**53 + 1]}))
    assert read_table({"n": np.array([1, 2**60])}).values[1, 0] == 2.0**60


def test_headers(told):
    assert "must begin with a line of column names. Got values" in told(
        "2013-01-01 00:00,1.5\n2013-01-01 01:00,2\n"
    )
    assert "must name each column once. Got '1' 2 times" in told("a,1,1\n2,3,4\n")


def test_a_comma_within_quotes_is_the_names_own(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('"x, in m";b\n1;2\n')
    assert read_table(path).columns == ("x, in m", "b")


def test_a_million_columns_do_not_hang(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{k}" for k in range(100_000)) + "\n" + ",".join(["1"] * 100_000) + "\n")
    assert read_table(path).values.shape == (1, 100_000)
    with pytest.raises(DataError) as caught:
        read_table(path, columns=["x"])
    assert len(str(caught.value)) < 1000


def test_devices_and_endless_pipes_end(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="which has no end"):
        read_file("/dev/zero")
    monkeypatch.setattr("bptt.data.tables.reading.LARGEST", 1 << 20)
    monkeypatch.setattr(csv_file, "LARGEST", 1 << 20)
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(gzip.compress(b"1,2\n" * (1 << 19)))
    with pytest.raises(DataError, match="must unpack to at most"):
        read_table(bomb)
    sparse = tmp_path / "sparse.csv"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="must have at most"):
        read_table(sparse)
    pipe, end = os.pipe()
    try:
        os.write(end, b"a,b\n1,2\n")
        os.close(end)
        assert read_file(f"/dev/fd/{pipe}") == b"a,b\n1,2\n"
    finally:
        os.close(pipe)
    with pytest.raises(FileMissing):
        read_file(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_that_never_ends_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("bptt.data.tables.reading.LARGEST_PIPED", 1 << 20)
    monkeypatch.setattr("bptt.data.tables.reading._PIECE", 1 << 16)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write_on() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb") as file:
            while True:
                file.write(b"1,2\n" * 1000)

    writer = threading.Thread(target=write_on)
    writer.start()
    with pytest.raises(DataError) as caught:
        read_table(pipe)
    writer.join(30)
    assert not writer.is_alive()
    assert str(caught.value) == (
        f"{pipe} must bring at most 1 MiB, being a pipe. Got more: write it to a file first"
    )


def test_members_of_a_gzip_file_follow_one_another(tmp_path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert read_table(path).values.tolist() == [[1, 2], [3, 4]]


def test_parts_of_a_second_are_not_cut_off():
    with pytest.raises(DataError, match="row 2, column 't' must hold whole seconds"):
        read_table(
            {"t": np.array(["2013-01-01T00:00:00.0", "2013-01-01T00:00:01.5"], "M8[ms]"), "a": [1, 2]},
            time="t",
        )


def test_the_index_of_pandas_becomes_columns():
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2013-01-01", periods=3)
    assert list(with_index(pandas.DataFrame({"y": [1, 2, 3]}, index=days)).columns) == ["time", "y"]
    assert list(with_index(pandas.Series([1, 2, 3], index=days.rename("day"), name="y")).columns) == [
        "day",
        "y",
    ]
    assert list(with_index(pandas.DataFrame({"y": [1, 2, 3]}, index=days.to_period("D"))).columns) == [
        "time",
        "y",
    ]
    plain = pandas.DataFrame({"y": [1, 2, 3]})
    assert with_index(plain) is plain
    with pytest.raises(BpttError, match="must name each column once"):
        read_table(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_frames_are_made_with_their_zone(kind):
    pytest.importorskip(kind)
    times = np.array(["2013-07-01T00:00:00", "2013-07-01T01:00:00"], "M8[s]")
    frame = make_frame(kind, {"ds": times, "y": np.array([1.5, 2.5])}, {"ds": "Europe/Berlin"})
    table = read_table(frame, time="ds")
    assert np.array_equal(table.times, times)
    assert table.values.tolist() == [[1.5], [2.5]]
