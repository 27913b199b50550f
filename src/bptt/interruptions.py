"""A signal's exception where it does no harm and is not lost.

Python raises what the handler of a signal raises wherever the main thread is. Two places are bad ones. Inside an import
it leaves locks held, and the next import of any other thread waits for ever. Inside a destructor or the callback of a
weak reference it is printed as ignored, and the program goes on. Here both are told, and the signal is sent once more
when the place is left.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# How long the main thread may be in an import until it is interrupted there all the same.
_PATIENCE = 10.0
_PAUSE = 0.02
_IMPORTS = "<frozen importlib._bootstrap>"

_waiting: dict[int, float] = {}


class Interrupted(KeyboardInterrupt):
    """Raised where a signal arrives: whatever is safe under Ctrl-C is safe under it.

    Parameters
    ----------
    number : int
        Which signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def lost(self) -> None:
        """Hear that nobody saw it; the signal comes again."""


def count_imports(frame: FrameType | None = None) -> int:
    """Return the frames of the import machinery that a frame, or the caller, was called from."""
    frame = frame or sys._getframe(1)
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == _IMPORTS
        frame = frame.f_back
    return count


def is_put_off(number: int, frame: FrameType | None, outside: int = 0) -> bool:
    """Return whether a handler must leave it at that: the main thread imports, and the signal will come again.

    Parameters
    ----------
    number, frame
        What the handler got.
    outside : int
        What `count_imports` said when the handler was installed: a program may run in an import as a whole.
    """
    now = time.monotonic()
    if frame is None or count_imports(frame) <= outside or now - _waiting.setdefault(number, now) > _PATIENCE:
        _waiting.pop(number, None)
        return False
    _send_again(number)
    return True


@contextmanager
def none_is_lost() -> Iterator[None]:
    """Send a signal again whose exception was ignored, since it came up in a destructor or callback."""
    before = sys.unraisablehook

    def look(ignored: Any) -> None:
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            before(ignored)
            return
        number: int = signal.SIGINT
        if isinstance(ignored.exc_value, Interrupted):
            ignored.exc_value.lost()
            number = ignored.exc_value.number
        _send_again(number)

    sys.unraisablehook = look
    try:
        yield
    finally:
        # Unless somebody inside has put another one in its place.
        if sys.unraisablehook is look:
            sys.unraisablehook = before


def _send_again(number: int) -> None:
    # Not threading.Thread: to start one takes locks, which the main thread may hold where it was interrupted.
    _thread.start_new_thread(_send, (number,))


def _send(number: int) -> None:
    time.sleep(_PAUSE)
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:
        # As from outside: it wakes a main thread that waits.
        signal.pthread_kill(threading.main_thread().ident or 0, number)
