r"""Formulas as MathML, written when the pages are built: no script, no font and no network for whoever reads them.

The converter is docutils' own, which Sphinx brings along. What it does not know stops the build with the formula.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

# Commands that the converter lacks, by ones that it has.
KNOWN = {r"\dots": r"\ldots", r"\mathrel{+}": "{+}"}
# Large brackets that do not say on which side they stand.
BIG = re.compile(r"\\(big|Big|bigg|Bigg)([()\[\]|])")
# HTML's names of letters, which XML does not know, but for its own four.
ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot);)[A-Za-z]+;")
SPACE = "{http://www.w3.org/1998/Math/MathML}"
ACCENTS = frozenset("ˆ^~˜¯")
ElementTree.register_namespace("", SPACE.strip("{}"))


def to_mathml(tex: str, *, block: bool) -> str:
    """Return a formula as a ``<math>`` element."""
    for command, known in KNOWN.items():
        tex = tex.replace(command, known)
    tex = BIG.sub(lambda found: rf"\{found[1]}{'r' if found[2] in ')]' else 'l'}{found[2]}", tex)
    try:
        formula = ElementTree.fromstring(
            ENTITY.sub(lambda name: unescape(name[0]), tex2mathml(tex, as_block=block))
        )
    except MathError as error:
        raise ExtensionError(f"this formula cannot be written as MathML: {tex!r}: {error}") from None
    for parent in formula.iter():
        for place, child in enumerate(parent):
            parent[place] = _index_beside(child)
    return ElementTree.tostring(formula, encoding="unicode")


def _index_beside(element: ElementTree.Element) -> ElementTree.Element:
    """Return a letter with an accent and an index so that the index stands beside it; the converter sets it under."""
    if element.tag != f"{SPACE}munderover" or element[2].text not in ACCENTS:
        return element
    letter = ElementTree.Element(f"{SPACE}mover", accent="true")
    letter.extend([element[0], element[2]])
    found = ElementTree.Element(f"{SPACE}msub")
    found.extend([letter, element[1]])
    return found


def _visit_inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(to_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append(to_mathml(node.astext(), block=True))
    translator.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; ``html_math_renderer = "native"`` chooses it."""
    app.add_html_math_renderer("native", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
