"""Whole updates only: the parameters before each update, to go back to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptt.checks import Array


class SafeWeights:
    """A copy of the parameters as they were before the last update.

    Parameters
    ----------
    parameters : dict of str to ndarray
        The live arrays.

    Notes
    -----
    Python raises a KeyboardInterrupt between any two instructions, so between the writes of two parameters too. An
    update counts once its step is recorded; `settle` takes back one that was begun and not recorded. No signal
    handler is installed.
    """

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = parameters
        self.before = {name: np.empty_like(p) for name, p in parameters.items()}
        self.saved_for = -1

    def save(self, step: int) -> None:
        """Copy the parameters before update `step`."""
        for name, p in self.parameters.items():
            np.copyto(self.before[name], p)
        # Last: a copy that was interrupted is never gone back to.
        self.saved_for = step

    def settle(self, recorded: int) -> None:
        """Take back the update that was begun after `recorded` whole ones, if there is one."""
        if self.saved_for == recorded:
            self.undo()

    def undo(self) -> None:
        """Go back to the copy."""
        overwrite(self.parameters, self.before)
        self.saved_for = -1


def overwrite(parameters: Mapping[str, Array], values: Mapping[str, Array]) -> None:
    """Write `values` into the parameters, all of them: an interrupt meanwhile is raised afterwards."""
    interrupt: KeyboardInterrupt | None = None
    written = False
    while not written:
        try:
            for name, p in parameters.items():
                np.copyto(p, values[name])
            written = True
        except KeyboardInterrupt as again:
            interrupt = again
    if interrupt is not None:
        raise interrupt
