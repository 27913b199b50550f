"""BLAS held to one thread, because float32 products differ in their last bits between one thread and two."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_held = threading.local()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread inside; nested uses cost nothing.

    A pool that belongs to the process is held until the last thread has left, whichever came first. Where BLAS uses
    OpenMP the setting belongs to the calling thread, and each holds its own.
    """
    if getattr(_held, "depth", 0):
        yield
        return
    own = [(lib, lib.get_num_threads()) for lib in _libraries() if _is_per_thread(lib)]
    _held.depth = 1
    _process.enter()
    try:
        for lib, _ in own:
            lib.set_num_threads(1)
        yield
    finally:
        for lib, threads in own:
            lib.set_num_threads(threads)
        _process.leave()
        _held.depth = 0


class _ProcessHold:
    """Counts the threads inside; the first sets the shared pools to one thread, the last gives them back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.before: list[tuple[Any, int]] = []

    def enter(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.before = [
                    (lib, lib.get_num_threads()) for lib in _libraries() if not _is_per_thread(lib)
                ]
                for lib, _ in self.before:
                    _set(lib, 1)
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for lib, threads in self.before:
                    _set(lib, threads)

    def forget_others(self) -> None:
        """In a forked child: only the thread that forked is there, and the lock may be held by another."""
        self.lock = threading.Lock()
        if getattr(_held, "depth", 0):
            self.inside = 1
        elif self.inside:
            self.inside = 0
            for lib, threads in self.before:
                _set(lib, threads)


_process = _ProcessHold()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.forget_others)


@cache
def _libraries() -> list[Any]:
    # Finding the loaded BLAS takes a millisecond, so once; NumPy has loaded its own by now.
    from threadpoolctl import ThreadpoolController

    return [lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas"]


def _is_per_thread(lib: Any) -> bool:
    return getattr(lib, "threading_layer", "") == "openmp"


def _set(lib: Any, threads: int) -> None:
    """Set a shared pool from any thread: threadpoolctl else lets only the first one that ever set it do so."""
    forget = getattr(type(lib), "clear_controlling_thread", None)
    if forget is not None:
        forget(force=True)
    lib.set_num_threads(threads)
    if forget is not None:
        forget(force=True)
