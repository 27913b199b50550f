"""The report of a fit: the data, how good the forecast is beside its baselines, and what the model is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.forecast.forecaster import Forecaster
from bptt.forecast.pieces import cut
from bptt.forecast.results import times_ahead
from bptt.forecast.saving.facts import describe_columns, describe_model, describe_rows, lag_influence
from bptt.forecast.scoring.backtest_result import TITLES
from bptt.forecast.scoring.rehearsal import Rehearsal
from bptt.forecast.scoring.scorecard import HEADERS, Scorecard
from bptt.forecast.tables.layout import PanelData
from bptt.plots import (
    autocorrelation,
    error_by_horizon,
    error_by_hour,
    error_by_month,
    forecast_runs,
    learning_curve,
    path_lengths,
    themed_pngs,
)
from bptt.plots.forecast_fan import forecast_fan
from bptt.report.blocks import Block, Code, Picture, Section, TableBlock, Text
from bptt.report.html import write_report
from bptt.report.versions import describe

_COVERAGES = (0.5, 0.9)
_WITH_INTERVALS = " with intervals of 50 % and 90 %"
# Steps of the horizon that the wide table shows.
_STEPS = 8
# Forecasts in a row that the picture of the test shows, and rows at least.
_RUNS, _ROWS = 7, 96

# How the page of a fit begins, and its last line.
_TITLE = "Forecast of "
_LAST_LINE = re.compile(r"<footer><p>(.+?), sha256 [0-9a-f]{64}\. ")


def read_source(path: Path) -> str | None:
    """Return the table file that a report of a fit is of; None where the file is no such report."""
    try:
        page = path.read_text("utf-8", "replace")
    except OSError:
        return None
    found = _LAST_LINE.search(page, page.rfind("<footer>")) if f"<title>{_TITLE}" in page else None
    return None if found is None else unescape(found[1])


def score_rows(rehearsal: Rehearsal) -> tuple[list[tuple[str, ...]], list[int]]:
    """Return the table of methods, the best last, and the rows of methods that lose to a baseline."""
    tested = Scorecard.of(rehearsal)
    return tested.rows(), [tested.methods.index("model")] if tested.loses else []


def write_forecast_report(
    path: str | os.PathLike[str],
    model: Forecaster,
    data: PanelData,
    rehearsal: Rehearsal | None,
    command: str,
    *,
    unit: str = "",
) -> Path:
    """Write the report of a fit as one HTML file.

    Parameters
    ----------
    path : str or path
    model : Forecaster
        Trained on `data`.
    data : PanelData
    rehearsal : Rehearsal or None
        Of the same settings; without one there are no errors to show, and the report says so.
    command : str
        What makes it again.
    unit : str
        Of the target.
    """
    panel = data.panel
    if rehearsal is None:
        lead = "Nothing was kept aside to test this model on. " + _sentence(model.verdict) + "."
    else:
        lead = _sentence(rehearsal.verdict(unit)) + (
            f", on rows from {Scorecard.of(rehearsal).first} on, which the tested model had not seen."
        )
    sections = [
        Section("Result", tuple(_result(model, rehearsal, unit))),
        Section("Forecast", (_fan(model, data, unit),)),
        *([Section("Errors", tuple(_errors(rehearsal, data, unit)))] if rehearsal is not None else []),
        Section("Training", tuple(_training(model))),
        Section("Data", tuple(_data(data))),
        Section("Model", (_facts_table(describe_model(model.fitted), "What was trained."),)),
        Section("Do it again", (Code(command),)),
    ]
    footer = f"{data.source}" + (f", sha256 {data.sha256}" if data.sha256 else "") + f". {describe()}."
    return write_report(
        path,
        title=f"{_TITLE}{panel.target}, {model.asked.horizon} steps ahead",
        lead=lead,
        sections=sections,
        footer=footer,
    )


def _result(model: Forecaster, rehearsal: Rehearsal | None, unit: str) -> list[Block]:
    if rehearsal is None:
        return [Text(_sentence(model.verdict) + ".")]
    rows, losing = score_rows(rehearsal)
    table = TableBlock(
        HEADERS,
        tuple(rows),
        highlight=tuple(k for k, row in enumerate(rows) if row[0] == TITLES["model"]),
        losing=tuple(losing),
        caption=f"Means over the horizon, {len(rehearsal.rows):,} forecasts of rows kept aside{_in(unit)}. "
        f"{_aim(rehearsal)}The best method stands last.",
    )
    steps = _shown_steps(len(rehearsal.scores["model"]["rmse"]))
    by_step = TableBlock(
        ("RMSE at step", *map(str, steps)),
        tuple(
            (TITLES[name], *(_number(scores["rmse"][k - 1]) for k in steps))
            for name, scores in rehearsal.scores.items()
        ),
        caption=f"Error by step of the horizon{_in(unit)}; a dash where a method was not fitted.",
    )
    tone = {"wins": "plain", "ties": "note", "loses": "warning"}[rehearsal.outcome]
    blocks: list[Block] = [
        Text(_sentence(rehearsal.verdict(unit)) + ".", tone),
        table,
        by_step,
        Text(_sentence(model.verdict) + "."),
    ]
    return blocks


def _fan(model: Forecaster, data: PanelData, unit: str) -> Picture:
    K = model.asked.horizon
    panel, alt = (
        data.panel,
        f"The end of the history, and the forecast after it{_WITH_INTERVALS}.",
    )
    if panel.future and any(len(line.future) - len(line) < K for line in panel):
        # What is known ahead ends with the table: the newest rows themselves are what can be forecast.
        lines = tuple(cut(line, 0, len(line) - K, ahead=K) for line in panel if len(line) > K)
        panel = replace(panel, lines=lines)
        alt = (
            f"The newest rows, forecast from those before them{_WITH_INTERVALS}: what is known ahead "
            "ends with the table. The model was trained on these rows too."
        )
    line = max(panel, key=len)
    whole = next(each for each in data.panel if each.id == line.id)
    coverages = _COVERAGES if model.fitted.intervals.there else ()
    alt = alt if coverages else alt.replace(_WITH_INTERVALS, "")
    levels = [level for c in coverages for level in ((1 - c) / 2, (1 + c) / 2)]
    found = model.forecast(panel, levels=sorted(levels))
    k = found.ids.index(line.id)
    order = {level: place for place, level in enumerate(sorted(levels))}
    bounds = {
        c: (
            np.minimum(found.quantiles[order[(1 - c) / 2], k], found.y_hat[k]),
            np.maximum(found.quantiles[order[(1 + c) / 2], k], found.y_hat[k]),
        )
        for c in coverages
    }
    first = max(0, len(line) - max(4 * K, 48))
    counted = bool(np.isnat(line.local).any())
    times, ahead = whole.times, times_ahead(line.times[-1], panel.step, K)
    if counted:
        times, ahead = times.astype(np.int64), ahead.astype(np.int64)
    else:
        shift = line.local[len(line) - 1] - line.times[-1]
        times, ahead = whole.local[: len(whole)], ahead + shift
    quantity = f"{panel.target}, {unit}" if unit else panel.target
    return _picture(
        lambda **look: forecast_fan(
            times[first:],
            whole.y[first:],
            ahead,
            found.y_hat[k],
            bounds,
            quantity=quantity,
            title=line.id or None,
            **look,
        ),
        alt,
    )


def _trial(rehearsal: Rehearsal, data: PanelData, unit: str) -> Picture:
    """Draw the newest forecasts of the test that do not overlap, in the series with the most of them."""
    judged = rehearsal.methods["model"]
    K = judged.y_hat.shape[1]
    series = int(np.bincount(rehearsal.series).argmax())
    line = data.panel.lines[series]
    mine = np.flatnonzero(rehearsal.series == series)
    chosen = [mine[-1]]
    oldest = rehearsal.rows[mine[-1]] + 1 + K - max(_RUNS * K, _ROWS)
    for k in mine[::-1]:
        if oldest <= rehearsal.rows[k] + 1 <= rehearsal.rows[chosen[-1]] + 1 - K:
            chosen.append(k)
    runs = np.array(chosen[::-1])
    first, end = rehearsal.rows[runs[0]] + 1, rehearsal.rows[runs[-1]] + 1 + K
    counted = bool(np.isnat(line.local).any())
    times = line.times.astype(np.int64) if counted else line.local
    y_hat, low, high = judged.y_hat[runs], judged.low[runs], judged.high[runs]
    there = np.isfinite(judged.y[runs])
    held = int(((judged.y[runs] >= low) & (judged.y[runs] <= high))[there].sum())
    told = f": of {there.sum():,} values {held:,} lie in the {100 * rehearsal.coverage:g} % interval"
    told = told if rehearsal.fitted.intervals.there else ""
    made = (
        "each from the rows before it"
        if K == 1
        else f"{K} at a time, at each dotted line from the rows before it"
    )
    return _picture(
        lambda **look: forecast_runs(
            times[first:end],
            line.y[first:end],
            rehearsal.rows[runs] + 1 - first,
            y_hat,
            low,
            high,
            coverage=rehearsal.coverage,
            quantity=f"{data.panel.target}, {unit}" if unit else data.panel.target,
            title=line.id or None,
            **look,
        ),
        f"The newest rows of the test, forecast {made}, beside what came{told}.",
    )


def _errors(rehearsal: Rehearsal, data: PanelData, unit: str) -> list[Block]:
    label = f"RMSE, {unit}" if unit else "RMSE"
    titles = {TITLES[name]: scores["rmse"] for name, scores in rehearsal.scores.items()}
    grey = [title for title in titles if title != TITLES["model"]]
    blocks: list[Block] = [_trial(rehearsal, data, unit)]
    if len(rehearsal.scores["model"]["rmse"]) > 1:  # one step is in the table
        blocks.append(
            _picture(
                lambda **look: error_by_horizon(titles, baselines=grey, y_label=label, **look),
                "Error by how far ahead: the model and its baselines.",
            )
        )
    truth = rehearsal.methods["model"].y
    there = np.isfinite(truth) & ~np.isnat(rehearsal.local)
    shown = ("model", rehearsal.best_baseline)
    flat = {TITLES[name]: rehearsal.methods[name].y_hat[there] for name in shown}
    # A baseline that was fitted for some steps only is compared on those.
    kept = (
        np.all([np.isfinite(values) for values in flat.values()], axis=0)
        if there.any()
        else np.zeros(0, bool)
    )
    flat = {title: values[kept] for title, values in flat.items()}
    y, local = truth[there][kept], rehearsal.local[there][kept]
    second = [TITLES[rehearsal.best_baseline]]
    if y.size:
        hours = (local.astype("datetime64[h]").astype(np.int64) % 24).astype(np.int64)
        months = local.astype("datetime64[M]").astype(np.int64) % 12
        if np.unique(hours).size > 1:
            blocks.append(
                _picture(
                    lambda **look: error_by_hour(hours, y, flat, baselines=second, unit=unit, **look),
                    "Error by the hour of what is forecast, by the wall's clock.",
                )
            )
        if np.unique(months).size > 1:
            curves = {title: _by_class(months, 12, values - y) for title, values in flat.items()}
            blocks.append(
                _picture(
                    lambda **look: error_by_month(curves, baselines=second, y_label=label, **look),
                    "Error by the month of what is forecast.",
                )
            )
    if np.isfinite(rehearsal.residuals).sum() > 10:
        lags = max(2, min(72, rehearsal.residuals.size // 4))
        blocks.append(
            _picture(
                lambda **look: autocorrelation(rehearsal.residuals, lags=lags, **look),
                "Autocorrelation of the one-step errors: bars beyond the dashed lines are structure that was not used.",
            )
        )
    return blocks


def _training(model: Forecaster) -> list[Block]:
    fitted = model.fitted
    blocks: list[Block] = [Text(_sentence(model.verdict) + ".")]
    if model.diagnosis is not None:
        tone = "warning" if model.diagnosis.findings else "plain"
        blocks += [Text(f"The training doctor: {each}.", tone) for each in str(model.diagnosis).splitlines()]
    if fitted.losses:
        blocks.append(
            _picture(
                lambda **look: learning_curve({"networks of the ensemble": list(fitted.losses)}, **look),
                "Training loss against the update, of every network of the ensemble.",
            )
        )
    seen = lag_influence(fitted)
    if seen is not None and (seen > 0).any():
        blocks.append(
            _picture(
                lambda **look: path_lengths(
                    {"networks": seen}, quantity="mean |d forecast / d input|", x_label="rows back", **look
                ),
                "Which rows the networks use: by how much a forecast changes with the inputs of each row back, "
                "at the mean of all inputs.",
            )
        )
    return blocks


def _data(data: PanelData) -> list[Block]:
    blocks: list[Block] = [
        Text(f"{data.source}: {data.rows:,} rows; {describe_rows(data)}."),
        _facts_table(describe_columns(data.layout), "Which column is what: found, or as asked for."),
    ]
    if not data.findings:
        return [
            *blocks,
            Text("Nothing odd was found: no gap, no double, nothing missing, frozen or far outside."),
        ]
    rows = tuple(
        (finding.kind, "look at it" if finding.warning else "", finding.text) for finding in data.findings
    )
    warned = tuple(k for k, finding in enumerate(data.findings) if finding.warning)
    blocks.append(
        TableBlock(
            ("finding", "", "what was found"), rows, losing=warned, caption="What was found before training."
        )
    )
    return blocks


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _facts_table(facts: list[tuple[str, str]], caption: str) -> TableBlock:
    return TableBlock(("", ""), tuple(facts), caption=caption, numeric=())


def _picture(draw: Callable[..., Any], alt: str) -> Picture:
    drawn = themed_pngs(draw)
    return Picture(
        light=drawn["light", "wide"],
        dark=drawn["dark", "wide"],
        narrow_light=drawn["light", "narrow"],
        narrow_dark=drawn["dark", "narrow"],
        alt=alt,
        caption=alt,
    )


def _by_class(classes: Array, count: int, errors: Array) -> Array:
    numbers = np.bincount(classes, minlength=count)
    sums = np.bincount(classes, weights=errors**2, minlength=count)
    return np.where(numbers > 0, np.sqrt(sums / np.maximum(numbers, 1)), np.nan)


def _aim(rehearsal: Rehearsal) -> str:
    there = rehearsal.fitted.intervals.there
    return f"Intervals aim at {100 * rehearsal.coverage:g} %. " if there else ""


def _shown_steps(horizon: int) -> list[int]:
    return sorted({int(k) for k in np.linspace(1, horizon, min(horizon, _STEPS)).round()})


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if np.isfinite(value) else "-"


def _in(unit: str) -> str:
    return f", in {unit}" if unit else ""
