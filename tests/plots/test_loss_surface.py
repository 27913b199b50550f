"""A loss over two weights, and paths over it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.loss_surface import loss_surface
from bptt.plots.style import DARK, LIGHT

X, Y = np.linspace(-1, 2, 7), np.linspace(0, 1, 5)
LOSSES = X[None, :] ** 2 + Y[:, None]
PATHS = {
    "plain": np.array([[0.0, 0.5], [9.0, 9.0]]),
    "clipped": np.array([[0.0, 0.5], [0.1, 0.4], [0.2, 0.3]]),
}


def test_paths_are_lines_and_the_grid_is_the_window() -> None:
    ax = loss_surface(X, Y, LOSSES, PATHS, x_label="w", y_label="b", title="A title")
    assert [line.get_label() for line in ax.lines] == list(PATHS)
    for line, points in zip(ax.lines, PATHS.values(), strict=True):
        np.testing.assert_array_equal(np.column_stack([line.get_xdata(), line.get_ydata()]), points)
    assert ax.get_xlim() == (-1, 2)
    assert ax.get_ylim() == (0, 1)
    assert ax.get_xlabel() == "w"
    assert ax.get_title(loc="left") == "A title"


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHT), ("dark", DARK)])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_theme_and_size(theme: str, paper: Any, size: str) -> None:
    ax = loss_surface(X, Y, LOSSES, PATHS, theme=theme, size=size)
    assert ax.lines[1].get_color() == paper.colours[1]


def test_axes_of_ones_own_are_drawn_on() -> None:
    from matplotlib.figure import Figure

    own = Figure().add_subplot()
    assert loss_surface(X, Y, LOSSES, {}, ax=own) is own


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^losses must have shape \(m, n\) = \(5, 7\)"):
        loss_surface(X, Y, LOSSES.T, PATHS)
    with pytest.raises(InvalidInput, match=r"^x must hold at least 2 rising numbers"):
        loss_surface(X[::-1], Y, LOSSES, PATHS)
    with pytest.raises(InvalidInput, match=r"^losses must be finite"):
        loss_surface(X, Y, LOSSES * np.nan, PATHS)
    with pytest.raises(InvalidType, match=r"^paths must map a name to points\. Got list"):
        loss_surface(X, Y, LOSSES, [PATHS])  # type: ignore[arg-type]  # the point of it
    with pytest.raises(InvalidInput, match=r"^paths\['a'\] must have shape"):
        loss_surface(X, Y, LOSSES, {"a": np.zeros((3, 3))})
