"""BLAS held to one thread, because float32 products differ in their last bits between one thread and two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_held = threading.local()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread inside; nested uses cost nothing."""
    if getattr(_held, "depth", 0):
        yield
        return
    _held.depth = 1
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _held.depth = 0


@cache
def _controller() -> Any:
    # Finding the loaded BLAS takes a millisecond, so once; NumPy has loaded its own by now.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
