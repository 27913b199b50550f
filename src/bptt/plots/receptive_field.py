"""Which inputs each output uses, as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array
from bptt.errors import InvalidInput
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

_FLOAT64 = np.dtype("float64")
# Decades below the largest that still differ in colour.
_DECADES = 6.0


def receptive_field(
    uses: Array,
    outputs: Array,
    cannot_see: Array | None = None,
    *,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw a map with a row for each output and a column for each input step; the darker, the more it is used.

    Parameters
    ----------
    uses : ndarray (S, T)
        Sizes of derivatives, not negative. Colours follow the logarithm over six decades below the largest.
    outputs : ndarray (S,)
        The step of each output.
    cannot_see : ndarray (S, T), bool, optional
        What is proved to be out of sight is drawn in the colour of the grid; the rest of what is not used in that of
        the paper.
    title, theme, size, ax
        As in `path_lengths`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Shapes that do not fit, negative sizes, or nothing that is used.
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    sizes = check_array("uses", uses, [("S", None), ("T", None)], dtype=_FLOAT64)
    S, T = sizes.shape
    steps = check_array("outputs", outputs, [("S", S)], dtype=_FLOAT64)
    hidden = np.zeros((S, T), bool)
    if cannot_see is not None:
        hidden = check_array("cannot_see", np.asarray(cannot_see, np.float64), [("S", S), ("T", T)]) > 0
    if not sizes.size or not (sizes >= 0).all() or not (sizes > 0).any():
        raise InvalidInput(
            "uses must hold sizes of at least 0, and one above 0 to be drawn. Got none, or others"
        )
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look, height=look.size.height + (0.0 if look.is_narrow else 0.6))
    colours = LinearSegmentedColormap.from_list("uses", [look.theme.background, look.colour(0)])
    with np.errstate(divide="ignore"):
        depth = 1 + np.log10(sizes / sizes.max()) / _DECADES
    image = colours(np.clip(depth, 0, 1))
    image[hidden] = to_rgba(look.theme.grid)
    ax.imshow(image, aspect="auto", interpolation="nearest", zorder=1)
    ax.grid(False)
    chosen = np.unique(np.linspace(0, S - 1, min(S, 8)).round().astype(int))
    ax.set_yticks(chosen, [f"{steps[k]:g}" for k in chosen])
    finish(
        ax, look, title=title, x_label="step of the input", y_label="step of the output", legend=False, grow=is_new
    )  # fmt: skip
    return ax
