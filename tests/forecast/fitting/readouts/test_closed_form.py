"""Readout and linear path in closed form, against least squares written another way."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.data import Windows
from bptt.errors import InvalidInput
from bptt.forecast.fitting.readouts.closed_form import (
    predict_windows,
    silenced,
    solve_readout,
    with_linear_path,
)
from bptt.forecast.scoring.baselines import least_squares
from bptt.network import Network, Recurrent

LENGTH, COLUMNS, UNITS, ROWS, TARGET = 5, 3, 4, 90, 2
# Normal equations of 16 nearly independent features in float64 lose a few digits.
RTOL, ATOL = 1e-7, 1e-9


def series(rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(rng.standard_normal((ROWS, COLUMNS)), axis=0) / 3


def network(readout: str, *, change: bool = True, seed: int = 1) -> Network:
    stack = Recurrent("gru", COLUMNS, UNITS, seed=seed)
    net = Network(stack, readout=readout, change_of=[TARGET] if change else None, change_scale=0.3, seed=seed)
    return with_linear_path(net, LENGTH)


def features(net: Network, values: np.ndarray, windows: Windows, readout: str) -> np.ndarray:
    """Windows and final states side by side, gathered with plain loops."""
    rows = []
    carried, _, _ = net.recurrent.forward(values[None])
    for start in windows.starts:
        window = values[start : start + LENGTH]
        h = (
            net.recurrent.forward(window[None])[0][0, -1]
            if readout == "last"
            else carried[0, start + LENGTH - 1]
        )
        rows.append(np.concatenate([window.ravel(), h]))
    return np.array(rows)


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("change", [False, True])
def test_ridge_equals_lstsq_on_stacked_rows(readout: str, change: bool, rng: np.random.Generator) -> None:
    values = series(rng)
    windows = Windows(values, targets=[TARGET], length=LENGTH)
    net = network(readout, change=change)
    solve_readout(net, windows, ridge_window=0.7, ridge_state=2.5)
    F = features(net, values, windows, readout)
    y = windows.y[:, 0]
    z = (y - values[windows.starts + LENGTH - 1, TARGET]) / 0.3 if change else y
    # Ridge is least squares with a row sqrt(ridge) e_k appended for each weight, after centring.
    ridge = np.r_[np.full(LENGTH * COLUMNS, 0.7), np.full(UNITS, 2.5)]
    rows = np.vstack([F - F.mean(axis=0), np.diag(np.sqrt(ridge))])
    w = np.linalg.lstsq(rows, np.r_[z - z.mean(), np.zeros(len(ridge))], rcond=None)[0]
    found = np.r_[net.parameters["linear.W_xy"][:, 0], net.parameters["readout.W_hy"][:, 0]]
    np.testing.assert_allclose(found, w, rtol=RTOL, atol=ATOL)
    predicted = predict_windows(net, windows)[:, 0]
    expected = (F - F.mean(axis=0)) @ w + z.mean()
    if change:
        expected = values[windows.starts + LENGTH - 1, TARGET] + 0.3 * expected
    np.testing.assert_allclose(predicted, expected, rtol=RTOL, atol=ATOL)


def test_without_its_state_it_is_least_squares(rng: np.random.Generator) -> None:
    values = series(rng)
    train = Windows(values[:60], targets=[TARGET], length=LENGTH)
    test = Windows(values, targets=[TARGET], length=LENGTH, starts=np.arange(60, ROWS - LENGTH))
    net = network("last")
    solve_readout(net, train, ridge_window=0.0, ridge_state=1e14)
    np.testing.assert_allclose(predict_windows(net, test), least_squares(train, test), rtol=1e-6, atol=1e-6)


def test_silenced_keeps_the_mean_and_nothing_else(rng: np.random.Generator) -> None:
    values = series(rng)
    windows = Windows(values, targets=[TARGET], length=LENGTH)
    net = network("every")
    solve_readout(net, windows, ridge_window=0.1, ridge_state=0.1)
    mute = silenced(net, windows)
    loud = predict_windows(net, windows)
    quiet = predict_windows(net, windows, mute)
    assert not np.allclose(loud, quiet, rtol=1e-3, atol=0)
    # On the training windows the recurrent part's mean is kept, so the mean prediction is too.
    np.testing.assert_allclose(quiet.mean(), loud.mean(), rtol=RTOL, atol=ATOL)
    for name in net.parameters:
        if name.startswith("layers."):
            changed = {**mute, name: mute[name] + 1.0}
            np.testing.assert_array_equal(predict_windows(net, windows, changed), quiet)


def test_carried_predictions_use_what_lies_before_the_window(rng: np.random.Generator) -> None:
    values = series(rng)
    windows = Windows(values, targets=[TARGET], length=LENGTH, starts=[40])
    earlier = values.copy()
    earlier[30] += 1.0
    moved = Windows(earlier, targets=[TARGET], length=LENGTH, starts=[40])
    assert predict_windows(network("every"), windows) != predict_windows(network("every"), moved)
    assert predict_windows(network("last"), windows) == predict_windows(network("last"), moved)


def test_what_the_closed_form_cannot_solve_is_refused(rng: np.random.Generator) -> None:
    windows = Windows(series(rng), targets=[TARGET], length=LENGTH)
    stack = Recurrent("gru", COLUMNS, UNITS)
    with pytest.raises(InvalidInput, match=r"linear_lags must be the windows' length = 5\. Got 0"):
        solve_readout(Network(stack), windows, ridge_window=1.0, ridge_state=1.0)
    net = Network(stack, linear_lags=LENGTH, output_activation="tanh")
    with pytest.raises(InvalidInput, match="identity output"):
        solve_readout(net, windows, ridge_window=1.0, ridge_state=1.0)
    with pytest.raises(InvalidInput, match="ridge_state"):
        solve_readout(network("last"), windows, ridge_window=1.0, ridge_state=-1.0)
