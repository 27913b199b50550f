"""What validation decides: how long to train, how much of network and window to let in, or to step back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.features.targets import Targets
from bptt.forecast.fitting.readouts.heads import (
    FEW_WALKS,
    FEW_WITH,
    FEW_WITHOUT,
    WITH_NETWORK,
    WITHOUT_NETWORK,
    Origins,
    Penalty,
    Reader,
    Sums,
    head_forecast,
    make_head,
    mean_forecast,
    origin_features,
)
from bptt.forecast.recipe import Recipe

# Origins that count as independent, at least.
_LEAST = 4.0
# With fewer origins, or fewer than so many horizons of them, only the usual penalties are compared.
# As many horizons as there are settings to choose between: within one, forecasts are hardly independent.
_FEW, _FEW_HORIZONS = 50, len(WITH_NETWORK)
# Numbers in the forecasts of a recursive head that are compared, at most.
_MOST_WALKED = 100_000
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
    nets: list[Reader]
    normals: list[Sums]


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
        Why nothing was compared: the last value is repeated then, or nothing was to be validated.
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
            taken = (
                "the last value is repeated"
                if self.kind == "last"
                else f"{NAMES[self.kind]} is taken as it is"
            )
            return f"{self.reason}: {taken}"
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


def are_few_forecasts(count: int, horizon: int) -> bool:
    """Return whether so many forecasts of K rows are too few to choose among many settings by."""
    return count < max(_FEW, _FEW_HORIZONS * horizon)


def choose(
    encoding: Encoding,
    origins: Origins,
    trials: list[Trial],
    window: Sums | None,
    *,
    step_back: bool = True,
    unit: Array | None = None,
    ridge: Penalty | None = None,
) -> Choice:
    """Choose by the mean squared error on the validation origins.

    Parameters
    ----------
    encoding : Encoding
        Of the rows before.
    origins : Origins
        Of the validation rows.
    trials : list of Trial
    window : sums or None
        Sums of the window alone, for the ridge beside.
    step_back : bool
        Whether anything but a network may be chosen where there is one.
    unit : ndarray float64 (K,), optional
        What errors are divided by, scaled: `Encoding.target` by default.
    ridge : Penalty, optional
        That of the ridge, where it was settled before: by default the best one on these origins.
    """
    there = sum(map(len, origins.rows))
    if encoding.head == "recursive":
        origins = _thinned(origins, encoding.horizon)
    y, weights = origins.truth()
    # The best of many on a handful of forecasts is the luckiest. Those left out for time would tell little more.
    few = are_few_forecasts(there, encoding.horizon)
    found: dict[str, _Offer] = {}
    ratio = np.ones(encoding.horizon) if unit is None else encoding.target / unit

    def offer(
        kind: str, y_hat: Array, candidate: Candidate | None = None, penalty: Penalty | None = None
    ) -> None:
        squares = (((y_hat - y) * ratio) ** 2).mean(axis=1)
        error = float(squares @ weights / weights.sum()) if weights.sum() else float("nan")
        if np.isfinite(error) and (kind not in found or error < found[kind].error):
            found[kind] = _Offer(error, squares, candidate, penalty, y_hat)

    offer(encoding.anchor, np.zeros_like(y))
    other = "last" if encoding.anchor == "season" else "season"
    if encoding.period > 1:
        offer(other, _other_anchor(encoding, origins, other))
    if window is not None:
        features = origin_features(encoding, origins, None)
        usual = FEW_WITHOUT if few else WITHOUT_NETWORK
        for penalty in usual if ridge is None else (ridge,):
            offer("ridge", head_forecast(make_head(encoding, window, None, penalty), features), None, penalty)
    for trial in trials:
        sets = [origin_features(encoding, origins, net) for net in trial.nets]
        many = FEW_WALKS if encoding.head == "recursive" else WITH_NETWORK
        for penalty in FEW_WITH if few else many:
            if not penalty.solved and (
                encoding.head != "direct" or trial.nets[0].output_size != encoding.horizon
            ):
                continue
            heads = [
                make_head(encoding, normal, net, penalty)
                for normal, net in zip(trial.normals, trial.nets, strict=True)
            ]
            offer("network", mean_forecast(heads, sets), trial.candidate, penalty)
    if encoding.head == "direct" and "ridge" in found and "network" in found and not few:
        plain, own = found["ridge"], found["network"]
        assert plain.penalty is not None
        assert own.penalty is not None
        near, far = _shares(own.y_hat, plain.y_hat, y, weights)
        share = np.linspace(near, far, encoding.horizon)
        mixed = replace(own.penalty, beside=(plain.penalty.window, near, far))
        offer("network", share * own.y_hat + (1 - share) * plain.y_hat, own.candidate, mixed)
    overlapping = max(1.0, encoding.horizon * len(y) / max(1, there))
    kind = _best(found, weights, overlapping)
    if kind == encoding.anchor and encoding.head == "direct" and "ridge" in found:
        drawn = _drawn(found["ridge"], found[kind], y, weights, ratio, overlapping)
        if drawn is not None:
            kind, found["ridge"] = "ridge", drawn
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
    y_hat: Array


def _drawn(
    ridge: _Offer, naive: _Offer, y: Array, weights: Array, ratio: Array, overlapping: float
) -> _Offer | None:
    """Return least squares drawn to the anchor, near and far each as far as is best; None where that gains too little.

    A walk on top of a season: the next hour is best told by least squares, the next day by that of the day before.
    Repeating either at all steps gives one of them away.
    """
    assert ridge.penalty is not None
    shares = _shares(ridge.y_hat, naive.y_hat, y, weights)
    y_hat = np.linspace(*shares, y.shape[1]) * ridge.y_hat
    squares = (((y_hat - y) * ratio) ** 2).mean(axis=1)
    there = weights > 0
    gain = ((naive.squares - squares) * weights / weights[there].mean())[there]
    if not gain.mean() > gain.std() / np.sqrt(max(_LEAST, len(gain) / overlapping)):
        return None
    error = float(squares @ weights / weights.sum())
    return _Offer(error, squares, None, replace(ridge.penalty, drawn=shares), y_hat)


def _shares(own: Array, ridge: Array, y: Array, weights: Array) -> tuple[float, float]:
    """Return how much of the first and of the last step is best left to the network's forecast, the rest to the ridge.

    Least squares in two unknowns; a network is taken back where the rows do not bear it out, as far ahead they often do
    not.
    """
    k = np.linspace(0.0, 1.0, y.shape[1])
    moved = (own - ridge) * np.sqrt(weights)[:, None]
    wanted = (y - ridge) * np.sqrt(weights)[:, None]
    size, fit = (moved**2).sum(axis=0), (moved * wanted).sum(axis=0)
    basis = np.stack([1 - k, k])
    gram = (basis * size) @ basis.T
    near, far = (
        np.linalg.lstsq(gram, basis @ fit, rcond=None)[0]
        if len(k) > 1
        else [fit[0] / max(size[0], 1e-300)] * 2
    )
    return float(np.clip(near, 0.0, 1.0)), float(np.clip(far, 0.0, 1.0))


def _best(found: dict[str, _Offer], weights: Array, overlapping: float) -> str:
    """Return the best kind that can be relied on: from naive to ridge to network only by more than a standard error.

    Errors of forecasts of the same rows hang together: one in `overlapping` origins, as many as a horizon holds, counts
    for the standard error, and four at least: of a short series half a deviation must do.
    """
    naive = [name for name in found if name in ("last", "season")]
    kind = min(naive, key=lambda name: found[name].error)
    there = weights > 0
    for name in ("ridge", "network"):
        if name in found:
            gain = ((found[kind].squares - found[name].squares) * weights / weights[there].mean())[there]
            count = max(_LEAST, len(gain) / overlapping)
            # That least squares do better than the last season is the rule, not luck that has to be ruled out.
            margin = 0.0 if (kind, name) == ("season", "ridge") else gain.std() / np.sqrt(count)
            if len(gain) >= _FEW_FOR[name] and gain.mean() > margin:
                kind = name
    return kind


def _thinned(origins: Origins, horizon: int) -> Origins:
    """Return every nth origin: walks take their time."""
    stride = max(1, -(-sum(map(len, origins.rows)) * horizon // _MOST_WALKED))
    return replace(origins, rows=[rows[::stride] for rows in origins.rows])


def _other_anchor(encoding: Encoding, origins: Origins, anchor: str) -> Array:
    """Return what the other anchor says, as a change from the encoding's own."""
    other = replace(encoding, anchor=anchor)
    parts = [
        Targets(encoding, line)[rows] - Targets(other, line)[rows]
        for line, rows in zip(origins.lesson.lines, origins.rows, strict=True)
    ]
    return np.concatenate(parts)
