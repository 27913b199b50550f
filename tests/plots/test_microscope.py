"""Curves, eigenvalues, state spaces, receptive fields: what is drawn, in both themes and sizes, and what is refused."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots import curves, eigenvalues, receptive_field, state_space
from bptt.plots.style import DARK, LIGHT

LINES = {"one": np.array([3.0, np.nan, -0.5, 2.0]), "other": np.array([0.1, np.inf])}
VALUES = {"one": np.array([0.5 + 0.5j, 0.5 - 0.5j, -1.2]), "other": np.array([0.1])}
PATHS = np.random.default_rng(7).standard_normal((5, 9, 2))
POINTS = {"attractor": np.array([[0.1, 0.2], [1.0, -1.0]]), "saddle": np.array([[0.5, 0.5]])}
USES = np.array([[1.0, 0.0, 0.0], [0.1, 2.0, 0.0]])
PICTURES = [
    lambda **look: curves(LINES, **look),
    lambda **look: eigenvalues(VALUES, **look),
    lambda **look: state_space(PATHS, POINTS, **look),
    lambda **look: receptive_field(USES, [1, 2], **look),
]


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHT), ("dark", DARK)])
@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("draw", PICTURES, ids=["curves", "eigenvalues", "state_space", "receptive_field"])
def test_theme_size_title_and_axes_of_ones_own(draw, theme, paper, size):
    from matplotlib.figure import Figure

    from bptt.plots import png_bytes

    ax = draw(theme=theme, size=size, title="A title")
    assert ax.get_facecolor() == pytest.approx(
        [int(paper.background[k : k + 2], 16) / 255 for k in (1, 3, 5)] + [1]
    )
    assert ax.get_title(loc="left") == "A title"
    assert png_bytes(ax.figure)[:4] == b"\x89PNG"
    own = Figure().add_subplot()
    assert draw(ax=own, theme=theme) is own


def test_curves_leave_gaps_and_show_the_level():
    ax = curves(LINES, first=1, level=0.0, x_label="step")
    level, one, other = ax.lines
    np.testing.assert_array_equal(level.get_ydata(), [0, 0])
    np.testing.assert_array_equal(one.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(one.get_ydata(), [3, np.nan, -0.5, 2])
    np.testing.assert_array_equal(other.get_ydata(), [0.1, np.nan])
    logged = curves(LINES, log=True).lines[0]
    np.testing.assert_array_equal(logged.get_ydata(), [3, np.nan, np.nan, 2])
    placed = curves({"one": LINES["one"]}, x=[1, 2, 4, 8], log_x=True)
    assert placed.get_xscale() == "log"
    np.testing.assert_array_equal(placed.lines[0].get_xdata(), [1, 2, 4, 8])


def test_eigenvalues_stand_on_a_round_circle():
    ax = eigenvalues(VALUES)
    circle, one, _ = ax.lines
    np.testing.assert_allclose(np.hypot(*np.asarray(circle.get_xydata()).T), 1, rtol=1e-12)
    np.testing.assert_array_equal(np.asarray(one.get_xydata()), [[0.5, 0.5], [0.5, -0.5], [-1.2, 0]])
    assert ax.get_aspect() == 1


def test_points_have_their_kinds_marker():
    ax = state_space(PATHS, POINTS)
    drawn = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(np.asarray(drawn["attractor (2)"].get_xydata()), POINTS["attractor"])
    assert drawn["saddle (1)"].get_marker() == "X"
    assert len(ax.lines) == len(PATHS) + 1 + len(POINTS)


def test_what_is_out_of_sight_has_another_colour_than_what_is_not_used():
    from matplotlib.colors import to_rgba

    hidden = np.array([[False, True, True], [False, False, True]])
    image = np.asarray(receptive_field(USES, [1, 2], hidden).images[0].get_array())
    assert tuple(image[0, 1]) == to_rgba(LIGHT.grid)
    np.testing.assert_allclose(image[1, 1], to_rgba(LIGHT.colours[0]), rtol=0, atol=1e-6)
    unused = np.asarray(receptive_field(USES, [1, 2]).images[0].get_array())
    np.testing.assert_allclose(unused[0, 1], to_rgba(LIGHT.background), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: curves([1.0]), InvalidType, r"lines must map a name to an array\. Got list"),
        (lambda: curves({}), InvalidInput, r"lines must hold at least 1 line\. Got none"),
        (lambda: curves({"a": [1.0, 2.0]}, x=[1]), InvalidInput, r"lines\['a'\] must have shape \(N,\) = \(1,\)"),
        (lambda: curves({"a": [-1.0]}, log=True), InvalidInput, r"lines must hold a number above 0"),
        (lambda: eigenvalues([1.0]), InvalidType, r"values must map a name to an array\. Got list"),
        (lambda: eigenvalues({}), InvalidInput, r"values must hold at least 1 array\. Got none"),
        (lambda: eigenvalues({"a": [np.nan]}), InvalidInput, r"values\['a'\] must hold finite eigenvalues"),
        (lambda: state_space(PATHS[0]), InvalidInput, r"trajectories must have shape \(B, T, coordinates\)"),
        (lambda: state_space(PATHS * np.inf), InvalidInput, r"trajectories must be finite to be drawn"),
        (lambda: state_space(PATHS, [1]), InvalidType, r"points must map a kind to an array\. Got list"),
        (lambda: receptive_field(-USES, [1, 2]), InvalidInput, r"uses must hold sizes of at least 0"),
        (lambda: receptive_field(USES, [1]), InvalidInput, r"outputs must have shape \(S\) = \(2\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(draw, error, words):
    with pytest.raises(error, match=f"^{words}"):
        draw()
