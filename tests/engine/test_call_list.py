"""Lists of calls: order, steps, flags; and the kernels that gather and copy rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.engine.compiled.training.call_list import STEP, Call, CallList, Control
from bptt.engine.compiled.training.gather_kernels import GATHER, gather_kernel
from bptt.engine.compiled.training.row_kernels import COPY, row_kernels
from bptt.engine.compiled.training.update_kernels import UNUSUAL, NormKernel
from bptt.engine.compiled.workspace import address
from bptt.optim.norms import LANES, SAFE

KINDS = {"float32": "float", "float64": "double"}


def filled(slots: dict[str, int], **values: Any) -> Any:
    arguments = np.zeros(len(slots), np.int64)
    for name, value in values.items():
        arguments[slots[name]] = address(value) if isinstance(value, np.ndarray) else value
    return arguments


def copies(source: Any, target: Any) -> Call:
    """Copy one row."""
    arguments = filled(COPY, M=1, N=source.size, source=source, target=target)
    return Call(row_kernels("double")["copy_rows"], arguments, (source, target))


def test_calls_run_in_order_and_steps_are_counted(rng: np.random.Generator) -> None:
    a, b, c = rng.standard_normal((3, 5))
    first, second, third = a.copy(), b.copy(), c.copy()
    control = Control()
    # c <- b, b <- a, then a <- c: two numbers change places each step.
    calls = CallList([copies(b, c), copies(a, b), copies(c, a)], control)
    assert (calls.play(1), control.step) == (0, 1)
    np.testing.assert_array_equal([a, b, c], [second, first, second])
    assert (calls.play(4), control.step) == (0, 5)
    np.testing.assert_array_equal([a, b], [second, first])
    assert (calls.play(1), control.step) == (0, 6)
    np.testing.assert_array_equal([a, b], [first, second])
    assert not np.array_equal(first, third)


def test_no_calls_and_no_steps(rng: np.random.Generator) -> None:
    control = Control()
    assert (CallList([], control).play(3), control.step) == (0, 3)
    a, b = rng.standard_normal((2, 3))
    before = b.copy()
    assert (CallList([copies(a, b)], control).play(0), control.step) == (0, 3)
    np.testing.assert_array_equal(b, before)


def stopping(control: Control, losses: Any) -> Call:
    """Stop where the step's loss is not finite."""
    norms, table = np.zeros(len(losses)), np.zeros(1, np.int64)
    kernel = NormKernel(5, None, None, LANES, SAFE)
    arguments = filled(
        kernel.SLOTS, control=control.address, table=table, tensors=0, losses=losses, norms=norms
    )
    return Call(kernel.load("double"), arguments, (norms, table, losses))


def test_a_flag_ends_the_list_within_its_step_and_play_clears_it(rng: np.random.Generator) -> None:
    a, b, c = rng.standard_normal((3, 4))
    control, losses = Control(), np.zeros(9)
    losses[[2, 5]] = np.nan, np.inf
    calls = CallList([copies(a, b), stopping(control, losses), copies(a, c)], control)
    a[:] = 1
    assert (calls.play(2), control.step) == (0, 2)
    a[:] = 2
    # The call before has been made, the one behind not, and the step does not count.
    assert (calls.play(7), control.step, control.flag) == (UNUSUAL, 2, UNUSUAL)
    np.testing.assert_array_equal([b, c], [[2] * 4, [1] * 4])
    losses[2] = 0
    assert (calls.play(7), control.step) == (UNUSUAL, 5)
    losses[5] = 0
    assert (calls.play(3), control.step, control.flag) == (0, 8, 0)
    np.testing.assert_array_equal(c, [2] * 4)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("width", [1, 3, 8, 17])
def test_gathered_rows_are_those_of_the_step(width: int, dtype: str, rng: np.random.Generator) -> None:
    steps, B, T, rows = 4, 5, 3, 41
    source = rng.standard_normal((rows, width)).astype(dtype)
    starts = rng.permutation(rows - T)[:20].astype(np.int64)
    indices = rng.integers(20, size=(steps, B))
    # Time first, in rows with room behind them that must stay as it is.
    stride = width + 2
    target = np.full((T, B, stride), 7, dtype)
    control = Control()
    control.array[STEP] = 30
    arguments = filled(
        GATHER, control=control.address, indices=indices, first=30, starts=starts, source=source, width=width, T=T,
        B=B, end_row=B, target=target, target_t=B * stride, target_b=stride,
    )  # fmt: skip
    calls = CallList([Call(gather_kernel(KINDS[dtype]), arguments)], control)
    for k in range(steps):
        assert calls.play(1) == 0
        for b, index in enumerate(indices[k]):
            expected = source[starts[index] : starts[index] + T]
            np.testing.assert_array_equal(target[:, b, :width], expected)
    np.testing.assert_array_equal(target[:, :, width:], 7)


def test_labels_travel_as_doubles_with_every_bit(rng: np.random.Generator) -> None:
    # What looks like a NaN that signals, like -0.0, and like small numbers.
    labels = np.array([0x7FF0000000000001, -(2**63), 3, -100, 2**53 + 1, 0], np.int64)
    indices, starts = rng.permutation(6)[None], np.arange(6)
    target, control = np.zeros(6, np.int64), Control()
    arguments = filled(
        GATHER, control=control.address, indices=indices, starts=starts, source=labels, width=1, T=1, B=6, end_row=6,
        target=target, target_t=6, target_b=1,
    )  # fmt: skip
    CallList([Call(gather_kernel("double"), arguments)], control).play(1)
    np.testing.assert_array_equal(target, labels[indices[0]])


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("N", [1, 7, 8, 21])
def test_rows_copied_and_columns_picked(N: int, dtype: str, rng: np.random.Generator) -> None:
    M, lds, ldt = 6, N + 5, N + 3
    source = rng.standard_normal((M, lds)).astype(dtype)
    columns = rng.integers(lds, size=N)
    for name, expected in (("copy_rows", source[:, :N]), ("pick_columns", source[:, columns])):
        target = np.full((M, ldt), 7, dtype)
        arguments = filled(COPY, M=M, N=N, source=source, lds=lds, target=target, ldt=ldt, columns=columns)
        CallList([Call(row_kernels(KINDS[dtype])[name], arguments)], Control()).play(1)
        np.testing.assert_array_equal(target[:, :N], expected)
        np.testing.assert_array_equal(target[:, N:], 7)
