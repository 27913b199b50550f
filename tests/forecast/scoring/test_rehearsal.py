"""The rehearsal of a fit: what is kept aside stays aside, and a model that loses is said to lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from bptt.errors import DataError
from bptt.forecast.forecaster import Forecaster
from bptt.forecast.recipe import Recipe
from bptt.forecast.saving.facts import describe_columns, describe_model, describe_rows, lag_influence
from bptt.forecast.scoring import trees
from bptt.forecast.scoring.rehearsal import rehearse
from bptt.forecast.tables.reading import read_panel
from bptt.report.forecast import HEADERS, score_rows, write_forecast_report

RECIPE = Recipe(
    hidden=5, ensemble=2, updates=20, length=48, warmup=8, blocks=2, window=12, past_window=3, step_back=False
)
START = np.datetime64("2013-03-01T00:00:00")
ATOL = 1e-9


def table(rng, rows=400, series=1):
    t = np.arange(rows)
    parts = []
    for k in range(series):
        y = 10 + 3 * np.sin(2 * np.pi * t / 24 + k) + 0.3 * rng.normal(size=rows).cumsum()
        parts.append({"ds": START + t * np.timedelta64(3600, "s"), "y": y, "x": rng.normal(size=rows)})
    made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {"unique_id": np.repeat([f"s{k}" for k in range(series)], rows), **made}


@pytest.fixture(scope="module")
def rehearsed():
    data = read_panel(table(np.random.default_rng(3), series=2))
    return data, rehearse(data.panel, horizon=3, recipe=RECIPE, trees=False, threads=1)


def test_what_is_kept_aside_is_neither_learnt_nor_scaled_from(rehearsed):
    data, found = rehearsed
    other = [replace(line, y=np.where(np.arange(400) >= 320, 999.0 + line.y, line.y)) for line in data.panel]
    again = rehearse(
        replace(data.panel, lines=tuple(other)), horizon=3, recipe=RECIPE, trees=False, threads=1
    )
    first, second = found.fitted.trained, again.fitted.trained
    assert np.array_equal(first.encoding.centres, second.encoding.centres)
    assert first.linear is not None
    assert np.array_equal(first.linear.weights, second.linear.weights)
    for a, b in zip(first.nets, second.nets, strict=True):
        for name, values in a.parameters.items():
            assert np.array_equal(values, b.parameters[name])
    assert found.first == START + 320 * np.timedelta64(3600, "s")


def test_forecasts_stand_beside_their_truth_and_clock(rehearsed):
    data, found = rehearsed
    ahead = np.arange(1, 4)
    for k, line in enumerate(data.panel):
        mine = found.series == k
        rows = found.rows[mine]
        assert rows.min() == 319
        assert np.array_equal(found.methods["model"].y[mine], line.y[rows[:, None] + ahead])
        assert np.array_equal(found.local[mine], line.local[rows[:, None] + ahead])
        assert np.allclose(
            found.methods["last"].y_hat[mine], np.tile(line.y[rows][:, None], 3), rtol=0, atol=ATOL
        )
        season = line.y[rows[:, None] + ahead - 24]
        assert np.allclose(found.methods["season"].y_hat[mine], season, rtol=0, atol=ATOL)
    judged = found.methods["model"]
    wanted = np.sqrt(np.mean((judged.y - judged.y_hat) ** 2, axis=0))
    assert np.allclose(found.scores["model"]["rmse"], wanted, rtol=1e-12, atol=0)
    mine = found.series == 0
    errors = (judged.y - judged.y_hat)[mine, 0]
    assert np.allclose(found.residuals[: errors.size], errors, rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    ("factor", "outcome", "words"),
    [(0.5, "wins", "beats"), (1.0, "ties", "not better"), (2.0, "loses", "LOSES")],
)
def test_the_verdict_says_who_wins(rehearsed, factor, outcome, words):
    _, found = rehearsed
    best = found.scores[found.best_baseline]
    made = replace(found, scores={**found.scores, "model": {name: factor * v for name, v in best.items()}})
    assert made.outcome == outcome
    assert words in made.verdict("deg C")
    rows, losing = score_rows(made)
    assert all(len(row) == len(HEADERS) for row in rows)
    assert [rows[k][0] for k in losing] == (["model"] if outcome == "loses" else [])


def test_too_short_to_keep_rows_aside(rng):
    data = read_panel(table(rng, rows=11))
    with pytest.raises(
        DataError, match=r"rows must be at least 4 \* horizon \+ 2 = 14 to keep some aside. Got 11"
    ):
        rehearse(data.panel, horizon=3, recipe=RECIPE)


def test_facts_and_report(rehearsed, tmp_path):
    data, found = rehearsed
    model = Forecaster("y", 3, recipe=RECIPE, threads=1).fit(data, progress=False)
    facts = dict(describe_model(model.fitted))
    assert facts["horizon"] == "3 rows of 1 h"
    assert facts["trained on"] == "800 rows of 2 series"
    assert dict(describe_columns(data.layout))["series by"] == "unique_id"
    assert describe_rows(data).startswith("2 series of 400 steps, 800 in all, 2013-03-01 to ")
    best = found.scores[found.best_baseline]
    losing = replace(found, scores={**found.scores, "model": {name: 2 * v for name, v in best.items()}})
    path = write_forecast_report(tmp_path / "r.html", model, data, losing, "bptt fit x.csv", unit="deg C")
    page = path.read_text()
    for words in ("LOSES to its best baseline", "Warning", 'class="highlight losing"', "bptt fit x.csv"):
        assert words in page
    assert page.count("<figure>") >= 9
    # Every picture is there for a telephone too, where the text of a wide one could not be read.
    assert page.count('<source media="screen and (max-width: 480px)"') == page.count("<img")
    # The newest forecasts of the series with the most of them, one after the other, 3 rows each.
    judged, mine = found.methods["model"], np.flatnonzero(found.series == np.bincount(found.series).argmax())
    shown = mine[::-1][::3]
    held = (judged.low[shown] <= judged.y[shown]) & (judged.y[shown] <= judged.high[shown])
    assert f"beside what came: of {held.size} values {held.sum()} lie in the 90 % interval." in page
    bare = write_forecast_report(tmp_path / "b.html", model, data, None, "bptt fit x.csv").read_text()
    assert "Nothing was kept aside to test this model on" in bare


def test_influence_is_the_derivative_of_the_forecast(rehearsed):
    _, found = rehearsed
    trained = found.fitted.trained
    net = trained.nets[0]
    alone = replace(found.fitted, trained=replace(trained, nets=(net,)))
    rows, D = 9, trained.encoding.inputs
    seen = lag_influence(alone, rows)
    size, total = 1e-6, np.zeros(rows)
    for lag in range(rows):
        for d in range(D):
            x = np.zeros((2, rows, D))
            x[0, rows - 1 - lag, d], x[1, rows - 1 - lag, d] = size, -size
            y_hat = net.forward(x).y_hat[:, -1]
            total[lag] += np.abs((y_hat[0] - y_hat[1]) / (2 * size)).mean()
    assert np.allclose(seen, total, rtol=1e-6, atol=1e-9)


def test_rows_that_are_only_counted_have_a_report_too(rng, tmp_path):
    data = read_panel(table(rng, rows=200)["y"])
    found = rehearse(data.panel, horizon=1, recipe=RECIPE, trees=False, threads=1)
    assert np.isnat(found.local).all()
    model = Forecaster("y", 1, recipe=RECIPE, threads=1).fit(data, progress=False)
    assert (
        "by the month" not in write_forecast_report(tmp_path / "r.html", model, data, found, "x").read_text()
    )


def test_a_season_is_repeated_where_there_is_one_and_else_the_last_value(rng):
    """Of counted rows no season is known, and the first row ever is none."""
    short = read_panel(table(rng, rows=26))
    found = rehearse(short.panel, horizon=2, recipe=RECIPE, trees=False, threads=1)
    assert set(found.scores) == {"model", "last", "ridge"}
    counted = read_panel({"y": rng.normal(size=97).cumsum()})
    assert "season" not in rehearse(counted.panel, horizon=1, recipe=RECIPE, trees=False, threads=1).scores
    long, brief = read_panel(table(rng, rows=200)).panel, read_panel(table(rng, rows=22)).panel
    both = replace(long, lines=(long.lines[0], replace(brief.lines[0], id="brief")))
    found = rehearse(both, horizon=2, recipe=RECIPE, trees=False, threads=1)
    last, season = found.methods["last"], found.methods["season"]
    of_brief = found.series == 1
    assert of_brief.any()
    np.testing.assert_allclose(season.y_hat[of_brief], last.y_hat[of_brief], rtol=0, atol=ATOL)
    y = long.lines[0].y
    rows = found.rows[~of_brief]
    np.testing.assert_allclose(season.y_hat[~of_brief][:, 1], y[rows + 2 - 24], rtol=0, atol=ATOL)


def test_facts_name_what_there_is(rng):
    alone = {"ds": START + np.arange(90) * np.timedelta64(3600, "s"), "y": rng.normal(size=90)}
    model = Forecaster(horizon=1, recipe=RECIPE).fit(alone, progress=False)
    facts = dict(describe_model(model.fitted))
    assert facts["horizon"] == "1 row of 1 h"
    assert facts["model"].startswith("2 GRU networks of 5 units, 1 layer, and")
    assert facts["linear path"] == "the newest 12 values"


def test_a_search_is_part_of_what_is_rehearsed(rng, monkeypatch):
    """A recipe that cannot learn, and a searched one that can: the latter is what is judged."""
    recipe = Recipe(
        hidden=2, ensemble=1, updates=20, rate=1e-9, blocks=2, window=1, past_window=1, step_back=False
    )
    other = replace(recipe, hidden=7, rate=0.02, updates=150)
    y = np.abs(np.sin(np.arange(420) * 0.7)) + 0.05 * rng.normal(size=420)
    data = read_panel({"y": y, "x": rng.normal(size=420)})
    found = rehearse(data.panel, horizon=2, recipe=recipe, trees=False, search=[other])
    assert found.fitted.recipe == other
    alone = rehearse(data.panel, horizon=2, recipe=recipe, trees=False)
    assert found.scores["model"]["rmse"].mean() < alone.scores["model"]["rmse"].mean()


@pytest.mark.parametrize("command", ["fit", "backtest"])
def test_the_commands_rehearse_the_search_too(command, tmp_path, monkeypatch, rng):
    from typer.testing import CliRunner

    from bptt.cli.main import app
    from bptt.forecast.scoring import backtest, rehearsal

    class Seen(Exception):
        pass

    def spy(panel, *, search, **settings):
        raise Seen(len(search))

    monkeypatch.setattr(backtest if command == "backtest" else rehearsal, "fit_panel", spy)
    path = tmp_path / "t.csv"
    path.write_text("y\n" + "".join(f"{value!r}\n" for value in rng.normal(size=200).tolist()))
    asked = [command, str(path), "--target", "y", "--search", "3", "--threads", "1"]
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, asked).exception
    assert isinstance(error, Seen)
    assert error.args == (3,)


def test_trees_take_one_thread_a_step_and_say_the_same(rng, monkeypatch):
    """OpenMP's threads wait for each other after every short loop: on a busy machine for minutes."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    seen = []

    class Watched(ensemble.HistGradientBoostingRegressor):
        def fit(self, x, y):
            seen.append([lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "openmp"])
            return super().fit(x, y)

    monkeypatch.setattr(ensemble, "HistGradientBoostingRegressor", Watched)
    monkeypatch.setattr(trees, "_TREES", 5)
    data = read_panel(table(rng, rows=150))
    one, three = (
        rehearse(data.panel, horizon=3, recipe=RECIPE, threads=threads).methods["trees"].y_hat
        for threads in (1, 3)
    )
    assert np.isfinite(one).all()
    assert np.array_equal(one, three)
    assert len(seen) == 6
    assert all(each and set(each) == {1} for each in seen)
