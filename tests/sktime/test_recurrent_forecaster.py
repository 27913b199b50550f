"""`RecurrentForecaster`: sktime's own checks, the numbers of `bptt.Forecaster`, every kind of index, refusals."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from bptt.errors import DataError, InvalidInput, InvalidType, LibraryMissing

pytest.importorskip("sktime", reason="sktime is not installed: pip install 'bptt[sktime]'")

import pandas as pd
from sktime.forecasting.base import ForecastingHorizon
from sktime.split import SlidingWindowSplitter
from sktime.utils.estimator_checks import check_estimator

import bptt
from bptt.forecast.panel import Line, Panel
from bptt.sktime import RecurrentForecaster
from bptt.sktime.clock import Clock
from bptt.sktime.history import make_panel

QUICK = bptt.forecast.Recipe(updates=30, shorter=(), ensemble=2, trial_members=1, length=48, hidden=5)
# The same history in the same order is the same arithmetic.
EXACT: dict[str, float] = {"rtol": 0.0, "atol": 0.0}
# Carried on or run again from the first row: another order of sums.
CARRIED: dict[str, float] = {"rtol": 1e-9, "atol": 1e-9}
HOURS = pd.date_range("2022-03-01", periods=331, freq="h")


def quick(**settings: Any) -> RecurrentForecaster:
    return RecurrentForecaster(recipe=QUICK, threads=1, random_state=5, **settings)


def plain(**settings: Any) -> Any:
    return bptt.Forecaster(recipe=QUICK, threads=1, seed=5, **settings)


def wave(rng: np.random.Generator, rows: int, level: float = 50.0) -> np.ndarray:
    """A nonlinear series with a daily cycle."""
    y, noise = np.zeros(rows), rng.normal(size=rows)
    for t in range(2, rows):
        y[t] = 0.6 * y[t - 1] + np.tanh(2 * y[t - 2]) * np.sin(2 * np.pi * t / 24) + 0.4 * noise[t]
    return level + 7 * y


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # sktime's own
def test_sktime_takes_it_for_one_of_its_own() -> None:
    found = check_estimator(RecurrentForecaster, raise_exceptions=False, verbose=False)
    assert len(found) > 500
    assert {name: said for name, said in found.items() if said != "PASSED"} == {}


def test_one_series_is_forecast_as_by_the_forecaster(rng: np.random.Generator) -> None:
    y = pd.Series(wave(rng, 331), HOURS, name="load")
    model = plain(horizon=5).fit({"time": HOURS.to_numpy(), "load": y.to_numpy()}, progress=False)
    made = quick().fit(y, fh=[1, 2, 5])
    assert made.model_.verdict == model.verdict
    said = made.predict()
    assert said.name == "load"
    assert list(said.index) == [HOURS[-1] + pd.Timedelta(hours=k) for k in (1, 2, 5)]
    np.testing.assert_allclose(said, np.asarray(model.predict()["y_hat"])[[0, 1, 4]], **EXACT)
    table = model.predict_interval(coverage=0.7)
    bounds = made.predict_interval(coverage=[0.9, 0.7])
    assert list(bounds.columns) == [("load", c, side) for c in (0.9, 0.7) for side in ("lower", "upper")]
    np.testing.assert_allclose(bounds["load", 0.7, "lower"], table["lo_70"][[0, 1, 4]], **EXACT)
    np.testing.assert_allclose(bounds["load", 0.7, "upper"], table["hi_70"][[0, 1, 4]], **EXACT)
    asked = made.predict_quantiles(alpha=[0.8, 0.1])
    expected = model.forecast(levels=[0.1, 0.8]).quantiles[:, 0][:, [0, 1, 4]]
    np.testing.assert_allclose(asked.to_numpy().T, expected[::-1], **EXACT)


def test_instances_and_columns_are_series_of_one_model(rng: np.random.Generator) -> None:
    index = pd.MultiIndex.from_product([["b", "a"], [3, 1], HOURS[:170]], names=["site", "unit", "when"])
    y = pd.DataFrame({"p": wave(rng, 680), "q": wave(rng, 680, -3.0)}, index).sort_index()
    made = quick().fit(y, fh=[2])
    assert made.model_.forecast().y_hat.shape == (8, 2)
    said = made.predict()
    assert list(said.columns) == ["p", "q"]
    assert said.index.names == ["site", "unit", "when"]
    expected = HOURS[169] + pd.Timedelta(hours=2)
    assert list(said.index) == [(site, unit, expected) for site in "ab" for unit in (1, 3)]
    ids = [f"{site}/{unit}/{name}" for site in "ab" for unit in (1, 3) for name in "pq"]
    long = {
        "unique_id": np.repeat(ids, 170),
        "ds": np.tile(HOURS[:170].to_numpy(), 8),
        "y": np.concatenate([y.loc[site, unit][name] for site in "ab" for unit in (1, 3) for name in "pq"]),
    }
    model = plain(horizon=2).fit(long, progress=False)
    table = model.predict()
    truth = dict(zip(table["unique_id"][1::2], table["y_hat"][1::2], strict=True))
    np.testing.assert_allclose(said.to_numpy().reshape(-1), [truth[each] for each in ids], **CARRIED)


def test_update_carries_on_or_trains_again(rng: np.random.Generator) -> None:
    y = pd.Series(wave(rng, 331), HOURS)
    first, later = y[:300], y[295:]  # five rows twice
    model = plain(horizon=3).fit({"time": first.index.to_numpy(), "y": first.to_numpy()}, progress=False)
    made = quick().fit(first, fh=[1, 3])
    weights = made.model_.fitted
    made.update(later, update_params=False)
    assert made.model_.fitted is weights
    assert made.cutoff[0] == HOURS[-1]
    expected = model.predict({"time": HOURS.to_numpy(), "y": y.to_numpy()})["y_hat"]
    np.testing.assert_allclose(made.predict(), np.asarray(expected)[[0, 2]], **CARRIED)
    made.update(y[-1:] * 1.0, update_params=True)
    np.testing.assert_allclose(made.predict(), quick().fit(y, fh=[1, 3]).predict(), **EXACT)


def test_rolling_through_rows_that_were_seen_forecasts_from_the_cutoff_alone(
    rng: np.random.Generator,
) -> None:
    y = pd.Series(wave(rng, 331), HOURS)
    made = quick().fit(y, fh=[1])
    rolled = made.update_predict(
        y[:200], SlidingWindowSplitter(fh=[1], window_length=190, step_length=4), update_params=False
    )
    for place in (190, 194, 198):
        table = {"time": HOURS[:place].to_numpy(), "y": y[:place].to_numpy()}
        expected = made.model_.forecast(Panel((_line(table),), "y", (), (), (), _HOUR)).y_hat
        np.testing.assert_allclose(rolled[HOURS[place]], expected[0, 0], **CARRIED)
    np.testing.assert_allclose(made.predict(), quick().fit(y, fh=[1]).predict(), **EXACT)  # left as it was


_HOUR = np.timedelta64(3600, "s")


def _line(table: dict[str, np.ndarray]) -> Line:
    times, nothing = table["time"].astype("datetime64[s]"), np.zeros((len(table["y"]), 0))
    return Line("", times, times, table["y"], nothing, nothing, np.zeros(0))


def test_columns_known_ahead_are_read_and_inputs_are_not(rng: np.random.Generator) -> None:
    known, beside = rng.normal(size=343), rng.normal(size=343)
    every = pd.date_range(HOURS[0], periods=343, freq="h")
    values = 3 * np.roll(beside, 1) + 5 * known + 0.1 * rng.normal(size=343)
    X = pd.DataFrame({"beside": beside, "known": known}, every)
    y = pd.Series(values[:331], HOURS)
    made = quick(inputs=["beside"]).fit(y, X=X[:331], fh=[1, 2])
    model = plain(horizon=2, target="y", inputs="beside", future="known").fit(
        {"time": HOURS.to_numpy(), "y": y.to_numpy(), "beside": beside[:331], "known": known[:331]},
        progress=False,
    )
    table = {"time": HOURS.to_numpy(), "y": y.to_numpy(), "beside": beside[:331], "known": known[:331]}
    ahead = {"time": every[331:333].to_numpy(), "known": known[331:333]}
    said = made.predict(X=X[331:333])
    np.testing.assert_allclose(said, model.predict(table, ahead)["y_hat"], **CARRIED)
    other = X[331:333] * [9.0, 1.0]
    np.testing.assert_allclose(made.predict(X=other), said, **EXACT)
    assert (made.predict(X=X[331:333] * [1.0, -1.0]) - said).abs().max() > 0.1
    made.update(pd.Series(values[331:334], every[331:334]), X=X[331:334], update_params=False)
    assert list(made.predict(X=X[334:]).index) == list(every[334:336])
    with pytest.raises(DataError, match="X must have a row for every time to be forecast"):
        made.predict(X=X[334:335])
    with pytest.raises(DataError, match="Got none called 'known'"):
        made.predict(X=X[["beside"]][334:])
    alone = quick(inputs=["beside"]).fit(y, X=X[["beside"]][:331], fh=[1])
    assert np.isfinite(alone.predict()).all()


def test_series_of_unequal_ends_are_forecast_from_their_own(rng: np.random.Generator) -> None:
    names = ["a"] * 150 + ["b"] * 130
    index = pd.MultiIndex.from_arrays([names, [*HOURS[:150], *HOURS[10:140]]], names=["id", "time"])
    y = pd.DataFrame({"y": wave(rng, 280)}, index)
    own = quick().fit(y, fh=[1, 3]).predict()
    assert list(own.index) == [("a", HOURS[150]), ("a", HOURS[152]), ("b", HOURS[140]), ("b", HOURS[142])]
    same = quick().fit(y, fh=ForecastingHorizon(HOURS[150:152], is_relative=False))
    assert same.model_.asked.horizon == 12
    assert list(same.predict().index) == [
        ("a", HOURS[150]),
        ("a", HOURS[151]),
        ("b", HOURS[150]),
        ("b", HOURS[151]),
    ]


def test_missing_rows_and_values_are_missing_values(rng: np.random.Generator) -> None:
    y = pd.Series(wave(rng, 331), HOURS)
    holes = y.copy()
    holes.iloc[[40, 41, 200]] = np.nan
    a, b = (quick().fit(each, fh=[1]).predict() for each in (holes, holes.dropna()))
    assert a.index[0] == b.index[0] == HOURS[-1] + pd.Timedelta(hours=1)
    np.testing.assert_allclose(b, a, **EXACT)


INDICES = {
    "hours": (pd.date_range("2020-01-01", periods=90, freq="h"), "3600 seconds", False),
    "summer time": (
        pd.date_range("2020-03-27", periods=90, freq="h", tz="Europe/Berlin"),
        "3600 seconds",
        False,
    ),
    "days": (pd.date_range("2020-03-25", periods=90, freq="D", tz="Europe/Berlin"), "86400 seconds", False),
    "weeks": (pd.date_range("2020-01-01", periods=90, freq="W-WED"), "604800 seconds", False),
    "month ends": (pd.date_range("2020-01-31", periods=90, freq="ME"), "1 months", False),
    "business quarters": (pd.date_range("2020-01-31", periods=90, freq="BQS"), "3 months", False),
    "business days": (pd.date_range("2020-01-01", periods=90, freq="B"), "1 seconds", True),
    "tenths": (pd.date_range("2020-01-01", periods=90, freq="100ms"), "1 seconds", True),
    "months": (pd.period_range("2020-03", periods=90, freq="M"), "1 months", False),
    "two hours": (pd.period_range("2020-03-01", periods=90, freq="2h"), "7200 seconds", False),
    "years": (pd.period_range("1900", periods=90, freq="Y"), "12 months", False),
    "numbers": (pd.RangeIndex(-7, 83), "1 seconds", True),
}


UNEVEN = {"business quarters", "business days", "tenths"}


@pytest.mark.parametrize("kind", INDICES)
def test_every_kind_of_index_has_a_clock(kind: str) -> None:
    index, step, counted = INDICES[kind]
    # With gaps and without a frequency, business days look like days, and the day of a business quarter changes.
    for given in (index, index.delete([3, 4, 17]))[: 1 if kind in UNEVEN else 2]:
        clock = Clock.of([given])
        assert (str(clock.step), clock.counted) == (step, counted)
        rows = clock.between(given[0], given[-1])
        assert list(rows) == list(index)
        assert list(clock.after(rows[-11], 10)) == list(index[-10:])
        times, local = clock.times(rows)
        assert (np.diff(times) > np.timedelta64(0, "s")).all()
        assert np.isnat(local).all() == counted
        # Of any stretch they are the same: later rows follow on earlier ones.
        part, _ = clock.times(clock.after(rows[-11], 10))
        assert (part == times[-10:]).all()
        before, _ = clock.times(clock.between(index[0], index[5]))
        assert (before == times[:6]).all()


@pytest.mark.parametrize("kind", ["summer time", "month ends", "business days", "two hours", "numbers"])
def test_rows_follow_on_every_kind_of_index(kind: str, rng: np.random.Generator) -> None:
    index = INDICES[kind][0]
    y = pd.Series(wave(rng, 90), index)
    made = quick().fit(y[:80], fh=[1, 4])
    assert list(made.predict().index) == [index[80], index[83]]
    made.update(y[80:85], update_params=False).update(y[85:86], update_params=False)
    said = made.predict()
    assert list(said.index) == [index[86], index[89]]
    fresh = made.model_.forecast(_panel_of(made))
    np.testing.assert_allclose(said, fresh.y_hat[0, [0, 3]], **CARRIED)


def _panel_of(made: RecurrentForecaster) -> Panel:
    return make_panel(made._history, made._clock, (), ()).panel


def test_the_season_of_counted_rows_is_told(rng: np.random.Generator) -> None:
    y = pd.Series(np.tile([1.0, 5.0, 9.0, 2.0, 0.0], 30) + rng.normal(size=150) / 100)
    recipe = bptt.forecast.Recipe(updates=30, shorter=(), ensemble=1, trial_members=1)
    made = RecurrentForecaster(sp=5, recipe=recipe, random_state=0).fit(y, fh=[1, 2, 3])
    assert made.model_.asked.recipe.period == 5
    assert made.model_.fitted.trained.encoding.period == 5
    np.testing.assert_allclose(made.predict(), [1.0, 5.0, 9.0], atol=0.1)


def test_seeds(rng: np.random.Generator) -> None:
    y = pd.Series(wave(rng, 200))
    recipe = bptt.forecast.Recipe(updates=30, shorter=(), ensemble=1, trial_members=1, step_back=False)

    def said(state: Any) -> np.ndarray:
        made = RecurrentForecaster(recipe=recipe, hidden=3, random_state=state)
        return made.fit(y, fh=[1]).predict().to_numpy()

    np.testing.assert_allclose(said(np.random.RandomState(4)), said(np.random.RandomState(4)), **EXACT)
    assert said(None) != said(None)
    assert said(0) != said(1)


def test_what_is_refused(rng: np.random.Generator) -> None:
    y = pd.Series(wave(rng, 90), HOURS[:90])
    with pytest.raises(InvalidInput, match=r"inputs must be columns of X, a. Got 'b'"):
        quick(inputs=["b"]).fit(y, X=pd.DataFrame({"a": y}), fh=1)
    with pytest.raises(InvalidInput, match="calendar must be 'auto' or None where rows are only counted"):
        quick(calendar="day").fit(y.reset_index(drop=True), fh=1)
    for few in (HOURS[:1], INDICES["tenths"][0].delete([3, 4, 17])):
        with pytest.raises(DataError, match="index must state a frequency where rows do not show one"):
            Clock.of([pd.DatetimeIndex(few.to_numpy())])
    with pytest.raises(InvalidType, match=r"index must hold times, periods or whole numbers. Got float64"):
        Clock.of([pd.Index([0.5, 1.5])])
    crooked = HOURS[:89].append(pd.DatetimeIndex(["2022-03-04 17:20"]))
    with pytest.raises(DataError, match=r"index must hold rows h apart, from .*: resample first"):
        quick().fit(pd.Series(y.to_numpy(), crooked), fh=1)
    with pytest.raises(NotImplementedError, match="in-sample"):
        quick().fit(y, fh=[0, 1])
    twice = HOURS[:90].delete(7).insert(6, HOURS[5])  # as where clocks are set back
    with pytest.raises(DataError, match=r"index must hold every time once. Got 2022-03-01 05:00:00 twice"):
        quick().fit(pd.Series(y.to_numpy(), twice), fh=1)
    for broken in (y.where(y.index != HOURS[7], np.inf), y):
        X = pd.DataFrame({"a": y.where(y.index != HOURS[9], -np.inf)}) if broken is y else None
        with pytest.raises(
            DataError, match=r"panel, series '', row \d+, column '[ya]' must be finite. Got -?inf"
        ):
            quick().fit(broken, X=X, fh=1)
    both = pd.MultiIndex.from_tuples([(a, b, t) for a, b in (("x/y", "z"), ("x", "y/z")) for t in HOURS[:9]])
    with pytest.raises(DataError, match=r"instances must have names of their own. Got 'x/y/z' twice"):
        quick().fit(pd.DataFrame({"y": np.arange(18.0)}, both).sort_index(), fh=1)


def test_without_sktime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.split(".")[0] == "sktime" or name.startswith("bptt.sktime")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sktime", None)
    with pytest.raises(
        LibraryMissing, match=r"bptt.sktime needs sktime. Got none: pip install 'bptt\[sktime\]'"
    ):
        __import__("bptt.sktime")
