"""What a report cannot be made of is refused in one line."""

import pytest

from bptt.errors import FileFormatError, InvalidInput, InvalidType
from bptt.report import (
    Equations,
    Picture,
    Section,
    TableBlock,
    Text,
)
from tests.report.html_pages import DARK, LIGHT, TABLE, page

CUT = LIGHT[:-6]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: Text("x", tone="loud"),
            InvalidInput,
            r"tone must be one of plain, note, warning. Got 'loud'",
        ),
        (lambda: TableBlock((), ()), InvalidInput, r"headers must name at least C = 1 column"),
        (
            lambda: TableBlock(("a", "b"), (("1", "2"), ("1",))),
            InvalidInput,
            r"rows must each have C = 2 cells, as headers has. Got 1 in row 1",
        ),
        (
            lambda: TableBlock(("a",), (("1",),), highlight=(1,)),
            InvalidInput,
            r"highlight must lie in 0..0. Got 1",
        ),
        (
            lambda: TableBlock(("a",), (("1",),), losing=(-1,)),
            InvalidInput,
            r"losing must lie in 0..0. Got -1",
        ),
        (
            lambda: TableBlock(("a",), (("1",),), numeric=(2,)),
            InvalidInput,
            r"numeric must lie in 0..0. Got 2",
        ),
        (lambda: Picture(LIGHT, " "), InvalidInput, r"alt must say what the picture shows"),
        (
            lambda: Picture(b"GIF89a", "a"),
            FileFormatError,
            r"light must be the bytes of a PNG. Got 6 bytes that",
        ),
        (lambda: Picture("x.png", "a"), FileFormatError, r"light must be the bytes of a PNG. Got str"),
        (
            lambda: Picture(LIGHT, "a", dark=b""),
            FileFormatError,
            r"dark must be the bytes of a PNG. Got 0 bytes",
        ),
        (
            lambda: Picture(CUT, "a"),
            FileFormatError,
            rf"light must be a whole PNG. Got {len(CUT)} bytes without",
        ),
        (
            lambda: Picture(LIGHT, "a", narrow_dark=DARK),
            InvalidInput,
            r"dark must be given where narrow_dark is",
        ),
        (lambda: Equations(()), InvalidInput, r"lines must hold at least 1 formula. Got none"),
        (lambda: Section("", ()), InvalidInput, r"title of a section must not be empty"),
        (
            lambda: Section("S", ("text",)),
            InvalidType,
            r"blocks must be Text, TableBlock, Picture, Chart, Equations or Code. Got str",
        ),
        (lambda: page(("text",)), InvalidType, r"sections must hold Section objects. Got str"),
        (lambda: page(title=" "), InvalidInput, r"title must not be empty"),
    ],
)
def test_bad_input(make, kind, message):
    with pytest.raises(kind, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_blocks_are_frozen():
    with pytest.raises(AttributeError):
        TABLE.caption = "other"
