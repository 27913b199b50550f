"""Hand-written derivatives of a cell against forward-mode numbers, one formula at a time and without any time loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells import Cell
from bptt.cells.plan import Source, StagePlan
from bptt.engine.forward_mode import pull_back
from bptt.verify.report import TensorCheck
from bptt.verify.samples import JITTER

Array = npt.NDArray[Any]

# Random points a formula is tried at.
POINTS = (32, 7)

# A formula is a dozen operations on numbers of order 1.
FORMULA_TOLERANCE = 1e-12


def check_formulas(
    cell: Cell, *, seed: int = 0, tolerance: float = FORMULA_TOLERANCE
) -> tuple[TensorCheck, ...]:
    """Compare each stage's `backward` with the derivatives of its `forward`.

    Parameters
    ----------
    cell : Cell
    seed : int
        Of the random arguments and upstream gradients.
    tolerance : float
        Largest error of an array over its largest entry.

    Returns
    -------
    tuple of TensorCheck
        One for every result of every hand-written backward; stages without one have nothing to compare.
    """
    rng = np.random.default_rng([seed, 2])
    env = _Arguments(cell, rng)
    for stage in cell.plan.stages:
        env.run(stage)
    return tuple(
        row
        for stage, own in zip(cell.plan.stages, cell.all_stages, strict=True)
        for row in _check_stage(_title(cell, own), stage, env, env.upstream(stage, rng), tolerance)
    )


class _Arguments:
    """Random values of everything that the formulas may read, consistent with one another."""

    def __init__(self, cell: Cell, rng: np.random.Generator) -> None:
        self.cell = cell
        columns = [name for stage in cell.plan.stages for name in stage.columns]
        self.values: dict[str, Array] = {name: rng.standard_normal(POINTS) for name in columns}
        self.previous = {name: rng.uniform(-0.9, 0.9, POINTS) for name in cell.states}
        self.fixed: dict[str, Any] = {
            **cell.bound_functions,
            **{name: cell.options[name] for name in cell.constants},
            # One number a unit, as in use, but each point's own: the derivatives are wanted point by point.
            **{name: start + rng.uniform(-JITTER, JITTER, POINTS) for name, start in cell.vectors.items()},
        }

    def run(self, stage: StagePlan) -> None:
        """Add the stage's results."""
        results = stage.forward(*(self.read(source, {}) for source in stage.inputs))
        for name, value in zip(stage.forward.results, results, strict=True):
            self.values[name] = np.broadcast_to(value, POINTS)

    def read(self, source: Source, gradients: Mapping[str, Array]) -> Any:
        """Return the value of a formula's argument."""
        if source.kind == "gradient":
            return gradients.get(source.key, 0.0)
        if source.kind == "previous":
            return self.previous[source.key]
        return self.values[source.key] if source.kind in ("column", "value") else self.fixed[source.key]

    def upstream(self, stage: StagePlan, rng: np.random.Generator) -> dict[str, Array]:
        """Return a gradient for each result that anything reads: new states, and what later stages take."""
        read = set(self.cell.states)
        for later in self.cell.plan.stages:
            read |= {source.key for source in later.inputs if source.kind == "value"}
            read |= {product.operand for product in later.products if product.kind == "value"}
        return {name: rng.standard_normal(POINTS) for name in stage.forward.results if name in read}


def _check_stage(
    title: str, stage: StagePlan, env: _Arguments, gradients: Mapping[str, Array], tolerance: float
) -> list[TensorCheck]:
    if stage.backward is None:
        return []
    results = stage.backward(*(env.read(source, gradients) for source in stage.backward_inputs))
    found = dict(zip(stage.backward.results, results, strict=True))
    wanted = pull_back(stage, [env.read(source, {}) for source in stage.inputs], gradients)
    rows = []
    for name, reference in wanted.items():
        claimed = np.broadcast_to(found[name], POINTS)
        apart = np.abs(claimed - reference)
        worst = np.unravel_index(int(np.argmax(np.where(np.isnan(apart), np.inf, apart))), POINTS)
        scale = float(np.max(np.abs(reference)))
        largest = float(apart[worst])
        error = 0.0 if largest == 0 else largest / scale if scale else float("inf")
        rows.append(
            TensorCheck(
                f"{title} {name}",
                POINTS,
                "formula",
                tuple(int(i) for i in worst),
                float(claimed[worst]),
                float(reference[worst]),
                error,
                tolerance,
                reference.size,
            )
        )
    return rows


def _title(cell: Cell, stage: type[Any]) -> str:
    name = type(cell).__name__
    return f"{name}.backward" if stage is type(cell) else f"{name}.{stage.__name__}.backward"
