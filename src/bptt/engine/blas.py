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
    own: list[tuple[Any, int]] = []
    try:
        # All of it in here: an interruption leaves nothing behind that the next use would not put right.
        _held.depth = 1
        own = _several([lib for lib in _libraries() if _is_per_thread(lib)])
        _process.enter()
        for lib, _ in own:
            lib.set_num_threads(1)
        yield
    finally:
        _held.depth = 0
        for lib, threads in own:
            lib.set_num_threads(threads)
        _process.leave()


class _ProcessHold:
    """Knows the threads inside; the first sets the shared pools to one thread, the last gives them back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside: set[int] = set()
        self.before: list[tuple[Any, int]] = []

    def enter(self) -> None:
        own = threading.get_ident()
        with self.lock:
            if not self.inside - {own}:
                # What was before may be known still, where an interruption came between two lines.
                if not self.before:
                    self.before = _several([lib for lib in _libraries() if not _is_per_thread(lib)])
                for lib, _ in self.before:
                    _set(lib, 1)
            self.inside.add(own)

    def leave(self) -> None:
        with self.lock:
            self.inside.discard(threading.get_ident())
            if not self.inside:
                for lib, threads in self.before:
                    _set(lib, threads)
                self.before = []

    def forget_others(self) -> None:
        """In a forked child: only the thread that forked is there, and the lock may be held by another."""
        self.lock = threading.Lock()
        self.inside &= {threading.get_ident()}
        if not self.inside:
            for lib, threads in self.before:
                _set(lib, threads)
            self.before = []


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


def _several(libraries: list[Any]) -> list[tuple[Any, int]]:
    """Return those that run several threads, and how many: the others need no holding, which takes a while."""
    found = [(lib, lib.get_num_threads()) for lib in libraries]
    return [(lib, threads) for lib, threads in found if threads != 1]


def _set(lib: Any, threads: int) -> None:
    """Set a shared pool from any thread: threadpoolctl else lets only the first one that ever set it do so."""
    forget = getattr(type(lib), "clear_controlling_thread", None)
    if forget is not None:
        forget(force=True)
    lib.set_num_threads(threads)
    if forget is not None:
        forget(force=True)
