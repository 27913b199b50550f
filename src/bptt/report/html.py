"""A report as one self-contained HTML file: no network, pictures inside, no script but that of the sliders."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bptt.atomic import write_atomic
from bptt.errors import InvalidInput, InvalidType
from bptt.report.blocks import Block, Code, Equations, Picture, Section, TableBlock, Text
from bptt.report.css import style_sheet
from bptt.report.formula import to_mathml
from bptt.report.png import png_size
from bptt.report.sliders import CSS, SCRIPT, SCRIPT_DIGEST, Chart, render_chart

# Should markup ever slip through, the browser itself refuses to load or run anything.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_MANY_SECTIONS = 4  # from here on a list of contents helps

_NUMBER = re.compile(r"[+\-−±<>≤≥≈]?\s*[.\d]")
_EMPTY = frozenset({"", "-", "–", "—"})

# XML 1.0 and HTML have no place for these, however they are written.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
    footer: str = "",
    lang: str = "en",
) -> Path:
    """Write a report to `path`, whole or not at all.

    Parameters
    ----------
    path : str or path
        The file; its folder must exist.
    title, lead : str
        Heading, and what the reader should know if they read no further. Plain text, as everywhere
        in a report: nothing is read as markup.
    sections : sequence of Section
    footer : str
        Versions, seed, data, licence.
    lang : str
        Language of the text, as a BCP 47 tag.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileMissing, InvalidInput
        The folder is missing, or the file cannot be written.
    InvalidType
        A section is no `Section`.
    """
    page = render_report(title=title, lead=lead, sections=sections, footer=footer, lang=lang)
    write_atomic(path, page.encode("utf-8"))
    return Path(path)


def render_report(
    *, title: str, lead: str, sections: Sequence[Section], footer: str = "", lang: str = "en"
) -> str:
    """Return the report that `write_report` writes, as a string."""
    if not title.strip():
        raise InvalidInput("title must not be empty. Got an empty text")
    for section in sections:
        if not isinstance(section, Section):
            raise InvalidType(f"sections must hold Section objects. Got {type(section).__name__}")
    charts = _charts(sections)
    # The script of the sliders is allowed by its digest, where there is a slider.
    policy = f"{_POLICY}; script-src '{SCRIPT_DIGEST}'" if charts else _POLICY
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="{_text(lang)}">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',  # or the browser would ask a server for one
        f"<title>{_text(title)}</title>",
        f"<style>\n{style_sheet()}{CSS if charts else ''}</style>",
        "</head>",
        "<body>",
        '<div class="page">',
        "<header>",
        f"<h1>{_text(title)}</h1>",
        f'<div class="lead">{_paragraphs(lead)}</div>',
        *_contents(sections),
        "</header>",
        "<main>",
        *(_section(number, section) for number, section in enumerate(sections, start=1)),
        "</main>",
        *([f"<footer>{_paragraphs(footer)}</footer>"] if footer.strip() else []),
        "</div>",
        *([f"<script>{SCRIPT}</script>"] if charts else []),
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(parts)


def _charts(sections: Sequence[Section]) -> list[str]:
    """Return the names of the charts with sliders; each becomes an element's id."""
    names = [block.name for section in sections for block in section.blocks if isinstance(block, Chart)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"charts of one report must each have a name of their own. Got {twice[0]!r} twice")
    return names


def _text(value: object) -> str:
    """Return `value` as HTML text, fit for an attribute too; what a page cannot hold becomes U+FFFD."""
    return escape(_CONTROL.sub("\ufffd", str(value)), quote=True)


def _paragraphs(text: str) -> str:
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    return "".join(f"<p>{_text(block)}</p>" for block in blocks if block)


def _contents(sections: Sequence[Section]) -> list[str]:
    if len(sections) < _MANY_SECTIONS:
        return []
    items = "".join(
        f'<li><a href="#section-{number}">{_text(section.title)}</a></li>'
        for number, section in enumerate(sections, start=1)
    )
    return [f'<nav aria-label="Contents"><ul>{items}</ul></nav>']


