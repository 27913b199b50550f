"""The labs' derivations in our letters and in the documents', with a switch that is CSS alone.

``{derivation} weather`` shows the equations of `bptt.labs.derivations`, the same that the report shows. Whatever stands
in ``{in-letters} ours`` or ``{in-letters} seed`` is shown with them. Without a style sheet both are.
"""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from bptt.labs.derivations import DERIVATIONS
from bptt.labs.letters import NOTATIONS, SEEDS

# Radio buttons: reached and set from the keyboard, and read out with their question.
SWITCH = """<fieldset class="letters"><legend>Letters on this page</legend>
<label><input type="radio" name="letters" id="letters-ours" checked> bptt's</label>
<label><input type="radio" name="letters" id="letters-seed"> {whose}</label></fieldset>"""


class Letters(SphinxDirective):
    """The switch itself, once a page; its argument is the lab."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the two buttons."""
        lab = _known(self.arguments[0], SEEDS)
        whose = SEEDS[lab].document + "'s"
        return [nodes.raw("", SWITCH.format(whose=whose), format="html")]


class Derivation(SphinxDirective):
    """A lab's equations in both; its argument is the lab."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one block for each notation."""
        lab = _known(self.arguments[0], DERIVATIONS)
        derivation = DERIVATIONS[lab]
        found: list[nodes.Node] = []
        for notation in NOTATIONS:
            lines = []
            for line in derivation.equations:
                left, right = line.told(notation).split(" = ", 1)
                remark = f" && \\text{{{line.remark}}}" if line.remark else " &&"
                lines.append(f"{left} &= {right}{remark}")
            tex = "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
            block = nodes.math_block(tex, tex, nowrap=False, number=None, label=None)
            block["docname"] = self.env.docname
            text = derivation.before(notation)
            found.append(_block(notation, [nodes.paragraph(text, text), block]))
        return found


class InLetters(SphinxDirective):
    """Content for one notation."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"class": directives.class_option}

    def run(self) -> list[nodes.Node]:
        """Return the content, marked."""
        block = _block(_known(self.arguments[0], NOTATIONS), [])
        self.state.nested_parse(self.content, self.content_offset, block)
        return [block]


def _block(notation: str, content: list[nodes.Node]) -> nodes.container:
    return nodes.container("", *content, classes=[f"letters-{notation}"], is_div=True)


def _known(name: str, names: Any) -> str:
    if name not in names:
        raise ExtensionError(f"this must be one of {', '.join(names)}: {name!r}")
    return name


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and their style sheet."""
    app.add_directive("letters", Letters)
    app.add_directive("derivation", Derivation)
    app.add_directive("in-letters", InLetters)
    app.add_css_file("letters.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
