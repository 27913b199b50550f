"""SIGTERM while a run keeps checkpoints: it ends as Ctrl-C ends it, and the signal is then passed on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from bptt.interruptions import Interrupted, count_imports, is_put_off, none_is_lost


class Terminated(Interrupted):
    """Raised where SIGTERM arrives.

    Parameters
    ----------
    found : Termination
        Where it was noted.
    """

    def __init__(self, found: Termination) -> None:
        super().__init__(signal.SIGTERM)
        self.found = found

    def lost(self) -> None:
        """Take the note back: the next SIGTERM is raised again."""
        self.found.heard = False


class Termination:
    """What `hear_termination` knows.

    Attributes
    ----------
    heard : bool
        Whether SIGTERM has arrived.
    fatal : bool
        Whether the process will end by it without another word, once it is passed on.
    open : bool
        Whether it is still to be raised.
    """

    def __init__(self) -> None:
        self.open = True
        self.heard = False
        self.fatal = False


@contextmanager
def hear_termination(*, wanted: bool) -> Iterator[Termination]:
    """Raise `Terminated` inside where SIGTERM arrives; behind it, the handler that was there before gets the signal.

    Where it is not wanted, in another thread than the main one, or where the program ignores the signal, nothing is
    installed. A second SIGTERM is not raised inside: the first one is being attended to.
    """
    found = Termination()
    before = signal.getsignal(signal.SIGTERM) if wanted else None
    # None: a handler that was not installed from Python, and could not be put back.
    if (
        before is None
        or before is signal.SIG_IGN
        or threading.current_thread() is not threading.main_thread()
    ):
        yield found
        return
    found.fatal = before is signal.SIG_DFL
    owner, outside = os.getpid(), count_imports()

    def hear(number: int, frame: FrameType | None) -> Any:
        if os.getpid() != owner:  # a forked child: the run is not its own
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
        elif not (found.open and is_put_off(number, frame, outside)):
            raised, found.heard = found.open and not found.heard, True
            if raised:
                raise Terminated(found)

    try:
        signal.signal(signal.SIGTERM, hear)
        with none_is_lost():
            yield found
    finally:
        # From here on the handler only takes note: nothing may come between this line and the last one.
        found.open = False
        # Unless somebody inside has put another one in its place.
        if signal.getsignal(signal.SIGTERM) is hear:
            signal.signal(signal.SIGTERM, before)
        if found.heard:
            signal.raise_signal(signal.SIGTERM)
