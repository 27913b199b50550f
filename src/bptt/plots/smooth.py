"""A smooth curve through a cloud of points: local straight lines with tricube weights (LOESS, degree 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_number, check_whole
from bptt.errors import InvalidInput

Array = npt.NDArray[Any]

# The furthest neighbour keeps a trace of weight, so that neighbours which all lie equally far
# (whole degrees, a grid point half way between) do not all weigh nothing.
_REACH = 1.001


def smooth_curve(x: Array, y: Array, *, span: float = 0.3, points: int = 60) -> tuple[Array, Array]:
    """Fit a weighted straight line around each of a grid of places.

    Parameters
    ----------
    x, y : ndarray (N,)
        The cloud, finite.
    span : float
        Share of the points that each line is fitted to, 0 < span <= 1. R's `scatter.smooth` takes 2/3, which
        hides what happens at the ends.
    points : int
        Size of the grid, from the smallest to the largest x.

    Returns
    -------
    grid, fitted : ndarray (points,), float64
        One point only where all x are equal.

    Notes
    -----
    Around g, with h the distance of the ceil(span * N)-th nearest point, a point weighs
    ``(1 - (|x - g| / h)^3)^3``, and the curve at g is the value there of the line that minimises the
    weighted squared error. O(N) a grid point.

    References
    ----------
    Cleveland, W. S. (1979). Robust locally weighted regression and smoothing scatterplots.
    JASA 74, section 2; without the robustness iterations.
    """
    x = check_array("x", x, [("N", None)], dtype=np.dtype("float64"))
    y = check_array("y", y, [("N", x.size)], dtype=np.dtype("float64"), reason="x has that many points")
    check_number("span", span, above=0.0)
    if span > 1:
        raise InvalidInput(f"span must be at most 1. Got {span}: it is a share of the points")
    check_whole("points", points, least=2)
    if not x.size:
        raise InvalidInput("x must hold at least N = 1 point. Got none")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidInput("x and y must be finite. Got nan or inf: drop those points first")
    low, high = float(x.min()), float(x.max())
    grid = np.linspace(low, high, points) if high > low else np.array([low])
    neighbours = max(min(2, x.size), int(np.ceil(span * x.size)))
    return grid, np.array([_line_at(place, x, y, neighbours) for place in grid])


def _line_at(place: float, x: Array, y: Array, neighbours: int) -> float:
    """Return the value at `place` of the line fitted to its nearest points."""
    from_place = x - place
    distance = np.abs(from_place)
    reach = _REACH * np.partition(distance, neighbours - 1)[neighbours - 1]
    near = distance <= reach
    from_place, y = from_place[near], y[near]
    if reach > 0:
        weight = (1 - (distance[near] / reach) ** 3) ** 3
    else:  # at least `neighbours` points lie exactly here
        weight = np.ones(y.size)
    weight /= weight.sum()
    mean_x, mean_y = weight @ from_place, weight @ y
    spread = weight @ (from_place - mean_x) ** 2
    if not spread > 0:
        return float(mean_y)
    slope = weight @ ((from_place - mean_x) * (y - mean_y)) / spread
    return float(mean_y - slope * mean_x)
