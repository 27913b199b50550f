"""`bptt lab weather`."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bptt.cli.apps import INTERRUPTED, lab
from bptt.cli.exercise import Exercise, write_exercise
from bptt.cli.forecast_options import Decimal
from bptt.cli.options import Json, Notation, Out, Quiet, Seed, Seeds
from bptt.cli.run_lab import check_json, check_notation, write_json
from bptt.errors import InvalidInput

Data = Annotated[
    str,
    typer.Option(
        "--data", help="auto (Beijing where it can be had, else New York), nyc, beijing, or a CSV file."
    ),
]
Target = Annotated[
    str | None, typer.Option("--target", help="Column to forecast in a file of your own; TEMP unless given.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Column of your own file to use; repeatable. All numbers unless given."),
]
Unit = Annotated[
    str | None, typer.Option("--unit", help="Unit of the target, for tables and pictures (deg C for TEMP).")
]


@lab.command("weather")
def weather(
    data: Data = "auto",
    target: Target = None,
    columns: Columns = None,
    unit: Unit = None,
    decimal: Decimal = None,
    seed: Seed = 0,
    seeds: Seeds = 3,
    out: Out = Path("bptt-weather"),
    json_to: Json = None,
    quiet: Quiet = False,
    notation: Notation = "ours",
    exercise: Exercise = None,
) -> None:
    """Forecast the next hour's temperature: the lab's own recipe, a sensible model, and the baselines.

    Follows "Lab 9" (24 hours of weather into an Elman network, every gradient by hand). Ends with a table of test
    errors, and writes report.html, pictures, result.json and the trained models into a folder.
    """
    if exercise is not None:
        write_exercise("weather", exercise)
        return
    run_weather(data, target, columns, unit, seed, seeds, out, json_to, quiet, notation, decimal)


def run_weather(
    data: str,
    target: str | None,
    columns: list[str] | None,
    unit: str | None,
    seed: int,
    seeds: int,
    out: Path,
    json_to: Path | None,
    quiet: bool,
    notation: str = "ours",
    decimal: str | None = None,
) -> Path:
    """Do the work of the command; return the report's path."""
    from bptt.cli.display import Display
    from bptt.data import load_weather
    from bptt.labs.outcome import make_folder
    from bptt.labs.weather.lab import run
    from bptt.labs.weather.report import HEADERS, as_json, doctor, table_rows, verdicts, write_folder
    from bptt.plots import preload

    # With JSON on stdout, everything for people goes to stderr.
    check_notation("weather", notation)
    display = Display(quiet=quiet, to_stderr=str(json_to) == "-")
    if columns and target and target not in columns:
        columns = [*columns, target]
    chosen = load_weather(data, target, columns=columns, decimal=decimal or ".")
    for option, value in (("--unit", unit), ("--decimal", decimal)):
        if value is not None and chosen.name in ("nyc", "beijing"):
            raise InvalidInput(
                f"{option} is for a file of your own: {chosen.title} has its own. Got {value!r}"
            )
    if unit is not None:
        chosen = replace(chosen, unit=unit)
    display.line(f"data: {chosen.title}, {len(chosen.values):,} rows, {chosen.chosen_because}")
    display.line(f"inputs: {', '.join(chosen.columns)}; target: {chosen.target} in {chosen.unit}")
    for note in chosen.notes:
        display.line(f"  {note}")
    check_json(json_to)
    make_folder(out)
    preload()
    try:
        with display.progress() as notify:
            result = run(chosen, seed=seed, seeds=seeds, notify=notify)
    except KeyboardInterrupt:
        # The command's own parser would swallow it without a word.
        display.error("interrupted: the table needs every run, so nothing was written")
        raise typer.Exit(INTERRUPTED) from None
    display.table(
        HEADERS, table_rows(result), caption=f"RMSE in {chosen.unit or 'units of the target'}, test part"
    )
    for sentence in verdicts(result):
        display.line(sentence)
    if result.diagnoses:
        display.line(doctor(result))
    again = _again(data, chosen.name, target, columns, unit, decimal, seed, seeds)
    again += f" --notation {notation}" if notation != "ours" else ""
    report = write_folder(result, out, again, notation)
    write_json(json.dumps(as_json(result), indent=2), json_to)
    display.always(f"report: {report}")
    return report


def _again(
    data: str,
    name: str,
    target: str | None,
    columns: list[str] | None,
    unit: str | None,
    decimal: str | None,
    seed: int,
    seeds: int,
) -> str:
    """Return the command that makes these numbers again, with the data that were used."""
    words = ["bptt", "lab", "weather", "--data", name if data == "auto" else data]
    for option, value in (("--target", target), ("--unit", unit), ("--decimal", decimal)):
        words += [option, value] if value else []
    for column in columns or ():
        words += ["--columns", column]
    return shlex.join([*words, "--seed", str(seed), "--seeds", str(seeds)])
