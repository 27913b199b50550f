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
        self._beside: Mapping[str, Array] = {}
        self._beside_before: dict[str, Array] = {}
        self._beside_for = -1

    def keep_too(self, arrays: Mapping[str, Array]) -> None:
        """Keep these as well, which each update changes beside the parameters: an optimiser's slots."""
        self._beside = arrays
        self._beside_before = {name: np.empty_like(array) for name, array in arrays.items()}

    def save(self, step: int) -> None:
        """Copy everything before update `step`."""
        # First and last: a copy that was interrupted is never gone back to.
        self.saved_for = self._beside_for = -1
        for name, p in self.parameters.items():
            np.copyto(self.before[name], p)
        for name, array in self._beside.items():
            np.copyto(self._beside_before[name], array)
        self.saved_for = self._beside_for = step

    def settle(self, recorded: int) -> None:
        """Take back the update that was begun after `recorded` whole ones, if there is one."""
        if self.saved_for != recorded:
            return
        try:
            if self._beside_for == recorded:
                overwrite(self._beside, self._beside_before)
        finally:
            self.undo()

    def undo(self) -> None:
        """Go back to the copy of the parameters."""
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
