"""A dense layer's passes as calls on memory that stays."""

from __future__ import annotations

from functools import partial

import numpy as np

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.machine_code import kernel_address
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.route import KINDS, WORTH
from bptt.engine.compiled.threads.team import Phase
from bptt.engine.compiled.training.call_list import Call
from bptt.engine.compiled.training.dense_kernels import DENSE, FEW, OWN, dense_kernels, dense_room
from bptt.engine.compiled.training.layer_calls import Rows
from bptt.engine.compiled.workspace import address, new_block
from bptt.engine.tape import Array

# Of each kernel: the slot of its range, and how many pieces each thread gets. Each piece packs its operand anew.
_RANGES = {
    "dense_forward": ("first_row", 2),
    "dense_weights": ("first_input", 1),
    "dense_bias": ("first_vector", 1),
    "dense_input": ("first_row", 2),
}


def padded(numbers: int, dtype: np.dtype[np.generic]) -> int:
    """Return `numbers` rounded up to whole vectors of this machine."""
    lanes = lanes_of(KINDS[dtype], host()).count
    return -(-numbers // lanes) * lanes


class DenseCalls:
    """y = A W + b over rows, and its gradients.

    Parameters
    ----------
    A : Rows
        Inputs, K numbers a row.
    W, dW : ndarray (K, N)
        Live, C-contiguous.
    b, db : ndarray (N,) or None
        Without a bias the products are added to what is in `y`; without `db` its gradient is left out.
    y : Rows
        Padded rows: results, and in the sweep back their gradient.
    """

    def __init__(
        self, A: Rows, W: Array, dW: Array, y: Rows, b: Array | None = None, db: Array | None = None
    ) -> None:
        K, N = W.shape
        kind, target = KINDS[W.dtype], host()
        lanes = lanes_of(kind, target).count
        self._kernels = dense_kernels(kind)
        self._kept: list[object] = [W, dW, b, db]
        self._arguments = np.zeros(len(DENSE), np.int64)
        values = {
            "M": y.count, "K": K, "N": N, "VN": padded(N, W.dtype) // lanes, "ldc": y.stride,
            "A": A.address, "lda": A.stride, "C": y.address, "W": address(W), "dW": address(dW),
            "VK": padded(K, W.dtype) // lanes, "end_row": y.count, "end_input": K,
            "end_vector": padded(N, W.dtype) // lanes,
        }  # fmt: skip
        if b is not None:
            values["bias"] = address(b)
        if db is not None:
            values["dbias"] = address(db)
        self._room, self._dtype = dense_room(K, N, lanes, target.panel), W.dtype
        for name, count in self._room.items():
            values[name] = self._new_room(count)
        for name, value in values.items():
            self._arguments[DENSE[name]] = value
        self._has_bias = db is not None
        # Register tiles stay whole, so that no sum depends on where work is cut.
        tall, worth = target.heights[0], N > FEW and 2 * y.count * K * N >= WORTH * lanes
        self._cuts = {
            "dense_forward": (tall, y.count), "dense_input": (tall, y.count), "dense_weights": (tall, K),
            "dense_bias": (1, values["VN"]),
        }  # fmt: skip
        self._most = {name: -(-end // step) if worth else 1 for name, (step, end) in self._cuts.items()}
        self._table = self._arguments[None]

    def forward(self) -> Call:
        """Compute y = A W + b."""
        return self._call("dense_forward")

    def parameter_gradients(self) -> list[Call]:
        """Write dW, and db where there is a bias."""
        return [self._call(name) for name in ("dense_weights", *(("dense_bias",) if self._has_bias else ()))]

    def input_gradient(self, dA: Rows) -> Call:
        """Write dA, padding included: rows of whole vectors."""
        self._arguments[DENSE["dA"]] = dA.address
        self._arguments[DENSE["ldda"]] = dA.stride
        return self._call("dense_input")

    def _call(self, name: str) -> Call:
        return Call(self._kernels[name], self._arguments, self, self._most[name], partial(self._share, name))

    def _share(self, name: str, members: int) -> list[Phase]:
        kernel = kernel_address(self._kernels[name])
        if self._most[name] == 1:
            return [Phase(kernel, address(self._arguments))]
        if len(self._table) != members:
            self._table = np.repeat(self._arguments[None], members, axis=0)
            for k in range(1, members):
                for own in OWN:
                    self._table[k, DENSE[own]] = self._new_room(self._room[own])
        slot, pieces = _RANGES[name]
        step, end = self._cuts[name]
        step *= -(-end // (step * pieces * members))
        return [Phase(kernel, address(self._table), self._table.strides[0], DENSE[slot], step, end)]

    def _new_room(self, count: int) -> int:
        room = new_block(count, self._dtype)
        room[:] = 0
        self._kept.append(room)
        return address(room)
