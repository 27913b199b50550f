"""Errors by step and month, and the autocorrelation of what is left."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.plots import autocorrelation, autocorrelations, error_by_horizon, error_by_month, png_bytes

ATOL = 1e-12


def test_each_method_is_a_line_of_its_steps(rng):
    curves = {
        "model": rng.uniform(1, 2, 7),
        "ridge": rng.uniform(1, 2, 7),
        "trees": np.array([1.5, *[np.nan] * 5, 2.5]),
    }
    ax = error_by_horizon(curves, baselines=("ridge", "trees"), y_label="RMSE, deg C")
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert np.array_equal(lines["model"].get_xdata(), np.arange(1, 8))
    assert np.array_equal(lines["model"].get_ydata(), curves["model"])
    assert np.array_equal(lines["trees"].get_xdata(), [1, 7])  # where nothing was forecast nothing is drawn
    assert ax.get_ylim()[0] == 0
    assert lines["ridge"].get_color() == lines["trees"].get_color() != lines["model"].get_color()


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_every_look(rng, theme, size):
    month = rng.uniform(1, 2, 12)
    month[3] = np.nan
    ax = error_by_month({"model": month}, theme=theme, size=size)
    assert len(ax.get_xticklabels()) == 12
    assert len(png_bytes(ax)) > 1000
    assert len(png_bytes(autocorrelation(rng.normal(size=90), lags=11, theme=theme, size=size))) > 1000


def test_what_cannot_be_drawn():
    with pytest.raises(InvalidInput, match="curves must hold at least one curve"):
        error_by_horizon({})
    with pytest.raises(InvalidInput, match="all of one length K"):
        error_by_horizon({"a": np.ones(2), "b": np.ones(3)})
    with pytest.raises(InvalidInput, match="curves must have 12 values"):
        error_by_month({"a": np.ones(11)})
    with pytest.raises(InvalidInput, match=r"residuals must hold at least 3 numbers\. Got 2"):
        autocorrelations(np.array([1.0, np.nan, 2.0]), 5)


def test_autocorrelations_are_means_over_pairs(rng):
    values = rng.normal(size=41).cumsum()
    values[[5, 17]] = np.nan
    found, count = autocorrelations(values, 6)
    assert count == 39
    centred = values - np.nanmean(values)
    for lag in range(1, 7):
        wanted = np.nanmean(centred[lag:] * centred[:-lag]) / np.nanmean(centred**2)
        assert found[lag - 1] == pytest.approx(wanted, abs=ATOL)
    assert np.array_equal(autocorrelations(np.full(9, 3.0), 2)[0], [0, 0])
    assert np.isnan(autocorrelations(rng.normal(size=4), 6)[0][3:]).all()
