"""A stage of a small layer, products and formula in one: a tile's sums go into the formula from registers.

A small layer's sums are short: storing them, reading them again and the calls take as long as a quarter of the
arithmetic. And while the formula of one tile waits for its activations, the next tile's products fill the gaps. A tile
has all columns of two units, or of five where there is but one column, and two vectors of rows. There is no other size,
so vectors must be even, and units two or five a tile.
"""

from __future__ import annotations

from collections.abc import Mapping

from bptt.engine.compiled.equations.programs import emit_abreast
from bptt.engine.compiled.equations.stages import ForwardStage
from bptt.engine.compiled.llvm.emitter import Value
from bptt.engine.compiled.llvm.target import Target
from bptt.engine.compiled.rows.frame import RowsFrame
from bptt.engine.compiled.units.frame import Step
from bptt.engine.compiled.units.layout import Layout, Run, Sizes

# Vectors of rows side by side of a tile, and units, by the columns of a stage: fewer than ten sums would wait for one
# another, and more than four columns would leave the formula no registers.
WIDE, HIGH = 2, {1: 5, 3: 2, 4: 2}
# Vectors of a tile of one column whose activations go side by side. Those of several columns have enough beside them,
# and would spill.
ABREAST = 5
# Weights up to which it pays: a tile reads two numbers of each of their lines, and with longer sums there is less to
# save.
SMALL = 2500


def fits(layout: Layout, sizes: Sizes) -> bool:
    """Tell whether a layer's weights are few, and its units and every tile's vectors fill tiles.

    By what threads may have for themselves, not by what one takes together: who runs a tile may change no bit.
    """
    columns = sum(len(stage.columns) for stage in layout.plan.stages)
    few = (sizes.D + sizes.H) * sizes.H * columns <= SMALL
    counts = (-(-sizes.B // sizes.lanes), sizes.tile // sizes.lanes)
    whole = all(sizes.H % HIGH.get(len(stage.columns), 1) == 0 for stage in layout.plan.stages)
    return few and whole and all(vectors % WIDE == 0 for vectors in counts)


def can_fuse(columns: int, target: Target) -> bool:
    """Tell whether a stage's sums are neither too few nor too many for the registers."""
    return target.heights[0] * target.panel >= 24 and columns in HIGH


# Column, unit of the tile, vector of the tile.
Key = tuple[int, int, int]


def emit_fused_stage(e: RowsFrame, k: int, step: Step, *, ragged: bool) -> None:
    """Emit products and formula of stage k over a tile of rows."""
    stage = ForwardStage(e, k, step, ragged=ragged)
    lanes, H = e.lanes.count, e.number("H")
    high = HIGH[len(stage.columns)]
    with (
        e.loop(e.integer(0), step.rows, e.integer(WIDE * lanes)) as row,
        e.loop(e.integer(0), H, e.integer(high)) as unit,
    ):
        sums = _sums(e, k, step, unit, row)
        places = [
            (i, j, e.plus(unit, e.integer(i)), e.plus(row, e.integer(j * lanes)))
            for i in range(high)
            for j in range(WIDE)
        ]
        known: dict[tuple[int, int], dict[str, Value]] = {}
        for i, j, u, b in places:
            known[i, j] = stage.fixed(u) | {c: sums[n, i, j] for n, c in enumerate(stage.columns)}
            known[i, j] |= {
                name: e.load(e.cell(grid, u, b))
                for name, grid in stage.sources.items()
                if name not in stage.columns
            }
            for name, grid in stage.kept_columns.items():
                e.store(known[i, j][name], e.cell(grid, u, b))
        few = ABREAST if len(stage.columns) == 1 else 1
        for phase in stage.phases:
            for start in range(0, len(places), few):
                some = places[start : start + few]
                arguments = [known[i, j] for i, j, _, _ in some]
                each = emit_abreast(e, phase.program, arguments, e.layout.functions)
                for (i, j, u, b), found in zip(some, each, strict=True):
                    known[i, j] |= found
                    stage.write(found, stage.targets, e.active(step, b) if ragged else None, u, b)


def _sums(e: RowsFrame, k: int, step: Step, unit: Value, row: Value) -> dict[Key, Value]:
    """Return bias + products of (column, unit of the tile, vector of the tile)."""
    H, columns = e.number("H"), len(e.layout.plan.stages[k].columns)
    keys = [(c, i, j) for c in range(columns) for i in range(HIGH[columns]) for j in range(WIDE)]
    sums = {}
    for c, i, j in keys:
        place = e.plus(e.times(e.integer(c), H), unit, e.integer(i))
        sums[c, i, j] = e.splat(e.load_scalar(e.at(e.pointer(f"bias:{k}"), place)))
    # All columns that a weight feeds in one loop: fewer sums than a dozen would wait for one another.
    together: dict[tuple[str, str], list[Run]] = {}
    for run in e.layout.runs[k]:
        together.setdefault((run.weight, run.operand), []).append(run)
    for runs in together.values():
        blocks = {run.column + n: run.block + n for run in runs for n in range(run.count)}
        mine = [key for key in sums if key[0] in blocks]
        _add(e, runs[0], blocks, {key: sums[key] for key in mine}, sums, step, unit, row)
    return sums


def _add(
    e: RowsFrame,
    run: Run,
    blocks: Mapping[int, int],
    mine: Mapping[Key, Value],
    sums: dict[Key, Value],
    step: Step,
    unit: Value,
    row: Value,
) -> None:
    """Add a weight's products to the sums of the columns that its blocks feed."""
    H, lanes = e.number("H"), e.lanes.count
    lines, count = e.operand(run, step)
    stride = e.times(e.integer(e.layout.plan.weights[run.weight][1]), H)
    start = e.at(e.pointer(f"weight:{run.weight}"), unit)
    with e.loop_carrying(e.integer(0), count, e.integer(1), list(mine.values())) as (m, inner, after):
        line = e.at(lines.pointer, e.plus(e.times(m, lines.stride), row))
        right = [e.load(e.at(line, e.integer(j * lanes))) for j in range(WIDE)]
        here = e.at(start, e.times(m, stride))
        numbers: dict[tuple[int, int], Value] = {}
        for (c, i, j), total in zip(mine, inner, strict=True):
            if (c, i) not in numbers:
                place = e.plus(e.times(e.integer(blocks[c]), H), e.integer(i))
                numbers[c, i] = e.splat(e.load_scalar(e.at(here, place)))
            after.append(e.fma(numbers[c, i], right[j], total))
    sums.update(zip(mine, inner, strict=True))
