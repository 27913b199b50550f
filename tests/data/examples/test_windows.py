"""Windows against a plain loop, their border cases and their split in time."""

from itertools import pairwise

import numpy as np
import pytest

from bptt.data import Source, Windows
from bptt.errors import DataError, InvalidInput, InvalidType


def naive(values, inputs, targets, length, horizon, segments):
    """Return every (start, x, y) by the definition, one row at a time."""
    bounds = [*segments, len(values)]
    found = []
    for first, stop in pairwise(bounds):
        for start in range(first, stop):
            target = start + length - 1 + horizon
            if target < stop:
                x = [[values[start + t][d] for d in inputs] for t in range(length)]
                found.append((start, x, [values[target][k] for k in targets]))
    return found


CASES = [
    # rows, columns, inputs, targets, length, horizon, segments
    (29, 5, [3, 0, 4], [1, 2], 7, 3, [0]),
    (29, 5, [0], [0], 1, 1, [0]),
    (8, 3, [2, 1], [0], 7, 1, [0]),
    (31, 4, [1, 1, 3], [3], 5, 2, [0, 6, 19, 21]),
    (40, 2, [0, 1], [1, 0, 1], 3, 11, [0, 14]),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("rows", "columns", "inputs", "targets", "length", "horizon", "segments"), CASES)
def test_windows_agree_with_a_plain_loop(
    rng, rows, columns, inputs, targets, length, horizon, segments, dtype
):
    values = rng.normal(size=(rows, columns))
    windows = Windows(
        values, inputs=inputs, targets=targets, length=length, horizon=horizon, segments=segments, dtype=dtype
    )
    wanted = naive(values.tolist(), inputs, targets, length, horizon, segments)
    assert isinstance(windows, Source)
    assert windows.starts.tolist() == [start for start, _, _ in wanted]
    assert len(windows) == len(wanted)
    order = rng.integers(len(wanted), size=len(wanted) + 3)  # any order, with repeats
    batch = windows.batch(order)
    assert len(batch) == order.size
    assert batch.x.shape == (order.size, length, len(inputs))
    assert (batch.x.dtype, batch.y.dtype) == (np.dtype(dtype), np.dtype(dtype))
    assert np.array_equal(batch.x, np.array([wanted[i][1] for i in order]).astype(dtype))
    assert np.array_equal(batch.y, np.array([wanted[i][2] for i in order]).astype(dtype))
    assert batch.lengths is None
    assert batch.weights is None
    assert np.array_equal(windows.y, [y for _, _, y in wanted])
    assert windows.target_rows.tolist() == [start + length - 1 + horizon for start, _, _ in wanted]


def test_random_configurations_agree_with_a_plain_loop(rng):
    for _ in range(60):
        rows, columns = int(rng.integers(2, 60)), int(rng.integers(1, 6))
        length, horizon = int(rng.integers(1, 12)), int(rng.integers(1, 6))
        inputs = rng.integers(columns, size=rng.integers(1, 5)).tolist()
        targets = rng.integers(columns, size=rng.integers(1, 4)).tolist()
        segments = sorted({0, *rng.integers(rows, size=rng.integers(0, 4)).tolist()})
        values = rng.normal(size=(rows, columns))
        wanted = naive(values.tolist(), inputs, targets, length, horizon, segments)
        options = {"inputs": inputs, "targets": targets, "length": length, "horizon": horizon}
        if not wanted:
            with pytest.raises(DataError, match=r"^rows must be at least length \+ horizon"):
                Windows(values, segments=segments, **options)
            continue
        windows = Windows(values, segments=segments, **options)
        batch = windows.batch(np.arange(len(windows)))
        assert np.array_equal(batch.x, [x for _, x, _ in wanted])
        assert np.array_equal(batch.y, [y for _, _, y in wanted])


def test_all_columns_are_inputs_by_default(rng):
    values = rng.normal(size=(12, 3))
    assert Windows(values, targets=[1], length=4).inputs == (0, 1, 2)


def test_strided_and_read_only_values_are_taken_and_left_unchanged(rng):
    base = rng.normal(size=(40, 6))
    values = base[::2, ::-1]
    values.flags.writeable = False
    before = values.copy()
    windows = Windows(values, inputs=[4, 1], targets=[2], length=5)
    batch = windows.batch([3])
    assert np.array_equal(batch.x[0], before[3:8, [4, 1]])
    batch.x[:] = 0.0  # a batch is a copy
    assert np.array_equal(values, before)
    assert np.array_equal(windows.batch([3]).x[0], before[3:8, [4, 1]])
    assert base.flags.writeable


