"""Stretches against a plain loop: which rows are read when, what counts, who goes on and who starts anew."""

from itertools import pairwise

import numpy as np
import pytest

from bptt.data import Sequences, Source, Streams, Stretches, Windows
from bptt.errors import DataError, InvalidInput, InvalidType


def naive(rows, chunk, streams, warmup, horizon, segments, lookback=0):
    """Return what each row of the batch reads: its chunks as (rows, whether each counts, carry, onward)."""
    chunks = []
    for first, stop in pairwise([*segments, rows]):
        steps = [row for row in range(first, stop) if row + horizon < stop]
        if len(steps) <= warmup:
            continue
        chunks += [(steps[k : k + chunk], k == 0) for k in range(0, len(steps), chunk)]
    each, more = divmod(len(chunks), streams)
    dealt = []
    for s in range(streams):
        own = [chunks.pop(0) for _ in range(each + (s < more))]
        row, before = [], []
        for k, (steps, begins) in enumerate(own):
            if k == 0 or begins:
                before = []
            again = before[max(0, len(before) - lookback) :]
            counts = [False] * len(again) + [bool(before) or t >= warmup for t in range(len(steps))]
            start = len(before) - len(again)
            next_start = max(0, len(before) + chunk - lookback)
            row.append((again + steps, counts, start > 0, next_start - start))
            before = before + steps
        dealt.append(row)
    return dealt


def shifted(dealt, by):
    return [[([row + by for row in steps], *rest) for steps, *rest in own] for own in dealt]


def check(stretches, values, inputs, targets, dealt):
    """Compare every batch with the plain lists."""
    S = stretches.streams
    assert stretches.steps == len(dealt[0]) == max(len(own) for own in dealt)
    assert len(stretches) == S * stretches.steps
    horizon, longest = stretches.horizon, stretches.lookback + stretches.chunk
    for c in range(stretches.steps):
        batch = stretches.batch(np.arange(c * S, (c + 1) * S))
        rows = stretches.target_rows(np.arange(c * S, (c + 1) * S))
        there = [own[c] if c < len(own) else ([], [], False, 0) for own in dealt]
        T = max(len(steps) for steps, *_ in there)
        assert batch.x.shape == (S, T, len(inputs))
        assert batch.y.shape == (S, T, len(targets))
        assert rows.shape == (S, longest)
        assert batch.lengths is None
        assert batch.carry.tolist() == [carry for *_, carry, _ in there]
        assert (batch.onward is None) == (stretches.lookback == 0)
        weights = np.ones((S, T)) if batch.weights is None else batch.weights
        assert weights.any()
        for s, (steps, counts, _, onward) in enumerate(there):
            if batch.onward is not None and steps:
                assert batch.onward[s] == onward
            assert weights[s].tolist() == [float(each) for each in counts] + [0.0] * (T - len(steps))
            for t, row in enumerate(steps):
                assert np.array_equal(batch.x[s, t], values[row, inputs].astype(stretches.dtype))
                assert np.array_equal(batch.y[s, t], values[row + horizon, targets].astype(stretches.dtype))
                assert rows[s, t] in (row + horizon, -1)
            assert (rows[s, len(steps) :] == -1).all()
        assert np.isfinite(batch.x).all()
        assert {batch.x.dtype, batch.y.dtype} == {stretches.dtype}


