"""The layout with sequences in the lanes: lines of B sequences, padded to S numbers, one line a unit.

Units are counted one by one, so no lane is lost to a small H; the lanes that are lost are those beyond B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from bptt.cached import cached_property
from bptt.engine.compiled.rows.products import gradient_room
from bptt.engine.compiled.units.layout import Layout, Run, Sizes


@dataclass(frozen=True)
class Segment:
    """Consecutive columns of a stage that are sums of the same products, and where in each run they start."""

    column: int
    count: int
    sources: tuple[tuple[Run, int], ...]


class RowsLayout(Layout):
    """See the module's text; weights are read where the caller keeps them."""

    name: ClassVar[Literal["units", "rows"]] = "rows"

    @cached_property
    def segments(self) -> tuple[tuple[Segment, ...], ...]:
        """Of each stage, in order."""
        return tuple(_segments(runs) for runs in self.runs)

    @cached_property
    def operands(self) -> frozenset[str]:
        """Results that are multiplied by a weight."""
        return frozenset(run.operand for runs in self.runs for run in runs if run.kind == "value")

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The caller's arrays, and where `h` goes, (T, B, H) or the last steps of it, if it is wanted."""
        return (*super().given, "outputs")

    @cached_property
    def tape_arrays(self) -> tuple[str, ...]:
        """What a forward pass leaves; `inputs` is x (T, D, S)."""
        return (*super().tape_arrays, "inputs")

    @cached_property
    def forward_arrays(self) -> tuple[str, ...]:
        """A forward pass's own."""
        stages = range(len(self.plan.stages))
        return (
            "ends",
            *(f"vector:{v}" for v in self.plan.vectors),
            *(f"bias:{k}" for k in stages),
            *(f"columns:{k}" for k in stages),
            *(f"passing:{v}" for v in self.passing),
        )

    @cached_property
    def backward_arrays(self) -> tuple[str, ...]:
        """A sweep's own, filled by it."""
        return ("ends", *super().backward_arrays, "arriving", "dx_tile")

    def count(self, name: str, sizes: Sizes) -> int:
        """Numbers in an array."""
        T, D, H, S, lanes = sizes.T, sizes.D, sizes.H, sizes.S, sizes.lanes
        kind, _, rest = name.partition(":")
        lines = [len(stage.columns) * H for stage in self.plan.stages]
        run = self.run(rest) if kind in ("dweight", "back") else None
        counts: Mapping[str, int] = {
            "ends": S,  # integers: the length of each row, 0 for padding
            "state": (T + 1 if sizes.all_states else 2) * H * S,
            "saved": (T if sizes.all_saved else 1) * H * S,
            "inputs": (T if sizes.all_saved else 1) * D * S,
            "vector": H,
            "passing": H * sizes.together,
            "gradient": H * sizes.tile,
            "arriving": H * sizes.tile,
            "zeros": max(D, H),
            "dvector": sizes.tiles * H * lanes,
            "carried": 2 * H * S,
            "block": gradient_room(max(D, H), lanes),
            "dx": T * sizes.B * D,
            "dx_tile": D * sizes.tile,
            "dstate": (T + 1) * H * S,
        }
        match kind:
            case "bias":
                return lines[int(rest)]
            case "columns":
                return lines[int(rest)] * sizes.together
            case "da":
                return sizes.chunk * lines[int(rest)] * S
            case "dbias":
                return sizes.tiles * lines[int(rest)] * lanes
        if run is None:
            return counts[kind]
        rows, vectors = (D, sizes.VX) if run.kind == "x" else (H, sizes.V)
        return run.count * H * (rows if kind == "dweight" else vectors * lanes)


def _segments(runs: tuple[Run, ...]) -> tuple[Segment, ...]:
    ends = sorted({c for run in runs for c in (run.column, run.column + run.count)})
    found = []
    for column, end in pairwise(ends):
        sources = tuple((r, column - r.column) for r in runs if r.column <= column < r.column + r.count)
        if sources:
            found.append(Segment(column, end - column, sources))
    return tuple(found)
