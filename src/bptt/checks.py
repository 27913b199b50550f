"""Checks of shape, dtype and range at the public border; inside, code trusts what passed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType

Array = npt.NDArray[Any]

DTYPES = ("float32", "float64")


def check_array(
    name: str,
    value: object,
    shape: Sequence[tuple[str, int | None]],
    *,
    dtype: np.dtype[Any] | None = None,
    reason: str = "",
) -> Array:
    """Return `value` as an array of the stated shape and dtype, or raise.

    Parameters
    ----------
    name : str
        What the caller calls the array.
    value : array_like
        Anything NumPy turns into numbers.
    shape : sequence of (symbol, size)
        One pair an axis, e.g. ``[("B", None), ("T", None), ("D", 3)]``; None takes any size.
    dtype : numpy dtype, optional
        Converted to it if it differs (no copy otherwise). Complex input stays complex.
    reason : str
        Ends the message of a wrong shape: where the expected numbers come from.

    Raises
    ------
    InvalidType
        Text, objects or ragged nested lists.
    InvalidInput
        Another number of axes or another size.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise InvalidType(
            f"{name} must be a rectangular array of numbers. Got nested sequences of unequal length: "
            "pad them and pass lengths="
        ) from None
    if array.dtype.kind not in "fiubc":
        raise InvalidType(f"{name} must hold numbers. Got dtype {array.dtype}")
    wanted = [size for _, size in shape]
    fits = array.ndim == len(wanted) and all(
        w is None or w == n for w, n in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        symbols = ", ".join(symbol for symbol, _ in shape)
        numbers = ", ".join("*" if size is None else str(size) for size in wanted)
        tail = f": {reason}" if reason else ""
        raise InvalidInput(f"{name} must have shape ({symbols}) = ({numbers}). Got {array.shape}{tail}")
    if dtype is not None and array.dtype != dtype and array.dtype.kind != "c":
        array = array.astype(dtype)
    return array


def check_lengths(lengths: object, batch: int, steps: int) -> npt.NDArray[np.int64] | None:
    """Return ragged lengths as int64 (B,), or None when every row has all `steps` steps."""
    if lengths is None:
        return None
    try:
        array = np.asarray(lengths)
    except ValueError:
        raise InvalidType("lengths must be a flat sequence of whole numbers. Got nested sequences") from None
    if array.dtype.kind not in "iu":
        raise InvalidType(f"lengths must be whole numbers. Got dtype {array.dtype}")
    if array.shape != (batch,):
        raise InvalidInput(f"lengths must have shape (B,) = ({batch},). Got {array.shape}")
    wrong = np.flatnonzero((array < 1) | (array > steps))
    if wrong.size:
        row = int(wrong[0])
        raise InvalidInput(
            f"lengths must lie in 1..T = 1..{steps}. Got {int(array[row])} in row {row}: "
            "drop empty sequences, or pass a longer x"
        )
    if bool((array == steps).all()):
        return None
    return array.astype(np.int64)


def check_dtype(dtype: object) -> np.dtype[Any]:
    """Return a floating dtype that the engines work in."""
    found: np.dtype[Any]
    try:
        found = np.dtype(dtype)  # type: ignore[call-overload]  # any object is tried, that is the check
    except TypeError:
        found = np.dtype(object)
    if found.name not in DTYPES:
        raise InvalidInput(f"dtype must be one of {', '.join(DTYPES)}. Got {dtype!r}")
    return found


def check_whole(name: str, value: object, *, least: int = 1) -> int:
    """Return `value` as an int of at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InvalidType(f"{name} must be a whole number. Got {value!r}")
    if value < least:
        raise InvalidInput(f"{name} must be at least {least}. Got {value}")
    return int(value)


def check_number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    below: float | None = None,
    above: float | None = None,
) -> float:
    """Return `value` as a finite float, with least <= value < below and value > above where given."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InvalidType(f"{name} must be a number. Got {value!r}")
    number = float(value)
    rules = []
    if not np.isfinite(number):
        rules.append("finite")
    if least is not None and not number >= least:
        rules.append(f"at least {least:g}")
    if above is not None and not number > above:
        rules.append(f"above {above:g}")
    if below is not None and not number < below:
        rules.append(f"below {below:g}")
    if rules:
        raise InvalidInput(f"{name} must be {' and '.join(rules)}. Got {value}")
    return number


def check_choice(name: str, value: object, choices: Sequence[str] | Mapping[str, object]) -> str:
    """Return `value` if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(f"{name} must be one of {', '.join(choices)}. Got {value!r}")
    return value
