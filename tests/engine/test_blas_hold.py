"""BLAS held to one thread, whatever interrupts the holding."""

from __future__ import annotations

import signal
import time
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bptt.engine.blas import one_blas_thread


def threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def hold_again_and_again(delay: float) -> None:
    """Until the signal comes, however late the system sends it."""
    signal.setitimer(signal.ITIMER_REAL, delay)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with one_blas_thread():
            pass


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_an_interruption_at_any_moment_leaves_nothing_held(rng: np.random.Generator) -> None:
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with one_blas_thread():  # finds the libraries, once
        pass
    try:
        with threadpool_limits(2, user_api="blas"):
            outside = threads()
            for delay in rng.uniform(1e-6, 3e-4, 300):
                with pytest.raises(KeyboardInterrupt):
                    hold_again_and_again(delay)
                with one_blas_thread():
                    assert threads() == {1}
                assert threads() == outside
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
