"""Runs that train one network take turns: a step of two threads at once would leave weights that no step has made."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from bptt.network import Network

_locks: WeakKeyDictionary[Network, threading.RLock] = WeakKeyDictionary()
_asking = threading.Lock()


@contextmanager
def take_turns(net: Network) -> Iterator[None]:
    """Wait until no other thread trains this network; a callback may train it within its own run."""
    with _asking:
        lock = _locks.setdefault(net, threading.RLock())
    with lock:
        yield


def _begin_anew() -> None:
    """Forget, in a child that was forked off, the threads that it does not have."""
    global _asking, _locks
    _asking, _locks = threading.Lock(), WeakKeyDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
