"""What a report is made of: sections of text, tables, pictures, charts with sliders, formulas and code."""

from __future__ import annotations

from dataclasses import dataclass

from bptt.errors import InvalidInput, InvalidType
from bptt.report.formula import to_mathml
from bptt.report.png import png_size
from bptt.report.sliders import Chart


@dataclass(frozen=True)
class Text:
    """Paragraphs, parted by blank lines.

    Attributes
    ----------
    text : str
        Plain text; nothing in it is read as markup.
    tone : "plain", "note" or "warning"
        A note or a warning stands in a box. A warning is for what the reader must not miss: a model
        that loses to a baseline.
    """

    text: str
    tone: str = "plain"

    def __post_init__(self) -> None:
        if self.tone not in ("plain", "note", "warning"):
            raise InvalidInput(f"tone must be one of plain, note, warning. Got {self.tone!r}")


@dataclass(frozen=True)
class TableBlock:
    """A table whose first column names the rows.

    Attributes
    ----------
    headers : tuple of str, length C
    rows : tuple of tuples of str, each of length C
        Numbers come written out, with their decimals.
    highlight, losing : tuple of int
        Rows, counted from 0, that are set in bold; that are set in the colour of a warning.
    caption : str
        Says what the numbers are, and their unit.
    numeric : tuple of int, optional
        Columns set flush right with digits of one width; by default those where each cell is empty,
        a dash or starts as a number does.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    highlight: tuple[int, ...] = ()
    losing: tuple[int, ...] = ()
    caption: str = ""
    numeric: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        columns = len(self.headers)
        if not columns:
            raise InvalidInput("headers must name at least C = 1 column. Got none")
        for index, row in enumerate(self.rows):
            if len(row) != columns:
                raise InvalidInput(
                    f"rows must each have C = {columns} cells, as headers has. Got {len(row)} in row {index}"
                )
        for name, chosen, size in (
            ("highlight", self.highlight, len(self.rows)),
            ("losing", self.losing, len(self.rows)),
            ("numeric", self.numeric or (), columns),
        ):
            for index in chosen:
                if not 0 <= index < size:
                    raise InvalidInput(f"{name} must lie in 0..{size - 1}. Got {index}")


@dataclass(frozen=True)
class Picture:
    """A picture for light and for dark surroundings, embedded in the file.

    Attributes
    ----------
    light : bytes
        A PNG, shown in light surroundings and in print.
    alt : str
        What the picture shows, for those who do not see it. Must not be empty.
    dark : bytes, optional
        The same for dark surroundings; without it the light one is shown there too.
    caption : str
    narrow_light, narrow_dark : bytes, optional
        The same drawn for a screen up to 480 px, where the text of a wide picture would shrink.
    """

    light: bytes
    alt: str
    dark: bytes | None = None
    caption: str = ""
    narrow_light: bytes | None = None
    narrow_dark: bytes | None = None

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise InvalidInput("alt must say what the picture shows. Got an empty text")
        if self.narrow_dark is not None and self.dark is None:
            raise InvalidInput("dark must be given where narrow_dark is. Got none")
        for name in ("light", "dark", "narrow_light", "narrow_dark"):
            data = getattr(self, name)
            if data is not None:
                png_size(name, data)  # raises on what is no PNG


@dataclass(frozen=True)
class Code:
    """Lines to be copied: a command, a program, a message."""

    text: str


@dataclass(frozen=True)
class Equations:
    """Formulas, a line each.

    Attributes
    ----------
    lines : tuple of (str, str)
        A formula, in the part of TeX that `bptt.report.formula` knows, and a remark beside it, plain text or empty.
    """

    lines: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.lines:
            raise InvalidInput("lines must hold at least 1 formula. Got none")
        for tex, _ in self.lines:
            to_mathml(tex)  # raises on what cannot be drawn


Block = Text | TableBlock | Picture | Chart | Equations | Code


@dataclass(frozen=True)
class Section:
    """A titled part of a report.

    Attributes
    ----------
    title : str
    blocks : tuple of Text, TableBlock, Picture, Chart, Equations or Code
        Charts have names unlike those of any other in the report.
    """

    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise InvalidInput("title of a section must not be empty. Got an empty text")
        for block in self.blocks:
            if not isinstance(block, (Text, TableBlock, Picture, Chart, Equations, Code)):
                raise InvalidType(
                    "blocks must be Text, TableBlock, Picture, Chart, Equations or Code. "
                    f"Got {type(block).__name__}"
                )
