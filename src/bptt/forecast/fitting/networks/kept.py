"""What is kept of a network's training until the doctor has looked at it; nothing of it goes into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bptt.data import Arrays
from bptt.data.examples.batch import Source
from bptt.network import Network
from bptt.training.watching.history import History

# Answers that are kept of a training: enough for some 200 regressors, and quick to look at.
_ROWS = 5000


@dataclass(frozen=True, eq=False)
class Run:
    """A training as the doctor needs it: what it left behind, and some of its examples.

    Attributes
    ----------
    history : History
    net : Network
        As the gradient left it.
    examples : Arrays
    """

    history: History
    net: Network
    examples: Arrays


Keep = Callable[[Run], None]


def kept_run(history: History, net: Network, source: Source, length: int) -> Run:
    """Return the run with some of its examples, `length` steps each, spaced so that few rows are in two of them.

    An example begins at every row of the lines: those that overlap would count the same rows again and again.
    """
    apart = -(-(len(source) + length) // length)
    count = min(len(source), max(2, min(_ROWS // length, apart)))
    found = source.batch(np.unique(np.linspace(0, len(source) - 1, count).astype(np.intp)))
    return Run(history, net, Arrays(found.x, found.y, weights=found.weights))
