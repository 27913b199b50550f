"""A grid of panels shows each curve once, in the look that its two names stand for."""

import matplotlib as mpl
import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.panels import panels
from bptt.plots.style import LIGHT

CURVES = {
    (row, column): {
        ("plain", "off"): np.array([3.0, 2.0, 1.0]) + k,
        ("momentum", "off"): np.array([5.0, np.nan, np.inf, 0.5]) + k,
        ("plain", "norm"): np.array([4.0, 0.1]) + k,
    }
    for k, (row, column) in enumerate((r, c) for r in ("top", "bottom") for c in ("a", "b", "c"))
}


def test_every_curve_is_in_its_panel_from_one_on():
    figure = panels(CURVES)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "top, a", "top, b", "top, c", "bottom, a", "bottom, b", "bottom, c",
    ]  # fmt: skip
    for ax, lines in zip(figure.axes, CURVES.values(), strict=True):
        for drawn, series in zip(ax.lines, lines.values(), strict=True):
            np.testing.assert_array_equal(drawn.get_xdata(), np.arange(1, len(series) + 1))
            finite = np.where(np.isfinite(series), series, np.nan)
            np.testing.assert_array_equal(drawn.get_ydata(), finite)
        assert ax.get_yscale() == "log"


def test_colour_and_style_follow_the_two_names():
    for ax in panels(CURVES).axes:
        plain, momentum, clipped = ax.lines
        assert [mpl.colors.to_hex(each.get_color()) for each in ax.lines] == [
            LIGHT.colours[0], LIGHT.colours[1], LIGHT.colours[0],
        ]  # fmt: skip
        assert [plain.get_linestyle(), momentum.get_linestyle(), clipped.get_linestyle()] == ["-", "-", "--"]


def test_the_legend_names_colours_then_styles():
    (legend,) = panels(CURVES).legends
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "momentum", "off", "norm"]


def test_without_styles_the_legend_has_colours_alone_and_one_curve_needs_none():
    lines = {("", ""): {("seed 0", ""): [1.0, 2.0], ("seed 1", ""): [2.0, 3.0]}}
    (legend,) = panels(lines).legends
    assert [text.get_text() for text in legend.get_texts()] == ["seed 0", "seed 1"]
    assert panels({("", ""): {("seed 0", ""): [1.0, 2.0]}}).legends == []


def test_where_narrow_the_grid_is_turned():
    figure = panels(CURVES, size="narrow")
    assert [ax.get_title(loc="left").split("\n") for ax in figure.axes] == [
        ["a", "top"], ["a", "bottom"], ["b", "top"], ["b", "bottom"], ["c", "top"], ["c", "bottom"],
    ]  # fmt: skip
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), CURVES["bottom", "a"]["plain", "off"])
    assert figure.get_figwidth() < 4


def test_limits_hold_for_all_and_a_linear_axis_can_be_had():
    figure = panels(CURVES, limits=(0.5, 4.0), log=False)
    assert {ax.get_ylim() for ax in figure.axes} == {(0.5, 4.0)}
    assert figure.axes[3].get_yscale() == "linear"


def test_an_axis_of_few_decades_reads_plain_numbers():
    figure = panels({("", ""): {("a", ""): [0.2, 3.0]}})
    figure.canvas.draw()
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"0.2", "0.5", "1", "2"} <= set(ticks)


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_no_texts_overlap(size):
    figure = panels(CURVES, size=size, title="a title")
    figure.canvas.draw()
    boxes = [ax.title.get_window_extent() for ax in figure.axes]
    boxes += [ax._left_title.get_window_extent() for ax in figure.axes]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    boxes = [box for box in boxes if box.width > 1]
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[index + 1 :])
        assert one.x1 <= figure.bbox.x1 + 1


@pytest.mark.parametrize(
    ("curves", "kind", "message"),
    [
        ([1.0], InvalidType, "curves must map"),
        ({}, InvalidInput, "curves must hold at least 1 panel. Got none"),
        ({("a", "b"): {}}, InvalidInput, "must hold at least 1 curve. Got none"),
        ({("a", "b"): [1.0]}, InvalidType, "must map .* to a series. Got list"),
        ({("a", "b"): {("c", ""): []}}, InvalidInput, "must hold at least N = 1 value"),
        (
            {("a", "b"): {("c", ""): [1.0]}, ("d", "e"): {("c", ""): [1.0]}},
            InvalidInput,
            r"a panel for each row and column. Got none for \('a', 'e'\)",
        ),
        (
            {("a", "b"): {(str(k), ""): [1.0] for k in range(5)}},
            InvalidInput,
            "at most 4 colours. Got 5",
        ),
        (
            {("a", "b"): {("", str(k)): [1.0] for k in range(6)}},
            InvalidInput,
            "at most 4 line styles. Got 6",
        ),
    ],
)
def test_bad_input(curves, kind, message):
    with pytest.raises(kind, match=message):
        panels(curves)


def test_ticks_are_whole_numbers():
    figure = panels({("", ""): {("a", ""): np.linspace(1.0, 0.5, 21)}})
    ticks = figure.axes[0].get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))
