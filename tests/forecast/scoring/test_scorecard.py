"""What a model file keeps of a test, and how `bptt inspect` shows it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bptt import Forecaster, load
from bptt.cli.main import main
from bptt.errors import FileFormatError
from bptt.forecast import Recipe
from bptt.forecast.scoring.backtest_result import TITLES
from bptt.forecast.scoring.metrics import METRICS, NAMES
from bptt.forecast.scoring.scorecard import HEADERS, Scorecard


def made_of(rng: np.random.Generator) -> Scorecard:
    """Return scores of which every one is another number, the seasons' intervals without any."""
    scores = {
        method: {name: float(rng.uniform(0.1, 0.9)) for name in (*METRICS, "first", "last")}
        for method in ("model", "season", "ridge")
    }
    scores["season"]["interval_score"] = float("nan")
    scores["ridge"]["mae"] = float("inf")  # of a forecast that ran away
    return Scorecard(29, "2013-02-03 04:00", 0.8, "MW", "the model beats nobody", False, scores)


def fitted() -> Forecaster:
    hours = np.arange("2013-01-01", "2013-01-06", dtype="datetime64[h]")
    y = np.random.default_rng(2).normal(size=hours.size)
    recipe = Recipe(ensemble=1, hidden=3, updates=20)
    return Forecaster(target="y", recipe=recipe, threads=1).fit({"time": hours, "y": y}, progress=False)


def test_a_file_keeps_it_and_old_files_have_none(tmp_path: Path, rng: np.random.Generator) -> None:
    model, path = fitted(), tmp_path / "m.safetensors"
    assert load(model.save(path)).tested is None
    model.tested = made_of(rng)
    again = load(model.save(path)).tested
    assert again.to_config() == model.tested.to_config()
    assert np.isnan(again.scores["season"]["interval_score"])
    assert np.isnan(again.scores["ridge"]["mae"])
    model.fit(
        {"time": np.arange("2013", "2014", dtype="datetime64[D]"), "y": np.arange(365.0)}, progress=False
    )
    assert model.tested is None  # of another table


def test_inspect_shows_validation_and_test(
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, path = fitted(), tmp_path / "m.safetensors"
    told = []
    for tested in (None, made_of(rng)):
        model.tested = tested
        model.save(path)
        monkeypatch.setattr(sys, "argv", ["bptt", "inspect", str(path)])
        main()
        told.append(capsys.readouterr().out)
    errors = model.fitted.choice.errors
    assert len(errors) > 2
    for kind, error in errors.items():
        title = TITLES.get(kind, "the recurrent network")
        for each in told:
            row = next(line for line in each.splitlines() if line.split("  ")[1:2] == [title])
            assert row.split()[-2:] == [f"{error:.3f}", f"{error**0.5:.3f}"]
    assert "test: this file keeps none" in told[0]
    assert "test in MW: means over the horizon of 29 forecasts" in told[1]
    assert "the model beats nobody" in told[1]
    for header in HEADERS:
        assert header in told[1]
    for row in made_of(rng).rows():
        assert row[0] in told[1]
    assert f"{model.tested.scores['ridge']['rmse']:.4g}" in told[1]


def test_the_table_has_the_best_last(rng: np.random.Generator) -> None:
    tested = made_of(rng)
    rows = tested.rows()
    assert [row[0] for row in rows] == [TITLES[name] for name in tested.methods]
    place = HEADERS.index(NAMES["rmse"])
    assert sorted(rows, key=lambda row: -float(row[place])) == rows
    row = rows[tested.methods.index("season")]
    assert row[HEADERS.index(NAMES["interval_score"])] == "-"
    assert row[HEADERS.index(NAMES["coverage"])] == f"{100 * tested.scores['season']['coverage']:.3g}"
    assert row[-1] == f"{tested.scores['season']['last']:.4g}"


@pytest.mark.parametrize(
    "change",
    [
        {"forecasts": 2.5},
        {"scores": {"oracle": {}}},
        {"scores": {"model": {"rmse": 1.0}}},
        {"loses": 1},
        {"more": 1},
        {"scores": 3},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], rng: np.random.Generator) -> None:
    config = {**made_of(rng).to_config(), **change}
    with pytest.raises(FileFormatError, match="tested must have the fields coverage, first"):
        Scorecard.from_config(config)
    with pytest.raises(FileFormatError, match="tested must have"):
        Scorecard.from_config(None)
