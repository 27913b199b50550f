"""What a model file keeps of a test: the scores of a model of the same settings on rows that were kept aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bptt.checks import Array
from bptt.errors import FileFormatError
from bptt.forecast.scoring.backtest_result import TITLES
from bptt.forecast.scoring.metrics import METRICS, NAMES

if TYPE_CHECKING:
    from bptt.forecast.scoring.rehearsal import Rehearsal

# What is shown of each method, means over the horizon but for the two ends.
_SHOWN = ("rmse", "mae", "mase", "smape", "coverage", "interval_score")
_ENDS = ("first", "last")
HEADERS = ("method", *(NAMES[name] for name in _SHOWN), "RMSE, step 1", "RMSE, last step")


@dataclass(frozen=True)
class Scorecard:
    """Scores of a model and its baselines on rows that it had not seen.

    Attributes
    ----------
    forecasts : int
        Of each method.
    first : str
        First time that was kept aside, in the longest series.
    coverage : float
        That the intervals aim at.
    unit : str
        Of the target, "" where nobody said.
    verdict : str
        One sentence: whether the model beats its best baseline.
    loses : bool
    scores : mapping of method to mapping of name to float
        Each of `bptt.forecast.scoring.metrics.METRICS`, as its mean over the horizon, and the RMSE of the "first" and
        the "last" step; NaN where there is none.
    """

    forecasts: int
    first: str
    coverage: float
    unit: str
    verdict: str
    loses: bool
    scores: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, rehearsal: Rehearsal, unit: str = "") -> Self:
        """Return what is kept of a rehearsal."""
        scores = {
            method: {name: _mean(each[name]) for name in METRICS}
            | {end: float(each["rmse"][k]) for end, k in zip(_ENDS, (0, -1), strict=True)}
            for method, each in rehearsal.scores.items()
        }
        return cls(
            forecasts=len(rehearsal.rows),
            first=str(rehearsal.first).replace("T", " ").removesuffix(" 00:00:00"),
            coverage=rehearsal.coverage,
            unit=unit,
            verdict=rehearsal.verdict(unit),
            loses=rehearsal.outcome == "loses",
            scores=scores,
        )

    @property
    def methods(self) -> list[str]:
        """Return the methods, the best last."""
        return sorted(self.scores, key=lambda method: -self.scores[method]["rmse"])

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table under `HEADERS`: a row a method, the best last."""
        made = []
        for method in self.methods:
            scores = self.scores[method]
            cells = [_cell(100 * scores[n], 3) if n == "coverage" else _cell(scores[n]) for n in _SHOWN]
            made.append((TITLES[method], *cells, *(_cell(scores[end]) for end in _ENDS)))
        return made

    def caption(self) -> str:
        """Return what the table shows."""
        unit = f" in {self.unit}" if self.unit else ""
        there = np.isfinite(self.scores["model"]["coverage"])
        aim = f"; intervals aim at {100 * self.coverage:g} %" if there else ""
        return (
            f"test{unit}: means over the horizon of {self.forecasts:,} forecasts of rows that the tested model had not "
            f"seen, from {self.first} on{aim}"
        )

    def to_config(self) -> dict[str, Any]:
        """Return plain JSON values: null where there is no score, or none that is finite."""
        scores = {
            method: {name: value if np.isfinite(value) else None for name, value in each.items()}
            for method, each in self.scores.items()
        }
        return {**asdict(self), "scores": scores}

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Return what `to_config` wrote.

        Raises
        ------
        FileFormatError
            Fields that are missing, unknown or of another type.
        """
        kinds = {
            "forecasts": int,
            "first": str,
            "coverage": float,
            "unit": str,
            "verdict": str,
            "loses": bool,
        }
        names = sorted(each.name for each in fields(cls))
        good = isinstance(config, Mapping) and sorted(config) == names
        good = good and all(type(config[name]) is kind for name, kind in kinds.items())
        good = (
            good and isinstance(config["scores"], Mapping) and all(map(_is_scores, config["scores"].items()))
        )
        if not good:
            raise FileFormatError(f"tested must have the fields {', '.join(names)}. Got {config!r:.60}")
        scores = {
            method: {name: float("nan") if value is None else float(value) for name, value in each.items()}
            for method, each in config["scores"].items()
        }
        return cls(**{**config, "scores": scores})


def _is_scores(item: tuple[object, object]) -> bool:
    method, scores = item
    if method not in TITLES or not isinstance(scores, Mapping) or set(scores) != {*METRICS, *_ENDS}:
        return False
    return all(value is None or type(value) in (int, float) for value in scores.values())


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _cell(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if np.isfinite(value) else "-"
