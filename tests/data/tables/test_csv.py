"""CSV files: what is read, and what each fault says."""

import gzip
import hashlib

import numpy as np
import pytest

from bptt.data import read_table
from bptt.errors import DataError, FileFormatError, FileMissing, InvalidType


@pytest.fixture
def write(tmp_path):
    """Return a function that writes text or bytes to data.csv and returns its path as text."""

    def to_file(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return to_file


def message(source, kind=DataError, **options):
    """Return the one line that reading `source` raises, its path shortened to the file's name."""
    with pytest.raises(kind) as caught:
        read_table(source, **options)
    text = str(caught.value)
    assert "\n" not in text
    folder = str(source).rpartition("/")[0]
    return text.replace(f"{folder}/", "") if folder else text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_dialect_gives_the_same_numbers(write, rng, delimiter, ending, bom, packed):
    values = rng.normal(size=(5, 3))
    lines = ["a,b,c", *(",".join(repr(float(v)) for v in row) for row in values)]
    raw = bom + "".join(line.replace(",", delimiter) + ending for line in lines).encode()
    raw = gzip.compress(raw) if packed else raw
    table = read_table(write(raw))
    assert table.columns == ("a", "b", "c")
    assert np.array_equal(table.values, values)  # to the last bit
    assert table.values.dtype == np.float64
    assert table.sha256 == hashlib.sha256(raw).hexdigest()
    assert table.dropped == ()
    assert len(table) == 5


def test_the_last_line_needs_no_ending_and_blank_lines_do_not_count(write):
    table = read_table(write("\na,b\n1,2\n\n3,4\n\n\n5,6"))
    assert table.values.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_quoted_fields_may_hold_delimiters_and_line_breaks(write):
    table = read_table(write('"a","note, long",b\n"1","x\ny",2\n3,"z",4\n'))
    assert (table.columns, table.dropped) == (("a", "b"), ("note, long",))
    assert table.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("entry", ["", "NA", "N/A", "nan", "NaN", "null", "NULL", "None", " "])
def test_missing_entries_become_nan(write, entry):
    table = read_table(write(f"a,b\n1,2\n{entry},4\n5,6\n"))
    assert np.array_equal(table.values, [[1, 2], [np.nan, 4], [5, 6]], equal_nan=True)


def test_in_a_single_column_a_blank_line_is_a_missing_value(write):
    table = read_table(write("a\n1\n\n3\n\n\n"))
    assert np.array_equal(table.column("a"), [1, np.nan, 3], equal_nan=True)


def test_the_columns_asked_for_come_in_the_order_asked_for(write):
    table = read_table(write("a,b,word,c\n1,2,x,3\n4,5,y,6\n"), columns=["c", "a"])
    assert (table.columns, table.dropped) == (("c", "a"), ())
    assert table.values.tolist() == [[3, 1], [6, 4]]


def test_text_and_unnamed_columns_are_left_out_and_listed_when_no_columns_are_asked_for(write):
    table = read_table(write(",a,word\n0,1,x\n1,2,NA\n2,3,z\n"))
    assert (table.columns, table.dropped) == (("a",), ("(unnamed)", "word"))


def test_a_column_of_missing_values_is_one_of_numbers(write):
    table = read_table(write("a,b\n1,\n2,NA\n"))
    assert table.columns == ("a", "b")
    assert np.isnan(table.column("b")).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["2013-03-01", "2013-03-02", "2013-03-10"],
        ["2013-03-01T00:00Z", "2013-03-02T00:00Z", "2013-03-10T00:00Z"],
        ["2013-03-01 00:00:00", "2013-03-02 00:00:00", "2013-03-10 00:00:00"],
        ["2013-03-01T02:00+02:00", "2013-03-01T19:00:00-05:00", "2013-03-10T00:00Z"],
        ["20130301T0000", "20130302T0000", "20130310T0000"],
    ],
)
def test_times_are_read_as_utc(write, texts):
    rows = "".join(f"{text},{k}\n" for k, text in enumerate(texts))
    table = read_table(write(f"when,a\n{rows}"), time="when")
    wanted = np.array(["2013-03-01", "2013-03-02", "2013-03-10"], "datetime64[s]")
    assert table.columns == ("a",)
    assert table.dropped == ()
    assert table.times.dtype == wanted.dtype
    assert np.array_equal(table.times, wanted)


