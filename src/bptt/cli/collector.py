"""Python's garbage collector, made to come seldom: a command loads 200,000 objects that live until its end."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects after which the youngest are looked through; Python's own is 700 or 2,000. What waits longer for that are
# circles of objects that nobody holds, of which a picture leaves some thousands.
_SELDOM = 10_000


@contextmanager
def collect_seldom() -> Iterator[None]:
    """Collect garbage seldom inside, and not at the interpreter's end.

    While modules are loaded, the objects grow in number all the time, and by Python's own measure all of them are
    looked through again and again; at the end three times more. There is nothing to be found.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(_SELDOM, before[0]) if before[0] else 0, *before[1:])
    atexit.unregister(gc.freeze)  # once is enough
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(*before)
