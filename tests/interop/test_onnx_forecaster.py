"""Whole forecasters in ONNX Runtime: from values in the unit of the source to the forecasts that ours makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType, NotFittedError
from bptt.forecast import Forecaster
from bptt.forecast.fitting.networks.members import in_double
from bptt.forecast.fitting.readouts.ridge_path import Linear
from bptt.forecast.fitting.trained import Trained, forecast_line
from bptt.forecast.panel import Line, Panel
from bptt.interop import forecaster_to_onnx
from bptt.interop.onnx_file import write_model
from bptt.interop.onnx_forecaster import _day_of_year
from bptt.interop.onnx_graph import Graph
from tests.forecast.panels import HOUR, NETWORK, TINY, make_panel
from tests.interop.test_onnx import session

# Of the series' deviation: networks in float32, a recurrent gain below 1, the rest in float64.
AGREES = 1e-5


def feed(trained: Trained, lines: list[Line]) -> dict[str, Any]:
    """Return the model's inputs for lines of one length."""
    encoding, rows = trained.encoding, len(lines[0])
    ids = list(encoding.ids)
    found = {
        "y": np.stack([line.y for line in lines]),
        "past": np.stack([line.past for line in lines]),
        "future": np.stack([line.future for line in lines]),
        "static": np.stack([line.static for line in lines]),
        "clock": np.stack([line.local[:rows].astype("datetime64[s]").astype(np.int64) for line in lines]),
        "series": np.array([ids.index(line.id) if line.id in ids else -1 for line in lines]),
    }
    unread = {
        "past": not encoding.past,
        "future": not encoding.ahead,
        "static": not encoding.static,
        "clock": not encoding.calendar.cycles,
    }
    return {name: value for name, value in found.items() if not unread.get(name)}


def check(forecaster: Forecaster, path: Path, lines: list[Line]) -> None:
    trained = forecaster.fitted.trained
    model = session(forecaster_to_onnx(forecaster, path))
    for batch, rows in ((1, 1), (len(lines), 3), (len(lines), 40), (1, 57)):
        ahead = [len(line.local) - len(line) for line in lines]
        cut = [
            replace(
                line, times=line.times[:rows], local=line.local[: rows + more], y=line.y[:rows],
                past=line.past[:rows], future=line.future[: rows + more],
            )
            for line, more in zip(lines[:batch], ahead, strict=False)
        ]  # fmt: skip
        (y_hat,) = model.run(None, feed(trained, cut))
        wanted = np.stack([forecast_line(trained, line, np.array([rows - 1]))[0] for line in cut])
        assert y_hat.shape == wanted.shape
        scales = np.array([trained.encoding.scale_of(line)[1] for line in cut])
        apart = np.abs(y_hat - wanted) / scales[:, None]
        if trained.encoding.transform is not None:  # a deviation of the logarithm is a share of the value
            apart = np.abs(y_hat - wanted) / (1 + np.abs(wanted))
        assert np.max(apart) < AGREES, (batch, rows)
        assert trained.kind in ("last", "season") or np.std(wanted) > 0


def with_gaps(rng: np.random.Generator, line: Line) -> Line:
    y, past = line.y.copy(), line.past.copy()
    y[rng.random(len(y)) < 0.2] = np.nan
    past[rng.random(past.shape) < 0.2] = np.nan
    return replace(line, y=y, past=past)


