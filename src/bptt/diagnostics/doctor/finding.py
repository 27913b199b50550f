"""What the doctor says: findings, and the diagnosis that they make up."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

SEVERITIES = ("severe", "moderate", "mild")


@dataclass(frozen=True)
class Finding:
    """One disease of a run.

    Attributes
    ----------
    disease : str
        "exploding gradients", ...: one of `bptt.diagnostics.doctor.NAMES`.
    severity : {"severe", "moderate", "mild"}
        Training failed of it; it costs accuracy; nothing is lost yet.
    place : str
        The parameter, column, layer or step that it shows at.
    seen : str
        What was measured, in words with their numbers.
    numbers : dict of str to float
        The same numbers, by name.
    remedy : str
        What to do.
    """

    disease: str
    severity: str
    place: str
    seen: str
    numbers: dict[str, float]
    remedy: str

    def in_words(self, words: Callable[[str], str]) -> Finding:
        """Return the finding with its place, what was seen and the remedy put into other words."""
        return replace(self, place=words(self.place), seen=words(self.seen), remedy=words(self.remedy))

    def __str__(self) -> str:
        return f"{self.disease} ({self.severity}, {self.place}): {self.seen}; {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "disease": self.disease,
            "severity": self.severity,
            "place": self.place,
            "seen": self.seen,
            "numbers": dict(self.numbers),
            "remedy": self.remedy,
        }


@dataclass(frozen=True)
class Diagnosis:
    """What `bptt.diagnose` returns.

    Attributes
    ----------
    findings : tuple of Finding
        The likeliest cause first: what comes before may have brought about what comes after.
    loss : float
        Of the network as it is now, on the examples looked at.
    explained : float
        1 - loss / loss of the best constant prediction: 1 is a perfect fit, 0 has learnt nothing.
    examples : int
        How many were looked at.
    subject : str
        What was looked at, in words.
    looked_at : str
        On what, in words; the number of examples unless said otherwise.
    """

    findings: tuple[Finding, ...]
    loss: float
    explained: float
    examples: int
    subject: str = "the network"
    looked_at: str = ""

    @property
    def diseases(self) -> tuple[str, ...]:
        """The names of what was found, in order."""
        return tuple(finding.disease for finding in self.findings)

    @property
    def line(self) -> str:
        """The first finding in full and the others by name, or that there is none: one line."""
        if not self.findings:
            looked_at = self.looked_at or f"{self.examples} example{'' if self.examples == 1 else 's'}"
            return (
                f"no disease found: {self.subject} explains {100 * self.explained:.3g} % of the loss that is left to a "
                f"constant, on {looked_at}"
            )
        also = f"; also {', '.join(self.diseases[1:])}" if len(self.findings) > 1 else ""
        return f"{self.findings[0]}{also}"

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or self.line

    def named(self, columns: Sequence[str]) -> Diagnosis:
        """Return the diagnosis with the columns of x, in their order, by these names instead of their numbers."""

        def words(text: str) -> str:
            return re.sub(
                r"\bcolumn (\d+)\b(?! of y)(?: of x)?", lambda m: f"column {columns[int(m[1])]}", text
            )

        return replace(self, findings=tuple(finding.in_words(words) for finding in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "loss": self.loss,
            "explained": self.explained,
            "examples": self.examples,
        }
