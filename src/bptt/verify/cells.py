"""The whole check of one cell: what to run on a cell of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bptt.cells import Cell, get_cell
from bptt.checks import check_whole
from bptt.network import Recurrent
from bptt.verify.formulas import check_formulas
from bptt.verify.gradients import check_methods
from bptt.verify.networks import gradient_check, surrogate_note
from bptt.verify.report import GradientReport, TensorCheck
from bptt.verify.samples import random_parameters

# In any order, the longest neither first nor last.
LENGTHS = (2, 5, 1)


def check_cell(
    cell: str | Cell | type[Cell],
    *,
    input_size: int = 3,
    hidden_size: int = 4,
    layers: Sequence[int] = (1, 2),
    directions: Sequence[str] = ("forward", "reverse", "bidirectional"),
    bias: Sequence[bool] = (True, False),
    methods: Sequence[str] = ("complex", "central"),
    rtol: float | Mapping[str, float] | None = None,
    max_entries: int | Mapping[str, int] = 16,
    seed: int = 0,
    raise_on_failure: bool = True,
    **options: Any,
) -> GradientReport:
    """Check a cell: its formulas one by one, then whole layers.

    Parameters
    ----------
    cell : str, Cell or Cell subclass
        A cell of your own, or one of ours by name.
    input_size, hidden_size : int
    layers, directions, bias : sequences
        Every combination is checked, with rows of one length and with ragged rows, from a random initial state, at
        random parameters.
    methods, rtol, max_entries, seed, raise_on_failure
        As for `gradient_check`.
    **options
        The cell's own, e.g. ``activation="relu"``.

    Returns
    -------
    GradientReport
        A hand-written `backward` is first compared with forward-mode numbers of its `forward`, result by result
        (method "formula"): a mistake is then named at its own line, ``LSTM.backward df``.

    Raises
    ------
    GradientError
        A derivative is wrong.
    InvalidInput, InvalidType
        The cell breaks a rule of the protocol; the message names it.
    """
    found = get_cell(cell, options)
    chosen = check_methods(methods)
    check_whole("seed", seed, least=0)
    rows = list(check_formulas(found, seed=seed))
    for count in layers:
        for direction in directions:
            for with_bias in bias:
                stack = Recurrent(
                    found,
                    input_size,
                    hidden_size,
                    num_layers=count,
                    direction=direction,
                    bias=with_bias,
                    seed=seed,
                )
                for lengths in (None, LENGTHS):
                    rows += _check_layer(stack, lengths, chosen, rtol, max_entries, seed)
    report = GradientReport(tuple(rows), _notes(found, chosen), f"check of {found!r}")
    return report.raise_if_failed() if raise_on_failure else report


def _check_layer(
    stack: Recurrent,
    lengths: tuple[int, ...] | None,
    methods: Sequence[str],
    rtol: float | Mapping[str, float] | None,
    max_entries: int | Mapping[str, int],
    seed: int,
) -> Iterator[TensorCheck]:
    where = f"{stack.num_layers} layer{'s' * (stack.num_layers > 1)}, {stack.direction}"
    where += ("" if stack.bias else ", no bias") + ("" if lengths is None else ", ragged")
    report = gradient_check(
        stack,
        lengths=lengths,
        parameters=random_parameters(stack, np.random.default_rng([seed, 3])),
        methods=methods,
        rtol=rtol,
        max_entries=max_entries,
        seed=seed,
        raise_on_failure=False,
    )
    return (dataclasses.replace(row, where=where) for row in report.rows)


def _notes(cell: Cell, methods: Sequence[str]) -> tuple[str, ...]:
    notes = []
    without = [stage for stage in cell.plan.stages if stage.backward is None]
    if without:
        which = "the cell" if len(without) == len(cell.plan.stages) else f"{len(without)} of its stages"
        notes.append(
            f"{which} states no backward: forward-mode numbers take its place, and no formula was compared"
        )
    if cell.surrogate:
        notes.append(surrogate_note(cell, methods))
    return tuple(notes)
