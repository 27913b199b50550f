"""The baselines: their definition, and their figures on the two data sets."""

import numpy as np
import pytest

from bptt.data import Scaler, Windows, load_weather, split_days
from bptt.errors import DataError, InvalidInput
from bptt.forecast.scoring import baselines
from bptt.forecast.scoring.baselines import (
    fit_least_squares,
    least_squares,
    persistence,
    score,
    seasonal_naive,
)

# condition number squared (1e2 to 1e4 here) times a rounding, with room
LSTSQ_RTOL = 1e-9


@pytest.fixture
def series(rng):
    """Return a series of 3 columns in which the next row depends on the last two."""
    values = rng.normal(size=(300, 3))
    for t in range(2, 300):
        values[t] += 0.6 * values[t - 1] - 0.3 * values[t - 2][::-1]
    return values


def test_persistence_repeats_the_last_value_seen(series):
    windows = Windows(series, inputs=[0], targets=[2, 1], length=5, horizon=3)
    forecast = persistence(windows)
    for i, start in enumerate(windows.starts):
        assert np.array_equal(forecast[i], series[start + 4, [2, 1]])


@pytest.mark.parametrize(("horizon", "back"), [(1, 6), (5, 6), (6, 6), (7, 12), (13, 18)])
def test_seasonal_naive_takes_the_last_season_that_is_known(series, horizon, back):
    windows = Windows(series, targets=[1], length=7, horizon=horizon)
    forecast = seasonal_naive(windows, 6)
    for i, row in enumerate(windows.target_rows):
        assert forecast[i] == series[row - back, 1]
    assert back >= horizon


def test_a_season_that_is_not_in_the_series(series):
    with pytest.raises(
        DataError, match=r"^each target must have 24 rows before it in its segment. Got 17 examples"
    ):
        seasonal_naive(Windows(series, targets=[1], length=7), 24)
    with pytest.raises(InvalidInput, match=r"^period must be at least 1. Got 0$"):
        seasonal_naive(Windows(series, targets=[1], length=7), 0)


@pytest.mark.parametrize("chunk", [1, 97 * 15, 1 << 20])
def test_least_squares_agrees_with_a_plain_solve(series, monkeypatch, chunk):
    monkeypatch.setattr(baselines, "CHUNK_NUMBERS", chunk)
    series = series + 50.0  # not centred
    train = Windows(series[:200], targets=[2, 0], length=5, horizon=2)
    test = Windows(series[200:], targets=[2, 0], length=5, horizon=2)
    everything = [w.batch(np.arange(len(w))).x.reshape(len(w), 15) for w in (train, test)]
    padded = [np.column_stack([x, np.ones(len(x))]) for x in everything]
    plain = np.linalg.lstsq(padded[0], train.y, rcond=None)[0]
    fitted = fit_least_squares(train)
    np.testing.assert_allclose(fitted.coefficients, plain[:-1], rtol=LSTSQ_RTOL, atol=1e-11)
    np.testing.assert_allclose(fitted.intercept, plain[-1], rtol=LSTSQ_RTOL)
    np.testing.assert_allclose(least_squares(train, test), padded[1] @ plain, rtol=LSTSQ_RTOL)


def test_least_squares_never_holds_all_windows(series, monkeypatch):
    monkeypatch.setattr(baselines, "CHUNK_NUMBERS", 10 * 15)
    windows = Windows(series, targets=[0], length=5)
    asked = []
    plain = Windows.batch

    def counted(self, indices):
        asked.append(len(indices))
        return plain(self, indices)

    monkeypatch.setattr(Windows, "batch", counted)
    fit_least_squares(windows)
    assert max(asked) == 10
    assert sum(asked) == 2 * len(windows)


def test_constant_and_repeated_columns_get_a_finite_share(series):
    series = np.column_stack([series, np.zeros(300), series[:, 0]])
    train, test = (Windows(part, targets=[1], length=4) for part in (series[:200], series[200:]))
    lean = [Windows(w.values, inputs=[0, 1, 2], targets=[1], length=4) for w in (train, test)]
    np.testing.assert_allclose(least_squares(train, test), least_squares(*lean), rtol=1e-7, atol=1e-9)
    assert np.abs(fit_least_squares(train).coefficients.reshape(4, 5)[:, 3]).max() < 1e-14


