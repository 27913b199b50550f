"""One long series as parallel stretches, read in order a chunk at a time: for truncated BPTT with carried state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from bptt.checks import check_number, check_whole
from bptt.data.examples.batch import Batch, Indices, check_indices
from bptt.data.examples.series import Series
from bptt.errors import DataError, InvalidInput


class Stretches(Series):
    """A series that is trained on from its beginning to its end, with a state that is carried along.

    Each segment is cut into chunks of `chunk` steps, its last one shorter, and the chunks are dealt out in order to
    `streams` rows: row s reads one stretch of the series, a chunk a training step. A row starts from the state that
    its last chunk ended with, as a constant: no gradient crosses that border. It starts anew, from zeros or the
    learned initial state, at the beginning of its stretch in each epoch and at the beginning of a segment. Nothing is
    shuffled.

    At step t of a chunk that begins at row r, ``x[t] = values[r + t, inputs]`` and
    ``y[t] = values[r + t + horizon, targets]``.

    Parameters
    ----------
    values : array_like (N, C)
        The series in the order of time, scaled, finite. What is needed of it is copied.
    inputs : sequence of int, optional
        Columns that the network sees; all of them by default.
    targets : sequence of int
        Columns to forecast.
    chunk : int
        New steps of each row between two updates, h'.
    streams : int
        Rows of each batch, S. More rows use the processor better and make fewer, less noisy updates.
    warmup : int
        Steps after each new start that do not count, below `chunk`.
    lookback : int
        Steps before each chunk that are read again, for the gradient alone: what happened at a step can then be traced
        back through at least so many steps, and without it, at the beginning of a chunk, through none. Memory and time
        of an update grow with ``lookback + chunk``.
    horizon : int
        Rows from a step to its target; 1 is the next row.
    segments : array_like of int, optional
        Rows where a new segment begins (after a gap, or the next series); no target lies in another segment. Segments
        of at most ``warmup + horizon`` rows are left out.
    dtype : {"float64", "float32"}
        Of `x` and `y` in a batch.

    Attributes
    ----------
    steps : int
        Batches an epoch: ``len(stretches) // streams``.

    Raises
    ------
    DataError
        Too few rows for one step that counts; entries that are not finite.
    InvalidInput, InvalidType
        Columns, segments, a warm-up or a number of streams out of range.

    Notes
    -----
    Example ``c * S + s`` is chunk c of row s. Where the chunks do not divide by S, the later rows have one less and
    sit out the last batch. What is read again, and what is read past the end of a chunk, has weight 0.

    References
    ----------
    Williams and Peng (1990), "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories": BPTT(h; h') with h' = `chunk` and h = `lookback` + `chunk`. There the states of the last h steps are
    kept as they were; here the steps that are read again are computed with the newest weights.
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        *,
        inputs: Sequence[int] | None = None,
        targets: Sequence[int],
        chunk: int,
        streams: int = 1,
        warmup: int = 0,
        lookback: int = 0,
        horizon: int = 1,
        segments: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike = "float64",
    ) -> None:
        super().__init__(values, inputs=inputs, targets=targets, segments=segments, dtype=dtype)
        self.chunk = check_whole("chunk", chunk)
        self.streams = check_whole("streams", streams)
        self.warmup = check_whole("warmup", warmup, least=0)
        if self.warmup >= self.chunk:
            raise InvalidInput(
                f"warmup must be below chunk = {self.chunk}. Got {warmup}: a first chunk would count nothing"
            )
        self.lookback = check_whole("lookback", lookback, least=0)
        self.horizon = check_whole("horizon", horizon)
        self._rows = range(len(self._given))
        self._cut()
        self._copy_columns()

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._chunks)

    def __len__(self) -> int:
        return int(self._chunks.size)

    def __repr__(self) -> str:
        return (
            f"Stretches({self.streams} streams of {self.steps} chunks, chunk={self.chunk}, warmup={self.warmup}, "
            f"lookback={self.lookback}, horizon={self.horizon}, inputs={self.inputs}, targets={self.targets}, "
            f"dtype={self.dtype.name})"
        )

    def batch(self, indices: npt.ArrayLike) -> Batch:
        """Return these chunks: x (B, T, D), y (B, T, K), weights (B, T) and which rows go on.

        T is at most ``lookback + chunk``.
        """
        firsts, again, lengths, within = self._of(indices)
        t = np.arange(max(1, int((again + lengths).max())))
        # Past the end of a chunk there is something to read, and it does not count.
        rows = np.minimum((firsts - again)[:, None] + t, self._rows.stop - 1 - self.horizon)
        new = t - again[:, None]
        counts = (new >= 0) & (new < lengths[:, None]) & ((within > 0)[:, None] | (new >= self.warmup))
        return Batch(
            self.x_rows[rows],
            self.targets_at(rows + self.horizon).astype(self.dtype),
            weights=None if bool(counts.all()) else counts.astype(self.dtype),
            # Where all there is before is read again, that begins with the initial state.
            carry=within * self.chunk > self.lookback,
            onward=None if not self.lookback else np.clip(self.chunk + again - self.lookback, 0, self.chunk),
        )

    def target_rows(self, indices: npt.ArrayLike) -> Indices:
        """Return the row of the series that each step of these chunks predicts (B, lookback + chunk).

        -1 where it is read again or lies past a chunk's end: each row of the series is there once.
        """
        firsts, again, lengths, _ = self._of(indices)
        new = np.arange(self.lookback + self.chunk) - again[:, None]
        return np.where((new >= 0) & (new < lengths[:, None]), firsts[:, None] + new + self.horizon, -1)

    def split_last(self, fraction: float) -> tuple[Self, Self]:
        """Return (training, validation): the last `fraction` of the rows validates.

        No row is in both parts. Validation starts anew, so give it a `warmup`. Both parts read the same memory; a part
        with fewer chunks than `streams` has as many streams as chunks.

        Raises
        ------
        DataError
            A part without a step that counts.
        """
        share = check_number("fraction", fraction, above=0.0, below=1.0)
        cut = self._rows.stop - max(1, round(share * len(self._rows)))
        return self._part(range(self._rows.start, cut)), self._part(range(cut, self._rows.stop))

    def _part(self, rows: range) -> Self:
        part = copy.copy(self)
        part._rows = rows
        part._cut(fewer=True)
        return part

    def _cut(self, *, fewer: bool = False) -> None:
        """Cut the segments into chunks and deal these out: `_chunks` (steps, S) holds their numbers, -1 for none."""
        inside = self.segments[(self.segments > self._rows.start) & (self.segments < self._rows.stop)]
        begins = np.concatenate([[self._rows.start], inside]).astype(np.intp)
        counted = np.diff(np.append(begins, self._rows.stop)) - self.horizon
        kept = counted > self.warmup
        if not kept.any():
            least = self.warmup + self.horizon + 1
            longest = max(0, int(counted.max()) + self.horizon)
            where = (
                f"{longest}" if begins.size == 1 else f"{longest} in the longest of {begins.size} segments"
            )
            raise DataError(
                f"rows must be at least warmup + horizon + 1 = {self.warmup} + {self.horizon} + 1 = {least} for one "
                f"step that counts. Got {where}: use more rows or a shorter warmup"
            )
        begins, counted = begins[kept], counted[kept]
        pieces = -(-counted // self.chunk)
        total = int(pieces.sum())
        if self.streams > total and not fewer:
            raise InvalidInput(
                f"streams must be at most the number of chunks = {total}. Got {self.streams}: use fewer streams or a "
                "shorter chunk"
            )
        self.streams = min(self.streams, total)
        # Number of each chunk within its segment.
        within = np.arange(total) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begun = np.repeat(begins, pieces)
        self._firsts = begun + within * self.chunk
        self._lengths = np.minimum(self.chunk, np.repeat(counted, pieces) - within * self.chunk)
        each, more = divmod(total, self.streams)
        share = each + (np.arange(self.streams) < more)
        first = np.cumsum(share) - share
        c = np.arange(int(share.max()))[:, None]
        self._chunks = np.where(c < share, first + c, -1)
        # Number of each chunk since its row started anew: at a segment's beginning or at that of the row's stretch.
        self._within = within - np.repeat(within[first], share) * (np.repeat(begun[first], share) == begun)

    def _of(self, indices: npt.ArrayLike) -> tuple[Indices, Indices, Indices, Indices]:
        """Return of each chunk: first new row, steps read again, new steps, number since the last new start.

        One that is not there has no steps.
        """
        chosen = self._chunks.reshape(-1)[check_indices(indices, len(self))]
        there = chosen >= 0
        within = np.where(there, self._within[chosen], 0)
        return (
            np.where(there, self._firsts[chosen], self._rows.start),
            np.minimum(within * self.chunk, self.lookback),
            np.where(there, self._lengths[chosen], 0),
            within,
        )
