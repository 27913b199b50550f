"""Where a table may come from: a path, a frame of any library, a dict, an array."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.data.tables.frames import Columns, from_frame, from_mapping, with_index
from bptt.data.tables.reading import open_columns, read_file
from bptt.errors import InvalidType


def open_source(source: object, decimal: str = ".") -> tuple[Columns, str | None]:
    """Return the columns of a table, and the sha256 of its file if it is one.

    A 1-D array is one series, "y"; the columns of a 2-D array are called "0", "1", ... `decimal` is the mark that
    numbers in a CSV file have.

    Raises
    ------
    FileMissing, FileFormatError, DataError, InvalidType
        As `bptt.data.read_table`.
    """
    if isinstance(source, (str, os.PathLike)):
        raw = read_file(source)
        return open_columns(raw, str(source), decimal=decimal), hashlib.sha256(raw).hexdigest()
    if isinstance(source, Mapping):
        return from_mapping(source), None
    if isinstance(source, (list, tuple)):
        source = np.asarray(source)
    if isinstance(source, np.ndarray):
        return replace(from_mapping(_named(source)), name="array", kind="array"), None
    return from_frame(with_index(source)), None


def _named(array: Any) -> dict[str, Any]:
    if array.dtype.names is not None:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 1 and array.dtype.kind in "fiub":
        return {"y": array}
    if array.ndim == 2 and array.dtype.kind in "fiub":
        if array.shape[1] == 1:
            return {"y": array[:, 0]}
        return {str(k): array[:, k] for k in range(array.shape[1])}
    raise InvalidType(
        f"source must be a path, a data frame, a dict of columns or an array of numbers (T,) or (T, C). "
        f"Got an array of {array.dtype} {array.shape}"
    )
