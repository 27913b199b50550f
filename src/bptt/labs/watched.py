"""One run of a lab to move through: recorded while it trained, shown in the report with sliders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from bptt.checks import Array
from bptt.network import Network
from bptt.report import Chart, Section, Text, path_profiles, training_charts
from bptt.training import History
from bptt.training.watching.recorded import KINDS

# What the labs record, all there is, and how often they look at most.
RECORDED, LOOKS = KINDS, 20


@dataclass(frozen=True, eq=False)
class Watched:
    """A recorded run.

    Attributes
    ----------
    title : str
        Which run it is.
    history : History
        With what was recorded.
    profiles : ndarray (R, N)
        Mean absolute entry of the gradient of the recurrent weights over paths of N lengths, at each of R looks.
    examples : str
        What the profile was computed on.
    """

    title: str
    history: History
    profiles: Array
    examples: str


def look_every(steps: int, looks: int = LOOKS) -> int:
    """Return how often to look at a run of so many steps."""
    return max(1, steps // looks)


def watch(
    title: str, net: Network, history: History, x: npt.ArrayLike, y: npt.ArrayLike, examples: str, **rest: Any
) -> Watched:
    """Return a run that was trained with ``record=RECORDED``, with its gradient by path length at every look.

    Parameters
    ----------
    title, examples : str
        Which run, and what x and y are.
    net : Network
    history : History
    x, y
        As for `bptt.diagnostics.gradient_by_path_length`, which also takes `rest`.
    """
    return Watched(title, history, path_profiles(net, history.recorded, x, y, **rest), examples)


def watched_section(run: Watched) -> Section:
    """Return the section with a run's sliders."""
    charts: list[Chart] = training_charts(run.history, profiles=run.profiles)
    assert run.history.recorded is not None
    looks = len(run.history.recorded.steps)
    return Section(
        "A run to move through",
        (
            Text(
                f"{run.title[:1].upper()}{run.title[1:]}: {run.history.steps:,} updates, looked at {looks} times. Drag "
                "a slider, or move it with the arrow keys. The first shows over how many steps the gradient of the "
                f"recurrent weights came, on {run.examples}; the norms are those of the gradient on up to 32 training "
                "examples, the same at every look, before clipping."
            ),
            *charts,
        ),
    )
