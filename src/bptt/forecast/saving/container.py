"""A forecaster as arrays and plain JSON, in the model container; `bptt.forecast.saving.unpacking` reads it back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.files.model import FORECASTER, write_model
from bptt.forecast.asking import Asked
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.panel import Line, Panel
from bptt.forecast.predicting.following import Followed
from bptt.forecast.scoring.scorecard import Scorecard
from bptt.forecast.tables.layout import Finding, Layout, PanelData

KIND = FORECASTER


@dataclass(frozen=True, eq=False)
class Source:
    """What the training rows came from.

    Attributes
    ----------
    layout : Layout or None
        None where a `Panel` was given.
    kind : str
        Of the table, as `PanelData.kind`.
    findings : tuple of Finding
    target : str
    past, future, static : tuple of str
    step : timedelta64
    """

    layout: Layout | None
    kind: str
    findings: tuple[Finding, ...]
    target: str
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    step: np.timedelta64

    def standing_for(self, followed: Sequence[Followed]) -> PanelData:
        """Return a table of the last rows alone: what forecasts are written by."""
        assert self.layout is not None
        lines = tuple(
            Line(
                each.id,
                np.array([each.time]),
                np.array([each.local]),
                np.full(1, np.nan),
                np.full((1, len(self.past)), np.nan),
                np.full((1, len(self.future)), np.nan),
                each.static,
            )
            for each in followed
        )
        panel = Panel(lines, self.target, self.past, self.future, self.static, self.step)
        return PanelData(panel, self.layout, (), "the rows so far", self.kind)


@dataclass(frozen=True, eq=False)
class Contents:
    """All that a file holds."""

    asked: Asked
    fitted: Fitted
    source: Source | None
    followed: Mapping[str, Followed]
    tested: Scorecard | None = None


def write(path: str | os.PathLike[str], contents: Contents) -> Path:
    """Write a forecaster, whole or not at all."""
    config, arrays = pack(contents)
    extra = {} if contents.tested is None else {"tested": contents.tested.to_config()}
    description = {"format": "bptt", "version": 1, "kind": KIND, "config": config, "extra": extra}
    return write_model(path, arrays, description)


def pack(contents: Contents) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the plain JSON values and the arrays of a forecaster."""
    fitted, trained = contents.fitted, contents.fitted.trained
    encoding, source, choice = trained.encoding, contents.source, contents.fitted.choice
    followed = list(contents.followed.values())
    asked = {name: value for name, value in asdict(contents.asked).items() if name != "recipe"}
    asked = {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()}
    config = {
        "asked": {**asked, "recipe": contents.asked.recipe.to_config()},
        "recipe": fitted.recipe.to_config(),
        "rows": fitted.rows,
        "kind": trained.kind,
        "encoding": {
            "horizon": encoding.horizon,
            "calendar": list(encoding.calendar.cycles),
            "step": _step_text(encoding.step),
            "transform": encoding.transform,
            "anchor": encoding.anchor,
            "period": encoding.period,
            "window": encoding.window,
            "past_window": encoding.past_window,
            "age": encoding.age,
            "past": list(encoding.past),
            "future": list(encoding.future),
            "static": list(encoding.static),
            "ahead": list(encoding.ahead),
            "ids": list(encoding.ids),
            "level": encoding.level,
            "head": encoding.head,
            "groups": list(encoding.groups),
            "parts": encoding.parts,
        },
        "intervals_rows": fitted.intervals.rows,
        "choice": {
            "kind": choice.kind,
            "errors": choice.errors,
            "origins": choice.origins,
            "reason": choice.reason,
        },
        "source": None if source is None else _source_config(source),
        "nets": [net.config() for net in trained.nets],
        "followed": [
            {"id": each.id, "time": str(each.time), "local": str(each.local), "ahead": each.ahead} for each in followed
        ],
    }  # fmt: skip
    arrays: dict[str, Array] = {
        "encoding.centres": encoding.centres,
        "encoding.scales": encoding.scales,
        "encoding.means": encoding.means,
        "encoding.deviations": encoding.deviations,
        "encoding.change": encoding.change,
        "encoding.target": encoding.target,
        "intervals.weights": fitted.intervals.weights,
        "intervals.quantiles": fitted.intervals.quantiles,
        "intervals.floor": fitted.intervals.floor,
    }
    if trained.linear is not None:
        arrays |= {"linear.weights": trained.linear.weights, "linear.intercept": trained.linear.intercept}
    for m, net in enumerate(trained.nets):
        arrays |= {f"nets.{m}.{name}": array for name, array in net.parameters.items()}
    for m, decoder in enumerate(trained.decoders):
        arrays |= {f"decoders.{m}.{name}": array for name, array in decoder.parameters.items()}
    arrays |= _pack_followed(followed, len(trained.nets))
    return config, {name: np.asarray(array, np.float64) for name, array in arrays.items()}


def _pack_followed(followed: list[Followed], nets: int) -> dict[str, Array]:
    if not followed:
        return {}
    found = {
        "followed.z": np.stack([each.z for each in followed]),
        "followed.moment": np.stack([each.moment for each in followed]),
        "followed.static": np.stack([each.static for each in followed]),
        "followed.memory_z": np.stack([each.memory.z for each in followed]),
        "followed.memory_p": np.stack([each.memory.p for each in followed]),
        "followed.memory": np.array([[e.memory.age, e.memory.centre, e.memory.scale] for e in followed]),
    }
    for m in range(nets):
        for name in followed[0].states[m]:
            found[f"followed.state.{m}.{name}"] = np.concatenate(
                [e.states[m][name] for e in followed], axis=1
            )
    return found


def _source_config(source: Source) -> dict[str, Any]:
    return {
        "layout": None if source.layout is None else source.layout.to_config(),
        "kind": source.kind,
        "findings": [asdict(each) for each in source.findings],
        "target": source.target,
    }


def _step_text(step: np.timedelta64) -> str:
    unit = "M" if np.datetime_data(step.dtype)[0] == "M" else "s"
    return f"{step.astype(f'timedelta64[{unit}]').astype(np.int64)}{unit}"
