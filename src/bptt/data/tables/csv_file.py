"""CSV files: delimiter, header and rows, every fault named by its line."""

from __future__ import annotations

import codecs
import csv
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from bptt.data.tables.parsing import is_missing
from bptt.errors import DataError, FileFormatError

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t")
_WORDS = {",": "comma", ";": "semicolon", "\t": "tab"}
# What stands before the sums or means of a column, in its last row.
_SUMS = frozenset(
    ("total", "totals", "grand total", "subtotal", "sum", "average", "avg", "mean", "min", "max", "minimum", "maximum",
     "count", "std", "summe", "gesamt", "mittelwert", "durchschnitt", "somme", "moyenne", "suma", "promedio", "totale",
     "media"),
)  # fmt: skip
# Of fewer rows the last one may be called anything.
_FEW_ROWS = 10
# Rows that tell how a file is parted, where its header does not fit them.
_LOOKED_AT = 20
# What one table may take in memory, unpacked: a small gzip file can hold a very large one.
LARGEST = 2 << 30
# How an entry of a time column begins; no column is called so.
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{4}", re.ASCII)
# Other writings of Unicode that say so in their first bytes. UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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


def read_csv(raw: bytes, name: str, *, decimal: str = ".") -> CsvFile:
    """Split the bytes of a CSV file, gzipped or not, into columns of text.

    Where the decimal mark is a comma, commas part columns only if neither semicolon nor tab does.

    Raises
    ------
    FileFormatError
        Not UTF-8 text; damaged compression or quotes.
    DataError
        No header, no rows, two columns of one name, a row with too few or too many fields.
    """
    text = _decode(raw, name)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = _delimiter(first, decimal)
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
    _check_widths(file, body, decimal)
    _check_sums(file)
    return file


def _check_widths(file: CsvFile, body: list[list[str]], decimal: str) -> None:
    """Raise where a row has other fields than the header, with what is the likeliest reason."""
    width, mark = len(file.header), file._delimiter
    if width == 1:
        for other, word in (("|", "'|'"), (" ", "blanks")):
            count = file.header[0].count(other)
            if count and all(
                len(row) == 1 and row[0].strip().count(other) == count for row in body[:_LOOKED_AT]
            ):
                raise DataError(
                    f"{file.name} must have columns parted by commas, semicolons or tabs. "
                    f"Got {word}: {_shorten(file.header[0])}; save it with commas"
                )
    odd = next((row for row, fields in enumerate(body) if len(fields) != width), None)
    if odd is None:
        return
    got = len(body[odd])
    told = f"{got}: {_shorten(mark.join(body[odd]))}"
    if mark == decimal:
        told += "; put numbers with a decimal comma in quotes, or part the columns by semicolons"
    elif sum(len(fields) == width for fields in body[:_LOOKED_AT]) * 2 < len(body[:_LOOKED_AT]):
        told += f"; let the first line name the columns, where {_shorten(mark.join(file.header))} stands now"
    elif got > width:
        told += f"; put text that holds a {_WORDS[mark]} in quotes, or take the surplus one out"
    else:
        told += "; complete the row, or take it out"
    fields = "field" if width == 1 else "fields"
    raise DataError(f"{file.name}, {file.place(odd)} must have {width} {fields} like the header. Got {told}")


def _check_sums(file: CsvFile) -> None:
    """Raise where the last row is the sums or means of the others, which a spreadsheet puts under its columns."""
    for name, column in zip(file.header, file.columns, strict=True):
        last = column[-1].strip()
        if last.lower().rstrip(":") in _SUMS and last not in column[:-1] and len(column) > _FEW_ROWS:
            raise DataError(
                f"{file.name}, {file.place(len(column) - 1)}, column {name!r} must be of a row like the others. "
                f"Got {last!r}: take the row out, if it holds sums or means of the others"
            )


def _decode(raw: bytes, name: str) -> str:
    if raw[:2] == b"\x1f\x8b":
        raw = _unpack(raw, name)
    if raw[:4] == b"PK\x03\x04":
        raise FileFormatError(
            f"{name} must be CSV text. Got a zip archive or an Excel sheet: export or unpack it as CSV"
        )
    encoding = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        kind = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise FileFormatError(
            f"{name}, line {line} must be {kind} text. Got the byte 0x{raw[error.start]:02x}: save the file as UTF-8"
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise FileFormatError(
            f"{name}, line {line} must be text. Got a NUL byte: the file is damaged, or UTF-16 without its mark; "
            "save it as UTF-8"
        )
    return text


def _unpack(raw: bytes, name: str) -> bytes:
    """Unpack a gzip file of one or more members, never beyond the size that a table may have."""
    parts: list[bytes] = []
    room, rest = LARGEST, raw
    while rest:
        worker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = worker.decompress(rest, room + 1)
        except zlib.error as error:
            raise FileFormatError(f"{name} must be a whole gzip file. Got a damaged one: {error}") from None
        room -= len(part)
        if room < 0:
            raise DataError(
                f"{name} must unpack to at most {LARGEST >> 30} GiB. Got more: cut the table into parts"
            )
        if not worker.eof:
            raise FileFormatError(f"{name} must be a whole gzip file. Got a damaged one: its end is missing")
        parts.append(part)
        rest = worker.unused_data.lstrip(b"\0")  # padding after the last member is allowed
    return b"".join(parts)


def _delimiter(header: str, decimal: str = ".") -> str:
    # Within quotes it is a name's own comma. The first of them, a comma, where none occurs.
    count = re.sub(r'"[^"]*"', "", header).count
    if decimal != ",":
        return max(DELIMITERS, key=count)
    best = max(DELIMITERS[1:], key=count)
    # Names may hold commas; and the one column of a file may hold decimal commas.
    return best if count(best) or not count(",") else ","


def _reader(text: str, delimiter: str) -> Reader:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)


def _check_header(header: Sequence[str], name: str) -> None:
    if all(_is_value(field) for field in header):
        what = "numbers" if all(map(_is_number, header)) else "values"
        raise DataError(
            f"{name} must begin with a line of column names. Got {what}: {_shorten(', '.join(header))}; "
            "put a header line above them"
        )
    counts = Counter(field for field in header if field)
    twice = next((field for field, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DataError(
            f"{name} must name each column once. Got {twice!r} {counts[twice]} times in the header"
        )


def _is_value(field: str) -> bool:
    return _is_number(field) or is_missing(field) or _DATE.match(field) is not None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
