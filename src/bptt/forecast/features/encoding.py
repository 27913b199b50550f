"""From a line of a panel to the numbers that a network reads, with statistics of the training rows only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bptt.cached import cached_property
from bptt.checks import Array
from bptt.errors import DataError
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.panel import Line
from bptt.forecast.pieces import after

# Beyond so many deviations an input grows only as its logarithm: one broken sensor reading must not fill the state.
_SOFT = 5.0
# Segments that a horizon is cut into at most.
_MOST_SEGMENTS = 48


@dataclass(frozen=True, eq=False)
class Encoding:
    """What is known of the data once the training rows were seen.

    Attributes
    ----------
    horizon : int
        K, rows ahead that are forecast.
    calendar : Calendar
    step : timedelta64
    transform : str or None
        "log1p"; "nonnegative", where only what is said is kept from falling below 0; or none.
    anchor : str
        "last" or "season".
    period : int
        Rows of a season.
    window, past_window : int
        Newest rows of target and past columns in the linear path.
    age : bool
        Whether the rows since the target was last seen are an input.
    past, future, static : tuple of str
        Names of the columns.
    ahead : tuple of int
        How many rows ahead the columns known ahead are read, each step.
    ids : tuple of str
        Of the series that were trained on.
    centres, scales : ndarray float64 (S,)
        Mean and deviation of each one's (transformed) target.
    means, deviations : ndarray float64 (P + Q + R,)
        Of past, future and static columns.
    change : ndarray float64 (1 + P,)
        Deviation of the change from row to row, of the scaled target and past columns.
    target : ndarray float64 (K,)
        Deviation of the scaled target from its anchor, by horizon.
    level : str
        What the newest value is read as: "own", or "window", its distance from the mean of the newest `window` values.
    head : {"direct", "recursive", "segments"}
        Whether all K rows come from the last state; one, which is then fed back; or a segment of them after another,
        from a state that goes on.
    groups : tuple of int
        Of each series that was trained on the group that it belongs to, from 1; 0 for none. Empty where there is
        only one closed form for all.
    parts : int
        Closed forms that stand beside each other: that of all series, for new ones, and one for each group.
    """

    horizon: int
    calendar: Calendar
    step: np.timedelta64
    transform: str | None
    anchor: str
    period: int
    window: int
    past_window: int
    age: bool
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    ahead: tuple[int, ...]
    ids: tuple[str, ...]
    centres: Array
    scales: Array
    means: Array
    deviations: Array
    change: Array
    target: Array
    level: str = "own"
    head: str = "direct"
    groups: tuple[int, ...] = ()
    parts: int = 1

    @property
    def outputs(self) -> int:
        """Values that one readout says: K, of a recursive head 1, of segments the rows of one."""
        return {"direct": self.horizon, "recursive": 1, "segments": self.segment}[self.head]

    @property
    def segment(self) -> int:
        """Rows of a segment: a season, or a quarter of a horizon that is shorter than two; 48 segments at most."""
        K = self.horizon
        usual = self.period if self.period > 1 and 2 * self.period <= K else -(-K // 4)
        return max(usual, -(-K // _MOST_SEGMENTS))

    @property
    def segments(self) -> int:
        """Segments of the horizon; the last may reach beyond it."""
        return -(-self.horizon // self.segment)

    @property
    def inputs(self) -> int:
        """Columns that a network reads, D."""
        return (
            2 + 2 * len(self.past) + self.age + self.calendar.features + len(self.future) * len(self.ahead)
            + len(self.static)
        )  # fmt: skip

    @property
    def reach(self) -> int:
        """Rows before a row that its window, anchor and unrest may read."""
        return max(self.window, self.past_window, self.period + 1, 25)

    def scale_of(self, line: Line) -> tuple[float, float]:
        """Return centre and scale of a line's target: those of training, or of its own rows if it is a new one."""
        k = self._places.get(line.id)
        if k is not None:
            return float(self.centres[k]), float(self.scales[k])
        return measure(forward(line.y, self.transform))

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each line stands among those of training; the first one of a name."""
        return {name: len(self.ids) - 1 - k for k, name in enumerate(reversed(self.ids))}

    def part_of(self, line: Line) -> int:
        """Return which closed form is a line's own: that of its group, or that of all for a new one."""
        return self.groups[self._places[line.id]] if self.groups and line.id in self._places else 0

    def alone(self, line: Line) -> Encoding:
        """Return the encoding of a line whose scale and group stay as they are, whatever its rows become."""
        centre, scale = self.scale_of(line)
        groups = (self.part_of(line),) if self.groups else ()
        return replace(
            self, ids=(line.id,), centres=np.array([centre]), scales=np.array([scale]), groups=groups
        )

    def anchors(self) -> Array:
        """Return how many rows before a row the anchor of each horizon lies, int (K,)."""
        k = np.arange(1, self.horizon + 1)
        return np.zeros(self.horizon, np.int64) if self.anchor == "last" else -k % self.period