def starting(line: Line, moment: str, **changes: Any) -> Line:
    moved = np.datetime64(moment, "s") - line.local[0]
    return replace(line, times=line.times + moved, local=line.local + moved, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pytest.importorskip("onnx", reason="the library onnx is not installed: pip install 'bptt[onnx]'")
    return tmp_path / "forecaster.onnx"


@pytest.mark.parametrize("cell", ["gru", "lstm", "elman"])
def test_networks_with_everything(cell: str, path: Path, rng: np.random.Generator) -> None:
    panel = make_panel(rng, 160, 140, past=2, future=1, ahead=4)
    lines = tuple(replace(with_gaps(rng, line), static=rng.standard_normal(2)) for line in panel)
    panel = replace(panel, lines=lines, static=("size", "kind"))
    level = "window" if cell == "lstm" else "own"
    recipe = replace(NETWORK, cell=cell, layers=2, anchor="season", level=level)
    model = Forecaster(horizon=4, recipe=recipe, calendar=["day", "week", "year"], seed=1).fit(panel, False)
    trained = model.fitted.trained
    assert trained.kind == "network"
    assert trained.encoding.age
    # The turns of centuries, leap years and years; before 1970; a series that is new, far outside the others.
    moments = (
        "1999-12-31T22:00",
        "2000-02-28T20:00",
        "2100-02-27T23:00",
        "2023-12-30T01:00",
        "1968-02-28T05:30",
    )
    moved = [starting(line, moment) for line in lines for moment in moments]
    fresh = starting(lines[0], "2024-02-28T21:00", id="new", y=lines[0].y * 500 - 3e4)
    broken = replace(lines[1], past=lines[1].past * 40)
    check(model, path, [*moved, fresh, broken])


def test_logarithms_without_past_columns_or_calendar(path: Path, rng: np.random.Generator) -> None:
    panel = make_panel(rng, 150, past=0)
    panel = replace(panel, lines=tuple(replace(line, y=np.exp(line.y)) for line in panel))
    model = Forecaster(
        horizon=3, recipe=replace(NETWORK, transform="log1p", level="window"), calendar=None
    ).fit(panel, False)
    check(model, path, [*panel, replace(panel.lines[0], id="new")])


def test_forecasts_that_stop_at_zero(path: Path, rng: np.random.Generator) -> None:
    panel = make_panel(rng, 150, past=0)
    panel = replace(panel, lines=tuple(replace(line, y=np.maximum(line.y - 2.6, 0.0)) for line in panel))
    model = Forecaster(horizon=3, recipe=NETWORK, calendar=None).fit(panel, False)
    assert model.fitted.trained.encoding.transform == "nonnegative"
    low = replace(panel.lines[0], y=panel.lines[0].y - 5.0, id="new")
    check(model, path, [*panel, low])
    assert (model.forecast(replace(panel, lines=(low,))).y_hat == 0.0).any()


def test_groups_of_series(path: Path, rng: np.random.Generator) -> None:
    """Each series has its own group's closed form, a new one that of all."""
    panel = make_panel(rng, 160, 141, 150, past=0)
    encoded = Forecaster(horizon=4, recipe=NETWORK, calendar=None).fit(panel, False)
    trained = encoded.fitted.trained
    assert trained.linear is not None
    parts = [
        rng.standard_normal((3, *each.shape)) / 9
        for each in (trained.linear.weights, trained.linear.intercept)
    ]
    nets = []
    for net in trained.nets:
        wide = in_double(net, 12)
        wide.parameters["readout.W_hy"][...] = rng.standard_normal(wide.parameters["readout.W_hy"].shape) / 3
        nets.append(wide)
    weights, intercept = (np.concatenate(list(part), axis=-1) for part in parts)
    encoding = replace(trained.encoding, groups=(2, 0, 1), parts=3)
    trained = replace(trained, encoding=encoding, nets=tuple(nets), linear=Linear(weights, intercept))
    encoded._fitted = replace(encoded.fitted, trained=trained)
    check(encoded, path, [*panel.lines, replace(panel.lines[0], id="new")])


@pytest.mark.parametrize("kind", ["ridge", "last", "season"])
def test_simpler_kinds(kind: str, path: Path, rng: np.random.Generator) -> None:
    panel = make_panel(rng, 150, past=1)
    model = Forecaster(horizon=2, recipe=TINY, calendar=["day"]).fit(panel, False)
    trained = model.fitted.trained
    linear = trained.linear if kind == "ridge" else None
    encoding = replace(trained.encoding, anchor="season" if kind == "season" else "last")
    changed = Trained(kind, encoding, (), linear)
    model._fitted = replace(model.fitted, trained=changed)
    check(model, path, list(panel))


def test_the_day_of_the_year_over_eight_centuries(path: Path) -> None:
    graph = Graph()
    found = _day_of_year(graph, graph.want("days", ("days",), "int64"))
    graph.give("found", found, ("days",), "int64")
    days = np.arange(np.datetime64("1800-01-01"), np.datetime64("2601-01-01"))
    (got,) = session(write_model(graph, path)).run(None, {"days": days.astype(np.int64)})
    np.testing.assert_array_equal(got, (days - days.astype("datetime64[Y]")).astype(np.int64))


def test_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(InvalidType, match=r"forecaster must be a Forecaster\. Got Panel"):
        forecaster_to_onnx(Panel((), "y", (), (), (), HOUR), tmp_path / "f.onnx")  # type: ignore[arg-type]
    with pytest.raises(NotFittedError, match="must be trained first"):
        forecaster_to_onnx(Forecaster(), tmp_path / "f.onnx")
    model = Forecaster(recipe=TINY, calendar=["day"]).fit(make_panel(rng, 150, past=1), False)
    trained = model.fitted.trained
    monthly = replace(trained, encoding=replace(trained.encoding, step=np.timedelta64(1, "M")))
    model._fitted = replace(model.fitted, trained=monthly)
    with pytest.raises(InvalidInput, match=r"steps of one length with a calendar\. Got steps of 1 month"):
        forecaster_to_onnx(model, tmp_path / "f.onnx")
