"""A cell's plan laid out for the kernels: which products there are, and which arrays lie where in memory.

All arrays of a pass lie in one block of memory. In this layout, "units", rows of H units are padded to P numbers, a
whole number of vectors; `rows.layout` has the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from bptt.cached import cached_property
from bptt.cells.plan import CellPlan, StagePlan
from bptt.cells.protocol import Cell
from bptt.engine.compiled.units.products import BLOCK

# Kernels read these from the front of their argument array: sizes first, then the caller's arrays.
SIZES = (
    "T", "B", "D", "H",
    "S",  # numbers of a padded row of sequences, where these are the lanes
    "V", "P",  # vectors and numbers of a padded row of units
    "VX", "PX",  # the same of a padded row of inputs
    "tile",  # rows that a thread may have for itself, whose sums are kept apart
    "together",  # rows, of one tile or several, that a call takes through all steps together
    "small",  # whether products and formula are one where rows are the lanes: 1 or 0
    "ring", "keep",  # states are at t & ring (-1 keeps all, 1 the last two), saved values at t * keep (1 or 0)
    "x_t", "x_b", "dh_t", "dh_b",  # strides of x and dh, in numbers
    "dh_from", "outputs_from",  # where rows are the lanes: the first step that dh and outputs hold
    "chunk",  # steps that `da` holds: the sweep goes on when their weight gradients are formed
    "first_row", "end_row",  # what a call works on: whole tiles of rows
    "first_step", "end_step",  # going back: of one chunk
    "first_effort", "end_effort",  # of weight gradients: groups of rows (or columns), all weights counted through, by
    "efforts",  # the work in each; and all of it
    "first_line", "end_line",  # of the inputs' gradient: rows of all steps (or steps)
    "first_block", "end_block", "round",  # of units where threads share a step, or of a turn of several; and which turn
    "blocks",  # how many of them there are
    "first_vector", "end_vector",  # of a row of units: what the elementwise kernels work on
    "cleared",  # numbers from `zeros` on that a sweep starts by setting to 0
)  # fmt: skip

# Rows of `da` that are a multiple of so many vectors are a vector longer: a column of rows so far apart would fall on
# a few lines of the first cache.
FEW_LINES = 16


@dataclass(frozen=True)
class Run:
    """Consecutive blocks of a weight that feed consecutive columns of a stage: one call of a product."""

    stage: int
    weight: str
    operand: str
    kind: Literal["x", "previous", "value"]
    block: int  # of the weight
    count: int
    column: int  # of the stage
    first: bool  # no product before it touches these columns: it starts from the bias

    @property
    def key(self) -> str:
        """Names the run's packed weights."""
        return f"{self.stage}:{self.weight}:{self.block}"


