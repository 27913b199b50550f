"""What was measured beside what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One number; `limit` and `aim` are the largest ones allowed and wished for, None where nothing is asked.

    Attributes
    ----------
    name, unit : str
    value : float
    limit, aim : float or None
    verdict : str
        What validation chose.
    """

    name: str
    unit: str
    value: float
    limit: float | None
    aim: float | None = None
    verdict: str = ""

    @property
    def met(self) -> bool:
        """Whether it is within its limit."""
        return self.limit is None or self.value <= self.limit


def text(found: Sequence[Measured]) -> str:
    """Return the table, and below it what was chosen."""
    wide = max([28, *(len(each.name) + 1 for each in found)])
    units = max([16, *(len(each.unit) + 1 for each in found)])
    lines = [f"{'':{wide}}{'':{units}}{'measured':>10}{'allowed':>10}{'aim':>8}"]
    for each in found:
        limit = "-" if each.limit is None else f"{each.limit:.3f}"
        aim = "-" if each.aim is None else f"{each.aim:.3f}"
        state = "" if each.limit is None else "  met" if each.met else "  NOT met"
        lines.append(f"{each.name:{wide}}{each.unit:{units}}{each.value:>10.4f}{limit:>10}{aim:>8}{state}")
    lines += [f"{each.name}: {each.verdict}" for each in found if each.verdict]
    return "\n".join(lines)
