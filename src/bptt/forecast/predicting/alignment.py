"""Which rows a forecast sees: shown by gradient, and by changing what comes later."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.errors import DataError
from bptt.forecast.features.encoding import Encoded, encode, fill, forward
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.panel import Line
from bptt.forecast.pieces import cut

# Rows before the forecast whose influence is measured, and rows after it that must have none.
_BEFORE, _AFTER = 48, 12
# Of a deviation, for derivatives that are differences: the error of rounding is 1e-11 of a forecast.
_DIFFERENCE = 1e-5


@dataclass(frozen=True, eq=False)
class Alignment:
    """What each step of the horizon sees.

    Attributes
    ----------
    influence : ndarray float64 (K, R)
        Sum of the absolute derivatives of step k's forecast with respect to the inputs of each row, or, unless the head
        is direct, to what was measured then: column R - 1 is the newest row, column R - 2 the one before it. In scaled
        units.
    newest_seen : ndarray of bool (K,)
        Whether the newest row has a derivative that is not 0.
    future_seen : ndarray of bool (K,)
        Whether anything after it has: a derivative, or a change of the forecast once those rows are overwritten.
    """

    influence: Array
    newest_seen: Array
    future_seen: Array

    @property
    def sound(self) -> bool:
        """Whether every step sees the newest row and none sees the future."""
        return bool(self.newest_seen.all() and not self.future_seen.any())

    def __str__(self) -> str:
        K = len(self.newest_seen)
        newest, future = int(self.newest_seen.sum()), int(self.future_seen.sum())
        return f"{newest} of {K} steps see the newest row, {future} see a row of the future"


def check_alignment(trained: Trained, line: Line) -> Alignment:
    """Measure the influence of rows before and after a forecast.

    Raises
    ------
    DataError
        A line of fewer than three rows.
    """
    rows = len(line)
    if rows < 3:
        raise DataError(f"alignment needs at least 3 rows. Got {rows}")
    later = min(_AFTER, rows // 3)
    t = rows - 1 - later
    before = min(_BEFORE, t + 1)
    encoded = encode(trained.encoding, line)
    influence = (
        _influence(trained, encoded, t) if trained.encoding.head == "direct" else _moved(trained, line, t)
    )
    overwritten = _overwritten(trained, line, t)
    own = influence[:, t + 1 - before : t + 1]
    return Alignment(own, own[:, -1] > 0, (influence[:, t + 1 :] > 0).any(axis=1) | overwritten)


def _influence(trained: Trained, line: Encoded, t: int) -> Array:
    """Return the absolute derivatives (K, T) of the forecasts made after row t."""
    encoding, K = trained.encoding, trained.encoding.horizon
    found = np.zeros((K, len(line)))
    first = max(0, t - 4 * _BEFORE)
    for net in trained.nets:
        record = net.forward(line.x[None, first:])
        for k in range(K):
            dy = np.zeros_like(record.y_hat)
            dy[0, t - first, line.part * K + k] = 1.0 / len(trained.nets)
            dx = net.backward(record, dy).x
            assert dx is not None
            found[k, first:] += np.abs(dx[0]).sum(axis=1)
    if trained.linear is not None:
        size = np.abs(trained.linear.part(line.part, encoding.parts).weights)
        D, lags = encoding.inputs, encoding.window - 1
        found[:, t] += size[:D].sum(axis=0)
        # Older values stand as differences from the newest, the oldest first.
        for j in range(lags):
            if t - lags + j >= 0:
                found[:, t - lags + j] += size[D + j]
            found[:, t] += size[D + j]
        past = (
            size[D + lags :].reshape(len(encoding.past), encoding.past_window - 1, K).sum(axis=0)
            if encoding.past
            else ()
        )
        for j, each in enumerate(past):
            row = t - encoding.past_window + 1 + j
            if row >= 0:
                found[:, row] += each
    for k, back in enumerate(encoding.anchors()):
        if t - back >= 0:
            found[k, t - back] += 1.0
    return found


def _moved(trained: Trained, line: Line, t: int) -> Array:
    """Return the absolute derivatives (K, T) of the forecasts made after row t, by central differences of the rows.

    Of a recursive head a row counts along every path through the forecasts fed back, of segments through the decoder.
    """
    encoding = trained.encoding
    first = max(0, t + 1 - 2 * _BEFORE - encoding.reach)
    scale = encoding.scale_of(line)[1]
    # The target as the model sees it: a step in its logarithm is one of the same size wherever it lies, and none falls
    # below 0.
    own = replace(encoding.alone(line), transform=None)
    trained, line = replace(trained, encoding=own), cut(line, first, len(line), len(line.local))
    found = np.zeros((encoding.horizon, first + len(line)))
    y = fill(forward(line.y, encoding.transform)[:, None], np.array([0.0]))[:, 0]
    sizes = [_DIFFERENCE * scale, *(_DIFFERENCE * encoding.deviations[: len(encoding.past)])]
    last = np.array([t - first])
    for row in range(max(0, t + 1 - _BEFORE - first), len(line)):
        for column, size in enumerate(sizes):
            said = []
            for sign in (1.0, -1.0):
                moved = replace(line, y=y.copy(), past=line.past.copy())
                if column:
                    moved.past[row, column - 1] += sign * size
                else:
                    moved.y[row] += sign * size
                said.append(trained.forecast(encode(trained.encoding, moved), last)[0])
            found[:, first + row] += np.abs(said[0] - said[1]) / (2 * _DIFFERENCE)
    return found


def _overwritten(trained: Trained, line: Line, t: int) -> Array:
    """Return which forecasts after row t change when all measured later is replaced by noise."""
    rng = np.random.default_rng(0)
    y, past = line.y.copy(), line.past.copy()
    y[t + 1 :] = np.abs(rng.standard_normal(len(y) - t - 1)) * (1.0 + np.nanmax(np.abs(line.y), initial=1.0))
    past[t + 1 :] = rng.standard_normal(past[t + 1 :].shape)
    row = np.array([t])
    other = replace(line, y=y, past=past)
    # Of a series that is new, centre and scale are measured once, on its whole history.
    encoding = trained.encoding.alone(line)
    same = replace(trained, encoding=encoding)
    a, b = (same.forecast(encode(encoding, each), row)[0] for each in (line, other))
    return np.asarray(a != b)
