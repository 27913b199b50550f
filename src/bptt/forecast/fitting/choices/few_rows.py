"""Few rows: a simple method is chosen by forecasts from several points of the history, made from what came before.

The newest fifth of a short series holds a handful of origins whose horizons overlap: the best of many methods on them
is the luckiest. The closed form costs next to nothing, so that it is solved again at each of some cuts, and the
origins after every cut count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.choices.choosing import Choice
from bptt.forecast.fitting.choices.held_out import HeldOut, judge
from bptt.forecast.fitting.readouts.heads import (
    WITHOUT_NETWORK,
    Origins,
    Penalty,
    encode_panel,
    head_forecast,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut

# Where the history is cut, as shares of the rows.
_CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)
# With so many validation forecasts and more, or of long histories in any case, the newest rows are enough to choose by.
_ENOUGH, _HORIZONS, _LONG = 50, 5, 1000

Encode = Callable[[Panel, str], Encoding]


@dataclass(frozen=True, eq=False)
class _Tried:
    """One method at every cut: squared error of each origin, and what it missed them by."""

    squares: list[Array]
    weights: list[Array]
    held_out: list[HeldOut]

    @property
    def error(self) -> float:
        weights = np.concatenate(self.weights)
        return (
            float(np.concatenate(self.squares) @ weights / weights.sum()) if weights.sum() else float("nan")
        )


def are_few(choice: Choice, horizon: int, rows: int) -> bool:
    """Return whether a choice was made on too few forecasts to rely on it, and no network was chosen."""
    return choice.kind != "network" and rows < _LONG and choice.origins < max(_ENOUGH, _HORIZONS * horizon)


def choose_by_cuts(
    panel: Panel, encode: Encode, anchors: Mapping[str, bool], most_rows: int, units: Array
) -> tuple[str, Choice, list[HeldOut]] | None:
    """Return the anchor, the choice and the errors of what was chosen; None where nothing can be compared.

    Parameters
    ----------
    panel : Panel
    encode : callable
        Returns the encoding of some rows, with an anchor.
    anchors : mapping of str to bool
        That are repeated, and whether least squares is solved for the change from them too.
    most_rows : int
        The closed form is solved from.
    units : ndarray float64 (S,)
        What the errors of each line are divided by.
    """
    tried: dict[tuple[str, str, Penalty | None], _Tried] = {}
    for begin, end in zip(_CUTS, (*_CUTS[1:], 1.0), strict=True):
        firsts = [round(begin * len(line)) for line in panel]
        stops = [round(end * len(line)) for line in panel]
        kept = [k for k, first in enumerate(firsts) if first > 1]
        if not kept:
            continue
        before = replace(panel, lines=tuple(cut(panel.lines[k], 0, firsts[k]) for k in kept))
        encodings = {anchor: encode(before, anchor) for anchor in anchors}
        if any(encoding.anchor != anchor for anchor, encoding in encodings.items()):
            continue  # two seasons do not fit into the rows before this cut
        for anchor, solve in anchors.items():
            encoding = encodings[anchor]
            _try(tried, encoding, panel, before, (firsts, stops), most_rows if solve else 0, units)
    errors = {key: each.error for key, each in tried.items()}
    errors = {key: error for key, error in errors.items() if np.isfinite(error)}
    if not errors:
        return None
    best: dict[str, tuple[str, str, Penalty | None]] = {}
    for key in sorted(errors, key=lambda key: errors[key]):
        best.setdefault(key[0], key)
    naive = min((best[kind] for kind in ("last", "season") if kind in best), key=lambda key: errors[key])
    chosen, ridge = naive, best.get("ridge")
    if ridge is not None and errors[ridge] < errors[naive]:
        gain = np.concatenate(tried[naive].squares) - np.concatenate(tried[ridge].squares)
        there = np.concatenate(tried[naive].weights) > 0
        count = max(4.0, there.sum() / next(iter(tried.values())).held_out[0].errors[0].shape[1])
        if naive[0] == "season" or gain[there].mean() > gain[there].std() / np.sqrt(count):
            chosen = ridge
    reference = max(errors.get(best.get("last", naive), errors[naive]), 1e-300)
    origins = int(sum((each > 0).sum() for each in tried[chosen].weights))
    relative = {kind: errors[key] / reference for kind, key in best.items()}
    return chosen[1], Choice(chosen[0], None, chosen[2], relative, origins), tried[chosen].held_out


def _try(
    tried: dict[tuple[str, str, Penalty | None], _Tried],
    encoding: Encoding,
    panel: Panel,
    before: Panel,
    spans: tuple[list[int], list[int]],
    most_rows: int,
    units: Array,
) -> None:
    """Add what every method misses after one cut."""
    lesson, known = encode_panel(encoding, panel), encode_panel(encoding, before)
    rows, sizes = [], []
    for line, weights, first, stop, unit in zip(lesson.lines, lesson.weights, *spans, units, strict=True):
        row = np.arange(max(first - 1, 0), min(stop - 1, len(weights)))
        rows.append(row[weights[row] > 0] if first > 1 else row[:0])
        sizes.append(np.full(len(rows[-1]), line.scale / unit))
    if not sum(map(len, rows)):
        return
    origins = Origins(lesson, rows)
    y, weights = origins.truth()
    ratio = np.concatenate(sizes)[:, None] * encoding.target

    def add(kind: str, penalty: Penalty | None, y_hat: Array) -> None:
        squares = (((y_hat - y) * ratio) ** 2).mean(axis=1)
        each = tried.setdefault((kind, encoding.anchor, penalty), _Tried([], [], []))
        each.squares.append(squares)
        each.weights.append(weights)
        each.held_out.append(judge(encoding, origins, y_hat))

    add(encoding.anchor, None, np.zeros_like(y))
    if not most_rows:
        return
    normal = normal_equations(encoding, known, None, most_rows)
    if normal.count:
        features = origin_features(encoding, origins, None)
        for penalty in WITHOUT_NETWORK:
            add("ridge", penalty, head_forecast(make_head(encoding, normal, None, penalty), features))
