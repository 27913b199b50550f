"""Bars have the length of the mean, and a model that loses to a baseline is seen to lose."""

import matplotlib as mpl
import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.method_bars import method_bars
from bptt.plots.style import LIGHT

SCORES = {
    "persistence": 1.548,
    "least squares": 1.205,
    "lab recipe": [2.71, 2.63, 2.91],
    "default": np.array([1.163, 1.171]),
}
BASELINES = ("persistence", "least squares")
ORDER = ["default", "least squares", "persistence", "lab recipe"]


def bars(ax):
    return [patch for patch in ax.patches if patch.get_width() > 0]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_bars_are_the_means_with_the_best_on_top():
    ax = method_bars(SCORES, baselines=BASELINES)
    np.testing.assert_allclose(
        [bar.get_width() for bar in bars(ax)], [1.167, 1.205, 1.548, 2.75], rtol=1e-12, atol=0
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == ORDER
    heights = [ax.transData.transform((0, bar.get_y()))[1] for bar in bars(ax)]
    assert heights == sorted(heights, reverse=True)
    assert ax.get_xlim()[0] == 0


def test_baselines_are_grey_and_models_in_the_order_they_came():
    edge = {
        name: mpl.colors.to_hex(bar.get_edgecolor())
        for name, bar in zip(ORDER, bars(method_bars(SCORES, baselines=BASELINES)), strict=True)
    }
    assert edge == {
        "persistence": LIGHT.baseline,
        "least squares": LIGHT.baseline,
        "lab recipe": LIGHT.colours[0],
        "default": LIGHT.colours[1],
    }


def test_a_variant_has_its_models_colour_paler():
    scores = {"a": 1.0, "b": 2.0, "a, silenced": 3.0, "b, silenced": 1.5, "c": 4.0}
    ax = method_bars(scores, variants={"a, silenced": "a", "b, silenced": "b"})
    drawn = dict(zip([label.get_text() for label in ax.get_yticklabels()], bars(ax), strict=True))
    for name in ("a", "b"):
        assert drawn[name].get_edgecolor()[:3] == drawn[f"{name}, silenced"].get_edgecolor()[:3]
        assert drawn[f"{name}, silenced"].get_alpha() < 1
        assert drawn[name].get_alpha() is None
    assert len({drawn[name].get_edgecolor()[:3] for name in "abc"}) == 3
    with pytest.raises(InvalidInput, match=r"variants must be among the methods .*Got 'd'"):
        method_bars(scores, variants={"a, silenced": "d"})


def test_whiskers_go_from_the_smallest_to_the_largest_seed():
    ax = method_bars(SCORES, baselines=BASELINES)
    spans = [
        container.lines[2][0].get_segments()[0][:, 0].tolist()
        for container in ax.containers
        if isinstance(container, mpl.container.ErrorbarContainer)
    ]
    np.testing.assert_allclose(spans, [[1.163, 1.171], [2.63, 2.91]], rtol=1e-12, atol=0)
    assert "seeds" in ax.get_xlabel()


def test_without_seeds_there_are_no_whiskers_and_no_word_of_them():
    ax = method_bars({"a": 1.0, "b": 2.0}, unit="°C")
    assert not any(isinstance(one, mpl.container.ErrorbarContainer) for one in ax.containers)
    assert ax.get_xlabel() == "RMSE, °C"


def test_the_line_stands_at_the_best_baseline_and_names_it():
    ax = method_bars(SCORES, baselines=BASELINES)
    (line,) = (line for line in ax.lines if line.get_label().startswith("best"))
    assert list(line.get_xdata()) == [1.205, 1.205]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["best baseline: least squares"]


def test_a_model_that_loses_is_hatched_and_says_so():
    ax = method_bars(SCORES, baselines=BASELINES)
    hatched = [name for name, bar in zip(ORDER, bars(ax), strict=True) if bar.get_hatch()]
    assert hatched == ["lab recipe"]
    assert texts(ax).count("loses to least squares") == 1
    mark = next(text for text in ax.texts if text.get_text().startswith("loses"))
    assert mark.get_color() == LIGHT.warning


def test_a_draw_is_no_loss():
    ax = method_bars({"persistence": 1.0, "model": 1.0}, baselines=("persistence",))
    assert not any("loses" in text for text in texts(ax))


def test_no_baseline_no_line_no_loser():
    ax = method_bars({"a": 1.0, "b": 2.0})
    assert len(ax.lines) == 0
    assert ax.get_legend() is None
    assert not any("loses" in text for text in texts(ax))


def test_values_are_written_beside_the_bars():
    assert [text for text in texts(method_bars(SCORES)) if text[0].isdigit()] == [
        "1.167",
        "1.205",
        "1.548",
        "2.750",
    ]


def test_a_narrow_picture_names_its_bars_and_its_losers():
    shown = texts(method_bars(SCORES, baselines=BASELINES, size="narrow"))
    assert set(ORDER) <= set(shown)
    assert "loses" in shown


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_no_two_texts_overlap(size):
    scores = {**SCORES, "default, recurrent part silenced and much more of a name": [1.3, 1.4]}
    ax = method_bars(scores, baselines=BASELINES, size=size)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in (*ax.texts, *ax.get_yticklabels()) if text.get_text()]
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[index + 1 :])


@pytest.mark.parametrize(
    ("scores", "options", "kind", "message"),
    [
        ([1.0], {}, InvalidType, "scores must map a name to one or several numbers. Got list"),
        ({}, {}, InvalidInput, "scores must hold at least 1 method. Got none"),
        ({"a": []}, {}, InvalidInput, r"scores\['a'\] must hold at least N = 1 value"),
        ({"a": [1.0, np.nan]}, {}, InvalidInput, r"scores\['a'\] must be finite. Got nan in row 1"),
        ({"a": -1.0}, {}, InvalidInput, r"scores\['a'\] must be at least 0. Got -1: bars show errors"),
        ({"a": 1.0}, {"baselines": ("b",)}, InvalidInput, "baselines must be among the methods a. Got 'b'"),
    ],
)
def test_bad_input(scores, options, kind, message):
    with pytest.raises(kind, match=message):
        method_bars(scores, **options)
