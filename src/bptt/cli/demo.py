"""`bptt demo`: the weather lab, and how to do it on one's own data."""

from __future__ import annotations

from pathlib import Path

import typer

from bptt.cli.apps import app
from bptt.cli.forecast_options import Decimal
from bptt.cli.options import Json, Out, Quiet, Seed, Seeds
from bptt.cli.weather import Data, run_weather


@app.command("demo")
def demo(
    data: Data = "auto",
    decimal: Decimal = None,
    seed: Seed = 0,
    seeds: Seeds = 3,
    out: Out = Path("bptt-weather"),
    json_to: Json = None,
    quiet: Quiet = False,
) -> None:
    """Run the weather lab with its defaults, and say how to run it on your own data."""
    run_weather(data, None, None, None, seed, seeds, out, json_to, quiet, decimal=decimal)
    typer.echo(
        "your own hourly table: bptt lab weather --data your-table.csv --target your-column",
        err=str(json_to) == "-",
    )