@dataclass(frozen=True, eq=False)
class Memory:
    """What the rows before leave behind: the next rows are encoded as if all stood together.

    Attributes
    ----------
    z : ndarray float64 (M,)
        The newest values of the scaled target, gaps filled.
    p : ndarray float64 (M, P)
    age : float
        Rows since the target was last seen.
    centre, scale : float
        Of the line's target: those of a new series are measured once, on the rows that came first.
    """

    z: Array
    p: Array
    age: float
    centre: float
    scale: float


@dataclass(frozen=True, eq=False)
class Encoded:
    """A line as the model reads it.

    Attributes
    ----------
    x : ndarray float64 (T, D)
        Inputs of the network.
    z : ndarray float64 (M + T,)
        The scaled target, gaps filled with the last value, after the M rows before.
    p : ndarray float64 (M + T, P)
        Past columns, scaled.
    seen : ndarray of bool (T,)
        Where the target was there.
    centre, scale : float
        Of the line's target.
    local : ndarray datetime64[s] (T,)
        The wall's clock one step after each row.
    memory : Memory
        For the rows after these.
    known : ndarray float64 (T + F, Q)
        Columns known ahead, scaled.
    part : int
        Which closed form is its own.
    """

    x: Array
    z: Array
    p: Array
    seen: Array
    centre: float
    scale: float
    local: Array
    memory: Memory
    known: Array
    part: int = 0

    def __len__(self) -> int:
        return len(self.x)

    @property
    def before(self) -> int:
        """M, the rows of `z` before the first row of `x`."""
        return len(self.z) - len(self.x)


def forward(y: Array, transform: str | None) -> Array:
    """Return the target as the model sees it.

    Raises
    ------
    DataError
        A negative value where its logarithm is taken.
    """
    if transform != "log1p":
        return y
    if bool((y < 0).any()):
        raise DataError(
            f"target must be at least 0 for transform='log1p'. Got {np.nanmin(y):g}: leave transform out"
        )
    found: Array = np.log1p(y)
    return found


def backward(y: Array, transform: str | None) -> Array:
    """Undo `forward`; nothing falls below 0."""
    if transform is None:
        return y
    found: Array = np.maximum(y, 0.0)
    return np.expm1(found) if transform == "log1p" else found


def measure(y: Array) -> tuple[float, float]:
    """Return mean and deviation of what is there; 0 and 1 for nothing, and a deviation of 1 where nothing changes."""
    there = y[np.isfinite(y)]
    largest = float(np.abs(there).max(initial=0.0))
    if not largest:
        return 0.0, 1.0
    # Relative to the largest: the squares of very large and very small values are no numbers.
    there = there / largest
    mean, deviation = float(there.mean()), float(there.std())
    return mean * largest, deviation * largest if deviation > 1e-9 else 1.0


