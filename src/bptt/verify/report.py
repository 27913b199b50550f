"""What a check returns: one row a tensor and method, a verdict, and a table to read."""

from __future__ import annotations

from dataclasses import dataclass

from bptt.errors import GradientError

METHOD_TITLES = {"complex": "complex step", "central": "central differences", "formula": "formulas"}


@dataclass(frozen=True)
class TensorCheck:
    """One tensor, compared one way.

    Attributes
    ----------
    name : str
        ``"layers.0.W_hh"``, ``"x"``, ``"state.c"``, ...
    shape : tuple of int
    method : str
        What it was compared with: ``"complex"``, ``"central"``, ``"formula"``, or an engine's name.
    entry : tuple of int, or None
        The worst entry. None: the worst was a random direction through all entries at once.
    found, reference : complex or float
        The two numbers at that entry.
    error : float
        Largest difference over the largest entry of the reference; of x and of states the worst slice (a step, a
        layer) over its own largest entry.
    tolerance : float
        What `error` may be.
    compared : int
        How many entries were compared one by one; where that is not all of them, the random direction holds the rest.
    judged : bool
        False: shown only, and never a failure.
    where : str
        The configuration, where a report holds several.
    """

    name: str
    shape: tuple[int, ...]
    method: str
    entry: tuple[int, ...] | None
    found: complex
    reference: complex
    error: float
    tolerance: float
    compared: int
    judged: bool = True
    where: str = ""

    @property
    def passed(self) -> bool:
        """Whether the two agree; NaN never does."""
        return not self.judged or self.error <= self.tolerance

    @property
    def place(self) -> str:
        """Name and entry as one writes them: ``W_hh[3, 1]``."""
        if self.entry is None:
            return f"{self.name} along a random direction"
        inside = ", ".join(str(i) for i in self.entry)
        return f"{self.name}[{inside}]" if inside else self.name


@dataclass(frozen=True)
class GradientReport:
    """The result of a check.

    Attributes
    ----------
    rows : tuple of TensorCheck
    notes : tuple of str
        What the reader must know: casts, surrogates, what was not checked.
    title : str
        What was checked.
    """

    rows: tuple[TensorCheck, ...]
    notes: tuple[str, ...] = ()
    title: str = "gradient check"

    @property
    def passed(self) -> bool:
        """Whether every judged row agrees, and there is one."""
        return any(row.judged for row in self.rows) and all(row.passed for row in self.rows)

    @property
    def failures(self) -> tuple[TensorCheck, ...]:
        """The rows that disagree, the worst first."""
        failed = [row for row in self.rows if not row.passed]
        # NaN first: it is worse than any number.
        return tuple(sorted(failed, key=lambda row: -row.error if row.error == row.error else float("-inf")))

    def worst(self, method: str) -> float:
        """Return the largest judged error of one method; NaN where there is none."""
        errors = [row.error for row in self.rows if row.method == method and row.judged]
        return max(errors, key=lambda e: e if e == e else float("inf"), default=float("nan"))

    def raise_if_failed(self) -> GradientReport:
        """Return the report itself, or raise.

        Raises
        ------
        GradientError
            It names the worst tensor, its entry and both numbers; a wrong formula of the cell goes before all that
            is wrong because of it.
        """
        if self.passed:
            return self
        if not self.failures:
            raise GradientError(
                f"{self.title}: at least one tensor must be compared. Got none that can be judged"
            )
        row = next((each for each in self.failures if each.method == "formula"), self.failures[0])
        at = f" ({row.where})" if row.where else ""
        raise GradientError(
            f"{row.place}{at} must agree with {METHOD_TITLES.get(row.method, row.method)} to {row.tolerance:.0e} of "
            f"the largest entry. Got {_number(row.found)} against {_number(row.reference)}, error {row.error:.1e}: "
            f"{len(self.failures)} of {len(self.rows)} comparisons fail"
        )

    def __str__(self) -> str:
        lines = [f"{self.title}: {'passed' if self.passed else 'FAILED'} ({self.summary()})"]
        head = (
            "where",
            "tensor",
            "shape",
            "against",
            "worst entry",
            "found",
            "reference",
            "error",
            "allowed",
            "",
        )
        table = [head, *(_cells(row) for row in self.rows)]
        used = [k for k in range(len(head)) if any(line[k] for line in table[1:])]
        widths = {k: max(len(line[k]) for line in table) for k in used}
        right = {5, 6, 7, 8}
        lines += [
            "  ".join(
                line[k].rjust(widths[k]) if k in right else line[k].ljust(widths[k]) for k in used
            ).rstrip()
            for line in table
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def summary(self) -> str:
        """Return one line: a count and the worst error of each method."""
        parts = []
        for method in dict.fromkeys(row.method for row in self.rows):
            rows = [row for row in self.rows if row.method == method]
            title = METHOD_TITLES.get(method, method)
            if not any(row.judged for row in rows):
                parts.append(f"{title}: shown, not judged")
                continue
            count = f"{sum(row.passed for row in rows)} of {len(rows)}"
            parts.append(f"{title}: {count}, worst {self.worst(method):.1e}")
        return "; ".join(parts) or "nothing compared"


def _cells(row: TensorCheck) -> tuple[str, ...]:
    verdict = "ok" if row.passed else "FAILED"
    return (
        row.where,
        row.name,
        _shape(row.shape),
        row.method,
        "direction" if row.entry is None else _shape(row.entry),
        _number(row.found),
        _number(row.reference),
        f"{row.error:.1e}",
        f"{row.tolerance:.0e}",
        verdict if row.judged else "shown",
    )


def _shape(numbers: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(n) for n in numbers) + ("," if len(numbers) == 1 else "") + ")"


def _number(value: complex) -> str:
    return f"{value.real:+.9e}" + (f"{value.imag:+.9e}j" if value.imag else "")