def test_windows_are_not_copied_out(rng):
    values = rng.normal(size=(5_000, 4))
    windows = Windows(values, targets=[0], length=500)
    assert windows.values.base is values
    assert windows._blocks.shape == (4_501, 2_000)
    assert windows._blocks.strides == (4 * 8, 8)  # overlapping views of one copy of the series


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("inputs", [[0, 1, 2, 3], [3, 2]])
def test_the_targets_of_all_rows_are_those_of_batches(rng, inputs, dtype):
    values = rng.normal(size=(40, 4))
    windows = Windows(values, inputs=inputs, targets=[2, 0], length=5, horizon=2, dtype=dtype)
    for wanted in ("float64", "float32"):
        found = windows.target_columns(wanted)
        assert found.dtype == np.dtype(wanted)
        assert found.flags.c_contiguous
        batch = windows.batch(np.arange(len(windows)))
        assert np.array_equal(found[windows.target_rows], batch.y.astype(wanted))
    assert np.array_equal(windows.target_columns("float64"), values[:, [2, 0]].astype(dtype))


def test_given_starts_are_kept(rng):
    values = rng.normal(size=(30, 2))
    windows = Windows(values, targets=[1], length=6, starts=[0, 7, 24 - 1])
    assert len(windows) == 3
    assert np.array_equal(windows.batch([1]).x[0], values[7:13])
    assert np.array_equal(windows.y[:, 0], values[[6, 13, 29], 1])


def test_before_target_reads_what_is_known(rng):
    values = rng.normal(size=(40, 3))
    windows = Windows(values, targets=[2, 0], length=6, horizon=2, segments=[0, 17])
    rows = windows.target_rows
    for back in (2, 5, 7):
        assert np.array_equal(windows.before_target(back), values[rows - back][:, [2, 0]])
    with pytest.raises(InvalidInput) as caught:
        windows.before_target(1)
    assert str(caught.value) == "rows must be at least horizon = 2. Got 1: that value is not known yet"
    with pytest.raises(DataError) as caught:
        windows.before_target(8)
    assert str(caught.value) == (
        f"each target must have 8 rows before it in its segment. Got 2 examples of {len(windows)} without, "
        "the first is "
        "example 0: use longer windows or later starts"
    )


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.77])
@pytest.mark.parametrize("segments", [[0], [0, 50, 90]])
def test_the_split_shares_no_row_between_the_parts(rng, fraction, segments):
    windows = Windows(
        rng.normal(size=(200, 2)), targets=[0], length=7, horizon=3, segments=segments, dtype="float32"
    )
    training, validation = windows.split_last(fraction)
    assert len(validation) == round(fraction * len(windows))
    assert np.array_equal(validation.starts, windows.starts[-len(validation) :])
    used = {row for start in training.starts for row in range(start, start + 7 + 3)}
    read = {row for start in validation.starts for row in range(start, start + 7 + 3)}
    assert not used & read
    between = windows.starts[(windows.starts > training.starts[-1]) & (windows.starts < validation.starts[0])]
    assert between.size <= 7 + 3 - 1  # and no more is lost than has to be
    if between.size:
        assert between[0] + 7 + 3 > validation.starts[0]
    for part in (training, validation):
        assert (part.length, part.horizon, part.dtype) == (7, 3, np.dtype("float32"))
        assert part.values.base is windows.values.base


def test_a_split_that_leaves_nothing_to_train_on(rng):
    windows = Windows(rng.normal(size=(12, 1)), targets=[0], length=5)
    with pytest.raises(DataError) as caught:
        windows.split_last(0.5)
    assert str(caught.value) == (
        "fraction = 0.5 of 7 examples must leave one that ends before row 3, where validation begins; an "
        "example covers 6 "
        "rows. Got none: use more rows, a shorter length or a smaller fraction"
    )
    with pytest.raises(InvalidInput, match=r"^fraction must be above 0. Got 0.0$"):
        windows.split_last(0.0)


