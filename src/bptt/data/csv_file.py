"""CSV files: delimiter, header and rows, every fault named by its line."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from bptt.errors import DataError, FileFormatError

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, eq=False)
class CsvFile:
    """A CSV file split into columns of text.

    Attributes
    ----------
    name : str
        For messages.
    header : tuple of str
        Column names; "" where the file has none.
    columns : list of sequences of str
        One a column, as long as there are rows.
    """

    name: str
    header: tuple[str, ...]
    columns: list[Sequence[str]]
    _text: str
    _delimiter: str

    def place(self, row: int) -> str:
        """Return the words for the place of data row `row` (0 is the first after the header)."""
        # Counted only when an error needs it: quoted line breaks and blank lines make it differ from row + 2.
        reader = _reader(self._text, self._delimiter)
        seen = -1
        for fields in reader:
            seen += bool(fields) or (len(self.header) == 1 and seen >= 0)
            if seen == row + 1:
                break
        return f"line {reader.line_num}"


def read_csv(raw: bytes, name: str) -> CsvFile:
    """Split the bytes of a CSV file, gzipped or not, into columns of text.

    Raises
    ------
    FileFormatError
        Not UTF-8 text; damaged compression or quotes.
    DataError
        No header, no rows, two columns of one name, a row with too few or too many fields.
    """
    text = _decode(raw, name)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = _delimiter(first)
    reader = _reader(text, delimiter)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise FileFormatError(
            f"{name}, line {reader.line_num} must be well-formed CSV. Got: {error}"
        ) from None
    while rows and not rows[0]:
        rows.pop(0)
    if not rows:
        raise DataError(f"{name} must have a header line and rows. Got an empty file")
    header = tuple(field.strip() for field in rows[0])
    _check_header(header, name)
    while not rows[-1]:
        rows.pop()
    if len(header) == 1:
        body = [
            row or [""] for row in rows[1:]
        ]  # in a single column a blank line is a missing value, not nothing
    else:
        body = [row for row in rows[1:] if row]
    if not body:
        raise DataError(f"{name} must have rows below its header. Got the header only: {', '.join(header)}")
    file = CsvFile(name, header, list(zip_longest(*body, fillvalue="")), text, delimiter)
    width = len(header)
    for row, fields in enumerate(body):
        if len(fields) != width:
            raise DataError(
                f"{name}, {file.place(row)} must have {width} fields like the header. Got {len(fields)}: "
                f"{_shorten(delimiter.join(fields))}"
            )
    return file


def _decode(raw: bytes, name: str) -> str:
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise FileFormatError(f"{name} must be a whole gzip file. Got a damaged one: {error}") from None
    if raw[:4] == b"PK\x03\x04":
        raise FileFormatError(
            f"{name} must be CSV text. Got a zip archive or an Excel sheet: export or unpack it as CSV"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileFormatError(
            f"{name}, line {line} must be UTF-8 text. Got the byte 0x{raw[error.start]:02x}: save the file as UTF-8"
        ) from None


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)  # the first of them, a comma, where none occurs


def _reader(text: str, delimiter: str) -> Reader:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)


def _check_header(header: Sequence[str], name: str) -> None:
    named = [field for field in header if field]
    twice = next((field for field in named if named.count(field) > 1), None)
    if twice is not None and not _is_number(twice):
        raise DataError(
            f"{name} must name each column once. Got {twice!r} {named.count(twice)} times in the header"
        )
    if all(_is_number(field) for field in header):
        raise DataError(
            f"{name} must begin with a line of column names. Got numbers: {_shorten(', '.join(header))}; "
            "put a header line above them"
        )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
