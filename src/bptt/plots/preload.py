"""matplotlib loaded beside other work: its import and first formula take longer than many a picture.

A command that draws at its end calls `preload` before it trains: compiled steps leave the interpreter free, so that on
two processors the time is gone. `new_figure` waits for it.
"""

from __future__ import annotations

import io
import threading

_loading: threading.Thread | None = None


def preload() -> None:
    """Begin to load matplotlib in a thread of its own; the second call does nothing."""
    global _loading
    if _loading is None:
        _loading = threading.Thread(target=_load, name="bptt-preload")
        _loading.start()


def wait_for_preload() -> None:
    """Return once matplotlib is loaded, if that was begun: two threads must not draw at a time."""
    if _loading is not None:
        _loading.join()


def _load() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    FigureCanvasAgg(figure)
    # The grammar of formulas is built by the first one, the table of fonts read by the first text.
    figure.text(0, 0, r"$x^{[1]}_2$")
    figure.savefig(io.BytesIO(), format="png", dpi=20)
