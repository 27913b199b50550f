"""A page of every kind of block, and a reader that sees what is not well-formed."""

import struct
import zlib
from html.parser import HTMLParser

from bptt.report import (
    Code,
    Picture,
    Section,
    TableBlock,
    Text,
    render_report,
)

VOID = frozenset({"meta", "link", "img", "source", "br", "input"})


def png(width, height, *, metre=5669, shade=0):
    """Return a grey PNG; 5669 pixels a metre are 144 an inch."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    density = chunk(b"pHYs", struct.pack(">IIB", metre, metre, 1)) if metre else b""
    rows = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + density + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Page(HTMLParser):
    """Parse a page; fail on a tag that is closed out of turn."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"<{tag}> names an attribute twice"
        self.tags.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attributes for name, attributes, _ in self.tags if name == tag]

    def text(self, tag):
        return [data for name, data in self.texts if name == tag]


LIGHT, DARK = png(30, 21, shade=250), png(30, 21, shade=20)
TABLE = TableBlock(
    headers=("Method", "RMSE, °C", "Verdict"),
    rows=(
        ("default", "1.167", "beats least squares"),
        ("lab recipe", "2.730", "loses"),
        ("previous day", "–", ""),
    ),
    highlight=(0,),
    losing=(1,),
    caption="Error on the test part",
)
SECTIONS = (
    Section("Result", (Text("One.\n\nTwo,\nstill two."), TABLE, Text("It loses.", tone="warning"))),
    Section("Pictures", (Picture(LIGHT, "A curve that falls", dark=DARK, caption="Training loss"),)),
    Section("Again", (Code("bptt lab weather \\\n  --seed 0 > log"), Text("A hint.", tone="note"))),
)


def page(sections=SECTIONS, title="Weather lab", lead="It works.", **options):
    return render_report(title=title, lead=lead, sections=sections, footer="bptt 0.1", **options)


def one(block):
    return page((Section("S", (block,)),))
