"""Where every series stands: the rows so far, kept so that new ones can be taken in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bptt.checks import Array
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.panel import Line, Panel
from bptt.forecast.predicting.following import Followed, follow, new_rows, one_row
from bptt.forecast.predicting.walking import Walker


class Places:
    """The series that a forecaster follows.

    Parameters
    ----------
    fitted : Fitted
    followed : mapping of name to Followed
    """

    def __init__(self, fitted: Fitted, followed: Mapping[str, Followed]) -> None:
        self._trained, self._intervals = fitted.trained, fitted.intervals
        self._followed = dict(followed)
        self._walkers: dict[str, Walker] = {}

    @classmethod
    def at_the_end(cls, fitted: Fitted, lines: Sequence[Line]) -> Places:
        """Return the places after the last rows of these lines."""
        found = follow(fitted.trained, fitted.intervals, lines)
        return cls(fitted, {each.id: each for each in found})

    def __getstate__(self) -> dict[str, object]:
        # Streams hold addresses and cannot be copied: a copy opens its own when it is stepped.
        return {**vars(self), "_followed": dict(self.followed), "_walkers": {}}

    @property
    def followed(self) -> dict[str, Followed]:
        """Every series as far as it is known."""
        for name, walker in self._walkers.items():
            self._followed[name] = walker.followed()
        return self._followed

    def at(self, name: str) -> Followed | None:
        """Return one series as far as it is known; None for a new one. The others are not looked at."""
        walker = self._walkers.get(name)
        if walker is not None:
            self._followed[name] = walker.followed()
        return self._followed.get(name)

    @property
    def only(self) -> str | None:
        """The name of the series, where there is only one."""
        return next(iter(self._followed)) if len(self._followed) == 1 else None

    def update(self, panel: Panel) -> None:
        """Take new rows in; those seen already are passed over, and a series that is new begins."""
        lines: list[Line] = []
        before: list[Followed | None] = []
        for line in panel:
            old = self.at(line.id)
            new = line if old is None else new_rows(line, old, panel.step)
            if new is not None and len(new):
                lines.append(new)
                before.append(old)
        for each in follow(self._trained, self._intervals, lines, before) if lines else ():
            self._followed[each.id] = each
            self._walkers.pop(each.id, None)

    def step(self, name: str, row: Mapping[str, object], target: str) -> Array | None:
        """Take the next row of a series in and return the forecast after it (K,).

        None, with nothing changed, where the series is new or the row does not hold every column as a number.
        """
        walker = self._walkers.get(name)
        if walker is None:
            old = self._followed.get(name)
            if old is None:
                return None
            walker = self._walkers[name] = Walker(self._trained, self._intervals, old)
        line = one_row(self._trained, (walker.time, walker.local), row, target, (name, walker.place.static))
        return None if line is None else walker.step(line)


def in_units(
    fitted: Fitted, followed: Followed, levels: Array, *, around: bool = False
) -> tuple[Array, Array]:
    """Return the forecast (K,), its quantiles (L, K) or, `around` it, bounds of intervals, in the source's unit."""
    memory = followed.memory
    offsets = fitted.intervals.offsets(followed.moment[None], levels, around=around)[:, 0]
    z = followed.z + np.concatenate([np.zeros((1, len(followed.z))), offsets])
    found = fitted.trained.to_source(z, memory.centre, memory.scale)
    return found[0], found[1:]
