"""Properties that are reckoned once: of a class and of one above it, by several threads, in a child of a fork."""

from __future__ import annotations

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from bptt.cached import cached_property


@dataclass(frozen=True)
class Below:
    size: int

    @cached_property
    def parts(self) -> list[int]:
        """Parts."""
        return [self.size]


class Above(Below):
    @cached_property
    def parts(self) -> list[int]:
        return [*super().parts, 7]


def test_reckoned_once_and_by_a_class_from_the_one_above() -> None:
    for made, wanted in ((Below(3), [3]), (Above(3), [3, 7])):
        assert made.parts == wanted
        assert made.parts is made.parts
    assert Below.parts.__doc__ == "Parts."
    assert Above(4) == Above(4)


def test_threads_that_ask_at_once_get_one_value() -> None:
    together = threading.Barrier(4)

    class Slow:
        @cached_property
        def value(self) -> object:
            together.wait(10)
            return object()

    slow = Slow()
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: slow.value, range(4)))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_off_meanwhile_waits_for_no_lock() -> None:
    begun, end = threading.Event(), threading.Event()

    class Slow:
        def __init__(self, wait: bool) -> None:
            self.wait = wait

        @cached_property
        def value(self) -> int:
            if self.wait:
                begun.set()
                end.wait(20)
            return 5

    thread = threading.Thread(target=lambda: Slow(wait=True).value)
    thread.start()
    assert begun.wait(10)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forking beside threads, which is what is tried here
        child = os.fork()
    if child == 0:  # pragma: no cover
        threading.Timer(10, os._exit, [1]).start()
        os._exit(0 if Slow(wait=False).value == 5 else 2)
    ended = os.waitpid(child, 0)[1]
    end.set()
    thread.join()
    assert ended == 0
