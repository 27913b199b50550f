"""The reference engine: a cell's equations run by NumPy, one time step after another.

It works in any dtype that NumPy has, complex included, and is written to be read beside the equations. The time
loop lives here once, for every cell. Products with the input do not depend on the state, so they are one large
product before the loop, and the weight gradients are one large product after the sweep; the loop itself holds
the recurrent products and the elementwise formulas.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells.plan import CellPlan, Product, Source, StagePlan
from bptt.cells.protocol import Cell
from bptt.engine.forward_mode import pull_back
from bptt.engine.tape import WANT, Array, Sweep, Tape

NAME = "numpy"


def forward(
    cell: Cell,
    parameters: Mapping[str, Array],
    x: Array,
    state0: Mapping[str, Array] | None = None,
    lengths: npt.NDArray[np.int64] | None = None,
    *,
    outputs: str = "all",
    tape: bool = True,
) -> tuple[Array | None, dict[str, Array], Tape | None]:
    """Run a layer over a batch of sequences.

    Parameters
    ----------
    cell : Cell
    parameters : mapping
        Weights (rows, blocks * H), ``b_h`` (G * H,) unless without bias, vectors (H,).
    x : ndarray (T, B, D)
    state0 : mapping of state name to ndarray (B, H), optional
        Zeros where absent.
    lengths : ndarray (B,), optional
        Steps of each row, 1..T, in any order.
    outputs : {"all", "last"}
        With "last" the outputs are not returned (None): only the final state is.
    tape : bool
        Whether to keep what `backward` needs.

    Returns
    -------
    h : ndarray (T, B, H) or None
        Outputs, zero past each row's length.
    state_T : dict of (B, H)
        The state after each row's last valid step.
    tape : Tape or None
    """
    plan = cell.plan
    T, B, _ = x.shape
    H = parameters["W_hh"].shape[0] if "W_hh" in parameters else _units(parameters, plan)
    dtype = np.result_type(x, *parameters.values(), *(state0 or {}).values())
    active = None if lengths is None else _active(lengths, T)
    if active is not None:
        x = np.where(active, x, np.zeros((), dtype))  # NaN in the padding must not reach a product
    # Without a tape only the last state of each kind is alive; with one, all of them are.
    depth = T + 1 if tape else 2
    states = {name: np.empty((depth, B, H), dtype) for name in plan.states}
    for name, array in states.items():
        array[0] = 0 if state0 is None or name not in state0 else state0[name]
    saved = {name: np.empty((T, B, H), dtype) for name in (plan.saved if tape else ())}
    h = np.empty((T, B, H), dtype) if outputs == "all" else None
    stages = [_StageRun(stage, cell, parameters, x, H, dtype) for stage in plan.stages]

    for t in range(T):
        now, new = (t, t + 1) if tape else (t % 2, (t + 1) % 2)
        values: dict[str, Array] = {}
        previous = {name: array[now] for name, array in states.items()}
        for stage in stages:
            a = stage.pre_activations(t, previous, values)
            values.update(stage.run_forward(a, previous, values))
            for k, name in enumerate(stage.plan.columns):
                if name in saved:
                    saved[name][t] = a[k]
        for name in plan.saved:
            if tape and name in values:
                saved[name][t] = values[name]
        for name, array in states.items():
            if active is None:
                array[new] = values[name]
            else:
                array[new] = np.where(active[t], values[name], previous[name])
        if h is not None:
            h[t] = values["h"] if active is None else np.where(active[t], values["h"], 0)

    last = T if tape else T % 2
    final = {name: array[last].copy() for name, array in states.items()}
    return h, final, Tape(cell, parameters, x, lengths, states, saved) if tape else None


def backward(
    tape: Tape,
    dh: Array | None = None,
    dstate_T: Mapping[str, Array] | None = None,
    *,
    want: Collection[str] = WANT,
) -> Sweep:
    """Sweep back through time.

    Parameters
    ----------
    tape : Tape
        Of the forward pass; its arrays are not changed.
    dh : ndarray (T, B, H), optional
        dL/dh_t of every output. Entries past a row's length are not read.
    dstate_T : mapping of state name to ndarray (B, H), optional
        dL/d(final state).
    want : collection of {"parameters", "x", "state0", "states"}

    Returns
    -------
    Sweep
    """
    cell, plan, parameters, x = tape.cell, tape.cell.plan, tape.parameters, tape.x
    T, B, _ = x.shape
    H = tape.states["h"].shape[2]
    dtype = tape.states["h"].dtype
    active = None if tape.lengths is None else _active(tape.lengths, T)
    stages = [_StageRun(stage, cell, parameters, x, H, dtype, hoist=False) for stage in plan.stages]
    da = [np.zeros((T, len(stage.plan.columns), B, H), dtype) for stage in stages]
    vectors = {name: np.zeros((B, H), dtype) for name in plan.vectors}
    carried = {
        name: np.zeros((B, H), dtype)
        if dstate_T is None or name not in dstate_T
        else dstate_T[name].astype(dtype)
        for name in plan.states
    }
    dstates = {name: np.empty((T + 1, B, H), dtype) for name in plan.states} if "states" in want else None

    for t in range(T - 1, -1, -1):
        if dh is not None:
            arriving = dh[t] if active is None else np.where(active[t], dh[t], 0)
            carried["h"] = carried["h"] + arriving
        if dstates is not None:
            for name in plan.states:
                dstates[name][t + 1] = carried[name]
        known = {name: array[t] for name, array in tape.saved.items()}
        known.update({name: array[t + 1] for name, array in tape.states.items()})
        previous = {name: array[t] for name, array in tape.states.items()}
        # A finished row hands its gradient straight to its last valid step; in between nothing depends on it.
        entering = carried if active is None else {n: np.where(active[t], d, 0) for n, d in carried.items()}
        gradients: dict[str, Array] = dict(entering)
        dprevious: dict[str, Array] = {}
        for stage, da_stage in zip(reversed(stages), reversed(da), strict=True):
            stage.run_backward(da_stage[t], known, previous, gradients, dprevious, vectors)
            stage.push_products_back(da_stage[t], gradients, dprevious)
        if active is None:
            carried = {name: dprevious.get(name, np.zeros((B, H), dtype)) for name in plan.states}
        else:
            carried = {n: np.where(active[t], dprevious.get(n, 0), carried[n]) for n in plan.states}

    if dstates is not None:
        for name in plan.states:
            dstates[name][0] = carried[name]
    return Sweep(
        parameters=_parameter_gradients(tape, stages, da, vectors) if "parameters" in want else None,
        x=_input_gradient(stages, da, x, dtype) if "x" in want else None,
        state0=carried if "state0" in want else None,
        states=dstates,
    )


class _StageRun:
    """A stage with its weights cut into blocks (blocks, rows, H), so that each gate's array is contiguous."""

    def __init__(
        self, plan: StagePlan, cell: Cell, parameters: Mapping[str, Array], x: Array, H: int, dtype: np.dtype[Any],
        *, hoist: bool = True,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.H = H
        self.fixed = {
            **cell.bound_functions,
            **{k: v for k, v in cell.options.items() if k in cell.constants},
            **{name: parameters.get(name, np.zeros(H, dtype)) for name in cell.vectors},
        }
        self.blocks = {
            p.weight: _blocks(parameters[p.weight], p.first_block, len(p.columns), H) for p in plan.products
        }
        if hoist:
            self.inputs = self._hoisted(parameters, x, dtype)

    def _hoisted(self, parameters: Mapping[str, Array], x: Array, dtype: np.dtype[Any]) -> Array:
        """Bias and input products of all steps (T, columns, B, H)."""
        T, B, D = x.shape
        a = np.zeros((T, len(self.plan.columns), B, self.H), dtype)
        if "b_h" in parameters:
            for gate, column in enumerate(self.plan.bias_columns, start=self.plan.first_gate):
                a[:, column] = parameters["b_h"][gate * self.H : (gate + 1) * self.H]
        for product in self.plan.products:
            if product.kind == "x" and D:
                flat = x.reshape(T * B, D)
                for block, column in zip(self.blocks[product.weight], product.columns, strict=True):
                    a[:, column] += (flat @ block).reshape(T, B, self.H)
        return a

    def pre_activations(self, t: int, previous: Mapping[str, Array], values: Mapping[str, Array]) -> Array:
        """Return a (columns, B, H) of step t; the hoisted array is the workspace and is overwritten."""
        a: Array = self.inputs[t]
        for product in self.plan.products:
            if product.kind == "x":
                continue
            operand = previous[product.operand] if product.kind == "previous" else values[product.operand]
            summed = np.matmul(operand, self.blocks[product.weight])
            if product.columns == tuple(range(len(a))):
                a += summed
            else:
                for column, part in zip(product.columns, summed, strict=True):
                    a[column] += part
        return a

    def run_forward(
        self, a: Array, previous: Mapping[str, Array], values: Mapping[str, Array]
    ) -> dict[str, Array]:
        columns = dict(zip(self.plan.columns, a, strict=True))
        arguments = [self._read(s, columns, previous, values, {}) for s in self.plan.inputs]
        return dict(zip(self.plan.forward.results, self.plan.forward(*arguments), strict=True))

    def run_backward(
        self, da: Array, known: Mapping[str, Array], previous: Mapping[str, Array], gradients: dict[str, Array],
        dprevious: dict[str, Array], vectors: dict[str, Array],
    ) -> None:  # fmt: skip
        """Fill da (columns, B, H) and add to the gradients of earlier values, old states and vectors."""
        plan = self.plan
        if plan.backward is not None:
            arguments = [self._read(s, known, previous, known, gradients) for s in plan.backward_inputs]
            found = dict(zip(plan.backward.results, plan.backward(*arguments), strict=True))
        else:
            arguments = [self._read(s, known, previous, known, {}) for s in plan.inputs]
            found = pull_back(plan, arguments, gradients)
        for source in plan.differentiable:
            d = found[f"d{source.name}"]
            if source.kind == "column":
                da[plan.columns.index(source.key)] = d
            elif source.kind == "vector":
                vectors[source.key] += d
            else:
                _add(dprevious if source.kind == "previous" else gradients, source.key, d)

    def push_products_back(self, da: Array, gradients: dict[str, Array], dprevious: dict[str, Array]) -> None:
        """Add da @ W^T to the gradient of each product's operand."""
        for product in self.plan.products:
            if product.kind == "x":
                continue
            target = dprevious if product.kind == "previous" else gradients
            blocks = self.blocks[product.weight]
            every = product.columns == tuple(range(len(da)))
            parts = np.matmul(da if every else da[list(product.columns)], blocks.transpose(0, 2, 1))
            _add(target, product.operand, parts.sum(axis=0) if len(parts) > 1 else parts[0])

    def _read(
        self, source: Source, columns: Mapping[str, Array], previous: Mapping[str, Array],
        values: Mapping[str, Array], gradients: Mapping[str, Array],
    ) -> Any:  # fmt: skip
        match source.kind:
            case "column":
                return columns[source.key]
            case "previous":
                return previous[source.key]
            case "value":
                return values[source.key]
            case "gradient":
                # A result that nothing later used has no gradient.
                return gradients.get(source.key, 0.0)
            case _:
                return self.fixed[source.key]


def _parameter_gradients(
    tape: Tape, stages: list[_StageRun], da: list[Array], vectors: Mapping[str, Array]
) -> dict[str, Array]:
    T, B, _ = tape.x.shape
    H = tape.states["h"].shape[2]
    gradients = {name: np.zeros_like(p, dtype=tape.states["h"].dtype) for name, p in tape.parameters.items()}
    for stage, da_stage in zip(stages, da, strict=True):
        for product in stage.plan.products:
            flat = _operand(tape, product).reshape(T * B, -1).T
            for k, column in enumerate(product.columns, start=product.first_block):
                gradients[product.weight][:, k * H : (k + 1) * H] = flat @ da_stage[:, column].reshape(
                    T * B, H
                )
        if "b_h" in gradients:
            for gate, column in enumerate(stage.plan.bias_columns, start=stage.plan.first_gate):
                gradients["b_h"][gate * H : (gate + 1) * H] = da_stage[:, column].sum(axis=(0, 1))
    for name, d in vectors.items():
        if name in gradients:
            gradients[name][...] = d.sum(axis=0)
    return gradients


def _operand(tape: Tape, product: Product) -> Array:
    """Return what a product multiplied at every step, (T, B, rows)."""
    if product.kind == "x":
        return tape.x
    if product.kind == "previous":
        return tape.states[product.operand][:-1]
    # A value of an earlier stage is saved by itself, unless it is a new state.
    return tape.saved[product.operand] if product.operand in tape.saved else tape.states[product.operand][1:]


def _input_gradient(stages: list[_StageRun], da: list[Array], x: Array, dtype: np.dtype[Any]) -> Array:
    T, B, D = x.shape
    dx = np.zeros((T * B, D), dtype)
    for stage, da_stage in zip(stages, da, strict=True):
        for product in stage.plan.products:
            if product.kind == "x":
                for block, column in zip(stage.blocks[product.weight], product.columns, strict=True):
                    dx += da_stage[:, column].reshape(T * B, -1) @ block.T
    return dx.reshape(T, B, D)


def _blocks(weight: Array, first: int, count: int, H: int) -> Array:
    """Columns first*H .. (first+count)*H of a packed weight, as (count, rows, H) contiguous."""
    part = weight[:, first * H : (first + count) * H]
    return np.ascontiguousarray(part.reshape(len(weight), count, H).transpose(1, 0, 2))


def _active(lengths: npt.NDArray[np.int64], T: int) -> npt.NDArray[np.bool_]:
    """(T, B, 1): whether step t belongs to the row."""
    return (np.arange(T)[:, None] < lengths)[:, :, None]


def _units(parameters: Mapping[str, Array], plan: CellPlan) -> int:
    """H from any weight: its columns are blocks of H."""
    name, (_, blocks) = next(iter(plan.weights.items()))
    return int(parameters[name].shape[1]) // blocks


def _add(store: dict[str, Array], name: str, d: Array) -> None:
    store[name] = store[name] + d if name in store else d