def _section(number: int, section: Section) -> str:
    name = f"section-{number}"
    blocks = "\n".join(_block(block) for block in section.blocks)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{_text(section.title)}</h2>\n{blocks}\n</section>'
    )


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return _prose(block)
    if isinstance(block, TableBlock):
        return _table(block)
    if isinstance(block, Picture):
        return _picture(block)
    if isinstance(block, Chart):
        return render_chart(block)
    if isinstance(block, Equations):
        return _equations(block)
    return _code(block)


def _equations(block: Equations) -> str:
    lines = "\n".join(
        f'<tr><td class="formula">{to_mathml(tex)}</td><td class="remark">{_text(remark)}</td></tr>'
        for tex, remark in block.lines
    )
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Formulas">'
    return f'{box}<table class="equations" role="presentation"><tbody>\n{lines}\n</tbody></table></div>'


def _prose(block: Text) -> str:
    if block.tone == "plain":
        return _paragraphs(block.text)
    # The word as well as the colour: it is heard, and seen in print.
    word = "<p><strong>Warning</strong></p>" if block.tone == "warning" else ""
    return f'<div class="box {block.tone}" role="note">{word}{_paragraphs(block.text)}</div>'


def _code(block: Code) -> str:
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Code">'
    return f"{box}<pre><code>{_text(block.text)}</code></pre></div>"


def _table(table: TableBlock) -> str:
    numeric = _numeric_columns(table) if table.numeric is None else frozenset(table.numeric)
    head = "".join(
        f'<th scope="col"{_number_class(column in numeric)}>{_text(header)}</th>'
        for column, header in enumerate(table.headers)
    )
    body = "\n".join(_row(index, row, table, numeric) for index, row in enumerate(table.rows))
    label = _text(table.caption or "Table")
    # The caption stands outside the box, or it would move away with a wide table.
    caption = f"<figcaption>{label}</figcaption>" if table.caption else ""
    return (
        f'<figure>{caption}<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table aria-label="{label}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div></figure>"
    )


def _row(index: int, row: Iterable[str], table: TableBlock, numeric: frozenset[int]) -> str:
    names = [name for name in ("highlight", "losing") if index in getattr(table, name)]
    kind = f' class="{" ".join(names)}"' if names else ""
    cells = []
    for column, cell in enumerate(row):
        css = _number_class(column in numeric)
        tag, scope = ("th", ' scope="row"') if column == 0 else ("td", "")
        cells.append(f"<{tag}{scope}{css}>{_text(cell)}</{tag}>")
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _number_class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _numeric_columns(table: TableBlock) -> frozenset[int]:
    """Return the columns whose cells all read as numbers, blanks aside; the first one names the rows."""
    found = set()
    for column in range(1, len(table.headers)):
        cells = [str(row[column]).strip() for row in table.rows]
        filled = [cell for cell in cells if cell not in _EMPTY]
        if filled and all(_NUMBER.match(cell) for cell in filled):
            found.add(column)
    return frozenset(found)


def _picture(picture: Picture) -> str:
    """Return the picture for each of the two surroundings; the style sheet shows the one that fits.

    A source with prefers-color-scheme would be shorter, but a browser that prints keeps the source
    it chose for the screen: a dark picture on white paper.
    """
    if picture.dark is None:
        shown = _one_picture(picture, picture.light, picture.narrow_light, "")
    else:
        shown = _one_picture(picture, picture.light, picture.narrow_light, "for-light")
        shown += _one_picture(picture, picture.dark, picture.narrow_dark, "for-dark")
    caption = f"<figcaption>{_text(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure>{shown}{caption}</figure>"


def _one_picture(picture: Picture, wide: bytes, narrow: bytes | None, kind: str) -> str:
    source = ""
    if narrow is not None:
        media = "screen and (max-width: 480px)"
        source = f'<source media="{media}" srcset="{_data_address(narrow)}"{_size("narrow", narrow)}>'
    css = f' class="{kind}"' if kind else ""
    alt = _text(picture.alt)
    return (
        f'<picture{css}>{source}<img src="{_data_address(wide)}"{_size("wide", wide)} alt="{alt}"></picture>'
    )


def _size(name: str, data: bytes) -> str:
    width, height = png_size(name, data)
    return f' width="{width}" height="{height}"'


def _data_address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
