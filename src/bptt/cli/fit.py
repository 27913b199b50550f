"""`bptt fit`: a table in, a tested forecaster and its report out."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time as clock
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bptt.cli import forecast_options as options
from bptt.cli.apps import INTERRUPTED, app
from bptt.cli.options import Json, Quiet
from bptt.cli.run_lab import check_json, write_json
from bptt.errors import DataError, InvalidInput

if TYPE_CHECKING:
    from bptt.cli.display import Display
    from bptt.diagnostics.doctor.finding import Diagnosis
    from bptt.forecast.fitting.shelf import Shelf
    from bptt.forecast.forecaster import Forecaster
    from bptt.forecast.scoring.rehearsal import Rehearsal
    from bptt.forecast.scoring.scorecard import Scorecard
    from bptt.forecast.tables.layout import PanelData


# A terminal in which the whole table of a test can be read, and the columns of it for a narrower one: method, RMSE,
# MAE, what the intervals cover and their score.
_WIDE, _NARROW = 130, (0, 1, 2, 5, 6)


@app.command("fit")
def fit(
    table: options.Table,
    target: options.Target = None,
    horizon: options.Horizon = None,
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
    unit: Annotated[str, typer.Option("--unit", help="Of the target, for tables and pictures.")] = "",
    test: Annotated[
        float,
        typer.Option(
            "--test", min=0.0, max=0.9, help="Share of the newest rows kept aside for the test; 0 for none."
        ),
    ] = 0.2,
    no_trees: options.NoTrees = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where the model goes; the table's name with .safetensors unless given."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Where the report goes; report.html unless given, NAME-report.html where that is of another table.",
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    json_to: Json = None,
    quiet: Quiet = False,
) -> None:
    """Learn to forecast a column of a table, and test the forecast on the newest rows.

    Finds the time column, the step and which column is what, says what is odd about the data, forecasts rows kept aside
    beside the simple methods that a model must beat, then trains on everything. Writes the model and a report.
    """
    given = {name: value for name, value in locals().items() if name in options._NAMES}
    settings = options.make_settings(config, given)
    from bptt.cli.display import Display
    from bptt.forecast.forecaster import Forecaster
    from bptt.forecast.given import read_to_learn
    from bptt.forecast.saving.facts import too_few_for
    from bptt.forecast.scoring.scorecard import Scorecard

    display = Display(quiet=quiet, to_stderr=str(json_to) == "-")
    place = Path(Path(table).name.split(".")[0] + ".safetensors") if out is None else out
    if report is None:
        report = choose_report(Path("report.html"), Path(table), place)
        if report.name != "report.html":
            display.line(
                f"report.html is not of {Path(table).name} and stays as it is: the report is {report}"
            )
    for name, path in (("--out", place), ("--report", report), ("--checkpoint", checkpoint)):
        if path is not None:
            check_place(name, path)
    check_json(json_to)
    model = Forecaster(**settings)
    saved = False
    try:
        data = read_to_learn(table, model.asked)
        show_data(display, data)
        with _kept(checkpoint, model, data, test) as shelf:
            rehearsal = _rehearse(display, model, data, test, shelf, trees=not no_trees)
            started = clock.perf_counter()
            with display.progress(lines=False) as notify:
                model.fit(
                    data,
                    progress=lambda done, total: notify("training on all rows", *percent(done, total)),
                    checkpoint=shelf,
                )
        display.line(f"trained on all rows in {clock.perf_counter() - started:.1f} s: {model.verdict}")
        few = too_few_for(model.fitted, model.asked.coverage)
        if few:
            display.line(
                f"  warning: intervals were calibrated on too few forecasts, {few}: they take the errors for normal"
            )
        kind = model.fitted.trained.kind
        if model.diagnosis is not None:
            display.line(f"doctor: {doctors_line(model.diagnosis, kind)}")
        if rehearsal is not None:
            model.tested = Scorecard.of(rehearsal, unit)
            show_test(display, model.tested)
            tested = rehearsal.fitted.trained.kind
            if tested != kind:
                display.line(f"  {another_was_tested(tested, kind)}")
        model.save(place)
        saved = True
        again = (
            shlex.join(["bptt", *sys.argv[1:]])
            if sys.argv[1:2] == ["fit"]
            else shlex.join(["bptt", "fit", table])
        )
        from bptt.report.forecast import write_forecast_report

        write_forecast_report(report, model, data, rehearsal, again, unit=unit)
    except KeyboardInterrupt:
        # The command's own parser would swallow it without a word.
        if saved:
            told = f"{place} was written whole, the report was not; run the command again"
        else:
            told = options.how_to_go_on(
                checkpoint, "nothing was written, and an older file is as it was; run the command again"
            )
        display.error(f"interrupted: {told}")
        raise typer.Exit(INTERRUPTED) from None
    write_json(json.dumps(_numbers(model, data, rehearsal, place, report), indent=2), json_to)
    display.always(f"model: {place}")
    display.always(f"report: {report}")
    display.line(f"forecast: bptt predict {shlex.quote(str(place))} {shlex.quote(table)}")


def _kept(
    checkpoint: Path | None, model: Forecaster, data: PanelData, test: float
) -> AbstractContextManager[Shelf | None]:
    """Return the context in which the networks of test and fit are kept in one file, or are not."""
    from bptt.forecast.saving.fit_file import describe_fit, kept_fit

    if checkpoint is None:
        return nullcontext()
    return kept_fit(checkpoint, True, describe_fit(data.panel, model.asked, test=test))


def choose_report(usual: Path, table: Path, model: Path) -> Path:
    """Return the usual place, or one named after the model where that would cost the report of another table."""
    from bptt.report.forecast import read_source

    if not usual.is_file() or Path(read_source(usual) or "").name == table.name:
        return usual
    return usual.with_name(f"{model.stem}-report.html")


def check_place(option: str, path: Path) -> None:
    """Refuse a place that cannot be written before the work, not after it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidInput(f"{option} must name a file in a folder that can be written. Got {path}")