def encode(encoding: Encoding, line: Line, memory: Memory | None = None) -> Encoded:
    """Return a line as the network reads it, going on from the rows before where `memory` is given."""
    rows, columns = len(line), len(encoding.past)
    centre, scale = encoding.scale_of(line) if memory is None else (memory.centre, memory.scale)
    means, deviations = encoding.means, encoding.deviations
    raw = (forward(line.y, encoding.transform) - centre) / scale
    seen = np.isfinite(raw)
    p_raw = (line.past - means[:columns]) / deviations[:columns]
    if memory is None:
        z, p = fill(raw[:, None], np.zeros(1))[:, 0], fill(p_raw, np.zeros(columns))
        reach = encoding.reach
        memory = Memory(np.repeat(z[:1], reach), np.repeat(p[:1], reach, axis=0), 0.0, centre, scale)
    else:
        z, p = fill(raw[:, None], memory.z[-1:])[:, 0], fill(p_raw, memory.p[-1])
    z_all, p_all = np.concatenate([memory.z, z]), np.concatenate([memory.p, p])
    first = len(memory.z)
    ages = _ages(seen, memory.age)
    local = after(line.local[:rows], encoding.step)
    change, known = encoding.change, _known(encoding, line)
    parts = [
        soft(z - _base(encoding, z_all, rows))[:, None],
        np.arcsinh((z - z_all[first - 1 : -1]) / change[0])[:, None],
        soft(p),
        np.arcsinh((p - p_all[first - 1 : -1]) / change[1:]),
        *([np.log1p(ages)[:, None]] if encoding.age else []),
        encoding.calendar.encode(local),
        _known_ahead(encoding, known, rows),
        np.tile(
            (line.static - means[columns + len(encoding.future) :])
            / deviations[columns + len(encoding.future) :],
            (rows, 1),
        ),
    ]
    x = np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0)
    age = float(ages[-1]) if rows else memory.age
    kept = Memory(z_all[-first:].copy(), p_all[-first:].copy(), age, centre, scale)
    part = encoding.part_of(line)
    return Encoded(x, z_all, p_all, seen, centre, scale, local, kept, known, part)


def to_unit(encoding: Encoding, line: Encoded, rows: Array, y_hat: Array) -> Array:
    """Return forecasts (n, K) made after these rows in the scaled target's level, from the network's units."""
    base = line.z[line.before + rows[:, None] - encoding.anchors()]
    found: Array = base + y_hat * encoding.target
    return found


def soft(z: Array) -> Array:
    """Return z, beyond 5 deviations growing as its logarithm."""
    size = np.abs(z)
    return np.where(size > _SOFT, np.sign(z) * (_SOFT + np.log1p(np.maximum(size - _SOFT, 0.0))), z)


def fill(values: Array, before: Array) -> Array:
    """Return columns (T, C) with each gap filled with the last value, or with that before the first row (C,)."""
    there = np.isfinite(values)
    if there.all():
        return values
    rows = np.where(there, np.arange(1, len(values) + 1)[:, None], 0)
    newest = np.maximum.accumulate(rows, axis=0)
    padded = np.concatenate([before[None], values])
    found: Array = padded[newest, np.arange(values.shape[1])]
    return found


def _base(encoding: Encoding, z: Array, rows: int) -> Array:
    """Return what the newest value is read as a distance from, after each of the last `rows` values (rows,)."""
    if encoding.level == "own":
        return np.zeros(rows)
    sums = np.cumsum(np.concatenate([[0.0], z]))
    last = np.arange(len(z) - rows, len(z)) + 1
    found: Array = (sums[last] - sums[last - encoding.window]) / encoding.window
    return found


def _ages(seen: Array, before: float) -> Array:
    """Return the rows since the target was last seen; before the first one ever, since the line began."""
    t = np.arange(1, len(seen) + 1)
    last = np.maximum.accumulate(np.where(seen, t, 0))
    return np.where(last > 0, t - last, before + t).astype(float)


def _known(encoding: Encoding, line: Line) -> Array:
    """Return the columns known ahead, scaled, missing ones as their mean (T + F, Q)."""
    columns = len(encoding.past)
    which = slice(columns, columns + len(encoding.future))
    scaled = soft((line.future - encoding.means[which]) / encoding.deviations[which])
    found: Array = np.nan_to_num(scaled, nan=0.0)
    return found


def _known_ahead(encoding: Encoding, known: Array, count: int) -> Array:
    if not encoding.ahead:
        return np.zeros((count, 0))
    rows = np.minimum(np.arange(count)[:, None] + np.array(encoding.ahead), len(known) - 1)
    found: Array = known[rows].reshape(count, -1)
    return found
