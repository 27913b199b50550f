"""The series in every panel, and one prediction in each."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.fits import fits

X = np.linspace(-2, 2, 9)
Y = np.sin(X)


def test_dots_are_the_series_and_lines_the_predictions():
    predictions = {f"epoch {k}": Y * k / 3 for k in range(4)}
    figure = fits(X, Y, predictions)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == list(predictions)
    for ax, predicted in zip(shown, predictions.values(), strict=True):
        dots, line = ax.lines
        np.testing.assert_array_equal(dots.get_xydata(), np.column_stack([X, Y]))
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([X, predicted]))
        assert (dots.get_linestyle(), line.get_linestyle()) == ("None", "-")


def test_a_prediction_may_have_an_x_of_its_own():
    figure = fits(X, Y, {"elsewhere": ([3.0, 4.0], [0.1, 0.2])}, names=("sin(x)", "applied"))
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xydata(), [[3.0, 0.1], [4.0, 0.2]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sin(x)", "applied"]


def test_a_wild_prediction_does_not_squeeze_the_series():
    (low, high) = fits(X, Y, {"wild": 1e6 * Y}).axes[0].get_ylim()
    assert (low, high) == pytest.approx((2 * Y.min(), 2 * Y.max()), rel=1e-12)
    assert fits(X, Y, {"wild": 1e6 * Y}, limits=(-4, 4)).axes[0].get_ylim() == (-4, 4)


@pytest.mark.parametrize(("size", "across"), [("wide", 3), ("narrow", 2)])
def test_panels_side_by_side(size, across):
    figure = fits(X, Y, {str(k): Y for k in range(5)}, size=size, title="fits")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == 5
    assert len({round(ax.get_position().x0, 2) for ax in shown}) == across


@pytest.mark.parametrize(
    ("x", "y", "predictions", "kind", "message"),
    [
        (X, Y[:3], {"a": Y}, InvalidInput, r"y must have shape \(T,\) = \(9,\), as x has. Got \(3,\)"),
        (X, Y, [Y], InvalidType, "predictions must map a title to an array. Got list"),
        (X, Y, {}, InvalidInput, "predictions must hold at least 1 prediction. Got none"),
        (X, Y, {"a": Y[:4]}, InvalidInput, r"predictions\['a'\] must have shape"),
        (
            X,
            Y,
            {"a": (X, Y[:4])},
            InvalidInput,
            r"predictions\['a'\] must have shape .*, as its x. Got \(4,\)",
        ),
    ],
)
def test_bad_input(x, y, predictions, kind, message):
    with pytest.raises(kind, match=message):
        fits(x, y, predictions)
