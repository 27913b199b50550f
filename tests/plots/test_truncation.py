"""Cosines against the longest path kept."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.style import DARK, LIGHT
from bptt.plots.truncation import truncation

COSINES = {"per output": np.array([0.6, 0.8, 0.95, 1.0]), "in chunks": np.array([0.6, -0.2, 0.9, 1 + 1e-12])}


def test_each_way_is_a_line_and_nothing_is_cut_off():
    ax = truncation(COSINES, title="A title")
    assert [line.get_label() for line in ax.lines] == list(COSINES)
    for line, series in zip(ax.lines, COSINES.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), series)
    low, high = ax.get_ylim()
    assert low < -0.2
    assert high > 1
    assert ax.get_title(loc="left") == "A title"
    assert all(tick == int(tick) for tick in ax.get_xticks())


def test_cosines_above_zero_are_shown_from_zero_on():
    assert -0.1 < truncation({"per output": COSINES["per output"]}).get_ylim()[0] < 0


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHT), ("dark", DARK)])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_theme_and_size(theme, paper, size):
    ax = truncation(COSINES, theme=theme, size=size)
    assert ax.lines[1].get_color() == paper.colours[1]


def test_axes_of_ones_own_are_drawn_on():
    from matplotlib.figure import Figure

    own = Figure().add_subplot()
    assert truncation(COSINES, ax=own) is own


def test_what_is_no_cosine_is_refused():
    with pytest.raises(InvalidType, match=r"^cosines must map a name to an array\. Got list"):
        truncation([1.0])
    with pytest.raises(InvalidInput, match=r"^cosines must hold at least 1 array\. Got none"):
        truncation({})
    with pytest.raises(InvalidInput, match=r"^cosines\['a'\] must lie in -1\.\.1\. Got -1\.5"):
        truncation({"a": np.array([0.5, -1.5])})
