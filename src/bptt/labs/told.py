"""A lab told in our letters or in those of the document that it follows, with its derivation at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bptt.labs.derivations import get_derivation
from bptt.labs.letters import Letters, get_letters
from bptt.labs.outcome import Outcome
from bptt.report import Chart, Equations, Picture, Section, TableBlock, Text


def told_in(outcome: Outcome, notation: str = "ours") -> Outcome:
    """Return the outcome in a notation: its text, its tables, its captions, and the derivation as a last section.

    Labels within pictures are drawn in these letters already; numbers, and the names of files, stay.
    """
    letters = get_letters(outcome.lab, notation)

    def sections(pictures: Mapping[str, Picture]) -> list[Section]:
        told = [say_section(section, letters) for section in outcome.sections(pictures)]
        return [*told, derivation_section(outcome.lab, notation)]

    return replace(
        outcome,
        lead=letters.say(outcome.lead),
        note=letters.say(outcome.note),
        table=say_table(outcome.table, letters),
        verdicts=tuple(letters.say(sentence) for sentence in outcome.verdicts),
        drawings={
            name: replace(drawing, alt=letters.say(drawing.alt)) for name, drawing in outcome.drawings.items()
        },
        sections=sections,
    )


def derivation_section(lab: str, notation: str = "ours") -> Section:
    """Return a lab's equations, and the table of letters."""
    derivation, letters = get_derivation(lab), get_letters(lab, "seed")
    names = [(ours, seed) for ours, seed in letters.words.items() if ours != "y_hat_t"]
    return Section(
        "The gradients, derived",
        (
            Text(derivation.before(notation)),
            Equations(tuple((line.told(notation), line.remark) for line in derivation.equations)),
            TableBlock(
                ("bptt", letters.document),
                tuple(names),
                caption="The letters. Weights that multiply columns are ours transposed. In the other ones: --notation "
                f"{'ours' if notation == 'seed' else 'seed'}.",
                numeric=(),
            ),
        ),
    )


def say_section(section: Section, letters: Letters) -> Section:
    """Return a section in these letters."""
    blocks = []
    for block in section.blocks:
        if isinstance(block, Text):
            block = replace(block, text=letters.say(block.text))
        elif isinstance(block, TableBlock):
            block = say_table(block, letters)
        elif isinstance(block, Chart):
            block = say_chart(block, letters)
        blocks.append(block)
    return replace(section, title=letters.say(section.title), blocks=tuple(blocks))


def say_table(table: TableBlock, letters: Letters) -> TableBlock:
    """Return a table in these letters."""
    return replace(
        table,
        headers=tuple(map(letters.say, table.headers)),
        rows=tuple(tuple(map(letters.say, row)) for row in table.rows),
        caption=letters.say(table.caption),
    )


def say_chart(chart: Chart, letters: Letters) -> Chart:
    """Return a chart in these letters; the labs have one layer, so a parameter is known by the end of its name."""
    if not letters.words:
        return chart

    def say(text: str) -> str:
        return letters.say(re.sub(r"\b(?:layers\.0|readout)\.(?=[Wb]_)", "", text))

    return replace(
        chart,
        title=say(chart.title),
        x_label=say(chart.x_label),
        y_label=say(chart.y_label),
        slider=say(chart.slider),
        still={say(name): line for name, line in chart.still.items()},
        places=tuple((x, y, say(text)) for x, y, text in chart.places),
    )