def test_stretches_agree_with_a_plain_loop(rng):
    tried = 0
    while tried < 150:
        columns = int(rng.integers(1, 5))
        chunk, horizon = int(rng.integers(1, 12)), int(rng.integers(1, 5))
        warmup, streams = int(rng.integers(chunk)), int(rng.integers(1, 6))
        lookback = int(rng.integers(15)) * int(rng.integers(2))
        rows = int(rng.integers(horizon + warmup + 1, 90))
        inputs = rng.integers(columns, size=rng.integers(1, 5)).tolist()
        targets = rng.integers(columns, size=rng.integers(1, 4)).tolist()
        segments = sorted({0, *rng.integers(rows, size=rng.integers(0, 5)).tolist()})
        dtype = ("float32", "float64")[int(rng.integers(2))]
        values = rng.normal(size=(rows, columns))
        options = {
            "inputs": inputs, "targets": targets, "chunk": chunk, "streams": streams, "warmup": warmup,
            "horizon": horizon, "segments": segments, "dtype": dtype, "lookback": lookback,
        }  # fmt: skip
        pieces = [
            -(-(b - a - horizon) // chunk) for a, b in pairwise([*segments, rows]) if b - a - horizon > warmup
        ]
        if not pieces:
            with pytest.raises(DataError, match=r"^rows must be at least warmup \+ horizon \+ 1"):
                Stretches(values, **options)
            continue
        if sum(pieces) < streams:
            with pytest.raises(InvalidInput, match=rf"^streams must be at most .* = {sum(pieces)}\."):
                Stretches(values, **options)
            continue
        stretches = Stretches(values, **options)
        assert isinstance(stretches, Source)
        assert isinstance(stretches, Streams)
        check(
            stretches,
            values,
            inputs,
            targets,
            naive(rows, chunk, streams, warmup, horizon, segments, lookback),
        )
        tried += 1


@pytest.mark.parametrize("lookback", [0, 3, 20])
def test_every_step_with_a_target_is_predicted_once(rng, lookback):
    stretches = Stretches(
        rng.normal(size=(101, 2)), targets=[1], chunk=7, streams=4, lookback=lookback, horizon=3,
        segments=[0, 40, 42, 43],
    )  # fmt: skip
    rows = stretches.target_rows(np.arange(len(stretches)))
    assert sorted(rows[rows >= 0]) == [*range(3, 40), *range(46, 101)]


def test_one_chunk_can_be_the_whole_series(rng):
    values = rng.normal(size=(50, 3))
    stretches = Stretches(values, targets=[0], chunk=49)
    batch = stretches.batch([0])
    assert len(stretches) == 1
    assert batch.weights is None
    assert not batch.carry.any()
    assert np.array_equal(batch.x[0], values[:-1])
    assert np.array_equal(batch.y[0], values[1:, :1])


@pytest.mark.parametrize("segments", [[0], [0, 61, 140, 150, 182]])
def test_the_split_shares_no_row_between_the_parts(rng, segments):
    values = rng.normal(size=(200, 3))
    options = {"targets": [2], "chunk": 6, "streams": 5, "warmup": 2, "horizon": 3}
    stretches = Stretches(values, segments=segments, **options)
    training, validation = stretches.split_last(0.21)
    check(training, values, [0, 1, 2], [2], naive(158, 6, 5, 2, 3, [s for s in segments if s < 158]))
    own = naive(42, 6, 5, 2, 3, [0, *(s - 158 for s in segments if s > 158)])
    check(validation, values, [0, 1, 2], [2], shifted(own, 158))
    assert validation.x_rows is training.x_rows
    again, _ = training.split_last(0.5)
    check(again, values, [0, 1, 2], [2], naive(79, 6, 5, 2, 3, [s for s in segments if s < 79]))
    # Too short for five streams.
    _, short = stretches.split_last(0.05)
    check(short, values, [0, 1, 2], [2], shifted(naive(10, 6, 2, 2, 3, [0]), 190))


def test_what_stretches_need():
    def said(kind, rows=20, **options):
        with pytest.raises(kind) as caught:
            Stretches(np.zeros((rows, 2)), **({"targets": [0], "chunk": 8} | options))
        return str(caught.value)

    assert (
        said(InvalidInput, warmup=8)
        == "warmup must be below chunk = 8. Got 8: a first chunk would count nothing"
    )
    assert said(InvalidInput, chunk=0) == "chunk must be at least 1. Got 0"
    assert said(InvalidType, streams=2.0) == "streams must be a whole number. Got 2.0"
    assert said(InvalidInput, lookback=-1) == "lookback must be at least 0. Got -1"
    assert said(InvalidInput, horizon=0) == "horizon must be at least 1. Got 0"
    assert said(InvalidInput, streams=4) == (
        "streams must be at most the number of chunks = 3. Got 4: use fewer streams or a shorter chunk"
    )
    assert said(DataError, rows=6, warmup=3, horizon=3) == (
        "rows must be at least warmup + horizon + 1 = 3 + 3 + 1 = 7 for one step that counts. Got 6: use more rows or "
        "a shorter warmup"
    )
    assert said(DataError, rows=19, warmup=6, horizon=2, segments=[0, 8, 15]) == (
        "rows must be at least warmup + horizon + 1 = 6 + 2 + 1 = 9 for one step that counts. Got 8 in the longest of "
        "3 segments: use more rows or a shorter warmup"
    )
    assert said(InvalidInput, targets=[2]) == (
        "targets must lie in 0..C-1 = 0..1. Got 2: values has 2 columns"
    )
    with pytest.raises(InvalidInput, match="the source has 3 examples"):
        Stretches(np.zeros((20, 2)), targets=[0], chunk=8).batch([3])
    with pytest.raises(InvalidInput, match=r"^fraction must be below 1. Got 1.0$"):
        Stretches(np.zeros((20, 2)), targets=[0], chunk=8).split_last(1.0)
    with pytest.raises(DataError, match=r"^rows must be at least warmup"):
        Stretches(np.zeros((20, 2)), targets=[0], chunk=8).split_last(0.99)


def test_the_text_of_stretches_names_its_sizes():
    assert repr(Stretches(np.zeros((20, 2)), targets=[0], chunk=4, streams=2, warmup=3)) == (
        "Stretches(2 streams of 3 chunks, chunk=4, warmup=3, lookback=0, "
        "horizon=1, inputs=(0, 1), targets=(0,), dtype=float64)"
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("inputs", [None, [2, 0]])
@pytest.mark.parametrize("given", ["C", "F", "float32", "int", "list"])
def test_the_series_is_copied_so_that_a_later_change_changes_no_example(rng, dtype, inputs, given):
    values = np.round(rng.normal(size=(60, 3)) * 100)
    values = {
        "C": values.copy, "F": lambda: values.copy("F"), "float32": lambda: values.astype("float32"),
        "int": lambda: values.astype(int), "list": values.tolist,
    }[given]()  # fmt: skip
    options = {"inputs": inputs, "targets": [1, 0], "dtype": dtype}
    sources = [
        Windows(values, length=5, **options),
        Sequences(values, length=7, horizon=2, **options),
        Stretches(values, chunk=9, streams=2, **options),
    ]
    chosen = [3, 0, 2, 1]
    before = [source.batch(chosen) for source in sources]
    y, last = sources[0].y, sources[0].before_target(2)
    if given == "list":
        values[:] = [[0, 0, 0]] * 60
    else:
        values[:] = 0
    for source, kept in zip(sources, before, strict=True):
        found = source.batch(chosen)
        assert np.array_equal(found.x, kept.x)
        assert np.array_equal(found.y, kept.y)
        assert kept.y.any()
        with pytest.raises(ValueError, match="read-only"):
            source.x_rows[0, 0] = 1.0
    assert np.array_equal(sources[0].y, y)
    assert np.array_equal(sources[0].before_target(2), last)
    assert y.dtype == last.dtype == np.float64
