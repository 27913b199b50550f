"""Every cell in every configuration: what `bptt gradcheck` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from bptt.activations import ACTIVATIONS
from bptt.cells import CELLS, Cell, get_cell
from bptt.checks import check_choice, check_dtype, check_whole
from bptt.errors import InvalidInput
from bptt.network import Network, Recurrent
from bptt.network.layers import DIRECTIONS
from bptt.verify.networks import gradient_check
from bptt.verify.report import GradientReport
from bptt.verify.samples import random_input, random_parameters, random_state

# Sizes all different, so that no transpose or mixed-up axis fits.
ROWS, STEPS, INPUTS, UNITS, OUTPUTS = 3, 5, 2, 4, 3
LENGTHS = (2, 5, 1)

# The complex step takes this many entries of each tensor and one direction through all of them; central differences,
# which need four passes an entry, a few and the direction.
ENTRIES = {"complex": 4, "central": 1}

# The Elman cell is checked once for each of its activations; "elman:relu" names one.
ELMAN_ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")


@dataclass(frozen=True)
class Configuration:
    """One row of the table before it is run."""

    cell: Cell
    layers: int
    direction: str
    ragged: bool
    state: bool
    feedback: bool
    bias: bool

    @property
    def cell_name(self) -> str:
        """The cell's name and, where it has them, its options: ``elman:relu``."""
        functions = [str(self.cell.options[key]) for key in self.cell.functions]
        return ":".join([self.cell.name, *functions])


@dataclass(frozen=True)
class ConfigurationCheck:
    """One row of the table: a configuration and the check of all its tensors.

    Attributes
    ----------
    configuration : Configuration
    report : GradientReport
        One row a tensor and method.
    tensors : int
        How many parameters, inputs and states were checked.
    complex_step, central : float
        Worst error of each method; NaN where it was not judged.
    """

    configuration: Configuration
    report: GradientReport

    @property
    def tensors(self) -> int:
        """How many parameters, inputs and states were checked."""
        return len({row.name for row in self.report.rows})

    @property
    def complex_step(self) -> float:
        """Worst error against the complex step."""
        return self.report.worst("complex")

    @property
    def central(self) -> float:
        """Worst error against central differences."""
        return self.report.worst("central")

    @property
    def passed(self) -> bool:
        """Whether every tensor agrees."""
        return self.report.passed


def gradcheck_table(
    cell_names: Sequence[str | Cell | type[Cell]] | None = None,
    layers: Sequence[int] = (1, 2),
    directions: Sequence[str] = tuple(DIRECTIONS),
    ragged: Sequence[bool] = (False, True),
    state: Sequence[bool] = (False, True),
    feedback: Sequence[bool] = (False, True),
    bias: Sequence[bool] = (True,),
    seed: int = 0,
    dtype: str = "float64",
    *,
    on_row: Callable[[ConfigurationCheck], None] | None = None,
) -> tuple[ConfigurationCheck, ...]:
    """Check every combination of what is named, at random parameters.

    Parameters
    ----------
    cell_names : sequence of str, Cell or Cell subclass, optional
        All of ours by default. ``"elman"`` stands for its four activations, ``"elman:relu"`` for one.
    layers, directions : sequence
    ragged, state, feedback, bias : sequence of bool
        Rows of one length or of several; an initial state given or zero; with feedback or without; with biases or
        without. Feedback runs forward over rows of one length only: other combinations with it are left out.
    seed : int
        Of parameters, inputs and upstream gradients.
    dtype : {"float64", "float32"}
        Of the parameters; a float32 network is checked with them cast up.
    on_row : callable, optional
        Called with each row as soon as it is there.

    Returns
    -------
    tuple of ConfigurationCheck
        Nothing is raised for a wrong gradient: `passed` says so.

    Raises
    ------
    InvalidInput
        An unknown cell or direction; nothing left to check.
    """
    check_dtype(dtype)
    check_whole("seed", seed, least=0)
    rows = []
    for configuration in configurations(cell_names, layers, directions, ragged, state, feedback, bias):
        row = ConfigurationCheck(configuration, _check(configuration, seed, dtype))
        if on_row is not None:
            on_row(row)
        rows.append(row)
    return tuple(rows)


def configurations(
    cell_names: Sequence[str | Cell | type[Cell]] | None = None,
    layers: Sequence[int] = (1, 2),
    directions: Sequence[str] = tuple(DIRECTIONS),
    ragged: Sequence[bool] = (False, True),
    state: Sequence[bool] = (False, True),
    feedback: Sequence[bool] = (False, True),
    bias: Sequence[bool] = (True,),
) -> tuple[Configuration, ...]:
    """Return the rows that `gradcheck_table` would check, so that a progress bar knows how many there are."""
    for count in layers:
        check_whole("layers", count)
    for direction in directions:
        check_choice("directions", direction, DIRECTIONS)
    cells = [cell for name in (tuple(CELLS) if cell_names is None else cell_names) for cell in _cells(name)]
    found = tuple(
        Configuration(cell, count, direction, is_ragged, has_state, feeds_back, has_bias)
        for cell, count, direction, is_ragged, has_state, feeds_back, has_bias in product(
            cells, layers, directions, ragged, state, feedback, bias
        )
        if not (feeds_back and (direction != "forward" or is_ragged))
    )
    if not found:
        raise InvalidInput(
            "gradcheck needs at least one combination. Got none: feedback runs forward, over rows of one length"
        )
    return found


def _cells(name: str | Cell | type[Cell]) -> list[Cell]:
    if not isinstance(name, str):
        return [get_cell(name)]
    plain, _, activation = name.partition(":")
    if plain == "elman":
        chosen = (check_choice("activation", activation, ACTIVATIONS),) if activation else ELMAN_ACTIVATIONS
        return [get_cell("elman", {"activation": a}) for a in chosen]
    return [get_cell(name)]


def _check(configuration: Configuration, seed: int, dtype: str) -> GradientReport:
    c = configuration
    rng = np.random.default_rng([seed, 4])
    inputs = INPUTS + (OUTPUTS if c.feedback else 0)
    stack = Recurrent(
        c.cell, inputs, UNITS, num_layers=c.layers, direction=c.direction, bias=c.bias, dtype=dtype, seed=seed
    )
    model: Network | Recurrent = stack
    if c.feedback:
        model = Network(stack, OUTPUTS, readout="every", feedback=True, bias=c.bias, seed=seed)
    x = random_input(model, rng, np.array(LENGTHS) if c.ragged else None)
    options: dict[str, Any] = {"lengths": LENGTHS} if c.ragged else {}
    if c.state:
        options["state"] = random_state(stack, len(x), rng)
    return gradient_check(
        model, x, parameters=random_parameters(model, rng), max_entries=ENTRIES, seed=seed, raise_on_failure=False,
        **options,
    )  # fmt: skip
