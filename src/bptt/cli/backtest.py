"""`bptt backtest`: how good the forecasts would have been."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bptt.cli import forecast_options as options
from bptt.cli.apps import INTERRUPTED, app
from bptt.cli.fit import check_place, percent, plain_scores, show_data
from bptt.cli.options import Json
from bptt.cli.run_lab import check_json, write_json


@app.command("backtest")
def backtest(
    table: options.Table,
    target: options.Target = None,
    horizon: options.Horizon = None,
    folds: Annotated[int, typer.Option("--folds", min=1, help="Parts at the end of the history.")] = 5,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="Train once, before the first part, instead of before each.")
    ] = False,
    inputs: options.Inputs = None,
    future: options.Future = None,
    static: options.Static = None,
    without: options.Without = None,
    group: options.Group = None,
    time: options.Time = None,
    step: options.Step = None,
    zone: options.Zone = None,
    decimal: options.Decimal = None,
    missing: options.Missing = None,
    window: options.Window = None,
    cell: options.Cell = None,
    hidden: options.Hidden = None,
    ensemble: options.Ensemble = None,
    updates: options.Updates = None,
    validation: options.Validation = None,
    head: options.Head = None,
    intervals: options.Kind = None,
    quantiles: options.Quantiles = None,
    coverage: options.Coverage = None,
    transform: options.Transform = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    search: options.Search = None,
    config: options.Config = None,
    no_trees: options.NoTrees = False,
    checkpoint: options.Checkpoint = None,
    json_to: Json = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no remarks: only the result.")
    ] = False,
) -> None:
    """Forecast parts of a table from what came before them, beside the methods that a model must beat.

    Every part is forecast by a model that was trained, scaled, chosen and calibrated on the rows before it alone.
    """
    given = {name: value for name, value in locals().items() if name in options._NAMES}
    settings = options.make_settings(config, given)
    from bptt.cli.display import Display
    from bptt.forecast.forecaster import Forecaster
    from bptt.forecast.given import read_to_learn

    display = Display(quiet=quiet, to_stderr=str(json_to) == "-")
    check_json(json_to)
    if checkpoint is not None:
        check_place("--checkpoint", checkpoint)
    model = Forecaster(**settings)
    data = read_to_learn(table, model.asked)
    show_data(display, data)
    try:
        with display.progress(lines=False) as notify:
            found = model.backtest(
                data,
                folds=folds,
                refit=not no_refit,
                trees=not no_trees,
                progress=lambda done, total: notify(f"{folds} folds", *percent(done, total)),
                checkpoint=checkpoint,
                resume=checkpoint is not None,
            )
    except KeyboardInterrupt:
        told = options.how_to_go_on(checkpoint, "the table needs every fold, so there is none")
        display.error(f"interrupted: {told}")
        raise typer.Exit(INTERRUPTED) from None
    display.always(str(found))
    numbers = {
        "source": data.source,
        "folds": [[str(first), str(last)] for first, last in found.folds],
        "kinds": list(found.kinds),
        "forecasts": found.origins,
        "coverage": found.coverage,
        "verdict": found.verdict(),
        "scores": plain_scores(found.scores),
        "rmse_by_fold": [plain_scores({"rmse": fold})["rmse"] for fold in found.by_fold],
    }
    write_json(json.dumps(numbers, indent=2), json_to)
