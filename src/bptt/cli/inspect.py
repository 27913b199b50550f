"""`bptt inspect`: what a model file holds."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bptt.cli.apps import app
from bptt.cli.options import Json
from bptt.cli.predict import Model
from bptt.cli.run_lab import check_json, write_json


@app.command("inspect")
def inspect(
    model: Model,
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[CSV]",
            help="A history: which of its rows each step of the forecast sees, proved by gradient.",
        ),
    ] = None,
    json_to: Json = None,
) -> None:
    """Say what a model is, what it was trained on, how good it was found to be, and how far back it sees."""
    check_json(json_to)
    from bptt.cli.display import Display
    from bptt.cli.fit import show_test
    from bptt.forecast.fitting.choices.choosing import NAMES
    from bptt.forecast.forecaster import Forecaster
    from bptt.forecast.saving.facts import describe_columns, describe_model
    from bptt.forecast.scoring.backtest_result import TITLES
    from bptt.models import load

    display = Display(quiet=False, to_stderr=str(json_to) == "-")
    found = load(model)
    if not isinstance(found, Forecaster):
        summary = str(getattr(found, "summary", lambda: repr(found))())
        display.always(f"{model}: a {type(found).__name__}\n{summary}")
        write_json(json.dumps({"kind": type(found).__name__.lower(), "summary": summary}, indent=2), json_to)
        return
    choice, tested = found.fitted.choice, found.tested
    alignment = None if table is None else found.check_alignment(table)
    facts = describe_model(found.fitted)
    source = found._source
    columns = [] if source is None or source.layout is None else describe_columns(source.layout)
    display.always(f"{model}: a forecaster of {found.asked.target or (source and source.target)}")
    for name, value in (*facts, *columns):
        display.always(f"  {name}: {value}")
    for finding in found.findings:
        if finding.kind != "left out":  # said among the columns
            display.always(f"  {'warning' if finding.warning else 'note'}: {finding}")
    numbers = {
        "kind": "forecaster",
        "facts": dict(facts),
        "columns": dict(columns),
        "findings": [finding.text for finding in found.findings],
        "validation": {"forecasts": choice.origins, "relative_squared_error": choice.errors},
        "test": None if tested is None else tested.to_config(),
    }
    if choice.errors:
        display.always(
            f"validation: {choice.origins:,} forecasts; errors as shares of those of repeating the last value"
        )
        titles = {**TITLES, "network": NAMES["network"]}
        best_last = sorted(choice.errors.items(), key=lambda each: -each[1])
        display.table(
            ("method", "MSE", "RMSE"),
            [(titles[kind], f"{error:.3f}", f"{error**0.5:.3f}") for kind, error in best_last],
        )
    if tested is None:
        display.always("test: this file keeps none (bptt fit makes one, unless --test 0)")
    else:
        show_test(display, tested)
    if alignment is not None:
        display.always(f"  alignment: {alignment}")
        numbers["alignment"] = {"sound": alignment.sound, "said": str(alignment)}
    write_json(json.dumps(numbers, indent=2), json_to)