def test_float32_windows_give_nearly_the_same_forecast(series):
    both = []
    for dtype in ("float64", "float32"):
        train, test = (
            Windows(part, targets=[1], length=6, dtype=dtype) for part in (series[:200], series[200:])
        )
        both.append(least_squares(train, test))
        assert both[-1].dtype == np.float64
    np.testing.assert_allclose(both[1], both[0], rtol=1e-5, atol=1e-5)


def test_what_least_squares_needs(series):
    fitted = fit_least_squares(Windows(series, targets=[1], length=4))
    with pytest.raises(InvalidInput) as caught:
        fitted.predict(Windows(series, targets=[1], length=5))
    assert str(caught.value) == (
        "windows must have (T * D, K) = (12, 1). Got (15, 1): the forecast was fitted to windows of another length, or "
        "other inputs or targets"
    )
    with pytest.raises(DataError, match=r"^windows must hold at least 2 examples to be fitted. Got 1$"):
        fit_least_squares(Windows(series[:5], targets=[1], length=4))


def test_scores_in_both_units(rng):
    y, y_hat = rng.normal(size=(2, 31, 2))
    deviation = np.array([2.0, 5.0])
    scores = score(y, y_hat, deviation)
    error = y_hat - y
    assert scores.mse_scaled == pytest.approx((error**2).sum() / 62, rel=1e-13)
    assert scores.mae_scaled == pytest.approx(np.abs(error).sum() / 62, rel=1e-13)
    assert scores.rmse_scaled == pytest.approx(scores.mse_scaled**0.5, rel=1e-13)
    assert scores.mse == pytest.approx(((error * deviation) ** 2).sum() / 62, rel=1e-13)
    assert scores.mae == pytest.approx(np.abs(error * deviation).sum() / 62, rel=1e-13)
    assert scores.rmse == pytest.approx(scores.mse**0.5, rel=1e-13)
    assert score(y, y_hat, 3.0).rmse == pytest.approx(3.0 * scores.rmse_scaled, rel=1e-13)


def test_what_scores_need():
    def said(*arguments):
        with pytest.raises(InvalidInput) as caught:
            score(*arguments)
        return str(caught.value)

    y = np.zeros((4, 2))
    assert said(y, np.zeros((4, 1))) == "y_hat must have shape (N, K) = (4, 2). Got (4, 1): y has this shape"
    assert said(y[:0], y[:0]) == "y must hold at least one value to be scored. Got shape (0, 2)"
    assert said(y, y, 0.0) == "deviation must be one positive number, or K = 2 of them. Got 0.0"
    assert (
        said(y, y, [1.0, 2.0, 3.0])
        == "deviation must be one positive number, or K = 2 of them. Got [1.0, 2.0, 3.0]"
    )


def lab_scores(data):
    """Return RMSE in deg C of the three baselines by the lab's protocol, and how many windows were tested."""
    split = split_days(len(data.values))
    scaler = Scaler.fit(data.values[split.train], data.columns)
    scaled = scaler.transform(data.values)
    train, test = (
        Windows(scaled[part], targets=[data.target_index], length=24) for part in (split.train, split.test)
    )
    forecasts = (persistence(test), seasonal_naive(test, 24), least_squares(train, test))
    deviation = scaler.deviation(data.target)
    return len(train), len(test), [round(score(test.y, y_hat, deviation).rmse, 4) for y_hat in forecasts]


def test_the_figures_on_new_york():
    """All six columns in the order DEWP, TEMP, PRES, HUMID, WIND, PRECIP: design.md has 0.749 and 0.656."""
    assert lab_scores(load_weather("nyc")) == (6_936, 1_728, [0.749, 4.6978, 0.6556])


def test_the_figures_on_beijing(data_file):
    """The lab's test loop runs over nrow - 24 = 8,616 - 24 windows: design.md has 1.548, 3.535 and 1.205."""
    data = load_weather(data_file("beijing_pm25.csv"))
    assert data.values.shape == (42_984, 6)
    assert lab_scores(data) == (34_344, 8_592, [1.5476, 3.5348, 1.2045])