def show_data(display: Display, data: PanelData) -> None:
    """Write what a table was taken for, and what is odd about it."""
    from bptt.forecast.saving.facts import describe_columns, describe_rows

    display.line(f"data: {data.source}, {data.rows:,} rows; {describe_rows(data)}")
    for role, names in describe_columns(data.layout):
        display.line(f"  {role}: {names}")
    for finding in data.findings:
        if finding.kind != "left out":  # said among the columns
            display.line(f"  {'warning' if finding.warning else 'note'}: {finding}")


def percent(done: int, total: int) -> tuple[int, int]:
    """Return progress in hundredths: the number of updates may shrink on the way."""
    return (100 * done // max(total, 1), 100)


def _rehearse(
    display: Display, model: Forecaster, data: PanelData, test: float, shelf: Shelf | None, *, trees: bool
) -> Rehearsal | None:
    if not test:
        display.line("no rows are kept aside: nothing will say how good the forecast is")
        return None
    from bptt.forecast.asking import drawn_recipes
    from bptt.forecast.scoring.rehearsal import rehearse

    asked = model.asked
    started = clock.perf_counter()
    title = f"testing on the newest {100 * test:g} %"
    try:
        with display.progress(lines=False) as notify:
            found = rehearse(
                data.panel,
                horizon=asked.horizon,
                recipe=asked.recipe,
                calendar=asked.calendar,
                coverage=asked.coverage,
                share=test,
                seed=asked.seed,
                threads=asked.threads,
                trees=trees,
                notify=lambda done, total: notify(title, *percent(done, total)),
                search=drawn_recipes(asked.recipe, asked.search, asked.seed),
                shelf=None if shelf is None else shelf.under("test"),
            )
    except DataError as error:
        display.line(f"no test: {error}")
        return None
    display.line(f"tested on the newest {100 * test:g} % in {clock.perf_counter() - started:.1f} s")
    return found


def show_test(display: Display, tested: Scorecard) -> None:
    """Write how a model did on rows that were kept aside."""
    from bptt.forecast.scoring.scorecard import HEADERS

    display.line(tested.caption())
    # What a narrow terminal has no room for is in the report, and with --json.
    shown = range(len(HEADERS)) if display.console.width >= _WIDE else _NARROW
    display.table([HEADERS[k] for k in shown], [[row[k] for k in shown] for row in tested.rows()])
    display.line(tested.verdict)


def _numbers(
    model: Forecaster, data: PanelData, rehearsal: Rehearsal | None, place: Path, report: Path
) -> dict[str, Any]:
    from bptt.report.versions import versions

    return {
        "model": str(place),
        "report": str(report),
        "source": data.source,
        "sha256": data.sha256,
        "layout": data.layout.to_config(),
        "findings": [
            {"kind": f.kind, "column": f.column, "count": f.count, "warning": f.warning, "text": f.text}
            for f in data.findings
        ],
        "verdict": model.verdict,
        "diagnosis": None if model.diagnosis is None else model.diagnosis.to_dict(),
        "test": None
        if rehearsal is None
        else {
            "outcome": rehearsal.outcome,
            "verdict": rehearsal.verdict(),
            "first": str(rehearsal.first),
            "forecasts": len(rehearsal.rows),
            "scores": plain_scores(rehearsal.scores),
        },
        "versions": versions(),
    }


def plain_scores(scores: Any) -> dict[str, dict[str, list[float | None]]]:
    """Return scores as JSON values: null where there is none."""
    return {
        method: {
            name: [None if value != value else float(value) for value in values]  # NaN is not itself
            for name, values in metrics.items()
        }
        for method, metrics in scores.items()
    }


def doctors_line(diagnosis: Diagnosis, kind: str) -> str:
    """Return the doctor's line: of a network that was left out only what is wrong with it is news."""
    from bptt.forecast.fitting.choices.choosing import NAMES

    if kind == "network" or diagnosis.findings:
        return diagnosis.line
    return f"no disease found; {NAMES[kind]} is used"


def another_was_tested(tested: str, kind: str) -> str:
    """Return in words that the model which was tested, without the newest rows, was of another kind."""
    from bptt.forecast.fitting.choices.choosing import NAMES

    return f"tested without these rows it was {NAMES[tested]}; with them validation chose {NAMES[kind]}"
