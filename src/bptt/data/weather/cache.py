"""Downloaded data are kept in the cache folder."""

from __future__ import annotations

from pathlib import Path

from bptt.atomic import write_atomic
from bptt.cache import cache_folder


def keep(name: str, data: bytes) -> Path:
    """Write `data` under `name` in the cache folder, whole or not at all; OSError or BpttError if that fails."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / name, data)
    return folder / name
