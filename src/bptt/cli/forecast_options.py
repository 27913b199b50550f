"""Options that `bptt fit` and `bptt backtest` share, and how they become a forecaster's settings."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from bptt.errors import DataError, FileFormatError, FileMissing, InvalidInput

_ONE_COLUMN = "column; several by commas (a name with a comma in double quotes) or by repeating the option"

Table = Annotated[
    str, typer.Argument(metavar="CSV", help="Table to learn from: CSV (plain or gzipped) or Parquet.")
]
Target = Annotated[
    str | None, typer.Option("--target", help="Column to forecast; found if there is only one.")
]
Horizon = Annotated[int | None, typer.Option("--horizon", min=1, help="Rows ahead; 1 unless given.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--inputs", help=f"Measured together with the target, all unless given: {_ONE_COLUMN}."),
]
Future = Annotated[list[str] | None, typer.Option("--future", help=f"Known ahead: {_ONE_COLUMN}.")]
Static = Annotated[
    list[str] | None, typer.Option("--static", help=f"Constant in each series: {_ONE_COLUMN}.")
]
Group = Annotated[list[str] | None, typer.Option("--group", help=f"Tells series apart: {_ONE_COLUMN}.")]
Time = Annotated[
    list[str] | None, typer.Option("--time", help=f"Time of the row, '' for none: {_ONE_COLUMN}.")
]
Step = Annotated[
    str | None, typer.Option("--step", help="From row to row, as '10 min' or '1 month'; found unless given.")
]
Zone = Annotated[
    str | None, typer.Option("--zone", help="Whose clock times without an offset show: Europe/Berlin.")
]
Without = Annotated[list[str] | None, typer.Option("--without", help=f"Not looked at: {_ONE_COLUMN}.")]
Decimal = Annotated[
    str | None, typer.Option("--decimal", metavar="MARK", help="Of a CSV file's numbers: . (default) or ,")
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing", help="forward, mask, drop or error, for all columns or as COLUMN=mask; repeatable."
    ),
]
Window = Annotated[
    int | None, typer.Option("--window", min=1, help="Newest values that the linear path reads.")
]
Cell = Annotated[str | None, typer.Option("--cell", help="gru, lstm or elman.")]
Hidden = Annotated[int | None, typer.Option("--hidden", min=1, help="Units of a network.")]
Ensemble = Annotated[int | None, typer.Option("--ensemble", min=1, help="Networks that are averaged.")]
Updates = Annotated[
    int | None,
    typer.Option(
        "--updates", min=1, help="Of each network, just so many; as rows and validation say unless given."
    ),
]
Validation = Annotated[
    float | None,
    typer.Option(
        "--validation",
        help="Share of the newest rows that choices are made on, 0.2 unless given; 0: nothing is tried.",
    ),
]
Kind = Annotated[
    str | None, typer.Option("--intervals", help="conformal (errors of rows held out), gaussian or none.")
]
Head = Annotated[str | None, typer.Option("--head", help="auto, direct, recursive or segments.")]
Quantiles = Annotated[
    str | None,
    typer.Option("--quantiles", help="Probabilities whose quantiles are forecast too: 0.1,0.5,0.9."),
]
Coverage = Annotated[float | None, typer.Option("--coverage", help="Of the intervals; 0.9 unless given.")]
Transform = Annotated[
    str | None,
    typer.Option(
        "--transform", help="log1p or nonnegative for what is never negative; none lets all forecasts be."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Of every random number; 0 unless given.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Networks trained at once.")]
Search = Annotated[
    int | None, typer.Option("--search", min=0, help="Variations of the model that are tried too.")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="TOML or JSON file with these options; those given here win.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Keep every network that was trained in this file; after an interruption the same command goes on.",
    ),
]
NoTrees = Annotated[bool, typer.Option("--no-trees", help="Leave boosted trees out of the comparison.")]

_LISTS = ("inputs", "future", "static", "without", "group", "time")
_NAMES = (
    "target", "horizon", *_LISTS, "step", "zone", "decimal", "missing", "window", "cell", "hidden", "ensemble",
    "updates", "validation", "head", "intervals", "quantiles", "coverage", "transform", "seed", "threads", "search",
)  # fmt: skip


def make_settings(config: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return what `Forecaster` is made with: the file's settings, and over them the options given.

    Raises
    ------
    FileMissing, FileFormatError, InvalidInput
        No such file, no TOML or JSON, a name in it that is no option.
    """
    settings = {} if config is None else _read_config(config)
    for name, value in given.items():
        if value is None:
            continue
        if name in _LISTS:
            value = _split(value)
        elif name == "quantiles":
            value = _probabilities(value)
        elif name == "missing":
            value = _policies(value)
        settings[name] = value
    return settings


def how_to_go_on(checkpoint: Path | None, otherwise: str) -> str:
    """Return what is said of an interruption, where networks are kept and where not."""
    if checkpoint is None:
        return otherwise
    from bptt.forecast.saving.fit_file import count_kept

    count = count_kept(checkpoint)
    return f"{count} network{'' if count == 1 else 's'} kept in {checkpoint}; the same command goes on from there"


def _read_config(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise FileMissing(f"--config must name a file that exists. Got {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--config must name a text file that can be read. Got {path}: {error}") from None
    try:
        read = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise FileFormatError(
            f"{path} must be a {kind} file. Got: {str(error) or 'too deeply nested'}"
        ) from None
    if not isinstance(read, dict):
        raise FileFormatError(f"{path} must hold names and values. Got {type(read).__name__}")
    unknown = [name for name in read if name not in _NAMES]
    if unknown:
        raise InvalidInput(f"{path} must have only the names {', '.join(_NAMES)}. Got {unknown[0]!r}")
    return read


def _split(values: list[str]) -> list[str]:
    # As in CSV: a name with a comma of its own stands in quotes.
    names = [
        name.strip() for value in values for name in next(csv.reader([value], skipinitialspace=True), [])
    ]
    return [name for name in names if name]


def _probabilities(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInput(f"--quantiles must be probabilities such as 0.1,0.5,0.9. Got {text!r}") from None


def _policies(values: list[str]) -> str | dict[str, str]:
    if all("=" not in value for value in values):
        if len(values) > 1:
            raise InvalidInput(
                f"--missing must be one policy, or COLUMN=policy each. Got {', '.join(values)}"
            )
        return values[0]
    if not all("=" in value for value in values):
        raise InvalidInput(f"--missing must be one policy, or COLUMN=policy each. Got {', '.join(values)}")
    return dict(value.rsplit("=", 1) for value in values)
