"""`bptt gradcheck`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bptt.cli.apps import app
from bptt.errors import FileMissing, GradientError, InvalidInput

if TYPE_CHECKING:
    from bptt.cells import Cell
    from bptt.verify import ConfigurationCheck

BOTH = (False, True)
HEADERS = ("cell", "layers", "direction", "with", "tensors", "complex", "central", "")


@app.command("gradcheck")
def gradcheck(
    cell: Annotated[
        list[str] | None,
        typer.Option(
            "--cell", help="elman (or elman:relu), gru, gru_reset_before, lstm, lstm_peephole; repeatable."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="Python file with cells of your own; all of them unless --cell names one."
        ),
    ] = None,
    layers: Annotated[
        list[int] | None, typer.Option("--layers", min=1, help="Stacked layers; repeatable.")
    ] = None,
    direction: Annotated[
        list[str] | None, typer.Option("--direction", help="forward, reverse or bidirectional; repeatable.")
    ] = None,
    ragged: Annotated[bool | None, typer.Option("--ragged/--even", help="Rows of unequal length.")] = None,
    state: Annotated[bool | None, typer.Option("--state/--no-state", help="A given initial state.")] = None,
    feedback: Annotated[
        bool | None, typer.Option("--feedback/--no-feedback", help="Output fed back as input.")
    ] = None,
    bias: Annotated[bool | None, typer.Option("--bias/--no-bias", help="With biases or without.")] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="float64 or float32, of the parameters.")] = "float64",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    details: Annotated[
        bool, typer.Option("--details", help="Show every tensor of every configuration.")
    ] = False,
) -> None:
    """Check every gradient: each parameter, input and initial state against the complex step and central differences.

    Without options every cell is checked in every combination; a named configuration shows every tensor of it. Errors
    are relative to each tensor's largest entry; 1e-12 is allowed against the complex step, 1e-7 against central
    differences. The exit status is 1 if any gradient is wrong.
    """
    from bptt.cli.display import Display
    from bptt.verify import check_formulas, configurations, gradcheck_table

    display = Display(quiet=False, to_stderr=False)
    choice: dict[str, Any] = {
        "cell_names": _cells(cell, file),
        "layers": layers or (1, 2),
        "directions": direction or ("forward", "reverse", "bidirectional"),
        "ragged": BOTH if ragged is None else (ragged,),
        "state": BOTH if state is None else (state,),
        # A named reverse direction or ragged rows leave nothing to feed back.
        "feedback": BOTH if feedback is None else (feedback,),
        "bias": (True,) if bias is None else (bias,),
    }
    total = len(configurations(**choice))
    done = 0
    with display.progress(lines=False) as notify:

        def tick(_: ConfigurationCheck) -> None:
            nonlocal done
            done += 1
            notify("checking", done, total)

        rows = gradcheck_table(**choice, seed=seed, dtype=dtype, on_row=tick)
    display.table(
        HEADERS, [_row(row) for row in rows], caption="largest error of any tensor over its largest entry"
    )
    if details or len(rows) == 1:
        for row in rows:
            display.always(f"\n{row.report}")
    notes = dict.fromkeys(note for row in rows for note in row.report.notes)
    for note in notes:
        display.line(f"note: {note}")
    failed = [row for row in rows if not row.passed]
    if failed:
        wrong = [row for row in check_formulas(failed[0].configuration.cell) if not row.passed]
        worst = wrong or failed[0].report.failures
        # A formula that is wrong by itself says more than any tensor that it spoils.
        detail = f", first {worst[0].name} of {failed[0].configuration.cell_name}"
        raise GradientError(
            f"gradcheck must pass in all {len(rows)} configurations. Got {len(failed)} wrong{detail}"
        )
    display.line("the configuration passes" if len(rows) == 1 else f"all {len(rows)} configurations pass")


def _cells(names: list[str] | None, file: Path | None) -> list[str | type[Cell]] | None:
    if file is None:
        return list(names) if names else None
    own = {made.name: made for made in _cells_of(file)}
    if not names:
        return list(own.values())
    return [own.get(name, name) for name in names]


def _cells_of(file: Path) -> list[type[Cell]]:
    """Run the user's file and return the cells that it defines."""
    from bptt.cells import Cell

    if not file.is_file():
        raise FileMissing(f"file must be a Python file with cells. Got {file}, which does not exist")
    spec = importlib.util.spec_from_file_location(f"_bptt_cells_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"file must be a Python file (*.py). Got {file}")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, so that the cells' source can be found; under a name that hides no other module.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  # the user's own code may raise anything
        raise InvalidInput(f"{file} must run as it stands. Got {type(error).__name__}: {error}") from None
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Cell) and value.__module__ == spec.name
    ]
    if not found:
        raise InvalidInput(f"file must define at least one subclass of bptt.Cell. Got none in {file}")
    return found


def _row(row: ConfigurationCheck) -> tuple[str, ...]:
    c = row.configuration
    flags = {"ragged": c.ragged, "state": c.state, "feedback": c.feedback, "no bias": not c.bias}
    return (
        c.cell_name,
        str(c.layers),
        c.direction,
        ", ".join(name for name, flag in flags.items() if flag),
        str(row.tensors),
        f"{row.complex_step:.1e}",
        f"{row.central:.1e}",
        "ok" if row.passed else "WRONG",
    )
