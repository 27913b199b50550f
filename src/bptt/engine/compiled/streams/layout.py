"""What a stream's kernels and its caller must agree on: slots of the argument array, and arrays in one block of memory.

The argument array of 64-bit integers starts with the stream's own sizes and addresses; one part a layer follows.
Rows of H units, K outputs and I inputs are padded to whole vectors, sequences (streams) lie one under the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bptt.cached import cached_property
from bptt.engine.compiled.units.layout import Layout

# Streams that go through layers and steps together: their rows should stay in the first cache beside the weights.
TILE = 64

# Of the stream: sizes and switches, then addresses.
HEAD = (
    "T", "S", "tile",
    "D", "I",  # columns of the caller's rows, and of the rows that layer 0 reads (what is fed back included)
    "H", "P", "K",
    "layers",
    "R", "row",  # newest rows kept of each stream, and numbers from one stream's rows to the next's
    "feedback",
    "x", "y",  # the caller's (S, T, D) and (S, T, K)
    "clock",  # steps taken, a 64-bit integer: a state's newest value is at clock & 1
    "columns",  # whose change is predicted, 64-bit integers; 0: none
    "linear",  # (K, R * I padded); 0: none
    "rows", "readout", "readout_bias", "scale", "a_y", "activated", "fed",
)  # fmt: skip

# Of a layer: sizes, then addresses; `Layers` adds the cell's.
LAYER = ("S", "tile", "D", "H", "V", "P")


@dataclass(frozen=True)
class StreamSizes:
    """Sizes of a stream; see `HEAD`."""

    S: int
    D: int
    H: int
    K: int
    layers: int
    lags: int
    feedback: bool
    lanes: int

    def padded(self, count: int) -> int:
        """Return the next whole number of vectors, in numbers."""
        return -(-count // self.lanes) * self.lanes

    @property
    def I(self) -> int:  # noqa: E743, N802  # a size like the others
        """Columns that layer 0 reads."""
        return self.D + (self.K if self.feedback else 0)

    @property
    def R(self) -> int:  # noqa: N802
        """Newest rows kept."""
        return max(self.lags, 1)

    @property
    def P(self) -> int:  # noqa: N802
        """Numbers of a padded row of units."""
        return self.padded(self.H)

    @property
    def row(self) -> int:
        """Numbers from one stream's rows to the next's: whole vectors may be read, and moved, past the end."""
        return self.padded(self.R * self.I) + self.padded(self.I)

    @property
    def tile(self) -> int:
        """Streams that run together: tiles as equal as can be."""
        return -(-self.S // -(-self.S // TILE))

    def counts(self) -> dict[str, int]:
        """Numbers in each array of the stream's own."""
        K = self.padded(self.K)
        return {
            "rows": self.S * self.row,
            "readout": self.K * self.P,  # (K, P)
            "readout_bias": K,
            "linear": self.K * self.padded(self.R * self.I) if self.lags else 0,
            "scale": 1,
            "a_y": K,
            "activated": K,
            "fed": self.S * self.K,  # (S, K)
            "x": self.S * self.D,
            "y": self.S * self.K,
        }


@dataclass(frozen=True)
class StreamLayout:
    """A cell as a stream runs it."""

    layout: Layout

    @cached_property
    def passing(self) -> tuple[str, ...]:
        """Results that a later stage reads, other than states."""
        read = [s.key for stage in self.layout.plan.stages for s in stage.inputs if s.kind == "value"]
        read += [run.operand for runs in self.layout.runs for run in runs if run.kind == "value"]
        return tuple(name for name in dict.fromkeys(read) if name not in self.layout.plan.states)

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """Of a layer, in the block of memory."""
        plan = self.layout.plan
        stages = range(len(plan.stages))
        return (
            *(f"state:{s}" for s in plan.states),
            *(f"vector:{v}" for v in plan.vectors),
            *(f"bias:{k}" for k in stages),
            *(f"packed:{run.key}" for runs in self.layout.runs for run in runs),
            *(f"columns:{k}" for k in stages),
            *(f"passing:{v}" for v in self.passing),
        )

    @cached_property
    def slots(self) -> dict[str, int]:
        """Place of each name in a layer's part of the argument array."""
        weights = (f"weight:{name}" for name in self.layout.plan.weights)
        return {name: k for k, name in enumerate((*LAYER, *weights, *self.arrays))}

    @cached_property
    def text(self) -> str:
        """Everything about the cell that decides the kernels' code."""
        return self.layout.text

    def counts(self, sizes: StreamSizes, inputs: int) -> dict[str, int]:
        """Numbers in each array of a layer that reads rows of `inputs`."""
        columns = [len(stage.columns) for stage in self.layout.plan.stages]
        packed = {
            f"packed:{run.key}": (inputs if run.kind == "x" else sizes.H) * run.count * sizes.P
            for runs in self.layout.runs
            for run in runs
        }
        found = {}
        for name in self.arrays:
            kind, _, rest = name.partition(":")
            match kind:
                case "state":  # before and after a step (2, S, P)
                    found[name] = 2 * sizes.S * sizes.P
                case "vector":
                    found[name] = sizes.P
                case "bias":
                    found[name] = columns[int(rest)] * sizes.P
                case "packed":
                    found[name] = packed[name]
                case "columns":
                    found[name] = sizes.tile * columns[int(rest)] * sizes.P
                case _:  # passing
                    found[name] = sizes.tile * sizes.P
        return found


HEAD_SLOTS: Mapping[str, int] = {name: k for k, name in enumerate(HEAD)}
