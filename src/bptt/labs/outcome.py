"""What a lab leaves behind, and the folder it is written to: a table, sentences, pictures, numbers, one report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bptt.atomic import write_atomic
from bptt.diagnostics import Diagnosis
from bptt.errors import InvalidInput
from bptt.models import save
from bptt.network import Network
from bptt.plots import themed_pngs
from bptt.report import Code, Picture, Section, TableBlock, Text, write_report
from bptt.report.versions import describe, versions

# Called with what is being computed, parts done and parts to do.
Notify = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Drawing:
    """A picture still to be drawn.

    Attributes
    ----------
    draw : callable
        Takes `theme` ("light", "dark") and `size` ("wide", "narrow"), returns axes or a figure.
    alt : str
        What it shows, for those who cannot see it, and as its caption.
    """

    draw: Callable[..., Any]
    alt: str


@dataclass(frozen=True)
class Outcome:
    """A lab's result, ready to be shown.

    Attributes
    ----------
    lab, title, lead : str
        The command's name for it, the report's title, and its first paragraph.
    table : TableBlock
        The main table, also shown in the terminal.
    verdicts : tuple of str
        What the numbers mean, in sentences that hold for these numbers.
    drawings : dict of str to Drawing
        By file name, without its ending.
    sections : callable
        Takes the pictures by name, returns the report's sections after the first.
    first_pictures : tuple of str
        Shown beside the table.
    numbers : dict
        Plain JSON values; keys are stable.
    nets : dict of str to Network
        Saved beside the report.
    source : str
        The document that the lab follows, for the report's last line.
    diagnoses : dict of str to Diagnosis
        What the training doctor says of some runs, by what they are called.
    note : str
        What to know before the verdicts are believed: that training was cut short.
    """

    lab: str
    title: str
    lead: str
    table: TableBlock
    verdicts: tuple[str, ...]
    drawings: Mapping[str, Drawing]
    sections: Callable[[Mapping[str, Picture]], list[Section]]
    numbers: dict[str, Any]
    source: str
    first_pictures: tuple[str, ...] = ()
    nets: Mapping[str, Network] = field(default_factory=dict)
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    note: str = ""

    @property
    def doctor(self) -> str:
        """What the doctor says of each run, a line each; empty where none was looked at."""
        return doctor_lines(self.diagnoses)


def doctor_lines(diagnoses: Mapping[str, Diagnosis]) -> str:
    """Return what the doctor says of each run, a line each, for the terminal and the report."""
    return "\n".join(f"Doctor, {title}: {found.line}" for title, found in diagnoses.items())


def make_folder(out: Path) -> None:
    """Make the folder for the results, before any work that would be lost without it.

    Raises
    ------
    InvalidInput
        It cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"out must be a folder that can be made. Got {out}: {error.strerror}") from None


def draw_picture(draw: Callable[..., Any], path: Path, alt: str) -> Picture:
    """Draw for both themes and both widths, keep the light wide one as a file, return all for the report."""
    drawn = themed_pngs(draw)
    write_atomic(path, drawn["light", "wide"])
    return Picture(
        light=drawn["light", "wide"],
        dark=drawn["dark", "wide"],
        narrow_light=drawn["light", "narrow"],
        narrow_dark=drawn["dark", "narrow"],
        alt=alt,
        caption=alt,
    )


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the numbers with the lab's name, what to know of them, and the versions they were made with."""
    doctor = {title: found.to_dict() for title, found in outcome.diagnoses.items()}
    return {
        "lab": outcome.lab,
        "note": outcome.note,
        **outcome.numbers,
        "doctor": doctor,
        "versions": versions(),
    }


def write_outcome(outcome: Outcome, out: Path, command: str) -> Path:
    """Write result.json, pictures, models and report.html into `out`; return the report's path.

    Parameters
    ----------
    command : str
        What makes these numbers again.
    """
    make_folder(out)
    write_atomic(out / "result.json", (json.dumps(as_json(outcome), indent=2) + "\n").encode())
    for name, net in outcome.nets.items():
        save(net, out / f"{name}.bptt")
    pictures = {
        name: draw_picture(drawing.draw, out / f"{name}.png", drawing.alt)
        for name, drawing in outcome.drawings.items()
    }
    first = Section(
        "Result",
        (
            *([Text(outcome.note, "warning")] if outcome.note else []),
            outcome.table,
            *(pictures[name] for name in outcome.first_pictures),
            Text("\n\n".join([*outcome.verdicts, *outcome.doctor.splitlines()])),
        ),
    )
    path = out / "report.html"
    write_report(
        path,
        title=outcome.title,
        lead=outcome.lead,
        sections=[first, *outcome.sections(pictures), Section("Do it again", (Code(command),))],
        footer=f"{outcome.source}. {describe()}.",
    )
    return path
