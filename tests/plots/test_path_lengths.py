"""One line a profile, at its path lengths; a zero leaves a gap where the axis is logarithmic."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.path_lengths import path_lengths
from bptt.plots.style import DARK, LIGHT

PROFILES = {"start": np.array([1e-2, 3e-3, 0.0, 4e-5]), "end": np.array([2e-4, 5e-4, 1e-4])}


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_each_profile_is_drawn_against_its_lengths():
    ax = path_lengths(PROFILES)
    found = lines(ax)
    assert list(found) == list(PROFILES)
    np.testing.assert_array_equal(found["end"].get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(found["end"].get_ydata(), PROFILES["end"])
    np.testing.assert_array_equal(found["start"].get_ydata(), [1e-2, 3e-3, np.nan, 4e-5])
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["start", "end"]
    low, high = ax.get_xlim()
    assert low < 0 < 3 < high
    assert all(tick == int(tick) for tick in ax.get_xticks())


def test_a_linear_axis_shows_zeros_and_one_profile_needs_no_key():
    ax = path_lengths(
        {"start": PROFILES["start"]}, log=False, quantity="norm", x_label="steps", title="A title"
    )
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), PROFILES["start"])
    assert ax.get_legend() is None
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("steps", "norm")
    assert ax.get_title(loc="left") == "A title"


def test_many_points_have_no_markers():
    assert lines(path_lengths(PROFILES))["start"].get_marker() == "o"
    long = path_lengths({"long": np.linspace(1, 0.1, 200)})
    assert long.lines[0].get_marker() == "None"


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHT), ("dark", DARK)])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_theme_and_size(theme, paper, size):
    ax = path_lengths(PROFILES, theme=theme, size=size)
    assert ax.lines[0].get_color() == paper.colours[0]
    assert "Jacobians" in ax.get_xlabel()
    ax.figure.canvas.draw()
    # The axis label stays on the picture.
    box = ax.xaxis.label.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= ax.figure.bbox.width


def test_axes_of_ones_own_are_drawn_on():
    from matplotlib.figure import Figure

    own = Figure().add_subplot()
    assert path_lengths(PROFILES, ax=own) is own


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidType, match=r"^profiles must map a name to an array\. Got list"):
        path_lengths([1.0, 2.0])
    with pytest.raises(InvalidInput, match=r"^profiles must hold at least 1 profile\. Got none"):
        path_lengths({})
    with pytest.raises(InvalidInput, match=r"^profiles\['a'\] must be at least 0\. Got -1"):
        path_lengths({"a": np.array([1.0, -1.0])})
    with pytest.raises(
        InvalidInput, match=r"^profiles must hold a number above 0 .* Got none: pass log=False"
    ):
        path_lengths({"a": np.zeros(3)})
    with pytest.raises(InvalidInput, match=r"^theme must be one of"):
        path_lengths(PROFILES, theme="blue")
