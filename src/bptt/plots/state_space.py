"""Trajectories in a plane, and the points that they circle, approach and leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

_FLOAT64 = np.dtype("float64")

# Marker, size, and whether it is filled; a kind that is not named here gets the last one.
_MARKS = {
    "attractor": ("o", 7.0, True),
    "saddle": ("X", 7.0, True),
    "repeller": ("o", 7.0, False),
    "border": ("D", 6.0, False),
    "slow": ("v", 5.0, False),
}


def state_space(
    trajectories: Array,
    points: Mapping[str, Array] | None = None,
    *,
    x_label: str = "first component",
    y_label: str = "second component",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw trajectories as thin lines with a dot where they begin, and points by kind.

    Parameters
    ----------
    trajectories : ndarray (B, T, 2)
    points : mapping of kind to ndarray (P, 2), optional
        "attractor", "saddle", "repeller", "border" and "slow" have markers of their own.
    x_label, y_label, title : str
    theme, size, ax
        As in `path_lengths`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Shapes that do not fit, numbers that are not finite.
    """
    shape: list[tuple[str, int | None]] = [("B", None), ("T", None), ("coordinates", 2)]
    lines = check_array("trajectories", trajectories, shape, dtype=_FLOAT64)
    if points is not None and not isinstance(points, Mapping):
        raise InvalidType(f"points must map a kind to an array. Got {type(points).__name__}")
    marked = {
        str(kind): check_array(f"points[{kind!r}]", each, [("P", None), ("coordinates", 2)], dtype=_FLOAT64)
        for kind, each in (points or {}).items()
    }
    for name, each in {"trajectories": lines, **marked}.items():
        if not np.isfinite(each).all():
            raise InvalidInput(f"{name} must be finite to be drawn. Got nan or inf")
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look, height=look.size.height + (0.0 if look.is_narrow else 0.6))
    faint = min(0.8, max(0.08, 8 / max(1, len(lines))))
    for line in lines:
        ax.plot(line[:, 0], line[:, 1], color=look.theme.baseline, linewidth=0.9, alpha=faint, zorder=2)
    if lines.size:
        ax.plot(lines[:, 0, 0], lines[:, 0, 1], color=look.theme.muted, linestyle="none", marker=".",
                markersize=4.0, zorder=3)  # fmt: skip
    for index, (kind, each) in enumerate(marked.items()):
        marker, width, filled = _MARKS.get(kind, ("s", 6.0, False))
        colour = look.colour(index)
        ax.plot(
            each[:, 0],
            each[:, 1],
            linestyle="none",
            marker=marker,
            markersize=width,
            markerfacecolor=colour if filled else look.theme.background,
            markeredgecolor=colour,
            label=f"{kind} ({len(each)})",
            zorder=4,
        )
    finish(ax, look, title=title, x_label=x_label, y_label=y_label, legend=bool(marked), grow=is_new)
    return ax
