"""What a run has found: rows for the tables, numbers for the bars, and lines about what is missing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.race import Race


@dataclass
class Row:
    """One job of one section.

    Attributes
    ----------
    section, job, cell, dtype : str
    threads : int
    race : Race or None
        None where nothing was timed.
    worst_tensors : dict of str to (str, float)
        Of each competitor: the tensor that differs most from the reference, and by how much of its largest entry.
    limit : float or None
        Seconds of the roofline.
    note : str
        Why there are no times, or what to know about them.
    """

    section: str
    job: str
    cell: str
    dtype: str
    threads: int
    race: Race | None = None
    worst_tensors: dict[str, tuple[str, float]] = field(default_factory=dict)
    limit: float | None = None
    note: str = ""


@dataclass
class Results:
    """Everything; `as_dict` is what the JSON file holds.

    Attributes
    ----------
    measured : dict of str to float
        What bars are about, by their keys.
    where : dict of str to str
        Of a measurement that is the worst of many: which one it was.
    invalid : list of str
        Keys whose measurement does not count: the machine did not give its cores.
    by_processor_time : list of str
        Keys whose measurement is of processor time, for want of a core that was not shared.
    """

    environment: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)
    by_processor_time: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def worst(self, key: str, value: float) -> None:
        """Keep the largest of a measurement."""
        self.measured[key] = max(value, self.measured.get(key, value))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)
