"""BLAS held to one thread, because float32 products differ in their last bits between one thread and two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


class _Held:
    """How often BLAS is held, over all threads: its number of threads is one setting of the whole process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.limit: Any = None


_held = _Held()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread until the last one inside has left; nested uses cost nothing."""
    with _held.lock:
        if _held.depth == 0:
            _held.limit = _controller().limit(limits=1, user_api="blas")
        _held.depth += 1
    try:
        yield
    finally:
        with _held.lock:
            _held.depth -= 1
            if _held.depth == 0:
                _held.limit.restore_original_limits()


@cache
def _controller() -> Any:
    # Finding the loaded BLAS takes a millisecond, so once; NumPy has loaded its own by now.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
