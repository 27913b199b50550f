"""`bptt predict`: a model and a history in, the rows that come next out."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bptt.cli.apps import app
from bptt.cli.fit import check_place
from bptt.cli.options import Json
from bptt.cli.run_lab import check_json, write_json
from bptt.errors import InvalidInput

if TYPE_CHECKING:
    from bptt.forecast.forecaster import Forecaster

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="File that `bptt fit` wrote.")]


@app.command("predict")
def predict(
    model: Model,
    table: Annotated[
        str,
        typer.Argument(metavar="CSV", help="The history, with the columns that the model was trained on."),
    ],
    future_values: Annotated[
        str | None,
        typer.Option("--future-values", help="Table with the columns known ahead, for the rows to come."),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(
            "--decimal", metavar="MARK", help="Of a CSV file's numbers, . or ,: as in the fit unless given."
        ),
    ] = None,
    coverage: Annotated[
        float | None, typer.Option("--coverage", help="Of the interval; as in the fit unless given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the CSV here instead of to stdout.")
    ] = None,
    json_to: Json = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw history and forecast into this PNG.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No remarks on stderr.")] = False,
) -> None:
    """Forecast the rows after the last one of a table, with an interval: CSV on stdout, and nothing else there.

    Columns: unique_id, ds, y_hat, lo_90, hi_90 (by the coverage; not of a model without intervals), then the quantiles
    asked for in the fit.
    """
    from bptt.atomic import write_atomic
    from bptt.forecast.asking import check_coverage
    from bptt.forecast.given import comes_near_zero
    from bptt.forecast.predicting.picture import left_out_words
    from bptt.forecast.results import interval_names, quantile_name
    from bptt.forecast.tables.reading import read_panel
    from bptt.forecast.tables.writing import last_offsets, text_times, write_forecast

    for name, path in (("--out", out), ("--plot", plot)):
        if path is not None:
            check_place(name, path)
    if plot is not None and plot.suffix.lower() != ".png":
        raise InvalidInput(f"--plot must name a .png file. Got {plot}")
    check_json(json_to)
    forecaster = open_forecaster(model)
    source = forecaster._source
    if source is None or source.layout is None:
        raise InvalidInput(
            f"{model} must have been trained on a table. Got one trained on a panel: use it from Python"
        )
    asked = forecaster.asked
    data = read_panel(
        table, layout=source.layout, decimal=decimal, future_values=future_values, horizon=asked.horizon
    )
    if not quiet:
        for finding in data.findings:
            if finding.kind == "unseen":
                continue  # logged, and so written already
            typer.echo(f"bptt: {'warning' if finding.warning else 'note'}: {finding}", err=True)
    share = asked.coverage if coverage is None else check_coverage(coverage)
    bounds = ((1 - share) / 2, (1 + share) / 2)
    between = forecaster.fitted.intervals.there or coverage is not None
    levels = sorted({*bounds, *asked.quantiles}) if between else []
    found = forecaster.forecast(data, levels=levels)
    if not quiet and (found.quantiles < 0).any() and comes_near_zero(data.panel):
        typer.echo(
            f"bptt: note: {data.panel.target} is never negative, and its interval reaches below 0: "
            "bptt fit --transform log1p keeps it above",
            err=True,
        )
    # An interval holds its forecast, as from `Forecaster.predict_interval`; a quantile may lie anywhere.
    columns = {"y_hat": found.y_hat}
    if between:
        low, high = (found.quantiles[levels.index(b)] for b in bounds)
        both = low.clip(max=found.y_hat), high.clip(min=found.y_hat)
        columns |= dict(zip(interval_names(share), both, strict=True))
    columns |= {quantile_name(level): found.quantiles[levels.index(level)] for level in asked.quantiles}
    made: dict[str, Any] = write_forecast(data_as_dict(data), columns)
    steps = len(made["ds"]) // len(data.panel)
    offsets = [offset for offset in last_offsets(data) for _ in range(steps)]
    made["ds"] = text_times(data.layout, made["ds"], offsets)
    text = _as_csv(made)
    if plot is not None:
        from bptt.plots import save_png

        save_png(forecaster.plot(data), plot)
        if not quiet and left_out_words(len(data.panel)):
            typer.echo(f"bptt: note: {plot} shows {left_out_words(len(data.panel))}", err=True)
    if out is not None:
        write_atomic(out, text.encode())
    elif str(json_to) != "-":
        typer.echo(text, nl=False)
    names = list(made)
    rows = [
        dict(zip(names, row, strict=True))
        for row in zip(*(_plain(made[name]) for name in names), strict=True)
    ]
    write_json(json.dumps(rows, indent=2), json_to)


def open_forecaster(path: Path) -> Forecaster:
    """Load a model file that holds a forecaster."""
    from bptt.forecast.forecaster import Forecaster
    from bptt.models import load

    found = load(path)
    if not isinstance(found, Forecaster):
        raise InvalidInput(
            f"{path} must hold a forecaster (bptt fit writes one). Got a {type(found).__name__}: use it from Python"
        )
    return found


def data_as_dict(data: Any) -> Any:
    """Return the same data as if it had come as a dict: what is written for them is arrays."""
    return replace(data, kind="dict")


def _plain(values: Any) -> list[Any]:
    return [value.item() if hasattr(value, "item") else value for value in values]


def _as_csv(columns: dict[str, Any]) -> str:
    memory = io.StringIO()
    writer = csv.writer(memory, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*(_plain(values) for values in columns.values()), strict=True):
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in row])
    return memory.getvalue()
