"""Tables from data frames, Parquet, dicts and structured arrays."""

import builtins
import datetime as dt

import numpy as np
import pytest

from bptt.data import read_table
from bptt.errors import DataError, FileFormatError, InvalidType

HOURS = [dt.datetime(2013, 1, 31, 22) + dt.timedelta(hours=k) for k in range(3)]
COLUMNS = {"b": [1.5, None, 3.5], "n": [1, 2, 3], "yes": [True, False, True], "word": ["x", "y", "z"]}
WANTED = [[1.5, 1, 1], [np.nan, 2, 0], [3.5, 3, 1]]


def to_pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def to_pandas_nullable(columns):
    return pytest.importorskip("pandas").DataFrame(columns).convert_dtypes()


def to_polars(columns):
    return pytest.importorskip("polars", reason="polars is not installed: pip install polars").DataFrame(
        columns
    )


def to_pyarrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


def to_dict(columns):
    return columns


@pytest.fixture(params=[to_pandas, to_pandas_nullable, to_polars, to_pyarrow, to_dict])
def frame(request):
    return request.param


def said(kind, source, **options):
    with pytest.raises(kind) as caught:
        read_table(source, **options)
    return str(caught.value)


def test_every_frame_gives_the_same_table(frame):
    table = read_table(frame(COLUMNS | {"when": HOURS}), time="when")
    assert (table.columns, table.dropped) == (("b", "n", "yes"), ("word",))
    assert np.array_equal(table.values, WANTED, equal_nan=True)
    assert table.values.dtype == np.float64
    assert np.array_equal(table.times, np.array(HOURS, "datetime64[s]"))
    assert table.sha256 is None


def test_columns_come_in_the_order_asked_for(frame):
    table = read_table(frame(COLUMNS), columns=["n", "b"])
    assert table.columns == ("n", "b")
    assert np.array_equal(table.values, [row[1::-1] for row in WANTED], equal_nan=True)


def test_a_time_that_is_not_asked_for_is_left_out_like_text(frame):
    assert read_table(frame({"n": [1, 2, 3], "when": HOURS})).dropped == ("when",)


def test_text_is_never_read_as_a_number(frame):
    columns = {"n": [1, 2, 3], "code": ["001", "002", "003"]}
    assert read_table(frame(columns)).dropped == ("code",)
    assert "row 1, column 'code' must hold a number. Got '001': " in said(
        DataError, frame(columns), columns=["code"]
    )


def test_a_missing_column_lists_those_there_are(frame):
    assert said(DataError, frame(COLUMNS), columns=["TEMP"]).endswith(
        "must have the column 'TEMP'. Got the columns b, n, yes, word"
    )


def test_a_column_of_numbers_is_no_time(frame):
    assert "column 'n' must hold times (ISO 8601 text, dates or times). Got numbers" in said(
        DataError, frame(COLUMNS), time="n"
    )


def test_times_with_a_zone_are_turned_to_utc(frame):
    zone = dt.timezone(dt.timedelta(hours=-5))
    when = [moment.replace(tzinfo=zone) for moment in HOURS]
    columns = {"n": [1, 2, 3], "when": [str(moment) for moment in when] if frame is to_dict else when}
    table = read_table(frame(columns), time="when")
    assert np.array_equal(table.times, np.array(HOURS, "datetime64[s]") + np.timedelta64(5, "h"))


def test_dates_are_times():
    frame = to_polars({"n": [1, 2], "when": [dt.date(2013, 1, 1), dt.date(2013, 1, 2)]})
    assert np.array_equal(
        read_table(frame, time="when").times, np.array(["2013-01-01", "2013-01-02"], "M8[s]")
    )


def test_a_missing_time_is_an_error():
    frame = to_polars({"n": [1, 2, 3], "when": [HOURS[0], None, HOURS[2]]})
    assert said(DataError, frame, time="when") == "frame, row 2, column 'when' must hold a time. Got none"


def test_mixed_objects_are_read_where_they_are_numbers():
    table = read_table({"a": np.array([1, None, 2.5], object)})
    assert np.array_equal(table.column("a"), [1, np.nan, 2.5], equal_nan=True)
    assert "table, row 3, column 'a' must hold a number. Got 'x'" in said(
        DataError, {"a": np.array([1, 2.5, "x"], object)}
    )


def test_structured_and_masked_arrays(rng):
    records = np.zeros(4, [("a", "f4"), ("b", "i2")])
    records["a"], records["b"] = rng.normal(size=4), [4, 3, 2, 1]
    table = read_table(records)
    assert table.columns == ("a", "b")
    assert np.array_equal(table.column("a"), records["a"].astype(np.float64))
    masked = read_table({"a": np.ma.masked_array([1, 2, 3], [False, True, False])})
    assert np.array_equal(masked.column("a"), [1, np.nan, 3], equal_nan=True)


def test_what_is_no_table():
    assert said(InvalidType, np.zeros((2, 3))) == (
        "source must have column names. Got a plain array of shape (2, 3): pass a dict of columns, {'name': "
        "column, ...}"
    )
    assert said(InvalidType, 7) == (
        "source must be a path, a data frame, a dict of columns or a structured array. Got int"
    )
    assert (
        said(DataError, {"a": [1, 2], "b": [1, 2, 3]})
        == "source must have columns of one length. Got a: 2, b: 3"
    )
    assert said(DataError, {"a": np.zeros((2, 2))}) == "column 'a' must be 1-D. Got shape (2, 2)"
    assert said(DataError, {}) == "source must have at least one column and one row. Got no column"
    assert said(DataError, to_polars({"a": []})) == (
        "source must have at least one column and one row. Got a frame of shape (0, 1)"
    )


def test_a_lazy_frame_must_be_collected():
    lazy = to_polars({"a": [1.0, 2.0]}).lazy()
    assert (
        said(InvalidType, lazy) == "source must be an eager data frame. Got a lazy one: call .collect() first"
    )


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "data.parquet"
    parquet.write_table(to_pyarrow(COLUMNS | {"when": HOURS}), path)
    table = read_table(path, time="when")
    assert (table.columns, table.dropped) == (("b", "n", "yes"), ("word",))
    assert np.array_equal(table.values, WANTED, equal_nan=True)
    assert np.array_equal(table.times, np.array(HOURS, "datetime64[s]"))
    assert table.source == str(path)
    assert len(table.sha256) == 64
    raw = path.read_bytes()
    path.write_bytes(raw[:40])
    assert said(FileFormatError, path).startswith(f"{path} must be a whole Parquet file. Got: ")


@pytest.mark.parametrize("inside", [b"\0" * 100, b"", b"\xff" * 8])
def test_a_broken_parquet_file(tmp_path, inside):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'bptt[parquet]'")
    path = tmp_path / "data.csv"
    path.write_bytes(b"PAR1" + inside + b"PAR1")
    assert said(FileFormatError, path).startswith(f"{path} must be a whole Parquet file. Got: ")


def test_parquet_without_its_reader(tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1....PAR1")
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert said(DataError, path) == (
        f"{path} is a Parquet file, which must be read by pyarrow. Got no pyarrow: pip install 'bptt[parquet]'"
    )