def test_a_table_selects_columns_and_rows_and_cannot_be_written_to(write):
    table = read_table(write("t,a,b,c\n2013-01-01,1,2,3\n2013-01-02,4,5,6\n2013-01-03,7,8,9\n"), time="t")
    part = table.select(["c", "b"]).rows(slice(1, 3))
    assert part.columns == ("c", "b")
    assert part.values.tolist() == [[6, 5], [9, 8]]
    assert part.times.tolist() == table.times.tolist()[1:]
    assert (part.source, part.sha256) == (table.source, table.sha256)
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 0.0
    with pytest.raises(DataError, match=r"must have the column 'd'. Got the columns a, b, c$"):
        table.column("d")
    with pytest.raises(
        InvalidType, match=r"^columns must be a sequence of at least one column name. Got 'a'$"
    ):
        table.select("a")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileMissing) as caught:
        read_table(tmp_path / "none.csv")
    assert str(caught.value) == f"path must name a file that exists. Got {tmp_path / 'none.csv'}"
    with pytest.raises(FileMissing) as caught:
        read_table(tmp_path)
    assert str(caught.value) == f"path must name a file. Got the folder {tmp_path}"


def test_a_file_that_cannot_be_read(write, monkeypatch):
    path = write("a\n1\n")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert message(path) == "data.csv must be readable. Got: Permission denied"


def test_a_missing_column_lists_those_there_are(write):
    path = write(",a,b\n0,1,2\n")
    assert (
        message(path, columns=["a", "TEMP"]) == "data.csv must have the column 'TEMP'. Got the columns a, b"
    )
    assert message(path, time="when") == "data.csv must have the column 'when'. Got the columns a, b"


@pytest.mark.parametrize(
    ("columns", "kind", "said"),
    [
        ("a", InvalidType, "columns must be a sequence of at least one column name. Got 'a'"),
        ([], InvalidType, "columns must be a sequence of at least one column name. Got []"),
        ([1], InvalidType, "columns must be column names. Got 1"),
        (["a", "b", "a"], DataError, "columns must name each column once. Got 'a' twice"),
    ],
)
def test_columns_must_be_names(write, columns, kind, said):
    assert message(write("a,b\n1,2\n"), kind, columns=columns) == said


CORRECT = "correct it, leave it empty if it is missing, or name the columns to use (columns=, --columns)"


@pytest.mark.parametrize(
    ("text", "line", "entry"),
    [
        ("a,b\n1,2\n3,oops\n5,6\n", 3, "oops"),
        ("a,b\n\n1,2\n\n3,oops\n5,6\n", 5, "oops"),
        ('a,b,c\n1,2,"x\ny"\n3,oops,z\n5,6,w\n', 4, "oops"),
        ("a,b\n1,2\n3,1_000\n5,6\n", 3, "1_000"),
        ("a,b\n1,\n3,12 mm\n5,6\n", 3, "12 mm"),
    ],
)
def test_text_in_a_number_column_names_line_column_and_text(write, text, line, entry):
    told = f"data.csv, line {line}, column 'b' must hold a number. Got {entry!r}: {CORRECT}"
    assert message(write(text), columns=["b"]) == told
    assert message(write(text)) == told
    assert read_table(write(text), columns=["a"]).columns == ("a",)  # nobody asked for b


def test_in_a_single_column_lines_are_counted_through_blank_ones(write):
    told = f"data.csv, line 4, column 'a' must hold a number. Got 'oops': {CORRECT}"
    assert message(write("a\n1\n\noops\n5\n6\n")) == told


def test_a_text_column_that_is_asked_for_is_an_error(write):
    told = f"data.csv, line 2, column 'word' must hold a number. Got 'x': {CORRECT}"
    assert message(write("a,word\n1,x\n2,y\n"), columns=["word"]) == told


def test_only_text_is_an_error(write):
    assert message(write("word\nx\ny\n")) == "data.csv must have a column of numbers. Got only 'word'"


