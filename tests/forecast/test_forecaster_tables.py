"""Forecasters of many kinds of tables: many series, gaps, words, columns known ahead; other settings."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.errors import DataError, InvalidInput
from bptt.forecast import Forecaster
from bptt.forecast.pieces import cut, draw_lines
from tests.forecast.panels import HOUR, NETWORK, START, TINY, make_panel
from tests.forecast.waves import ATOL, ROWS, K, only_network, part, whole, y_hat


@pytest.mark.parametrize("cell", ["lstm", "elman"])
def test_other_cells_and_two_layers_carry_their_state_too(cell: str, tmp_path: Path) -> None:
    panel = whole(5)
    made = only_network(
        Forecaster(horizon=2, cell=cell, layers=2, recipe=replace(NETWORK, ensemble=1), calendar=None).fit(
            part(panel, 0, ROWS), progress=False
        )
    )
    later: Forecaster = bptt.load(made.save(tmp_path / "m"))
    later.update(part(panel, ROWS, ROWS + 9))
    seen = made.predict(part(panel, 0, ROWS + 9))
    np.testing.assert_allclose(y_hat(later.predict()), y_hat(seen), rtol=0, atol=ATOL)


def test_many_lines_of_unequal_length_and_one_that_is_new(tmp_path: Path) -> None:
    panel = make_panel(np.random.default_rng(2), 97, 61, 143)
    made = Forecaster(horizon=2, recipe=TINY).fit(panel, progress=False)
    together = made.predict(panel)
    assert list(together["unique_id"]) == ["line 0"] * 2 + ["line 1"] * 2 + ["line 2"] * 2
    for k, line in enumerate(panel):
        alone = made.predict(replace(panel, lines=(line,)))
        np.testing.assert_allclose(y_hat(alone), y_hat(together)[2 * k : 2 * k + 2], rtol=0, atol=ATOL)
    new = replace(panel.lines[0], id="new", y=1000 * panel.lines[0].y)
    found = y_hat(made.predict(replace(panel, lines=(new,))))
    # Scaled by its own history, it is line 0 in another unit, but for what its centre and scale were trained on.
    np.testing.assert_allclose(found, 1000 * y_hat(together)[:2], rtol=1e-9, atol=0)
    loaded: Forecaster = bptt.load(made.save(tmp_path / "m"))
    loaded.update(replace(panel, lines=(new,)))
    assert list(loaded.predict()["unique_id"])[-1] == "new"


def test_of_very_many_rows_some_are_drawn_and_every_line_keeps_its_scale() -> None:
    panel = make_panel(np.random.default_rng(8), *(67 for _ in range(40)))
    recipe = replace(NETWORK, most_rows=1000)
    made = Forecaster(horizon=2, recipe=recipe).fit(panel, progress=False)
    encoding = made.fitted.trained.encoding
    assert encoding.ids == tuple(line.id for line in panel)
    assert made.fitted.rows == 40 * 67
    assert encoding.centres[3] == pytest.approx(panel.lines[3].y.mean(), rel=1e-12)
    some = draw_lines(panel, 2000, 0)
    assert len(some) == 29
    (long,) = draw_lines(make_panel(np.random.default_rng(8), 5003), 1000, 0)
    assert len(long) == 1000
    assert long.times[-1] == START + 5002 * HOUR


def test_never_negative_with_log1p() -> None:
    rng = np.random.default_rng(4)
    panel = make_panel(rng, 160)
    line = panel.lines[0]
    counts = np.where(rng.uniform(size=160) < 0.5, 0.0, rng.exponential(0.3, 160))
    panel = replace(panel, lines=(replace(line, y=counts),))
    made = Forecaster(horizon=K, recipe=TINY, transform="log1p").fit(panel, progress=False)
    found = made.predict_interval(coverage=0.98)
    assert (found["y_hat"] >= 0).all()
    assert (found["lo_98"] >= 0).all()
    assert (found["hi_98"] > 0.3).all()


def test_columns_known_ahead_are_used_and_asked_for() -> None:
    panel = make_panel(np.random.default_rng(6), 203, past=0, future=1, ahead=K)
    line = panel.lines[0]
    made = Forecaster(horizon=K, recipe=TINY, calendar=None).fit(panel, progress=False)
    raised = replace(line, future=np.concatenate([line.future[:-1], line.future[-1:] + 5.0]))
    before, after = (y_hat(made.predict(replace(panel, lines=(each,)))) for each in (line, raised))
    np.testing.assert_allclose(after[:2] - before[:2], 0.0, rtol=0, atol=1.5)
    assert after[2] - before[2] > 2.5
    unknown = replace(panel, lines=(cut(line, 0, 203, ahead=1),))
    with pytest.raises(
        DataError, match=r"^future columns future 0 must be known for horizon = 3 rows .* Got 1 in "
    ):
        made.predict(unknown)
    with pytest.raises(InvalidInput, match=r"^step must be left to models without columns known ahead"):
        made.step({"y": 1.0, "future 0": 2.0})
    short = Forecaster(horizon=K, recipe=TINY).fit(unknown, progress=False)
    with pytest.raises(
        DataError, match=r"^future columns future 0 must be known for horizon = 3 rows .* Got 1: "
    ):
        short.predict()


def test_missing_targets_are_left_out_of_training_and_their_age_is_seen() -> None:
    rng = np.random.default_rng(7)
    panel = make_panel(rng, ROWS)
    line = panel.lines[0]
    y = line.y.copy()
    y[rng.choice(ROWS, 40, replace=False)] = np.nan
    holed = replace(panel, lines=(replace(line, y=y),))
    made = Forecaster(horizon=K, recipe=TINY).fit(holed, progress=False)
    assert made.fitted.trained.encoding.age
    error = np.abs(
        y_hat(made.predict()) - y_hat(Forecaster(horizon=K, recipe=TINY).fit(panel, progress=False).predict())
    )
    assert np.isfinite(error).all()
    assert error.max() < 1.5


def test_a_row_without_a_time_says_what_it_lacks(rng: np.random.Generator) -> None:
    """Its time is not what is missing: without one a row follows the last."""
    hours = np.datetime64("2021-03-01T00", "s") + np.arange(90) * HOUR
    table = {"time": hours, "load": rng.standard_normal(90), "temp": rng.standard_normal(90)}
    table["sky"] = np.array(["clear", "rain", "snow"], object)[rng.integers(0, 3, 90)]
    made = Forecaster(target="load", recipe=TINY).fit(table, progress=False)
    row = {"load": 1.0, "temp": 2.0, "sky": "rain"}
    with pytest.raises(DataError, match=r"^row must hold every column .* Got none called 'temp', and the"):
        made.step({"load": 1.0, "sky": "rain"})
    with pytest.raises(
        DataError, match=r"^row must hold its time in 'time' where a value is missing, a word is new .*'fog'"
    ):
        made.step({**row, "sky": "fog"})
    again = Forecaster(target="load", recipe=TINY).fit(table, progress=False)
    again.update({name: [value] for name, value in {"time": hours[-1] + HOUR, **row}.items()})
    with_time = copy.deepcopy(made).step({"time": hours[-1] + HOUR, **row})
    np.testing.assert_array_equal(with_time, again.predict()["y_hat"])
    np.testing.assert_allclose(made.step(row), with_time, rtol=0, atol=ATOL)


def test_steps_of_words_and_of_columns_that_had_gaps(rng: np.random.Generator) -> None:
    hours = np.datetime64("2021-03-01T00", "s") + np.arange(97) * HOUR
    table = {"time": hours, "load": rng.standard_normal(97), "temp": rng.standard_normal(97)}
    table["sky"] = np.array(["clear", "rain", "snow"], object)[rng.integers(0, 3, 97)]
    table["pm"] = rng.standard_normal(97)
    table["temp"][11], table["pm"][7:9], table["sky"][15] = np.nan, np.nan, None
    first = {name: values[:90] for name, values in table.items()}
    made = Forecaster(target="load", recipe=TINY, missing={"pm": "mask"}).fit(first, progress=False)
    again = copy.deepcopy(made)
    for t in range(90, 97):
        row = {name: values[t] for name, values in table.items() if name != "time"}
        stepped = made.step(row)
        again.update({name: values[t : t + 1] for name, values in table.items()})
        np.testing.assert_allclose(stepped, again.predict()["y_hat"], rtol=0, atol=ATOL)


def test_a_line_of_zeros_among_others_stays_at_zero() -> None:
    panel = make_panel(np.random.default_rng(2), 97, 61)
    still = replace(panel.lines[1], id="still", y=np.zeros(61))
    made = Forecaster(horizon=2, recipe=TINY).fit(replace(panel, lines=(*panel.lines, still)), progress=False)
    found = made.predict()
    assert np.isfinite(y_hat(found)).all()
    assert np.abs(y_hat(found)[4:]).max() < np.abs(y_hat(found)[:4]).max()


def test_new_rows_of_one_series_look_at_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand series that are stepped one after the other are not gone through for each of them."""
    from bptt.forecast.predicting.walking import Walker

    panel = make_panel(np.random.default_rng(4), 90, 61, 77, past=1)
    made = Forecaster(horizon=2, recipe=TINY).fit(panel, progress=False)
    names, looked = [line.id for line in panel], list[str]()
    followed = Walker.followed
    for name in names:
        made.step({"unique_id": name, "y": 2.5, "past 0": 0.5})

    def spy(walker: Walker) -> object:
        looked.append(walker.place.id)
        return followed(walker)

    monkeypatch.setattr(Walker, "followed", spy)
    late = part(make_panel(np.random.default_rng(4), 95, 65, 80, past=1), 85, 95)
    made.update(replace(late, lines=late.lines[:1]))
    assert looked == [names[0]]


def test_settings_may_be_numpys_numbers(tmp_path: Path) -> None:
    panel = make_panel(np.random.default_rng(4), 120)
    own = Forecaster(
        horizon=np.int64(2), hidden=np.int64(3), ensemble=np.int32(1), updates=np.int64(2), validation=np.float32(0.25),
        intervals="none",
    )  # fmt: skip
    own.fit(panel, progress=False).save(tmp_path / "m.safetensors")
    assert (
        bptt.load(tmp_path / "m.safetensors").predict(panel)["y_hat"].tolist()
        == own.predict(panel)["y_hat"].tolist()
    )
