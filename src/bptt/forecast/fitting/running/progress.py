"""The progress of a fit on the terminal: all networks' updates as one bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bptt.errors import InvalidType
from bptt.forecast.fitting.running.side_by_side import Notify
from bptt.training import ProgressBar
from bptt.training.watching.callbacks import Event
from bptt.training.watching.history import make_history


@contextmanager
def show_progress(progress: object) -> Iterator[Notify]:
    """Give what `fit_panel` notifies: a bar, a function of the user's own (done, total), or nothing.

    Parameters
    ----------
    progress : bool, callable or None
        None draws a bar where stderr is a terminal.
    """
    if progress is None:
        progress = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    if progress is False:
        yield lambda *_: None
    elif callable(progress):
        yield progress
    elif progress is True:
        bar = ProgressBar("fitting")

        def tell(done: int, total: int) -> None:
            # The bar looks at the numbers alone, never at a network.
            bar(Event(done - 1, total, float("nan"), 0.0, 0.0, None, None))  # type: ignore[arg-type]

        try:
            yield tell
        finally:
            bar.finish(make_history([], [], "failed", 0.0))
    else:
        raise InvalidType(
            f"progress must be None, True, False or a function of (done, total). Got {progress!r}"
        )
