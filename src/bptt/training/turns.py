"""Runs that train one network take turns: a step of two threads at once would leave weights that no step has made."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bptt.network import Network


@dataclass
class _Turn:
    """The lock of one network, and how many runs hold it or wait for it."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    runs: int = 0


# By the network's id, while a run has it. Not by a weak reference: an interruption in its callback would be lost.
_turns: dict[int, _Turn] = {}
_asking = threading.Lock()


@contextmanager
def take_turns(net: Network) -> Iterator[None]:
    """Wait until no other thread trains this network; a callback may train it within its own run."""
    with _asking:
        turn = _turns.setdefault(id(net), _Turn())
        turn.runs += 1
    try:
        with turn.lock:
            yield
    finally:
        # Where an interruption keeps this from being counted, a lock that nobody holds is left behind.
        with _asking:
            turn.runs -= 1
            if not turn.runs and _turns.get(id(net)) is turn:
                del _turns[id(net)]


def _begin_anew() -> None:
    """Forget, in a child that was forked off, the threads that it does not have."""
    global _asking, _turns
    _asking, _turns = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
