"""Examples that are arrays already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_lengths, check_number
from bptt.data.examples.batch import Array, Batch, check_indices
from bptt.errors import DataError, InvalidInput, InvalidType


class Arrays:
    """Ready-made examples, drawn by index.

    Parameters
    ----------
    x : array_like (N, T, D)
        Inputs, batch first. Whole numbers become float64.
    y : array_like (N, K) or (N, T, K), or integer (N,) or (N, T)
        Targets; class numbers keep their integer dtype.
    lengths : array_like (N,), optional
        Valid steps of each example, 1..T.
    weights : array_like (N,) or (N, T), optional
        Weight of each target in the loss, finite, not negative.

    Raises
    ------
    InvalidInput, InvalidType
        Shapes that do not belong together, entries that are not finite, negative weights.
    """

    def __init__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
    ) -> None:
        self.x = _real("x", check_array("x", x, [("N", None), ("T", None), ("D", None)]))
        count, steps, _ = self.x.shape
        if not count or not steps:
            raise DataError(
                f"x must hold at least one example of at least one step. Got shape {self.x.shape}"
            )
        self.y = _targets(y, count, steps)
        self.lengths = check_lengths(lengths, count, steps)
        self.weights = None if weights is None else _weights(weights, count, steps)

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def __repr__(self) -> str:
        return f"Arrays({len(self)} examples, x {self.x.shape}, y {self.y.shape})"

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return the examples with these indices, copied."""
        chosen = check_indices(indices, len(self))
        return Batch(
            self.x[chosen],
            self.y[chosen],
            None if self.lengths is None else self.lengths[chosen],
            None if self.weights is None else self.weights[chosen],
        )

    def split_last(self, fraction: float) -> tuple[Arrays, Arrays]:
        """Return (training, validation): the last `fraction` of the examples, rounded, at least one, validates.

        The examples are taken to share no rows; cut overlapping ones with `Windows`, which leaves out those that
        would reach over.
        """
        share = check_number("fraction", fraction, above=0.0, below=1.0)
        cut = len(self) - max(1, round(share * len(self)))
        if not cut:
            raise DataError(
                f"fraction = {share:g} of {len(self)} examples must leave one to train on. Got none"
            )
        return self._part(slice(None, cut)), self._part(slice(cut, None))

    def _part(self, rows: slice) -> Arrays:
        return Arrays(
            self.x[rows],
            self.y[rows],
            None if self.lengths is None else self.lengths[rows],
            None if self.weights is None else self.weights[rows],
        )


def _real(name: str, array: Array) -> Array:
    if array.dtype.kind == "c":
        raise InvalidType(f"{name} must hold real numbers. Got dtype {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(k[0]) for k in np.nonzero(bad))
        raise InvalidInput(
            f"{name} must be finite. Got {array[where]} at {where}, and {int(bad.sum())} such entries in all: "
            "fill them, or give them no weight and any finite value"
        )
    return array


def _targets(y: npt.ArrayLike, count: int, steps: int) -> Array:
    array = np.asarray(y)
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"y must hold real numbers or whole class numbers. Got dtype {array.dtype}")
    fits = array.ndim in (1, 2, 3) and array.shape[0] == count and (array.ndim < 3 or array.shape[1] == steps)
    if not fits:
        raise InvalidInput(
            f"y must have shape (N, K) = ({count}, *) or (N, T, K) = ({count}, {steps}, *), or hold class numbers "
            f"(N,) or (N, T). Got {array.shape}: x has N = {count} examples of T = {steps} steps"
        )
    if array.ndim == 1 and array.dtype.kind not in "iu":
        raise InvalidInput(
            f"y must have shape (N, K) = ({count}, *) unless it holds class numbers. Got {array.shape}: use y[:, None]"
        )
    return array if array.dtype.kind in "iu" else _real("y", array)


def _weights(weights: npt.ArrayLike, count: int, steps: int) -> Array:
    array = np.asarray(weights)
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"weights must hold numbers. Got dtype {array.dtype}")
    if array.shape not in ((count,), (count, steps)):
        raise InvalidInput(
            f"weights must have shape (N,) = ({count},) or (N, T) = ({count}, {steps}). Got {array.shape}"
        )
    array = _real("weights", array)
    if bool((array < 0).any()):
        raise InvalidInput(f"weights must not be negative. Got {array.min()}")
    return array
