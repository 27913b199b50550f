"""Which steps of ragged rows count in the loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def step_weights(
    weights: npt.ArrayLike | None, lengths: npt.ArrayLike | None, shape: tuple[int, ...]
) -> npt.ArrayLike | None:
    """Return the weights with the steps past each row's length at 0.

    Parameters
    ----------
    weights : array_like (B,) or (B, T), optional
        Those of other shapes are returned as they are: the loss says what is wrong with them.
    lengths : array_like of int (B,), optional
        Already checked.
    shape : tuple of int
        Of the predictions: (B, K), which have no steps, or (B, T, K).
    """
    if lengths is None or len(shape) == 2:
        return weights
    inside = np.arange(shape[1]) < np.asarray(lengths)[:, None]
    if weights is None:
        return inside.astype(np.float64)
    array = np.asarray(weights)
    if array.shape not in (shape[:1], shape[:2]) or array.dtype.kind not in "fiub":
        return weights
    return np.where(inside, array[:, None] if array.ndim == 1 else array, 0.0)
