"""The unrolled graph names its nodes, and writes each norm on the edge that it flows over."""

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.plots.unrolled import Nodes, unrolled

DH = np.geomspace(3e6, 2.0, 13)
DX = np.geomspace(7e4, 0.3, 13)


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def arrows(ax):
    """Width of the arrow that belongs to each edge, by where it begins and ends."""
    found = {}
    for note in ax.texts:
        if getattr(note, "arrow_patch", None) is not None:
            (x0, y0), (x1, y1) = note.xyann, note.xy
            found[round(x0, 2), round(y0, 2), round(x1, 2), round(y1, 2)] = note.arrow_patch.get_linewidth()
    return found


def test_a_short_sequence_is_drawn_whole():
    ax = unrolled(DH[:5], DX[:5])
    shown = texts(ax)
    for t in range(1, 6):
        assert {f"$h_{{{t}}}$", f"$x_{{{t}}}$", f"{DH[t - 1]:.1e}", f"{DX[t - 1]:.1e}"} <= set(shown)
    assert "···" not in shown
    # Five from below, four along, one up.
    assert len(arrows(ax)) == 10


def test_a_long_one_leaves_out_its_middle():
    ax = unrolled(DH, DX, ends=2)
    shown = texts(ax)
    assert [text for text in shown if text.startswith("$h")] == [f"$h_{{{t}}}$" for t in (1, 2, 12, 13)]
    assert "···" in shown
    # What enters h_12 left h_11.
    assert f"{DH[10]:.1e}" in shown
    assert f"{DH[5]:.1e}" not in shown


def test_a_norm_stands_at_the_edge_that_leaves_its_state():
    ax = unrolled(DH, ends=2)
    middle = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert 0 < middle[f"{DH[0]:.1e}"] < 1 < middle[f"{DH[1]:.1e}"] < 2
    (last,) = (text for text in ax.texts if text.get_text() == f"{DH[-1]:.1e}")
    assert last.get_position()[1] > 0.4  # on its way to y_hat


def test_with_an_output_at_every_step_each_has_its_node_and_its_edge():
    dy = np.linspace(0.5, 0.9, 5)
    ax = unrolled(np.append(DH[:4], 0.0), DX[:5], dy)
    shown = texts(ax)
    for t in range(1, 6):
        assert {f"$\\hat{{y}}_{{{t}}}$", f"{dy[t - 1]:.1e}"} <= set(shown)
    assert len(arrows(ax)) == 14  # five from below, four along, five up
    # What comes from later steps is 0 at the last one, and has no edge.
    assert "0" not in shown
    assert "0" in texts(unrolled([1.0, 0.0, 2.0]))


def test_nodes_have_the_names_given():
    ax = unrolled(DH, ends=2, nodes=Nodes("x^{[<t>]}", "s_{<t>}", "o"))
    assert {"$x^{[12]}$", "$s_{1}$", "$o$"} <= set(texts(ax))


def test_larger_is_thicker():
    widths = sorted(arrows(unrolled(DH[:5])).items(), key=lambda pair: pair[0][0])
    along = [width for (x0, y0, x1, y1), width in widths if y0 == y1]
    assert along == sorted(along, reverse=True)
    assert max(along) == pytest.approx(3.5)
    assert set(arrows(unrolled([0.0, 0.0, 0.0])).values()) == {0.7}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_every_text_is_inside_the_picture(size, theme):
    ax = unrolled(DH, DX, size=size, theme=theme, title="at the start")
    ax.figure.canvas.draw()
    for text in ax.texts:
        if text.get_text():
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= ax.figure.bbox.x1


@pytest.mark.parametrize(
    ("dh", "dx", "message"),
    [
        ([1.0, -2.0], None, "dh must hold norms of at least 0. Got -2"),
        ([1.0, np.nan], None, "dh must hold norms of at least 0. Got nan"),
        ([1.0, 2.0], [1.0], r"dx must have shape \(T,\) = \(2,\), as dh has. Got \(1,\)"),
        ([], None, "dh must hold at least N = 1 value"),
    ],
)
def test_bad_input(dh, dx, message):
    with pytest.raises(InvalidInput, match=message):
        unrolled(dh, dx)
