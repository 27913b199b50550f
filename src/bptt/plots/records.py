"""Checks of what the pictures are drawn from: series of one length, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array
from bptt.errors import InvalidInput, InvalidType

Array = npt.NDArray[Any]

_FLOAT64 = np.dtype("float64")


def check_series(name: str, value: object) -> Array:
    """Return `value` as float64 (N,) with N >= 1; nan is let through."""
    series = check_array(name, value, [("N", None)], dtype=_FLOAT64)
    if series.dtype.kind == "c":
        raise InvalidType(f"{name} must hold real numbers. Got dtype {series.dtype}")
    if not series.size:
        raise InvalidInput(f"{name} must hold at least N = 1 value. Got none")
    return series


def check_forecasts(truth: Array, forecasts: Mapping[str, Array]) -> dict[str, Array]:
    """Return the forecasts as float64 (N,), N being that of the truth."""
    if not isinstance(forecasts, Mapping):
        raise InvalidType(f"forecasts must map a name to an array. Got {type(forecasts).__name__}")
    if not forecasts:
        raise InvalidInput("forecasts must hold at least 1 forecast. Got none")
    return {
        str(name): check_array(
            f"forecasts[{name!r}]",
            value,
            [("N", truth.size)],
            dtype=_FLOAT64,
            reason="truth has that many values",
        )
        for name, value in forecasts.items()
    }


def check_all_finite(name: str, series: Array) -> None:
    """Raise where a number is computed from the series and one of its values is missing."""
    wrong = np.flatnonzero(~np.isfinite(series))
    if wrong.size:
        row = int(wrong[0])
        raise InvalidInput(
            f"{name} must be finite. Got {series[row]} in row {row}: leave out rows without a value"
        )


def check_names(name: str, chosen: object, known: Mapping[str, object]) -> frozenset[str]:
    """Return `chosen` as a set of names that are all keys of `known`."""
    if isinstance(chosen, str) or not isinstance(chosen, (tuple, list, set, frozenset)):
        raise InvalidType(f"{name} must be a tuple of names. Got {chosen!r}")
    for one in chosen:
        if one not in known:
            raise InvalidInput(f"{name} must be among the methods {', '.join(known)}. Got {one!r}")
    return frozenset(chosen)
