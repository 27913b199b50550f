"""Eigenvalues in the complex plane, with the circle that tells growing from decaying ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

_MARKERS = "os^Dv"


def eigenvalues(
    values: Mapping[str, Array],
    *,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw eigenvalues as points of the complex plane, with the unit circle.

    Parameters
    ----------
    values : mapping of str to ndarray (n,), complex or real
        One colour and marker a name.
    title, theme, size, ax
        As in `path_lengths`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Nothing to draw, or numbers that are not finite.
    """
    if not isinstance(values, Mapping):
        raise InvalidType(f"values must map a name to an array. Got {type(values).__name__}")
    if not values:
        raise InvalidInput("values must hold at least 1 array. Got none")
    checked = {str(name): np.asarray(each).reshape(-1).astype(complex) for name, each in values.items()}
    for name, each in checked.items():
        if not each.size or not np.isfinite(each).all():
            raise InvalidInput(f"values[{name!r}] must hold finite eigenvalues. Got none, nan or inf")
    look = look_named(theme, size)
    is_new = ax is None
    ax = axes_or_new(ax, look, height=look.size.height + (0.0 if look.is_narrow else 0.6))
    around = np.linspace(0, 2 * np.pi, 361)
    ax.plot(np.cos(around), np.sin(around), color=look.theme.baseline, linewidth=1.0, zorder=2)
    for index, (name, each) in enumerate(checked.items()):
        ax.plot(
            each.real,
            each.imag,
            linestyle="none",
            marker=_MARKERS[index // len(look.theme.colours) % len(_MARKERS)],
            markersize=4.5,
            color=look.colour(index),
            label=name,
            zorder=3,
        )
    ax.set_aspect("equal", adjustable="datalim")
    finish(
        ax, look, title=title, x_label="real part", y_label="imaginary part", legend=len(checked) > 1, grow=is_new
    )  # fmt: skip
    return ax
