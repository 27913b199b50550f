"""A dense layer's passes as calls on memory that stays."""

from __future__ import annotations

import numpy as np

from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.route import KINDS
from bptt.engine.compiled.training.call_list import Call
from bptt.engine.compiled.training.dense_kernels import DENSE, dense_kernels, dense_room
from bptt.engine.compiled.training.layer_calls import Rows
from bptt.engine.compiled.workspace import address, new_block
from bptt.engine.tape import Array


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
            "VK": padded(K, W.dtype) // lanes,
        }  # fmt: skip
        if b is not None:
            values["bias"] = address(b)
        if db is not None:
            values["dbias"] = address(db)
        for name, count in dense_room(K, N, lanes, target.panel).items():
            room = new_block(count, W.dtype)
            room[:] = 0
            self._kept.append(room)
            values[name] = address(room)
        for name, value in values.items():
            self._arguments[DENSE[name]] = value
        self._has_bias = db is not None

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
        return Call(self._kernels[name], self._arguments, self)
