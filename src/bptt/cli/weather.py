"""`bptt lab weather`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bptt.cli.apps import lab

Data = Annotated[
    str,
    typer.Option(
        "--data", help="auto (Beijing where it can be had, else New York), nyc, beijing, or a CSV file."
    ),
]
Target = Annotated[
    str | None, typer.Option("--target", help="Column to forecast in a file of your own [TEMP].")
]
Unit = Annotated[
    str | None, typer.Option("--unit", help="Unit of the target, for tables and pictures [deg C for TEMP].")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="First of the seeds.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many seeds each trained method runs with.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the report, the pictures and the models.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON here; - is stdout.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, no table: print the report's path only.")
]


@lab.command("weather")
def weather(
    data: Data = "auto",
    target: Target = None,
    unit: Unit = None,
    seed: Seed = 0,
    seeds: Seeds = 3,
    out: Out = Path("bptt-weather"),
    json_to: Json = None,
    quiet: Quiet = False,
) -> None:
    """Forecast the next hour's temperature: the lab's own recipe, a sensible model, and the baselines.

    Follows "Lab 9" (24 hours of weather into an Elman network, every gradient by hand). Ends with a table of test
    errors, and writes report.html, pictures, result.json and the trained models into a folder.
    """
    run_weather(data, target, unit, seed, seeds, out, json_to, quiet)


def run_weather(
    data: str,
    target: str | None,
    unit: str | None,
    seed: int,
    seeds: int,
    out: Path,
    json_to: Path | None,
    quiet: bool,
) -> Path:
    """Do the work of the command; return the report's path."""
    from bptt.cli.display import Display
    from bptt.data import load_weather
    from bptt.files.atomic import write_atomic
    from bptt.labs.weather import run
    from bptt.labs.weather_report import HEADERS, as_json, make_folder, table_rows, verdicts, write_folder

    # With JSON on stdout, everything for people goes to stderr.
    display = Display(quiet=quiet, to_stderr=str(json_to) == "-")
    chosen = load_weather(data, target)
    if unit is not None:
        chosen = replace(chosen, unit=unit)
    display.line(f"data: {chosen.title}, {len(chosen.values):,} rows, {chosen.chosen_because}")
    make_folder(out)
    with display.progress() as notify:
        result = run(chosen, seed=seed, seeds=seeds, notify=notify)
    display.table(
        HEADERS, table_rows(result), caption=f"RMSE in {chosen.unit or 'units of the target'}, test part"
    )
    for sentence in verdicts(result):
        display.line(sentence)
    command = f"bptt lab weather --data {data} --seed {seed} --seeds {seeds}"
    report = write_folder(result, out, command + (f" --target {target}" if target else ""))
    text = json.dumps(as_json(result), indent=2)
    if str(json_to) == "-":
        typer.echo(text)
    elif json_to is not None:
        write_atomic(json_to, (text + "\n").encode())
    display.always(f"report: {report}")
    return report
