"""One training step of a network as a list of compiled calls: forward, loss and backward on memory that stays.

`Network.loss_and_gradients` plays the list once; `training_steps` plays it many times in one call, with what draws the
batch before it and what updates the parameters behind it. The bits are therefore the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.engine.compiled.route import KINDS
from bptt.engine.compiled.training.call_list import Call, CallList, Control
from bptt.engine.compiled.training.dense_calls import DenseCalls, padded
from bptt.engine.compiled.training.layer_calls import LayerCalls, Rows
from bptt.engine.compiled.training.loss_kernels import (
    CLASSES,
    PointwiseHead,
    cross_entropy_kernel,
    pointwise_kernel,
)
from bptt.engine.compiled.training.row_kernels import COPY, row_kernels
from bptt.engine.compiled.units.products import BLOCK
from bptt.engine.compiled.workspace import address, new_block, places
from bptt.engine.step_design import StepDesign
from bptt.engine.tape import Array
from bptt.losses import CrossEntropy
from bptt.losses.cross_entropy import check_labels
from bptt.losses.pointwise import Pointwise


def steps_to_skip(design: StepDesign, weights: Array | None, B: int) -> int:
    """Return how many first steps of a batch need no readout, as their loss does not count.

    So many that sums over rows are cut into the same blocks as without: adding blocks of zeros changes no bit.

    Parameters
    ----------
    weights : ndarray (T,) or None
        Of the steps, for all examples of the batch.
    """
    if weights is None or not design.every or design.change_of is not None or design.linear_lags:
        return 0
    T = len(weights)
    # What the loss makes of the weights, which a subclass may say.
    scales = design.loss.scales((B, T, design.output_size), np.broadcast_to(weights, (B, T)))
    first = int(np.flatnonzero(scales.reshape(B, T).any(axis=0))[0])
    whole = BLOCK // gcd(BLOCK, B)
    return first // whole * whole


class CompiledStep:
    """Forward, loss and backward of one batch size and length.

    Parameters
    ----------
    design : StepDesign
    parameters : mapping of name to ndarray
        Live arrays; `gradients` has the same names.
    B, T : int
    skipped : int
        First steps whose loss does not count, as `steps_to_skip` has found: nothing is read out of them.
    """

    def __init__(
        self, design: StepDesign, parameters: Mapping[str, Array], B: int, T: int, *, skipped: int = 0
    ) -> None:

        self.design, self.parameters = design, dict(parameters)
        self.B, self.T, self.dtype, self.every = B, T, design.dtype, design.every
        self.classes = isinstance(design.loss, CrossEntropy)
        self.rows = B * T if self.every else B
        self.skipped = skipped * B
        K = design.output_size
        self.width = padded(K, self.dtype)
        self.gradients, self.gradient_block = _beside(self.parameters, self.dtype)
        self.x = new_block(T * B * design.input_size, self.dtype).reshape(T, B, design.input_size)
        self.sums = self._zeros(self.rows, self.width)
        self.y_hat = self._zeros(self.rows, self.width)
        self.y = np.zeros(self.rows, np.int64) if self.classes else self._zeros(self.rows, self.width)
        self.scales = self._zeros(self.rows)
        self.control = Control()
        self.losses = np.zeros(1)
        self._sum_rows = self._counted(Rows(address(self.sums), self.rows, self.width))
        self._build()
        self.list = CallList(self.calls, self.control)
        self._uniform = False

    def _zeros(self, *shape: int) -> Array:

        block = new_block(int(np.prod(shape)), self.dtype)
        block[:] = 0
        return block.reshape(shape)

    def _counted(self, rows: Rows) -> Rows:
        """Return those rows of all steps that are not skipped."""
        start = rows.address + self.skipped * rows.stride * self.dtype.itemsize
        return Rows(start, rows.count - self.skipped, rows.stride)

    # ---------------------------------------------------------------- the list

    def _build(self) -> None:

        design, T, B, H = self.design, self.T, self.B, self.design.hidden_size
        calls: list[Call] = []
        layers: list[LayerCalls] = []
        x, width = address(self.x), design.input_size
        for k, prefix in enumerate(design.prefixes):
            own, found = (_part(arrays, prefix) for arrays in (self.parameters, self.gradients))
            layer = LayerCalls(design.cell, own, found, x, (T, B, width))
            calls += layer.calls("pack_forward", "forward_rows")
            layers.append(layer)
            if k < len(design.prefixes) - 1:
                h = layer.outputs
                x, width = h.address, H
                if h.stride != H:
                    between = self._zeros(T * B, H)
                    calls.append(self._copy(h, H, Rows(address(between), T * B, H), between))
                    x = address(between)
        self.layers = layers
        top = layers[-1]
        features = self._counted(top.outputs) if self.every else top.last_output
        b = self.parameters.get("readout.b_y")
        self._no_bias = np.zeros(design.output_size, self.dtype)
        readout = DenseCalls(
            features, self.parameters["readout.W_hy"], self.gradients["readout.W_hy"], self._sum_rows,
            self._no_bias if b is None else b, None if b is None else self.gradients["readout.b_y"],
        )  # fmt: skip
        linear = self._linear()
        calls += [readout.forward(), *(path.forward() for path in linear), *self._base(), self._loss()]
        calls += [
            *readout.parameter_gradients(),
            *(call for path in linear for call in path.parameter_gradients()),
        ]
        if self.every:
            upstream = self._zeros(self.rows, top.P)
            rows = Rows(address(upstream), self.rows, top.P)
            calls.append(readout.input_gradient(self._counted(rows)))  # the others stay 0
            top.read_upstream(rows)
            calls += top.calls("pack_backward")
        else:
            calls += top.calls("pack_backward")
            calls.append(readout.input_gradient(top.last_output_gradient))
        self._upstream = upstream if self.every else None
        for layer, below in zip(reversed(layers), [*reversed(layers[:-1]), None], strict=True):
            calls += layer.sweep(input_gradient=below is not None)
            if below is not None:
                below.read_upstream(layer.input_gradient)
                calls += below.calls("pack_backward")
        self.calls = tuple(calls)

    def _copy(self, source: Any, N: int, target: Any, kept: object) -> Any:

        arguments = np.zeros(len(COPY), np.int64)
        values = {"M": source.count, "N": N, "source": source.address, "lds": source.stride,
                  "target": target.address, "ldt": target.stride}  # fmt: skip
        for name, value in values.items():
            arguments[COPY[name]] = value
        return Call(row_kernels(KINDS[self.dtype])["copy_rows"], arguments, kept)

    def _linear(self) -> list[Any]:
        """Return the linear path: one product a lag, newest first."""
        lags, D, B, T = self.design.linear_lags, self.design.input_size, self.B, self.T
        if not lags:
            return []
        W, dW = self.parameters["linear.W_xy"], self.gradients["linear.W_xy"]
        found = []
        for lag in range(min(lags, T)):
            block = slice((lags - 1 - lag) * D, (lags - lag) * D)
            first = 0 if self.every else T - 1 - lag
            rows = (T - lag) * B if self.every else B
            skipped = lag * B if self.every else 0
            x = Rows(address(self.x) + first * B * D * self.dtype.itemsize, rows, D)
            y = Rows(self._sum_rows.address + skipped * self.width * self.dtype.itemsize, rows, self.width)
            found.append(DenseCalls(x, W[block], dW[block], y))
        return found

    def _base(self) -> list[Any]:
        """Return what picks the values whose change is predicted."""
        if self.design.change_of is None:
            return []
        D = self.design.input_size
        self._base_array = self._zeros(self.rows, self.width)
        columns = np.array(self.design.change_of, np.int64)
        first = 0 if self.every else (self.T - 1) * self.B * D
        arguments = np.zeros(len(COPY), np.int64)
        values = {"M": self.rows, "N": len(columns), "source": address(self.x) + first * self.dtype.itemsize,
                  "lds": D, "target": address(self._base_array), "ldt": self.width,
                  "columns": address(columns)}  # fmt: skip
        for name, value in values.items():
            arguments[COPY[name]] = value
        return [Call(row_kernels(KINDS[self.dtype])["pick_columns"], arguments, columns)]

    def _loss(self) -> Any:

        design, kind = self.design, KINDS[self.dtype]
        sums, first = self._sum_rows, self.skipped * self.width * self.dtype.itemsize
        values = {"control": self.control.address, "M": sums.count, "N": design.output_size, "ldc": self.width,
                  "sums": sums.address, "y_hat": address(self.y_hat) + first,
                  "scales": address(self.scales) + self.skipped * self.dtype.itemsize,
                  "losses": address(self.losses)}  # fmt: skip
        kept: list[Array] = []
        if isinstance(design.loss, CrossEntropy):
            slots, kernel = CLASSES, cross_entropy_kernel(kind)
            kept += [self._zeros(self.rows), self._zeros(self.rows)]
            values |= {"labels": address(self.y) + self.skipped * self.y.itemsize,
                       "wholes": address(kept[0]), "chosen": address(kept[1])}  # fmt: skip
        else:
            assert isinstance(design.loss, Pointwise)
            head = PointwiseHead(design.activation, design.loss.formula, design.change_of is not None)
            slots, kernel = head.slots, pointwise_kernel(head, kind)
            values["y"] = address(self.y) + first
            if design.change_of is not None:
                kept.append(np.full(1, design.change_scale, self.dtype))
                values |= {"base": address(self._base_array), "change_scale": address(kept[0])}
            for name, constants in zip(
                head.constants, design.loss.output_constants(design.output_size), strict=True
            ):
                row = self._zeros(self.width)
                row[: design.output_size] = constants
                kept.append(row)
                values[name] = address(row)
        arguments = np.zeros(len(slots), np.int64)
        for name, value in values.items():
            arguments[slots[name]] = value
        self._loss_arguments, self._loss_slots = arguments, slots
        return Call(kernel, arguments, kept)

    # ---------------------------------------------------------------- playing it

    def fits(self, design: StepDesign, parameters: Mapping[str, Array]) -> bool:
        """Whether the list still belongs to these live arrays and settings."""
        return (
            len(parameters) == len(self.parameters)
            and all(parameters.get(name) is p for name, p in self.parameters.items())
            and design == self.design
        )

    def take_lines(self) -> Rows | None:
        """Let the inputs be written as lines of rows, in place of `x`; None where someone else reads `x` too."""
        if self.design.linear_lags or self.design.change_of is not None:
            return None
        return self.layers[0].take_lines()

    def share(self, control: Any, losses: Array) -> None:
        """Let the loss be written at the step that `control` counts, and no predictions any more."""
        self.control, self.losses = control, losses
        self._loss_arguments[self._loss_slots["control"]] = control.address
        self._loss_arguments[self._loss_slots["losses"]] = address(losses)
        if not self.classes:
            self._loss_arguments[self._loss_slots["y_hat"]] = 0

    def set_scales(self, weights: npt.ArrayLike | None) -> None:
        """Set each row's share of the loss; weights as for `Loss.scales`."""
        if weights is None and self._uniform:
            return
        self.scales[:] = self.scales_of(weights)
        self._uniform = weights is None

    def scales_of(self, weights: npt.ArrayLike | None) -> Array:
        """Return each row's share of the loss, (rows,) float64; weights as for `Loss.scales`."""
        K = self.design.output_size
        shape = (self.B, self.T, K) if self.every else (self.B, K)
        return self.design.loss.scales(shape, weights).T.reshape(self.rows)

    def set_targets(self, y: npt.ArrayLike, weights: npt.ArrayLike | None) -> None:
        """Take the targets of a batch, batch first."""
        K, loss = self.design.output_size, self.design.loss
        shape = (self.B, self.T, K) if self.every else (self.B, K)
        checked = loss.check_targets(y, shape, self.dtype)
        self.set_scales(weights)
        if isinstance(loss, CrossEntropy):
            counts = self.scales.reshape(-1, self.B).T.reshape(checked.shape) != 0
            labels = np.where(counts, checked, 0)
            check_labels(labels, K)
            self.y[:] = labels.T.reshape(self.rows)
            return
        assert isinstance(loss, Pointwise)
        beside = loss.beside_outputs(checked)
        if self.every:
            self.y.reshape(self.T, self.B, self.width)[..., :K] = beside.transpose(1, 0, 2)
        else:
            self.y[:, :K] = beside

    def play(self) -> float:
        """Run the list once on what `x`, `y` and `scales` hold; return the loss."""
        self.control.array[:] = 0
        self.list.play(1)
        return float(self.losses[0])

    def predictions(self) -> Array:
        """Return a copy of y_hat, batch first."""
        K = self.design.output_size
        if self.every:
            return self.y_hat.reshape(self.T, self.B, self.width)[..., :K].transpose(1, 0, 2).copy()
        return self.y_hat[:, :K].copy()

    def found_gradients(self) -> dict[str, Array]:
        """Return a copy of the parameters' gradients."""
        found, block = _beside(self.parameters, self.dtype)
        block[:] = self.gradient_block
        return found

    def final_state(self) -> dict[str, Array]:
        """Return the state after the last step, each (L, B, H)."""
        return {
            name: np.stack([layer.final(name) for layer in self.layers])
            for name in self.design.cell.plan.states
        }

    def initial_gradient(self) -> dict[str, Array]:
        """Return dL/d(initial state), each (L, B, H)."""
        names = self.design.cell.plan.states
        return {name: np.stack([layer.initial_gradient(name) for layer in self.layers]) for name in names}


def _beside(parameters: Mapping[str, Array], dtype: np.dtype[Any]) -> tuple[dict[str, Array], Array]:
    """Return arrays of the parameters' shapes that lie in one block, and the block."""
    starts, count = places(((name, p.size) for name, p in parameters.items()), dtype.itemsize)
    block = new_block(count, dtype)
    block[:] = 0
    return {
        name: block[starts[name] : starts[name] + p.size].reshape(p.shape) for name, p in parameters.items()
    }, block


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
