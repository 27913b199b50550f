"""What the passes check of the caller's records and settings, beyond arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.errors import InvalidInput, InvalidType


def check_parameters(own: Mapping[str, Array], given: Mapping[str, Array] | None) -> Mapping[str, Array]:
    """Return the parameters to use: the own ones, or as many of the same names and shapes."""
    if given is None:
        return own
    if not isinstance(given, Mapping):
        raise InvalidType(f"parameters must map names to arrays. Got {type(given).__name__}")
    for name in (*own, *given):
        if name not in given or name not in own:
            rule = "be there" if name in own else "be left out, as there is no such parameter"
            raise InvalidInput(f"parameters: {name} must {rule}. Got {', '.join(given) or 'nothing'}")
        shape = np.shape(given[name])
        if shape != own[name].shape:
            raise InvalidInput(f"parameters: {name} must have shape {own[name].shape}. Got {shape}")
    return given


def check_dropout_key(key: object) -> tuple[int, int] | None:
    """Return (seed, step), two whole numbers of at least 0, or None."""
    if key is None:
        return None
    if (
        not isinstance(key, tuple)
        or len(key) != 2
        or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in key)
    ):
        raise InvalidInput(f"dropout_key must be (seed, step), two whole numbers of at least 0. Got {key!r}")
    return int(key[0]), int(key[1])


def check_record(name: str, record: object, wanted: type[Any], maker: str) -> None:
    """Refuse what is not a record of a pass."""
    if not isinstance(record, wanted):
        raise InvalidType(
            f"{name} must be the {wanted.__name__} that {maker} returned. Got {type(record).__name__}"
        )
