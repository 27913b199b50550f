"""Hidden states: all steps of a run, laid over one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.style import dress, look_named, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

_FLOAT64 = np.dtype("float64")


def hidden_states(
    runs: Mapping[str, Array],
    *,
    neurons: int = 20,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
) -> Figure:
    """Draw the states of the first neurons, a faint line a step, in a panel a run.

    Parameters
    ----------
    runs : mapping of str to ndarray (T, H)
        States by the panel's title. Where the lines lie on one another, a neuron holds its value.
    neurons : int
        How many are shown.
    title, theme, size
        As in `learning_curve`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InvalidInput, InvalidType
        No run, or states that are not (T, H).
    """
    if not isinstance(runs, Mapping):
        raise InvalidType(f"runs must map a title to states (T, H). Got {type(runs).__name__}")
    if not runs:
        raise InvalidInput("runs must hold at least 1 run. Got none")
    checked = {
        name: check_array(f"runs[{name!r}]", h, [("T", None), ("H", None)], dtype=_FLOAT64)
        for name, h in runs.items()
    }
    shown = check_whole("neurons", neurons)
    look = look_named(theme, size)
    columns = 1 if look.is_narrow else min(2, len(checked))
    rows = -(-len(checked) // columns)
    figure = new_figure(look, height=(1.9 if look.is_narrow else 2.3) * rows + 0.5)
    grid: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, (name, h) in zip(grid.flat, checked.items(), strict=False):
        dress(ax, look)
        # With fewer steps each has to be seen; with 200 the lecture's 0.05.
        alpha = min(1.0, max(0.05, 4 / len(h)))
        places = np.arange(1, min(shown, h.shape[1]) + 1)
        ax.plot(places, h[:, :shown].T, color=look.theme.ink, linewidth=1.0, alpha=alpha)
        ax.set_title(name, loc="left", fontsize=look.size.font, color=look.theme.ink)
        ax.set_xlim(0.5, shown + 0.5)
    for ax in grid.flat[len(checked) :]:
        ax.set_visible(False)
    figure.supxlabel("neuron", fontsize=look.size.font, color=look.theme.ink)
    figure.supylabel("state", fontsize=look.size.font, color=look.theme.ink)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=look.size.font + 1.5, fontweight="bold",
                        color=look.theme.ink)  # fmt: skip
    return figure
