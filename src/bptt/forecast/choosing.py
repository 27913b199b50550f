"""What validation decides: how long to train, how much of network and window to let in, or to step back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.encoding import Encoding, targets
from bptt.forecast.heads import (
    WITH_NETWORK,
    WITHOUT_NETWORK,
    Head,
    Origins,
    Penalty,
    head_forecast,
    make_head,
    origin_features,
)
from bptt.forecast.members import Lesson
from bptt.forecast.recipe import Recipe
from bptt.forecast.ridge_path import Normal
from bptt.network import Network


@dataclass(frozen=True)
class Candidate:
    """A way to train: a recipe, and the share of its updates.

    Attributes
    ----------
    recipe : Recipe
    share : float
    """

    recipe: Recipe
    share: float


@dataclass(frozen=True, eq=False)
class Trial:
    """Networks that one candidate led to, with their sums over the training rows."""

    candidate: Candidate
    nets: list[Network]
    normals: list[Normal]


@dataclass(frozen=True)
class Choice:
    """What validation decided.

    Attributes
    ----------
    kind : {"network", "ridge", "last", "season"}
    candidate : Candidate or None
    penalty : Penalty or None
    errors : dict of kind to float
        The smallest mean squared error of each kind on the validation rows, relative to that of the last value; NaN
        where nothing could be compared.
    origins : int
        Forecasts that were compared.
    reason : str
        Why nothing was compared.
    """

    kind: str
    candidate: Candidate | None
    penalty: Penalty | None
    errors: dict[str, float]
    origins: int
    reason: str = ""

    def verdict(self) -> str:
        """Return one sentence."""
        if self.reason:
            return f"{self.reason}: the last value is repeated"
        names = {
            "network": "the recurrent network",
            "ridge": "least squares on the window",
            "last": "repeating the last value",
            "season": "repeating the last season",
        }
        others = ", ".join(
            f"{names[kind]} {error:.3f}" for kind, error in sorted(self.errors.items(), key=lambda e: e[1])
            if kind != self.kind
        )  # fmt: skip
        stepped = "" if self.kind == "network" else ": the model steps back to it"
        return (
            f"on {self.origins} validation forecasts {names[self.kind]} is best, with a relative squared error of "
            f"{self.errors[self.kind]:.3f} ({others}){stepped}"
        )


def choose(encoding: Encoding, origins: Origins, trials: list[Trial], window: Normal | None) -> Choice:
    """Choose by the mean squared error on the validation origins.

    Parameters
    ----------
    encoding : Encoding
        Of the rows before.
    origins : Origins
        Of the validation rows.
    trials : list of Trial
    window : Normal or None
        Sums of the window alone, for the ridge beside.
    """
    y, weights = origins.truth()
    scale = max(_error(np.zeros_like(y), y, weights), 1e-300)
    found: dict[str, tuple[float, Candidate | None, Penalty | None]] = {}

    def offer(kind: str, error: float, candidate: Candidate | None, penalty: Penalty | None) -> None:
        if np.isfinite(error) and (kind not in found or error < found[kind][0]):
            found[kind] = (error, candidate, penalty)

    offer(encoding.anchor, scale, None, None)
    other = "last" if encoding.anchor == "season" else "season"
    if encoding.period > 1:
        offer(other, _error(_other_anchor(encoding, origins, other), y, weights), None, None)
    if window is not None:
        features = origin_features(encoding, origins, None)
        for penalty in WITHOUT_NETWORK:
            head = make_head(encoding, window, None, penalty)
            offer("ridge", _error(head_forecast(head, features), y, weights), None, penalty)
    for trial in trials:
        sets = [origin_features(encoding, origins, net) for net in trial.nets]
        for penalty in WITH_NETWORK:
            heads = [
                make_head(encoding, n, net, penalty) for n, net in zip(trial.normals, trial.nets, strict=True)
            ]
            y_hat = mean_forecast(heads, sets)
            offer("network", _error(y_hat, y, weights), trial.candidate, penalty)
    kind = min(found, key=lambda name: found[name][0])
    reference = found["last"][0] if "last" in found and found["last"][0] > 0 else scale
    errors = {name: error / reference for name, (error, _, _) in found.items()}
    return Choice(kind, found[kind][1], found[kind][2], errors, int((weights > 0).sum()))


def mean_forecast(heads: list[Head], features: list[Array]) -> Array:
    """Return the mean of the members' forecasts (n, K), in the network's units."""
    found: Array = np.mean([head_forecast(h, each) for h, each in zip(heads, features, strict=True)], axis=0)
    return found


def _error(y_hat: Array, y: Array, weights: Array) -> float:
    if not weights.sum():
        return float("nan")
    return float((((y_hat - y) ** 2).mean(axis=1) * weights).sum() / weights.sum())


def _other_anchor(encoding: Encoding, origins: Origins, anchor: str) -> Array:
    """Return what the other anchor says, as a change from the encoding's own."""
    other = replace(encoding, anchor=anchor)
    lesson = Lesson(origins.lesson.lines, [], [])
    parts = [
        targets(encoding, line)[0][rows] - targets(other, line)[0][rows]
        for line, rows in zip(lesson.lines, origins.rows, strict=True)
    ]
    return np.concatenate(parts)
