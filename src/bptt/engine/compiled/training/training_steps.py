"""Many training steps in one call: the batch picked up, a step of the network, clipping and the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptt.engine.compiled.llvm.machine_code import Kernel, kernel_address
from bptt.engine.compiled.route import KINDS
from bptt.engine.compiled.rows.gather import GATHER_LINES, gather_lines_kernel
from bptt.engine.compiled.threads.team import Phase
from bptt.engine.compiled.training.call_list import FLAG, STEP, Call, CallList, Control
from bptt.engine.compiled.training.gather_kernels import GATHER, gather_kernel
from bptt.engine.compiled.training.scale_rows import ScaleRows
from bptt.engine.compiled.training.step import CompiledStep, steps_to_skip
from bptt.engine.compiled.training.update_kernels import (
    OVERFLOW,
    UNUSUAL,
    NormKernel,
    PenaltyKernel,
    UpdateKernel,
)
from bptt.engine.compiled.workspace import address
from bptt.engine.step_design import Examples, StepDesign, UpdateRule, Whole
from bptt.engine.tape import Array
from bptt.losses import Loss

# Lines of memory (of 16 numbers) that a batch copies at least where threads share that: some 30 microseconds.
MANY_LINES, LINE = 4096, 16


class CompiledTraining:
    """The steps of one run.

    Parameters
    ----------
    design : StepDesign
    parameters : mapping of name to ndarray
        Live arrays, changed by each step.
    examples : Examples
    rule : UpdateRule
    slots : mapping of parameter to mapping of slot to ndarray
        What the rule remembers, changed by each step.
    before : mapping of name to ndarray
        Where each update keeps the parameters as they were.
    total : int
        Steps of the run.

    Attributes
    ----------
    losses, norms : ndarray (total,), float64
        Of the steps made: loss, and norm of the gradients before clipping.
    """

    # Why a list stops within a step: a loss or norm that Python must look at, before the update; an update that left
    # the dtype, after which the parameters are to be put back.
    UNUSUAL, OVERFLOW = UNUSUAL, OVERFLOW

    def __init__(
        self,
        design: StepDesign,
        parameters: Mapping[str, Array],
        examples: Examples,
        rule: UpdateRule,
        slots: Mapping[str, Mapping[str, Array]],
        before: Mapping[str, Array],
        total: int,
    ) -> None:
        self.design, self.parameters, self.examples = design, parameters, examples
        self.rule, self.slots, self.before = rule, slots, before
        self._own = {name: id(p) for name, p in parameters.items()}
        self.parameters = dict(parameters)  # so that they live as long as their addresses are used
        self.control = Control()
        self.losses, self.norms = np.empty(total), np.empty(total)
        self._batches: _Batches | None = None

    @property
    def made(self) -> int:
        """Whole steps made."""
        return self.control.step

    def fits(self, design: StepDesign, parameters: Mapping[str, Array]) -> bool:
        """Whether settings and live arrays are still those that the steps were made for."""
        return design == self.design and self._own == {name: id(p) for name, p in parameters.items()}

    @property
    def flag(self) -> int:
        """Why the last call stopped; 0 where it did not."""
        return self.control.flag

    def begin_at(self, step: int) -> None:
        """Count the steps from here on: those before it were made in another run."""
        self.control.array[STEP] = step

    def skip(self) -> None:
        """Count a step that was made otherwise."""
        self.control.array[STEP] += 1

    def play(self, indices: Whole, constants: Sequence[Sequence[Sequence[float]]]) -> int:
        """Make a step for each row of indices (n, B); return 0, or why the list stopped before its end.

        Parameters
        ----------
        constants : sequence (n, groups, constants) of float
            Those of the rule's formula.
        """
        B = indices.shape[1]
        if self._batches is None or self._batches.step.B != B:
            self._batches = _Batches(self, B)
        with np.errstate(over="ignore"):
            rounded = np.array(constants, self.design.dtype)
        return self._batches.play(np.ascontiguousarray(indices, np.int64), rounded)


class _Batches:
    """The list for one batch size."""

    def __init__(self, run: CompiledTraining, B: int) -> None:
        self.run, design, rule, length = run, run.design, run.rule, run.examples.length
        weights, weights_of = run.examples.weights, run.examples.weights_of
        # A loss with scales of its own may count what has no weight: known only where all batches have the same.
        known = weights_of is None or type(design.loss).scales is Loss.scales
        self.skipped = steps_to_skip(design, weights if known else None, B)
        self.step = CompiledStep(design, run.parameters, B, length, skipped=self.skipped)
        self.step.share(run.control, run.losses)
        self.scales = None if weights_of is None else ScaleRows(self.step, weights_of, run.control)
        if self.scales is None:
            # Copies, as of a batch: NumPy adds what it only repeats in another order.
            self.step.set_scales(None if weights is None else np.tile(weights, (B, 1)))
        kind = KINDS[design.dtype]
        self.update = UpdateKernel(rule.formula, len(rule.slots))
        norm = NormKernel(self.update.columns, rule.shrink, rule.limit, rule.lanes, rule.safe)
        self.table = np.array([self._row(name) for name in run.parameters], np.int64)
        self.bound = np.full(1, rule.bound)
        common = {"control": run.control.address, "table": address(self.table), "tensors": len(self.table)}
        sums = {"losses": address(run.losses), "norms": address(run.norms), "bound": address(self.bound)}
        self.update_arguments = _arguments(self.update.SLOTS, {**common, "rows": len(rule.groups)})
        self.gathers = self._gathers(B)
        self.list = CallList(
            [
                *(_gather_call(*gather) for gather in self.gathers),
                *([] if self.scales is None else [self.scales.call]),
                *self.step.calls,
                *self._penalties(kind),
                Call(norm.load(kind), _arguments(norm.SLOTS, {**common, **sums})),
                Call(self.update.load(kind), self.update_arguments),
            ],
            run.control,
        )

    def _penalties(self, kind: str) -> list[Call]:
        found = []
        for formula, strength, names in self.run.rule.penalties:
            kernel = PenaltyKernel(formula)
            rows = [
                (p.size, address(p), address(self.step.gradients[name]))
                for name, p in ((name, self.run.parameters[name]) for name in names)
            ]
            table, number = np.array(rows, np.int64), np.full(1, strength, self.run.design.dtype)
            values = {"table": address(table), "tensors": len(rows), "strength": address(number)}
            found.append(Call(kernel.load(kind), _arguments(kernel.SLOTS, values), (table, number)))
        return found

    def _row(self, name: str) -> list[int]:
        run, p = self.run, self.run.parameters[name]
        group = next(k for k, names in enumerate(run.rule.groups) if name in names)
        arrays = (p, self.step.gradients[name], run.before[name])
        held = (run.slots[name][slot] for slot in run.rule.slots)
        return [p.size, *map(address, arrays), group, *map(address, held)]

    def _gathers(self, B: int) -> list[tuple[Any, Whole, Mapping[str, int]]]:
        """Return what picks up the inputs and the targets: kernel, arguments and their slots."""
        step, examples, kind = self.step, self.run.examples, KINDS[self.step.dtype]
        K = step.design.output_size
        read, written = (1, 1) if step.classes else (K, step.width)
        first, itemsize = self.skipped, examples.y.itemsize
        targets = {"starts": address(examples.y_starts), "width": read, "T": examples.y_length - first,
                   "source": address(examples.y) + first * read * itemsize,
                   "target": address(step.y) + first * B * written * itemsize,
                   "target_t": B * written, "target_b": written}  # fmt: skip
        common = {"control": self.run.control.address, "B": B, "end_row": B}
        # 64-bit labels are copied as what has the same size.
        y_kernel = gather_kernel("double" if step.classes else kind)
        return [
            self._gather_inputs(kind, {**common, "starts": address(examples.x_starts)}),
            (y_kernel, _arguments(GATHER, {**targets, **common}), GATHER),
        ]

    def _gather_inputs(self, kind: str, common: Mapping[str, int]) -> tuple[Any, Whole, Mapping[str, int]]:
        step, D = self.step, self.step.design.input_size
        common = {**common, "source": address(self.run.examples.x), "width": D}
        lines = step.take_lines()
        if lines is not None:
            del common["end_row"]
            values = {**common, "count": step.T * D, "target": lines.address, "S": lines.stride}
            return gather_lines_kernel(kind), _arguments(GATHER_LINES, values), GATHER_LINES
        values = {**common, "T": step.T, "target": address(step.x), "target_t": step.B * D, "target_b": D}
        return gather_kernel(kind), _arguments(GATHER, values), GATHER

    def play(self, indices: Whole, constants: Array) -> int:
        """Make one step for each row of `indices`; return 0, or why the list stopped before its end."""
        if self.scales is None:
            return self._play(indices, constants)
        flag, done = 0, 0
        while done < len(indices) and not flag:
            count = self.scales.prepare(indices[done:])
            if not count:
                # Python is to make this step, and says what is wrong with the weights.
                self.run.control.array[FLAG] = UNUSUAL
                return UNUSUAL
            flag = self._play(indices[done : done + count], constants[done : done + count])
            done += count
        return flag

    def _play(self, indices: Whole, constants: Array) -> int:
        first = self.run.made
        for _, arguments, slots in self.gathers:
            arguments[slots["indices"]] = address(indices)
            arguments[slots["first"]] = first
        self.update_arguments[self.update.SLOTS["constants"]] = address(constants)
        self.update_arguments[self.update.SLOTS["first"]] = first
        return self.list.play(len(indices))


def _gather_call(kernel: Kernel, arguments: Whole, slots: Mapping[str, int]) -> Call:
    """Return the call, which threads share where there are many examples to copy."""
    if "first_row" not in slots:
        return Call(kernel, arguments)
    T, B, width = (int(arguments[slots[name]]) for name in ("T", "B", "width"))
    if T * B * -(-width // LINE) < MANY_LINES:
        return Call(kernel, arguments)

    def share(members: int) -> list[Phase]:
        table = tables.setdefault(members, np.repeat(arguments[None], members, axis=0))
        table[:] = arguments  # which batches come next
        step = -(-B // (2 * members))
        return [Phase(kernel_address(kernel), address(table), table.strides[0], slots["first_row"], step, B)]

    tables: dict[int, Whole] = {}
    return Call(kernel, arguments, tables, B, share)


def _arguments(slots: Mapping[str, int], values: Mapping[str, int]) -> Whole:
    found = np.zeros(len(slots), np.int64)
    for name, value in values.items():
        found[slots[name]] = value
    return found
