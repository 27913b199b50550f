"""What a forecaster is given: tables to learn from, later tables with the same columns, single rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bptt.errors import DataError, InvalidInput, InvalidType, NotFittedError
from bptt.forecast.asking import Asked
from bptt.forecast.fitting.choices.settling import MANY, rests_at_zero
from bptt.forecast.panel import Panel
from bptt.forecast.predicting.places import Places
from bptt.forecast.saving.container import Source
from bptt.forecast.tables.filling import spread
from bptt.forecast.tables.layout import Finding, Layout, PanelData
from bptt.forecast.tables.reading import read_panel


def read_new(frame: object, asked: Asked) -> tuple[Panel, Source]:
    """Return the panel of a table to learn from, and what it came from."""
    if isinstance(frame, Panel):
        check_finite(frame)
        return frame, Source(
            None, "dict", (), frame.target, frame.past, frame.future, frame.static, frame.step
        )
    data = frame if isinstance(frame, PanelData) else read_to_learn(frame, asked)
    panel = data.panel
    return panel, Source(
        data.layout,
        data.kind,
        data.findings,
        panel.target,
        panel.past,
        panel.future,
        panel.static,
        panel.step,
    )


def read_to_learn(frame: object, asked: Asked) -> PanelData:
    """Return what a table is read as, with what is odd about it in view of what is asked for."""
    data = read_panel(frame, **asked.columns())
    target = data.panel.target
    if asked.recipe.transform is None and rests_at_zero(data.panel):
        text = (
            f"{target}: never negative, and often 0: forecasts and intervals stop there; "
            f"--transform none (transform='none') lets them go below"
        )
        return replace(data, findings=(*data.findings, Finding("sign", text, target)))
    if asked.recipe.transform is not None or len(data.panel) >= MANY or not comes_near_zero(data.panel):
        return data
    text = (
        f"{target}: never negative, and near 0 at times: intervals may reach below 0, "
        f"--transform log1p (transform='log1p') keeps them and the forecasts above"
    )
    return replace(data, findings=(*data.findings, Finding("sign", text, target)))


def comes_near_zero(panel: Panel) -> bool:
    """Return whether the target is never negative, and in some series so near to 0 that an interval may reach below.

    Nearer than one of its usual deviations.
    """
    known = [line.y[np.isfinite(line.y)] for line in panel]
    known = [values for values in known if values.size]
    if not known or min(float(values.min()) for values in known) < 0:
        return False
    with np.errstate(over="ignore"):
        return any(float(values.min()) < float(values.std()) for values in known)


def read_known(
    frame: object, source: Source | None, future: object = None, horizon: int = 0
) -> tuple[Panel, PanelData | None]:
    """Return the panel of a table with the columns of training, and what it was read from.

    Raises
    ------
    NotFittedError
        Nothing was trained on.
    DataError
        Other columns; not known as far ahead as the horizon.
    """
    if source is None:
        raise NotFittedError("forecaster must be trained first. Got none: call fit(frame)")
    if isinstance(frame, (Panel, PanelData)):
        if future is not None:
            raise InvalidInput("future must be part of a panel (Line.future). Got it beside one")
        panel, data = (frame, None) if isinstance(frame, Panel) else (frame.panel, frame)
        if data is None:
            check_finite(panel)
    else:
        if source.layout is None:
            raise InvalidType(f"frame must be a Panel, as in training. Got {type(frame).__name__}")
        data = read_panel(frame, layout=source.layout, future_values=future, horizon=horizon)
        panel = data.panel
    for role in ("past", "future", "static"):
        own, given = getattr(source, role), getattr(panel, role)
        if own != given:
            raise DataError(
                f"{role} columns must be those of training, {', '.join(own) or 'none'}. "
                f"Got {', '.join(given) or 'none'}"
            )
    if panel.step != source.step:
        raise DataError(f"step must be that of training, {source.step}. Got {panel.step}")
    short = next((line for line in panel if len(line.future) - len(line) < horizon), None)
    if source.future and short is not None:
        raise DataError(
            f"future columns {', '.join(source.future)} must be known for horizon = {horizon} rows after the last. "
            f"Got {len(short.future) - len(short)} in series {short.id!r}: pass future="
        )
    return panel, data


def check_finite(panel: Panel) -> None:
    """Raise DataError at an infinite value, as tables do: it is no number to learn from, and none that is missing."""
    for line in panel:
        for names, block in (
            ((panel.target,), line.y[:, None]),
            (panel.past, line.past),
            (panel.future, line.future),
            (panel.static, line.static[None]),
        ):
            rows, columns = np.nonzero(np.isinf(block))
            if len(rows):
                raise DataError(
                    f"panel, series {line.id!r}, row {rows[0] + 1}, column {names[columns[0]]!r} must be finite. Got "
                    f"{block[rows[0], columns[0]]}: correct it, or set it to nan if it is missing"
                )


def spread_row(row: Mapping[str, object], layout: Layout | None) -> Mapping[str, object]:
    """Return a row with what a model reads of its words, and of columns that had gaps, as numbers beside them.

    Words that training did not see, and values that are missing, stay as they are: the rows before decide about them.
    """
    if layout is None or not (layout.levels or layout.missing):
        return row
    found = dict(row)
    for name in layout.past:
        levels, policy, value = layout.levels.get(name), layout.missing.get(name), row.get(name)
        if levels is not None and isinstance(value, str) and value.strip() in levels:
            entry = np.array([levels.index(value.strip())])
        elif levels is None and policy is not None and isinstance(value, (int, float)) and np.isfinite(value):
            entry = np.array([float(value)])
        else:
            continue
        found |= {part: float(values[0]) for part, values in spread(name, entry, levels, policy)}
    return found


def check_untimed(row: Mapping[str, object], source: Source) -> None:
    """Raise DataError for a row without a time that could not be taken as the next one, with the reason."""
    layout = source.layout
    if layout is None or not layout.time:
        return
    time = ", ".join(map(repr, layout.time))
    for name in (layout.target, *layout.past):
        if name not in row:
            raise DataError(
                f"row must hold every column that the model was trained with. Got none called {name!r}, and the "
                f"columns {', '.join(map(str, row)) or 'none'}: give it, as nan where it is missing"
            )
    raise DataError(
        f"row must hold its time in {time} where a value is missing, a word is new or a series is. Got "
        f"{', '.join(f'{name} = {value!r}' for name, value in row.items())}: add it"
    )


def series_of(row: Mapping[str, object], source: Source, places: Places) -> str:
    """Return the name of the series that a row belongs to."""
    layout = source.layout
    if layout is None or not layout.group:
        only = places.only
        if only is not None:
            return only
    names = ("unique_id",) if layout is None else layout.group
    missing = next((name for name in names if name not in row), None)
    if missing is not None:
        raise InvalidInput(
            f"row must name its series in {missing!r}. Got {', '.join(map(str, row)) or 'nothing'}"
        )
    return "/".join(str(row[name]) for name in names)
