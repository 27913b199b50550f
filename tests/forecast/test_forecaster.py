"""The forecaster as it is used: one state for predict, update and step; files; settings; what it refuses."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.errors import DataError, FileFormatError, InvalidInput, InvalidType, NotFittedError
from bptt.forecast import Forecaster, Recipe
from bptt.forecast.pieces import cut
from tests.forecast.panels import HOUR, NETWORK, TINY, make_panel
from tests.forecast.waves import ATOL, MORE, ROWS, K, only_network, part, whole, y_hat

SETTINGS = {"horizon": K, "recipe": replace(NETWORK, decay=0.01), "quantiles": [0.2, 0.5], "calendar": "day"}


@pytest.fixture(scope="module")
def model() -> Forecaster:
    """Networks on a wave with noise."""
    return only_network(Forecaster(**SETTINGS).fit(part(whole(), 0, ROWS), progress=False))


@pytest.fixture
def fresh(model: Forecaster, tmp_path: Path) -> Forecaster:
    """A copy that a test may move on."""
    return bptt.load(model.save(tmp_path / "model.safetensors"))  # type: ignore[no-any-return]


def test_step_update_and_predict_agree_after_the_same_history(
    model: Forecaster, fresh: Forecaster, tmp_path: Path
) -> None:
    panel = whole()
    line = panel.lines[0]
    stepped = np.stack([
        fresh.step({"y": line.y[t], "past 0": line.past[t, 0], "past 1": float(line.past[t, 1])})
        for t in range(ROWS, ROWS + MORE)
    ])  # fmt: skip
    for t in (0, 5, MORE - 1):
        seen = y_hat(model.predict(part(panel, 0, ROWS + t + 1)))
        np.testing.assert_allclose(stepped[t], seen, rtol=0, atol=ATOL)
    updated: Forecaster = bptt.load(model.save(tmp_path / "again"))
    updated.update(part(panel, ROWS - 20, ROWS + 4)).update(part(panel, ROWS + 4, ROWS + MORE))
    np.testing.assert_allclose(y_hat(updated.predict()), stepped[-1], rtol=0, atol=ATOL)
    assert len({tuple(row) for row in stepped}) == MORE


def test_a_copy_goes_its_own_way(fresh: Forecaster) -> None:
    row = {"y": 3.1, "past 0": 2.9, "past 1": 3.3}
    fresh.step(row)
    other = pickle.loads(pickle.dumps(fresh))
    np.testing.assert_array_equal(other.predict()["y_hat"], fresh.predict()["y_hat"])
    first = fresh.step(row)
    assert (other.predict()["y_hat"] != first).all()
    np.testing.assert_allclose(other.step(row), first, rtol=0, atol=ATOL)


def test_a_gap_in_new_rows_counts_as_missing_values(model: Forecaster, fresh: Forecaster) -> None:
    panel = whole()
    fresh.update(part(panel, ROWS + 3, ROWS + 8))
    line = part(panel, 0, ROWS + 8).lines[0]
    y, past = line.y.copy(), line.past.copy()
    y[ROWS : ROWS + 3], past[ROWS : ROWS + 3] = np.nan, np.nan
    holed = replace(panel, lines=(replace(line, y=y, past=past),))
    np.testing.assert_allclose(y_hat(fresh.predict()), y_hat(model.predict(holed)), rtol=0, atol=ATOL)


def test_what_is_forecast_has_names_times_and_ordered_quantiles(model: Forecaster) -> None:
    found = model.predict_interval(part(whole(), 0, ROWS), coverage=0.7)
    assert list(found) == ["unique_id", "ds", "y_hat", "lo_70", "hi_70"]
    last = whole().lines[0].times[ROWS - 1]
    np.testing.assert_array_equal(found["ds"], last + HOUR * np.arange(1, K + 1))
    assert (found["lo_70"] < found["hi_70"]).all()
    wide, narrow = model.predict_interval(coverage=0.95), model.predict_interval(coverage=0.5)
    assert (wide["lo_95"] < narrow["lo_50"]).all()
    assert (wide["hi_95"] > narrow["hi_50"]).all()
    assert list(model.predict()) == ["unique_id", "ds", "y_hat", "q_20", "q_50"]


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(model: Forecaster) -> None:
    again = Forecaster(**SETTINGS, threads=1).fit(part(whole(), 0, ROWS), progress=False)
    np.testing.assert_array_equal(y_hat(again.predict()), y_hat(model.predict()))
    other = Forecaster(**SETTINGS, seed=1).fit(part(whole(), 0, ROWS), progress=False)
    assert (y_hat(other.predict()) != y_hat(model.predict())).all()


def test_a_loaded_forecaster_is_the_saved_one(model: Forecaster, fresh: Forecaster, tmp_path: Path) -> None:
    history = part(whole(3), 0, 90)
    for name in ("y_hat", "q_20", "q_50"):
        np.testing.assert_array_equal(fresh.predict(history)[name], model.predict(history)[name])
        np.testing.assert_array_equal(fresh.predict()[name], model.predict()[name])
    assert fresh.asked == model.asked
    assert fresh.verdict == model.verdict
    first, second = (tmp_path / name for name in ("one", "two"))
    assert model.save(first).read_bytes() == fresh.save(second).read_bytes()


def test_progress_counts_to_its_end_and_an_interrupt_passes() -> None:
    seen: list[tuple[int, int]] = []
    Forecaster(horizon=K, recipe=TINY).fit(part(whole(), 0, ROWS), progress=lambda *pair: seen.append(pair))
    assert seen[-1][0] == seen[-1][1] > 0

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Forecaster(horizon=K, recipe=TINY, threads=2).fit(part(whole(), 0, ROWS), progress=stop)


def test_a_search_tries_other_recipes() -> None:
    made = Forecaster(horizon=1, recipe=replace(NETWORK, updates=20, hidden=2), search=2).fit(
        part(whole(), 0, ROWS), progress=False
    )
    assert made.fitted.choice.errors["network"] > 0


def test_the_fan_has_a_history_a_forecast_and_two_intervals(model: Forecaster) -> None:
    figure = model.plot(rows=31)
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_allclose(lines["forecast"].get_ydata(), y_hat(model.predict()), rtol=1e-12, atol=0)
    assert len(lines["history"].get_ydata()) == 31
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"90 % interval", "50 % interval"} <= set(shown)
    # A band and a line of each; the widest lies at the back.
    bands = [each.get_paths()[0].vertices[:, 1] for each in ax.collections]
    assert np.ptp(bands[0]) > np.ptp(bands[-1])


def test_what_a_forecaster_refuses(model: Forecaster, fresh: Forecaster) -> None:
    with pytest.raises(
        NotFittedError, match=r"^forecaster must be trained first. Got none: call fit\(frame\)$"
    ):
        Forecaster().predict()
    with pytest.raises(NotFittedError, match=r"^forecaster must be trained first"):
        Forecaster().update(whole())
    with pytest.raises(InvalidInput, match=r"^quantiles must increase. Got \[0.5, 0.2\]$"):
        Forecaster(quantiles=[0.5, 0.2])
    with pytest.raises(InvalidInput, match=r"^coverage must be below 1. Got 1$"):
        Forecaster(coverage=1)
    with pytest.raises(InvalidInput, match=r"^coverage must be below 1. Got 90: write 0.9 for 90 %$"):
        Forecaster(coverage=90)
    with pytest.raises(InvalidInput, match=r"^quantiles must be below 1. Got 2.5: write 0.025 for 2.5 %$"):
        Forecaster(quantiles=[2.5, 50])
    with pytest.raises(InvalidInput, match=r"^calendar must be one of day, week, year. Got 'hour'$"):
        Forecaster(calendar=["hour"])
    with pytest.raises(InvalidType, match=r"^calendar must be 'auto', None or names of cycles. Got 3$"):
        Forecaster(calendar=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"^quantiles must be a sequence of probabilities. Got 'x'$"):
        Forecaster(quantiles="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"^recipe must be a bptt.forecast.Recipe. Got int$"):
        Forecaster(recipe=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"^warmup must be below length = 5. Got 9: no step would count$"):
        Recipe(length=5, warmup=9)
    with pytest.raises(InvalidType, match=r"^progress must be None, True, False or a function"):
        Forecaster().fit(whole(), progress=3)
    with pytest.raises(
        InvalidInput,
        match=r"^future must come with the history in frame. Got it alone: predict\(frame, future=\), or update",
    ):
        model.predict(future=whole())
    with pytest.raises(InvalidInput, match=r"^future must be part of a panel"):
        model.predict(whole(), future=whole())
    with pytest.raises(InvalidType, match=r"^frame must be a Panel, as in training. Got dict$"):
        model.predict({"y": [1.0]})
    with pytest.raises(
        DataError, match=r"^past columns must be those of training, past 0, past 1. Got past 0$"
    ):
        model.predict(make_panel(np.random.default_rng(0), 50, past=1))
    with pytest.raises(DataError, match=r"^step must be that of training"):
        model.predict(replace(whole(), step=np.timedelta64(60, "s")))
    with pytest.raises(InvalidType, match=r"^row must be a mapping of column to value. Got list$"):
        fresh.step([1.0])  # type: ignore[arg-type]
    row = pytest.importorskip("pandas").Series({"y": 1.0})
    with pytest.raises(InvalidType, match=r"Got Series: step\(row.to_dict\(\)\) takes it$"):
        fresh.step(row)
    with pytest.raises(InvalidInput, match=r"^series must be one of the history's. Got 'b'$"):
        model.plot(series="b")
    with pytest.raises(DataError, match=r"^frame must be given to a forecaster that was loaded"):
        fresh.plot()
    with pytest.raises(DataError, match=r"^frame must be given to a forecaster that was loaded"):
        fresh.check_alignment()
    line = part(whole(), ROWS, ROWS + 2).lines[0]
    late = replace(line, times=line.times + np.timedelta64(1, "m"))
    with pytest.raises(DataError, match=r"^new rows must lie on the clock of those before, 3600 s apart"):
        fresh.update(replace(whole(), lines=(late,)))
    far = replace(line, times=line.times + 2000 * HOUR)
    with pytest.raises(DataError, match=r"^new rows must begin at most 1000 rows after the last one"):
        fresh.update(replace(whole(), lines=(far,)))
    empty = replace(whole(), lines=(replace(line, y=np.full(2, np.nan)),))
    with pytest.raises(DataError, match=r"^target y must have at least one value. Got none in 1 series$"):
        Forecaster().fit(empty, progress=False)
    nothing = replace(whole(), lines=(cut(line, 0, 0),))
    with pytest.raises(DataError, match=r"^series '' must have at least one row to be forecast. Got none$"):
        model.predict(nothing)


def test_a_damaged_file_is_refused_in_one_line(model: Forecaster, tmp_path: Path) -> None:
    from bptt.files.model import read_arrays, read_header, write_model

    path = model.save(tmp_path / "m")
    header = read_header(path)
    arrays = read_arrays(path, header)
    config = header.description["config"]

    def broken(change: dict[str, object], left_out: str = "") -> Path:
        kept = {name: array for name, array in arrays.items() if name != left_out}
        description = {**header.description, "config": {**config, **change}}
        return write_model(tmp_path / "broken", kept, description)

    for change, told in (
        ({"kind": "magic"}, "kind must be a kind of forecaster"),
        ({"nets": []}, "nets must be there for kind 'network' alone"),
        ({"more": 1}, "config must have the fields"),
        ({"encoding": {**config["encoding"], "horizon": 2**40}}, "in the place of"),
        ({"encoding": {**config["encoding"], "window": -1}}, "window must be a whole number of at least 1"),
        ({"encoding": {**config["encoding"], "step": "1h"}}, "step must be a number and s or M"),
        ({"asked": {**config["asked"], "coverage": 2}}, "coverage must be below 1"),
        ({"recipe": {"more": 1}}, "recipe must have only the fields"),
        ({"recipe": {"rate": -1.0}}, "rate must be above 0"),
        ({"nets": [{**config["nets"][0], "recurrent": {**config["nets"][0]["recurrent"], "hidden_size": 2**30}}]}, ""),
        ({"nets": [{**config["nets"][0], "linear_lags": 3}] * 2}, "a network that no forecaster has"),
        ({"followed": [{"id": 3}]}, "of training"),
    ):  # fmt: skip
        with pytest.raises(FileFormatError, match=r"must hold a whole forecaster\. Got: ") as caught:
            bptt.load(broken(change))
        assert "\n" not in str(caught.value)
        if told != "of training":
            assert told in str(caught.value), (change, str(caught.value))
    with pytest.raises(FileFormatError, match=r"no array nets.1.layers.0.W_hh"):
        bptt.load(broken({}, left_out="nets.1.layers.0.W_hh"))


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_history_shorter_than_the_window_is_enough(model: Forecaster, fresh: Forecaster, rows: int) -> None:
    history = part(whole(9), 0, rows)
    found = model.predict_interval(history)
    assert (found["lo_90"] < found["y_hat"]).all()
    assert (found["y_hat"] < found["hi_90"]).all()
    # One row after the other, from a line that is not known yet, it is the same.
    line = replace(history.lines[0], id="short")
    for t in range(rows):
        fresh.update(replace(history, lines=(cut(line, t, t + 1),)))
    again = fresh.predict()
    if rows == 1:
        np.testing.assert_allclose(
            y_hat(again)[K:], y_hat(model.predict(replace(history, lines=(line,)))), rtol=0, atol=ATOL
        )
    assert list(again["unique_id"][K:]) == ["short"] * K


def test_the_function_that_saves_models_saves_forecasters_too(model: Forecaster, tmp_path: Path) -> None:
    own, other = model.save(tmp_path / "own.safetensors"), bptt.save(model, tmp_path / "other.safetensors")
    assert own.read_bytes() == other.read_bytes()
    with pytest.raises(InvalidInput, match=r"^extra must be left out with a Forecaster\. Got it"):
        bptt.save(model, tmp_path / "other.safetensors", extra={"a": 1})
    with pytest.raises(NotFittedError):
        bptt.save(Forecaster(), tmp_path / "none.safetensors")