def said(kind, values, **options):
    with pytest.raises(kind) as caught:
        Windows(values, **({"targets": [0], "length": 4} | options))
    return str(caught.value)


def test_too_few_rows():
    assert said(DataError, np.zeros((24, 2)), length=24) == (
        "rows must be at least length + horizon = 24 + 1 = 25 for one example. Got 24: use more rows or a "
        "shorter length"
    )
    assert said(DataError, np.zeros((30, 2)), length=9, horizon=3, segments=[10, 19]) == (
        "rows must be at least length + horizon = 9 + 3 = 12 for one example. Got 11 in the longest of 3 segments: use "
        "more rows or a shorter length"
    )


def test_values_must_be_finite_numbers():
    values = np.zeros((9, 2))
    values[5, 1] = values[6, 0] = np.nan
    assert said(DataError, values) == (
        "values must be finite. Got nan in row 5, column 1, and 2 such entries in all: fill or drop them first"
    )
    assert (
        said(InvalidType, np.zeros((9, 2), complex)) == "values must hold real numbers. Got dtype complex128"
    )
    assert said(InvalidType, [["x"]]).startswith("values must hold numbers. Got dtype")
    assert said(InvalidInput, np.zeros(9)) == "values must have shape (N, C) = (*, *). Got (9,)"


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (InvalidInput, {"targets": [2]}, "targets must lie in 0..C-1 = 0..1. Got 2: values has 2 columns"),
        (InvalidInput, {"inputs": [0, -1]}, "inputs must lie in 0..C-1 = 0..1. Got -1: values has 2 columns"),
        (InvalidInput, {"targets": []}, "targets must be a sequence of at least one column number. Got []"),
        (InvalidInput, {"targets": 0}, "targets must be a sequence of at least one column number. Got 0"),
        (InvalidType, {"targets": ["a"]}, "targets must be column numbers. Got ['a']"),
        (InvalidInput, {"length": 0}, "length must be at least 1. Got 0"),
        (InvalidInput, {"horizon": 0}, "horizon must be at least 1. Got 0"),
        (InvalidInput, {"dtype": "float16"}, "dtype must be one of float32, float64. Got 'float16'"),
        (InvalidInput, {"segments": [9]}, "segments must lie in 0..N-1 = 0..8. Got 9: values has 9 rows"),
        (InvalidInput, {"segments": [-2]}, "segments must lie in 0..N-1 = 0..8. Got -2: values has 9 rows"),
        (
            InvalidType,
            {"segments": [0.5]},
            "segments must be the row numbers where a segment begins. Got [0.5]",
        ),
        (InvalidType, {"starts": []}, "starts must be at least one row number. Got []"),
        (
            InvalidInput,
            {"starts": [0, 5]},
            "starts must leave room for 5 rows in one segment, within 0..4. Got 5",
        ),
        (
            InvalidInput,
            {"starts": [2, 1]},
            "starts must increase strictly: examples are kept in the order of time, draw them in any other by index",
        ),
    ],
)
def test_what_windows_need(kind, options, told):
    assert said(kind, np.zeros((9, 2)), **options) == told


@pytest.mark.parametrize(
    ("indices", "kind", "told"),
    [
        ([0, 5], InvalidInput, "indices must lie in 0..len-1 = 0..4. Got 5: the source has 5 examples"),
        ([0, -1], InvalidInput, "indices must lie in 0..len-1 = 0..4. Got -1: the source has 5 examples"),
        ([], InvalidType, "indices must be whole numbers. Got dtype float64"),
        (np.zeros(0, int), InvalidInput, "indices must have shape (B,) with B of at least 1. Got (0,)"),
        (3, InvalidInput, "indices must have shape (B,) with B of at least 1. Got ()"),
        ([True, False], InvalidType, "indices must be whole numbers. Got dtype bool"),
    ],
)
def test_what_a_batch_needs(indices, kind, told):
    windows = Windows(np.zeros((9, 2)), targets=[0], length=4)
    with pytest.raises(kind) as caught:
        windows.batch(indices)
    assert str(caught.value) == told


def test_the_text_of_windows_names_its_sizes():
    assert repr(Windows(np.zeros((9, 2)), targets=[0], length=4)) == (
        "Windows(5 examples, length=4, horizon=1, inputs=(0, 1), targets=(0,), dtype=float64)"
    )
