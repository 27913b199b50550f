"""The loss compiled with the output activation: against `Loss.value_and_gradient` and the activations of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import FUNCTIONS
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.training.call_list import STEP, Call, CallList, Control
from bptt.engine.compiled.training.loss_kernels import (
    CLASSES,
    PointwiseHead,
    cross_entropy_kernel,
    pointwise_kernel,
)
from bptt.engine.compiled.workspace import address
from bptt.losses import Absolute, CrossEntropy, HalfSquared, Huber, Pinball, Squared
from bptt.losses.pointwise import Pointwise

KINDS = {"float32": "float", "float64": "double"}
# A few roundings, over the largest entry.
TOLERANCE = {"float32": 1e-6, "float64": 2e-15}
M = 13


def wide(rows: Any, dtype: str, fill: float = 0.0) -> Any:
    """Return rows (M, K) with whole vectors behind each, filled."""
    count = lanes_of(KINDS[dtype], host()).count
    width = -(-rows.shape[1] // count) * count
    # One vector more than there has to be.
    made = np.full((len(rows), width + count), fill, dtype)
    made[:, : rows.shape[1]] = rows
    return made


def filled(slots: dict[str, int], values: dict[str, Any]) -> Any:
    arguments = np.zeros(len(slots), np.int64)
    for name, value in values.items():
        arguments[slots[name]] = address(value) if isinstance(value, np.ndarray) else value
    return arguments


def play(kernel: Any, arguments: Any, control: Control, at: int) -> None:
    control.array[STEP] = at
    CallList([Call(kernel, arguments)], control).play(1)


def close(found: Any, expected: Any, dtype: str, size: float | None = None) -> None:
    assert np.isfinite(found).all()
    size = float(np.abs(expected).max()) if size is None else size
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * size)


POINTWISE = (
    (Squared(), "tanh", True, 5),
    (HalfSquared(), "softplus", False, 1),
    (Absolute(), "identity", True, 3),
    (Huber(0.6), "sigmoid", False, 9),
    (Huber(0.6), "identity", True, 16),
    (Pinball((0.1, 0.7, 0.9)), "relu", False, 6),
    (Pinball((0.3,)), "tanh", True, 17),
)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize(("loss", "activation", "change", "K"), POINTWISE, ids=str)
def test_pointwise_losses_and_their_slopes(
    loss: Pointwise, activation: str, change: bool, K: int, dtype: str, rng: np.random.Generator
) -> None:
    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    sums, y, base = normal(M, K), normal(*loss.target_shape((M, K))), normal(M, K)
    scale = 0.75 if change else 1.0
    weights = rng.uniform(0.5, 2.0, M)
    weights[[2, 7]] = 0
    scales = loss.scales((M, K), weights).astype(dtype)
    # What does not count may be anything, in sums, targets and bases.
    given = {"sums": sums.copy(), "y": loss.beside_outputs(y).copy(), "base": base.copy()}
    for name, value in (("sums", np.nan), ("y", np.inf), ("base", np.nan)):
        given[name][2] = value
    arrays = {
        "sums": wide(given["sums"], dtype, np.nan), "y": wide(given["y"], dtype, np.nan),
        "base": wide(given["base"], dtype, np.nan), "scales": scales,
    }  # fmt: skip
    arrays["y_hat"] = np.zeros_like(arrays["sums"])
    head = PointwiseHead(activation, loss.formula, change)
    for name, values in zip(head.constants, loss.output_constants(K), strict=True):
        arrays[name] = wide(values[None], dtype)
    if change:
        arrays["change_scale"] = np.full(1, scale, dtype)
    else:
        del arrays["base"]
    control, losses = Control(), np.zeros(5)
    values = {"control": control.address, "M": M, "N": K, "ldc": arrays["sums"].shape[1], "losses": losses}
    before = arrays["sums"].copy()
    play(pointwise_kernel(head, KINDS[dtype]), filled(head.slots, {**arrays, **values}), control, at=3)

    function = FUNCTIONS[activation]
    activated = function(sums)
    y_hat = activated * scale + (base if change else 0)
    value, slope = loss.value_and_gradient(y_hat, y, weights)
    h = 1e-20j
    slope = slope * scale * (function(sums + h).imag / h.imag)
    close(losses[3], value, dtype, size=float(np.abs(y_hat).max()))
    assert list(losses[[0, 1, 2, 4]]) == [0] * 4
    counts = weights > 0
    close(arrays["y_hat"][counts, :K], y_hat[counts], dtype)
    close(arrays["sums"][:, :K], slope, dtype)
    np.testing.assert_array_equal(arrays["sums"][~counts], 0)
    np.testing.assert_array_equal(arrays["sums"][:, K:], 0)

    # Without room for predictions, in another step: the rest is the same to the bit.
    found, arrays["sums"] = arrays["sums"], before
    del arrays["y_hat"]
    play(pointwise_kernel(head, KINDS[dtype]), filled(head.slots, {**arrays, **values}), control, at=1)
    np.testing.assert_array_equal(arrays["sums"], found)
    assert losses[1] == losses[3]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("K", [2, 7, 8, 9, 33])
def test_cross_entropy_and_its_slopes(K: int, dtype: str, rng: np.random.Generator) -> None:
    sums = (5 * rng.standard_normal((M, K))).astype(np.float32).astype(np.float64)
    # Sizes whose exponential overflows, a tie, and a class that is out of the question.
    sums[0] += 700.0
    sums[1] -= 700.0
    sums[3, :2] = sums[3].max()
    sums[4, 0] -= 5000.0
    labels = rng.integers(K, size=M)
    labels[0], labels[5] = K - 1, 0
    weights = rng.uniform(0.5, 2.0, M)
    weights[[6, 11]] = 0
    scales = CrossEntropy().scales((M, K), weights)
    given = sums.copy()
    given[6], given[11, 0] = np.nan, np.inf
    arrays = {"sums": wide(given, dtype, np.nan), "labels": labels, "scales": scales.astype(dtype)}
    arrays["y_hat"] = np.zeros_like(arrays["sums"])
    arrays |= {"wholes": np.zeros(M, dtype), "chosen": np.zeros(M, dtype)}
    control, losses = Control(), np.zeros(4)
    values = {"control": control.address, "M": M, "N": K, "ldc": arrays["sums"].shape[1], "losses": losses}
    arguments = filled(CLASSES, {**arrays, **values})
    play(cross_entropy_kernel(KINDS[dtype]), arguments, control, at=1)

    value, slope = CrossEntropy().value_and_gradient(sums, labels, weights)
    # Float32 rounds the difference of two sums of this size.
    close(losses[1], value, dtype, size=max(abs(value), 20.0))
    assert list(losses[[0, 2, 3]]) == [0] * 3
    np.testing.assert_array_equal(arrays["y_hat"][:, :K], given.astype(dtype))
    close(arrays["sums"][:, :K], slope, dtype)
    width = -(-K // lanes_of(KINDS[dtype], host()).count) * lanes_of(KINDS[dtype], host()).count
    np.testing.assert_array_equal(arrays["sums"][[6, 11], :width], 0)
    np.testing.assert_array_equal(arrays["sums"][:, K:width], 0)
    # And nothing behind.
    assert np.isnan(arrays["sums"][:, width:]).all()


@pytest.mark.parametrize("spoiled", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 8])
def test_what_counts_and_is_not_finite_shows(spoiled: float, place: int, rng: np.random.Generator) -> None:
    K = 9
    sums = rng.standard_normal((M, K))
    sums[4, place] = spoiled
    control, losses = Control(), np.zeros(1)
    arrays = {
        "sums": wide(sums, "float64"), "labels": rng.integers(K, size=M), "scales": np.ones(M), "losses": losses
    }  # fmt: skip
    arrays["y_hat"] = np.zeros_like(arrays["sums"])
    arrays |= {"wholes": np.zeros(M), "chosen": np.zeros(M)}
    values = {"control": control.address, "M": M, "N": K, "ldc": arrays["sums"].shape[1]}
    play(cross_entropy_kernel("double"), filled(CLASSES, {**arrays, **values}), control, at=0)
    assert np.isnan(losses[0])


def test_the_loss_of_many_float32_outputs_is_added_in_double_precision(rng: np.random.Generator) -> None:
    count = 200_000
    y = rng.uniform(0.5, 1.5, (1, count)).astype(np.float32)
    arrays = {"sums": np.zeros_like(y), "y": y, "scales": np.ones(1, np.float32), "y_hat": np.zeros_like(y)}
    control, losses = Control(), np.zeros(1)
    head = PointwiseHead("identity", Squared().formula, False)
    values = {"control": control.address, "M": 1, "N": count, "ldc": count, "losses": losses}
    play(pointwise_kernel(head, "float"), filled(head.slots, {**arrays, **values}), control, at=0)
    np.testing.assert_allclose(losses[0], (y * y).sum(dtype=np.float64), rtol=1e-12, atol=0)