@pytest.mark.parametrize("entry", ["1,5", "-0,25", ",5"])
def test_a_decimal_comma_is_reported_with_the_remedy(write, entry):
    told = message(write(f"a;b\n1;2,5\n3;{entry}\n"), columns=["a", "b"])
    assert told == (
        "data.csv, line 2, column 'b' must hold a number. Got '2,5': write a decimal point, or say that "
        "commas are decimal marks (decimal=',', --decimal ,)"
    )


def test_a_ragged_row(write):
    assert message(write("a,b\n1,2\n3\n")) == (
        "data.csv, line 3 must have 2 fields like the header. Got 1: '3'; complete the row, or take it out"
    )
    assert message(write("a;b\n1;2;\n3;4\n")) == (
        "data.csv, line 2 must have 2 fields like the header. Got 3: '1;2;'; put text that holds a semicolon in "
        "quotes, or take the surplus one out"
    )


def test_remarks_above_the_header(write):
    assert message(write("# exported, by x\n# kW\na,b,c\n1,2,3\n3,4,5\n")) == (
        "data.csv, line 2 must have 2 fields like the header. Got 1: '# kW'; let the first line name the columns, "
        "where '# exported,by x' stands now"
    )
    assert message(write("# by x\n\na,b\n1,2\n")) == (
        "data.csv, line 3 must have 1 field like the header. Got 2: 'a,b'; let the first line name the columns, "
        "where '# by x' stands now"
    )


@pytest.mark.parametrize(("mark", "word"), [("|", "'|'"), (" ", "blanks")])
def test_columns_parted_by_something_else(write, mark, word):
    told = message(write(f"time{mark}load\n2020{mark}5\n2021{mark}6\n"))
    assert told == (
        f"data.csv must have columns parted by commas, semicolons or tabs. Got {word}: 'time{mark}load'; "
        "save it with commas"
    )
    assert read_table(write("wind speed\n5.5\n6\n")).values.shape == (2, 1)


def test_a_header_that_names_a_column_twice(write):
    told = message(write("a,b,a\n1,2,3\n"))
    assert told == "data.csv must name each column once. Got 'a' 2 times in the header"


def test_a_file_without_header(write):
    told = message(write("1.5,2,2\n3,4,5\n"))
    assert told == (
        "data.csv must begin with a line of column names. Got numbers: '1.5, 2, 2'; put a header line above them"
    )


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file(write, text):
    assert message(write(text)) == "data.csv must have a header line and rows. Got an empty file"


def test_a_header_without_rows(write):
    assert message(write("a,b\n\n")) == "data.csv must have rows below its header. Got the header only: a, b"


def test_a_file_in_another_encoding(write):
    told = message(write("a,b\n1,2\n3,4 \xb0\n".encode("latin-1")), FileFormatError)
    assert told == "data.csv, line 3 must be UTF-8 text. Got the byte 0xb0: save the file as UTF-8"


def test_a_file_that_is_no_csv(write):
    told = message(write(b"PK\x03\x04rest", "book.xlsx"), FileFormatError)
    assert (
        told == "book.xlsx must be CSV text. Got a zip archive or an Excel sheet: export or unpack it as CSV"
    )


def test_a_damaged_gzip_file(write):
    whole = gzip.compress(b"a,b\n1,2\n" * 100)
    assert "must be a whole gzip file. Got a damaged one: " in message(write(whole[:-12]), FileFormatError)
    assert "must be a whole gzip file" in message(write(whole[:12] + b"\xff" + whole[13:]), FileFormatError)


def test_a_quote_that_is_never_closed(write):
    told = message(write('a,b\n1,"2\n3,4\n'), FileFormatError)
    assert told.startswith("data.csv, line 3 must be well-formed CSV. Got: ")


@pytest.mark.parametrize("entry", ["01.02.2013 03:00", "2013", "", "2013-13-01"])
def test_a_time_that_is_none(write, entry):
    told = message(write(f"t,a\n2013-01-01,1\n{entry},2\n"), time="t")
    assert told == (
        "data.csv, line 3, column 't' must hold a time such as 2013-01-31 06:00 (ISO 8601). "
        f"Got {entry!r}: rewrite the column, or read the file without it"
    )
