"""Records of arrays in one line: what is in them, without the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

# Names of a mapping that are shown, and letters of any other value.
_NAMES, _LETTERS = 3, 60


def brief(record: Any) -> str:
    """Return a record of a dataclass in one line: numbers as they are, of arrays the shape, of mappings the names.

    Written as ``__repr__ = brief`` in the class, it takes the place of the one that a dataclass makes, which prints
    every array.
    """
    found = [f"{each.name}={_told(getattr(record, each.name))}" for each in fields(record) if each.repr]
    return f"{type(record).__name__}({', '.join(found)})"


def _told(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {'x'.join(map(str, value.shape)) or 'scalar'}"
    if isinstance(value, Mapping):
        names = sorted(map(str, value))
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        return f"{{{', '.join(names[:_NAMES])}{more}}}"
    if isinstance(value, (tuple, list)) and len(repr(value)) > _LETTERS:
        return f"{len(value)} entries"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = repr(value)
    return text if len(text) <= _LETTERS else type(value).__name__
