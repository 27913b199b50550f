"""What validation decides: how long to train, how much of network and window to let in, or to step back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.features.targets import Targets
from bptt.forecast.fitting.heads import (
    FEW_WITH,
    FEW_WITHOUT,
    WITH_NETWORK,
    WITHOUT_NETWORK,
    Head,
    Origins,
    Penalty,
    head_forecast,
    make_head,
    origin_features,
)
from bptt.forecast.fitting.ridge_path import Normal
from bptt.forecast.recipe import Recipe
from bptt.network import Network

# Origins that count as independent, at least.
_LEAST = 4.0
# With fewer origins, or fewer than so many horizons of them, only the usual penalties are compared.
# As many horizons as there are settings to choose between: within one, forecasts are hardly independent.
_FEW, _FEW_HORIZONS = 50, len(WITH_NETWORK)
# Origins without which a kind is not relied on, however well it does.
_FEW_FOR = {"ridge": 1, "network": 30}
NAMES = {
    "network": "the recurrent network",
    "ridge": "least squares on the window",
    "last": "repeating the last value",
    "season": "repeating the last season",
}


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
        others = ", ".join(
            f"{NAMES[kind]} {error:.3f}" for kind, error in sorted(self.errors.items(), key=lambda e: e[1])
            if kind not in (self.kind, "last")
        )  # fmt: skip
        best = "best" if self.errors[self.kind] == min(self.errors.values()) else "kept"
        if self.kind != "network" and best == "kept":
            best = "not reliably beaten"
        stepped = "" if self.kind == "network" else ": the model steps back to it"
        told = f"on {self.origins:,} validation forecasts {NAMES[self.kind]} is {best}"
        if self.kind == "last":
            compared = f" (their mean squared errors, relative to its own: {others})" if others else ""
            return f"{told}{compared}{stepped}"
        own = f"its mean squared error is {self.errors[self.kind]:.3f} times that of repeating the last value"
        return f"{told}: {own}{f' ({others})' if others else ''}{stepped}"


def choose(
    encoding: Encoding,
    origins: Origins,
    trials: list[Trial],
    window: Normal | None,
    *,
    step_back: bool = True,
    unit: Array | None = None,
) -> Choice:
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
    step_back : bool
        Whether anything but a network may be chosen where there is one.
    unit : ndarray float64 (K,), optional
        What errors are divided by, scaled: `Encoding.target` by default.
    """
    y, weights = origins.truth()
    # The best of many on a handful of forecasts is the luckiest.
    few = len(y) < max(_FEW, _FEW_HORIZONS * encoding.horizon)
    found: dict[str, _Offer] = {}
    ratio = np.ones(encoding.horizon) if unit is None else encoding.target / unit

    def offer(
        kind: str, y_hat: Array, candidate: Candidate | None = None, penalty: Penalty | None = None
    ) -> None:
        squares = (((y_hat - y) * ratio) ** 2).mean(axis=1)
        error = float(squares @ weights / weights.sum()) if weights.sum() else float("nan")
        if np.isfinite(error) and (kind not in found or error < found[kind].error):
            found[kind] = _Offer(error, squares, candidate, penalty)

    offer(encoding.anchor, np.zeros_like(y))
    other = "last" if encoding.anchor == "season" else "season"
    if encoding.period > 1:
        offer(other, _other_anchor(encoding, origins, other))
    if window is not None:
        features = origin_features(encoding, origins, None)
        for penalty in FEW_WITHOUT if few else WITHOUT_NETWORK:
            offer("ridge", head_forecast(make_head(encoding, window, None, penalty), features), None, penalty)
    for trial in trials:
        sets = [origin_features(encoding, origins, net) for net in trial.nets]
        for penalty in FEW_WITH if few else WITH_NETWORK:
            if not penalty.solved and trial.nets[0].output_size != encoding.horizon:
                continue
            heads = [
                make_head(encoding, normal, net, penalty)
                for normal, net in zip(trial.normals, trial.nets, strict=True)
            ]
            offer("network", mean_forecast(heads, sets), trial.candidate, penalty)
    kind = _best(found, weights, encoding.horizon)
    if not step_back and "network" in found:
        kind = "network"
    reference = max(found["last"].error if "last" in found else found[encoding.anchor].error, 1e-300)
    errors = {name: each.error / reference for name, each in found.items()}
    return Choice(kind, found[kind].candidate, found[kind].penalty, errors, int((weights > 0).sum()))


@dataclass(frozen=True, eq=False)
class _Offer:
    """The best of one kind: mean squared error, squared error of each origin, and what led to it."""

    error: float
    squares: Array
    candidate: Candidate | None
    penalty: Penalty | None


def _best(found: dict[str, _Offer], weights: Array, horizon: int) -> str:
    """Return the best kind that can be relied on: from naive to ridge to network only by more than a standard error.

    Errors of forecasts of the same rows hang together: one in `horizon` origins counts for the standard error, and
    four at least: of a short series half a deviation must do.
    """
    naive = [name for name in found if name in ("last", "season")]
    kind = min(naive, key=lambda name: found[name].error)
    there = weights > 0
    for name in ("ridge", "network"):
        if name in found:
            gain = ((found[kind].squares - found[name].squares) * weights / weights[there].mean())[there]
            count = max(_LEAST, len(gain) / horizon)
            # That least squares do better than the last season is the rule, not luck that has to be ruled out.
            margin = 0.0 if (kind, name) == ("season", "ridge") else gain.std() / np.sqrt(count)
            if len(gain) >= _FEW_FOR[name] and gain.mean() > margin:
                kind = name
    return kind


def mean_forecast(heads: list[Head], features: list[Array]) -> Array:
    """Return the mean of the members' forecasts (n, K), in the network's units."""
    found: Array = np.mean([head_forecast(h, each) for h, each in zip(heads, features, strict=True)], axis=0)
    return found


def _other_anchor(encoding: Encoding, origins: Origins, anchor: str) -> Array:
    """Return what the other anchor says, as a change from the encoding's own."""
    other = replace(encoding, anchor=anchor)
    parts = [
        Targets(encoding, line)[rows] - Targets(other, line)[rows]
        for line, rows in zip(origins.lesson.lines, origins.rows, strict=True)
    ]
    return np.concatenate(parts)