@dataclass(frozen=True)
class Layout:
    """What the emitters and the caller must agree on, and nothing else."""

    name: ClassVar[Literal["units", "rows"]] = "units"

    plan: CellPlan
    functions: Mapping[str, str]
    constants: Mapping[str, float]

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Lay out a cell."""
        return cls(
            cell.plan,
            {
                name: text
                for key in cell.functions
                for name, text in (
                    (key, cell.options[key]), (f"{key}_derivative", f"{cell.options[key]}_derivative")
                )
            },
            {key: float(cell.options[key]) for key in cell.constants},
        )  # fmt: skip

    @cached_property
    def runs(self) -> tuple[tuple[Run, ...], ...]:
        """Of each stage, in order."""
        return tuple(_runs(k, stage) for k, stage in enumerate(self.plan.stages))

    @cached_property
    def passing(self) -> tuple[str, ...]:
        """Values that a later stage reads but the sweep back does not."""
        read = [s.key for stage in self.plan.stages for s in stage.inputs if s.kind == "value"]
        read += [run.operand for runs in self.runs for run in runs if run.kind == "value"]
        kept = {*self.plan.states, *self.plan.saved}
        return tuple(name for name in dict.fromkeys(read) if name not in kept)

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The caller's arrays."""
        weights = tuple(f"weight:{name}" for name in self.plan.weights)
        trained = ("b_h", *self.plan.weights, *self.plan.vectors)
        return (
            "x", "lengths", "dh", "b_h", *weights, *(f"own:{name}" for name in self.plan.vectors),
            *(f"gradient_of:{name}" for name in trained),
        )  # fmt: skip

    @cached_property
    def tape_arrays(self) -> tuple[str, ...]:
        """What a forward pass leaves."""
        return (*(f"state:{s}" for s in self.plan.states), *(f"saved:{v}" for v in self.plan.saved))

    @cached_property
    def forward_arrays(self) -> tuple[str, ...]:
        """A forward pass's own."""
        stages = range(len(self.plan.stages))
        return (
            *(f"vector:{v}" for v in self.plan.vectors),
            *(f"bias:{k}" for k in stages),
            *(f"columns:{k}" for k in stages),
            *(f"packed:{run.key}" for runs in self.runs for run in runs),
            *(f"passing:{v}" for v in self.passing),
        )

    @cached_property
    def zeroed_arrays(self) -> tuple[str, ...]:
        """A sweep's own that must start at zero."""
        stages = range(len(self.plan.stages))
        return (
            "zeros",
            *(f"dbias:{k}" for k in stages),
            *(f"dvector:{v}" for v in self.plan.vectors),
            *(f"dweight:{run.key}" for runs in self.runs for run in runs),
            *(f"carried:{s}" for s in self.plan.states),
        )

    @cached_property
    def backward_arrays(self) -> tuple[str, ...]:
        """A sweep's own, filled by it; `dx` and the gradients of states only if wanted."""
        results = dict.fromkeys(r for stage in self.plan.stages for r in stage.forward.results)
        return (
            *(f"vector:{v}" for v in self.plan.vectors),
            *(f"da:{k}" for k in range(len(self.plan.stages))),
            *(f"back:{run.key}" for runs in self.runs for run in runs),
            *(f"gradient:{v}" for v in results if v not in self.plan.states),
            "block",
            "dx",
            *(f"dstate:{s}" for s in self.plan.states),
        )

    @cached_property
    def slots(self) -> dict[str, int]:
        """Place of each name in the kernels' argument array."""
        arrays = (*self.tape_arrays, *self.forward_arrays, *self.zeroed_arrays, *self.backward_arrays)
        return {name: k for k, name in enumerate(dict.fromkeys((*SIZES, *self.given, *arrays)))}

    @cached_property
    def text(self) -> str:
        """Everything that decides the kernels' code."""
        parts = [
            self.name,
            repr(self.plan.states),
            repr(self.functions),
            repr(self.constants),
            repr(self.plan.vectors),
        ]
        for stage, runs in zip(self.plan.stages, self.runs, strict=True):
            parts += [repr(stage.columns), repr(stage.bias_columns), repr(stage.first_gate), repr(runs)]
            parts += [repr(stage.inputs), repr(stage.backward_inputs), stage.forward.source]
            parts.append(stage.backward.source if stage.backward is not None else "derived")
        return "\n".join((*parts, repr(self.plan.saved)))

    @cached_property
    def digest(self) -> str:
        """Of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def run(self, key: str) -> Run:
        """Return a run by its key."""
        return next(run for runs in self.runs for run in runs if run.key == key)

    def count(self, name: str, sizes: Sizes) -> int:
        """Numbers in an array."""
        P, PX = sizes.V * sizes.lanes, sizes.VX * sizes.lanes
        kind, _, rest = name.partition(":")
        columns = [len(stage.columns) for stage in self.plan.stages]
        match kind:
            case "state":  # (T + 1, B, P), or the last two
                return (sizes.T + 1 if sizes.all_states else 2) * sizes.B * P
            case "saved":  # (T, B, P), or the newest
                return (sizes.T if sizes.all_saved else 1) * sizes.B * P
            case "vector":
                return P
            case "bias":
                return columns[int(rest)] * P
            case "columns":
                return sizes.together * columns[int(rest)] * P
            case "packed" | "dweight":  # (rows, count, P)
                run = self.run(rest)
                return (sizes.D if run.kind == "x" else sizes.H) * run.count * P
            case "passing" | "gradient":
                return sizes.together * P
            case "zeros":
                return max(P, PX)
            case "dbias":
                return sizes.tiles * columns[int(rest)] * P
            case "dvector":
                return sizes.tiles * P
            case "carried":  # at even and at odd steps
                return 2 * sizes.B * P
            case "da":
                vectors = columns[int(rest)] * sizes.V
                return sizes.chunk * sizes.B * (vectors + (vectors % FEW_LINES == 0)) * sizes.lanes
            case "back":  # (count, P, P or PX)
                run = self.run(rest)
                return run.count * P * (PX if run.kind == "x" else P)
            case "block":
                return BLOCK * (max(sizes.D, sizes.H) + sizes.lanes)
            case "dx":
                return sizes.T * sizes.B * PX
            case _:  # dstate
                return (sizes.T + 1) * sizes.B * P

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.digest == other.digest


@dataclass(frozen=True)
class Sizes:
    """A pass's sizes; see `SIZES`."""

    T: int
    B: int
    D: int
    H: int
    lanes: int
    tile: int
    all_states: bool  # or the last two
    all_saved: bool  # or the newest
    chunk: int
    together: int

    @property
    def V(self) -> int:  # noqa: N802  # a size like the others
        """Vectors of a row of units."""
        return -(-self.H // self.lanes)

    @property
    def VX(self) -> int:  # noqa: N802
        """Vectors of a row of inputs."""
        return -(-self.D // self.lanes)

    @property
    def S(self) -> int:  # noqa: N802
        """Numbers of a padded row of sequences: an odd number of vectors where there are many.

        Lines a power of two apart would all fall on the same few sets of a cache.
        """
        vectors = -(-self.B // self.lanes)
        return (vectors | 1 if vectors > 8 else vectors) * self.lanes

    @property
    def tiles(self) -> int:
        """Tiles of rows."""
        return -(-self.B // self.tile)


def _runs(k: int, stage: StagePlan) -> tuple[Run, ...]:
    found: list[Run] = []
    touched: set[int] = set()
    for product in stage.products:
        start = 0
        for n in range(1, len(product.columns) + 1):
            here = product.columns[start:n]
            if n < len(product.columns):
                following = product.columns[n]
                together = following == here[-1] + 1 and (following in touched) == (here[0] in touched)
                if together:
                    continue
            found.append(
                Run(k, product.weight, product.operand, product.kind, product.first_block + start, len(here),
                    here[0], here[0] not in touched)
            )  # fmt: skip
            start = n
        touched |= set(product.columns)
    return tuple(found)
