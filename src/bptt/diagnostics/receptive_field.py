"""Which inputs an output can see, and which it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_array, check_number, check_whole
from bptt.diagnostics.exact import FLOAT64, check_network, check_real, in_float64
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network
from bptt.plots import curves
from bptt.plots import receptive_field as draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Numbers of one state's array over all steps that are worked on at once.
_BLOCK = 2_000_000
# Functions that jump: they hide a nan that comes in.
_JUMPS = frozenset({"step", "spike", "relu_derivative"})


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What each output sees of each input.

    Attributes
    ----------
    outputs : ndarray (S,), int64
        The step that each output belongs to; with readout "last" the one output's, T - 1.
    uses : ndarray (S, T, D)
        Size of the derivative of output s with respect to x[t, d]: the root of the sum over its K values, and of the
        mean over the rows, of their squares.
    sees : ndarray (S, T, D), bool
        Whether the derivative is other than exactly 0 in at least one row: proof that it can see.
    cannot_see : ndarray (S, T, D), bool
        Whether a nan put there leaves the output as it is, too: proof that no computation leads from there to it. Where
        neither holds, a path is there but the derivative is 0 at these rows (a dead unit, a weight of 0, underflow).
    """

    outputs: npt.NDArray[np.int64]
    uses: Array
    sees: npt.NDArray[np.bool_]
    cannot_see: npt.NDArray[np.bool_]

    __repr__ = brief

    @property
    def looks_ahead(self) -> bool:
        """Whether an output sees an input that comes after it."""
        after = np.arange(self.sees.shape[1]) > self.outputs[:, None]
        seen = np.asarray(self.sees.any(axis=2))
        return bool(seen[after].any())

    def by_step(self) -> Array:
        """Return `uses` of all columns together, (S, T)."""
        return np.asarray(np.sqrt((self.uses**2).sum(axis=2)))

    def span(self, *, level: float = 0.99) -> npt.NDArray[np.int64]:
        """Return how many steps away from itself each output finds `level` of the squares of what it uses, (S,).

        0 is its own step. -1 where it uses nothing.
        """
        wanted = check_number("level", level, above=0.0, below=1.0)
        squares = self.by_step() ** 2
        found = np.full(len(squares), -1, np.int64)
        for place, (output, row) in enumerate(zip(self.outputs, squares, strict=True)):
            if row.any():
                away = np.abs(np.arange(len(row)) - output)
                held = np.bincount(away, weights=row / row.max()).cumsum()
                found[place] = int(np.argmax(held >= wanted * held[-1]))
        return found

    def plot(self, *, names: Sequence[str] | None = None, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw what is used: of one output a line a column of x, of many a map of outputs and inputs.

        `names` are those of x's columns; `look` as for `bptt.plots.curves` or `bptt.plots.receptive_field`.
        """
        D = self.uses.shape[2]
        if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
            raise InvalidType(f"names must be a sequence of D = {D} names, one a column of x. Got {names!r}")
        if names is not None and len(names) != D:
            raise InvalidInput(f"names must be D = {D}, one a column of x. Got {len(names)}")
        if len(self.outputs) > 1:
            return draw(self.by_step(), self.outputs, np.asarray(self.cannot_see.all(axis=2)), ax=ax, **look)
        lines = {name: self.uses[0, :, d] for d, name in enumerate(names or [f"x[{d}]" for d in range(D)])}
        given = {"x_label": "step t of the input", "y_label": "|d output / d x_t|", "log": True, **look}
        return curves(lines, ax=ax, **given)


def receptive_field(
    net: Network,
    x: npt.ArrayLike,
    *,
    outputs: Sequence[int] | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> ReceptiveField:
    """Return which inputs each output can see and how much it uses them, by the gradient itself.

    Parameters
    ----------
    net : Network
        Any; everything that a prediction is made of counts: states, linear path, change target, feedback.
    x : array_like (B, T, D)
        Rows to look at; a few that differ do.
    outputs : sequence of int, optional
        With readout "every": the steps whose outputs are looked at, 0..T-1; all by default.
    state, parameters
        As for `Network.forward`.

    Returns
    -------
    ReceptiveField
        In float64.

    Raises
    ------
    InvalidInput, InvalidType
        Steps that are not there; shapes that do not fit.

    Notes
    -----
    One sweep back for each of an output's K values gives all its derivatives; many are swept at once. A gradient can
    be 0 where an input matters elsewhere, so that an input *cannot* be seen is shown another way: with x[t, d] = nan
    in the same equations the output stays a number. Where a cell calls `step` or `spike`, which turn nan into 0, that
    proves nothing and is not claimed.
    """
    inputs = check_array(
        "x",
        check_real("x", x),
        [("B", None), ("T", None), ("D", check_network(net).input_size)],
        dtype=FLOAT64,
    )
    if 0 in inputs.shape[:2] or not np.isfinite(inputs).all():
        raise InvalidInput("x must hold finite numbers, at least one row. Got nan, inf or none")
    exact, used = in_float64(net, parameters)
    _, T, D = inputs.shape
    places = _places(net, outputs, T)
    uses = _derivatives(exact, used, inputs, places, state)
    sees = uses > 0
    called = {name for stage in net.recurrent.cell.plan.stages for name in stage.forward.called}
    reached = np.ones((len(places), T, D), bool)
    if not called & _JUMPS and D:
        reached = _reached(exact, used, inputs[:1], places, state)
    return ReceptiveField(np.array(places, np.int64), uses, sees, ~(reached | sees))


def _places(net: Network, outputs: Sequence[int] | None, T: int) -> list[int]:
    if net.readout == "last":
        if outputs is not None:
            raise InvalidInput("outputs must be left out with readout 'last', which has one. Got some")
        return [T - 1]
    if outputs is not None and np.ndim(outputs) != 1:
        raise InvalidType(f"outputs must be a sequence of steps. Got {outputs!r}")
    found = list(range(T)) if outputs is None else [check_whole("outputs", k, least=0) for k in outputs]
    if not found or max(found) >= T:
        raise InvalidInput(f"outputs must be steps below T = {T}, at least one. Got {found}")
    return found


def _derivatives(
    net: Network, used: Mapping[str, Array], x: Array, places: Sequence[int], state: Mapping[str, Any] | None
) -> Array:
    """Return the size of every derivative, (S, T, D)."""
    B, T, _ = x.shape
    K = net.output_size
    units = net.recurrent.hidden_size * len(net.recurrent.prefixes)
    wanted = [(s, k) for s in range(len(places)) for k in range(K)]
    group = max(1, min(len(wanted), _BLOCK // (B * T * units)))
    record = net.forward(np.tile(x, (group, 1, 1)), _tiled(state, group), parameters=used)
    if not np.isfinite(record.y_hat).all():
        raise InvalidInput("net must predict finite numbers from x. Got nan or inf")
    squares = np.zeros((len(places), *x.shape[1:]))
    for first in range(0, len(wanted), group):
        part = wanted[first : first + group]
        dy = np.zeros((group, B, *record.y_hat.shape[1:]))
        for row, (s, k) in enumerate(part):
            if net.readout == "every":
                dy[row, :, places[s], k] = 1
            else:
                dy[row, :, k] = 1
        dx = net.backward(record, dy.reshape(record.y_hat.shape)).x
        assert dx is not None
        by_row = dx.reshape(group, B, *x.shape[1:])
        for row, (s, _) in enumerate(part):
            # A square must not underflow where the derivative does not: sees reads it.
            squares[s] = np.hypot(squares[s], _root_mean_square(by_row[row]))
    return squares


def _root_mean_square(rows: Array) -> Array:
    """Return the root of the mean over the first axis of the squares; above 0 where any entry is not 0."""
    found = np.abs(rows[0])
    for row in rows[1:]:
        found = np.hypot(found, row)
    size = np.asarray(found / np.sqrt(len(rows)))
    return np.where((found > 0) & (size == 0), found, size)


def _reached(
    net: Network, used: Mapping[str, Array], x: Array, places: Sequence[int], state: Mapping[str, Any] | None
) -> npt.NDArray[np.bool_]:
    """Return whether a nan in x[t, d] turns up in output s, (S, T, D)."""
    _, T, D = x.shape
    alone = None if state is None else {name: np.asarray(s)[:, :1] for name, s in state.items()}
    found = np.zeros((len(places), T, D), bool)
    rows = max(1, _BLOCK // (T * net.recurrent.hidden_size))
    all_places = np.arange(T * D)
    for first in range(0, T * D, rows):
        part = all_places[first : first + rows]
        moved = np.tile(x, (len(part), 1, 1))
        moved[np.arange(len(part)), part // D, part % D] = np.nan
        with np.errstate(invalid="ignore"):
            y_hat = net.forward(moved, _tiled(alone, len(part)), parameters=used, tape=False).y_hat
        told = np.asarray(np.isnan(y_hat).any(axis=-1))
        told = told[:, places] if net.readout == "every" else told[:, None]
        found.reshape(len(places), T * D)[:, part] = told.T
    return found


def _tiled(state: Mapping[str, Any] | None, times: int) -> dict[str, Array] | None:
    if state is None:
        return None
    return {name: np.tile(np.asarray(s), (1, times, 1)) for name, s in state.items()}
