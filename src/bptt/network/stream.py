"""Streaming: a network that keeps its state between calls and answers each new row at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_array, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.network.records import State
from bptt.network.stepwise import open_runner

if TYPE_CHECKING:
    from bptt.network.network import Network

Shape = Sequence[tuple[str, int | None]]

# Rows of a block that are always pushed together, and how long a piece of a longer one should take (seconds).
_PIECE, _PIECE_SECONDS = 1024, 0.05

# The axes of what `Stream.memory` holds, by the first letters of its names.
_AXES = {"stat": ("L", "S", "H"), "rows": ("S", "lags", "D"), "fed": ("S", "K")}


class Stream:
    """One or more streams of rows that a network follows; `Network.stream` makes it.

    After each step the prediction is the one that `Network.forward` with readout "every" gives for that step on all
    rows so far, from the same starting state. A network with readout "last" reads its current state the same way.

    Attributes
    ----------
    streams : int
        S, the streams that advance together.
    steps : int
        Steps made since the start, or since `reset`.
    state : dict of state name to ndarray (L, S, H)
        A copy of the current states; set some or all of them by assignment.
    memory : dict of str to ndarray
        A copy of all that later predictions depend on, but the weights.

    Notes
    -----
    Weights are read when the stream is made; `refresh` reads them again. A call that raises leaves the stream as it
    was. Different streams may run on different threads at once; one must not be used by two.
    """

    def __init__(
        self,
        net: Network,
        streams: int = 1,
        state: Mapping[str, npt.ArrayLike] | None = None,
        y_start: npt.ArrayLike | None = None,
    ) -> None:
        if net.recurrent.direction != "forward":
            raise InvalidInput(
                "stream must run forward in time: the rows that the other direction starts from have not come yet. "
                f"Got a {net.recurrent.direction} network"
            )
        self.streams = check_whole("streams", streams)
        self._net = net
        self._runner, self._load = open_runner(net, streams)
        runner = self._runner
        # What a step touches, at hand; one stream has no axis of streams.
        self._x: Array
        self._y: Array
        self._x, self._y = (runner.x[0], runner.y[0]) if streams == 1 else (runner.x, runner.y)
        self._advance, self._argument = runner.advance, runner.argument
        self._shape, self._dtype = self._x.shape, runner.x.dtype
        self._initial: State = {}
        self.refresh()
        self.reset(state, y_start)

    # ---------------------------------------------------------------- advancing

    def step(self, x_t: npt.ArrayLike | None = None) -> Array:
        """Advance by one row.

        Parameters
        ----------
        x_t : array_like (D,), or (S, D) with several streams
            An array of the network's dtype is fastest. May be left out where D = 0 (feedback alone).

        Returns
        -------
        ndarray (K,), or (S, K)
            The predictions after this row.

        Raises
        ------
        InvalidInput, InvalidType
            Another shape, no numbers, or a number that is not finite; the stream is then as it was.
        """
        if type(x_t) is not np.ndarray or x_t.dtype is not self._dtype or x_t.shape != self._shape:
            x_t = self._converted(x_t)
        self._x[...] = x_t
        if self._advance(self._argument):
            self._refuse("x_t", self._runner.x[:, None])
        y: Array = self._y.copy()
        return y

    def push(self, X: npt.ArrayLike) -> Array:
        """Advance by a block of rows.

        Parameters
        ----------
        X : array_like (T, D), or (S, T, D) with several streams
            The oldest row first.

        Returns
        -------
        ndarray (T, K), or (S, T, K)
            The predictions after each row.

        Raises
        ------
        InvalidInput, InvalidType
            As for `step`.

        Notes
        -----
        A long block is worked through in pieces, so that Ctrl-C is heard; the stream then is as it was before the call.
        """
        shape: list[tuple[str, int | None]] = [("S", self.streams), ("T", None), ("D", self._net.input_size)]
        array = self._numbers("X", X, shape[1:] if self.streams == 1 else shape)
        block = array.reshape(self.streams, array.shape[-2], array.shape[-1])
        y = self._runner.push(block) if block.shape[1] <= _PIECE else self._push_pieces(block)
        if y is None:
            self._refuse("X", block)
        return y[0] if self.streams == 1 else y

    def _push_pieces(self, block: Array) -> Array | None:
        """Push piece by piece, each of about `_PIECE_SECONDS`; on any error, and where x is refused, undo all."""
        before, done, size = self.memory, 0, _PIECE
        y = np.empty((*block.shape[:2], self._net.output_size), self._net.dtype)
        try:
            while done < block.shape[1]:
                begun = time.perf_counter()
                piece = slice(done, done + size)
                found = self._runner.push(np.ascontiguousarray(block[:, piece]))
                if found is None:
                    self.memory = before
                    return None
                y[:, piece] = found
                done += size
                spent = max(time.perf_counter() - begun, 1e-6)
                size = max(1, min(4 * size, int(size * _PIECE_SECONDS / spent)))
        except BaseException:
            self.memory = before
            raise
        return y

    # ---------------------------------------------------------------- what is kept

    @property
    def steps(self) -> int:
        """Steps made since the start, or since `reset`."""
        return int(self._runner.clock[0])

    @property
    def state(self) -> State:
        """A copy of the current states, each (L, S, H)."""
        return self._runner.read_state()

    @state.setter
    def state(self, state: Any) -> None:
        """Set the states given; those left out, and the rows of the linear path, stay."""
        if state is None:
            raise InvalidInput(
                "state must be a mapping of state name to array. Got None: reset() starts anew"
            )
        self._runner.write_state(self._checked_state(state))

    @property
    def memory(self) -> dict[str, Array]:
        """A copy of all that later predictions depend on, but the weights.

        ``state.h`` (L, S, H) and the other states, ``rows`` (S, lags, D) with a linear path, ``fed`` (S, K) with
        feedback, and ``steps``. `numpy.savez` writes it; a stream of the same network, to which it is assigned, goes
        on from there.
        """
        found = {f"state.{name}": array for name, array in self.state.items()}
        if self._net.linear_lags:
            found["rows"] = self._runner.rows.copy()
        if self._net.feedback:
            found["fed"] = self._runner.fed.copy()
        found["steps"] = np.array(self.steps)
        return found

    @memory.setter
    def memory(self, memory: Any) -> None:
        """Go on from what `memory` gave."""
        own = self.memory
        if not isinstance(memory, Mapping) or set(memory) != set(own):
            got = ", ".join(map(str, memory)) if isinstance(memory, Mapping) else type(memory).__name__
            raise InvalidInput(f"memory must have the entries {', '.join(own)}. Got {got}")
        steps = check_whole("memory['steps']", np.asarray(memory["steps"])[()], least=0)
        found = {
            name: self._numbers(
                f"memory[{name!r}]", memory[name], list(zip(_AXES[name[:4]], kept.shape, strict=True))
            )
            for name, kept in own.items()
            if name != "steps"
        }
        for name, array in found.items():
            _check_finite(f"memory[{name!r}]", array)
        self._start(
            {name: found[f"state.{name}"] for name in self.state}, found.get("rows"), found.get("fed"), steps
        )

    def reset(
        self, state: Mapping[str, npt.ArrayLike] | None = None, y_start: npt.ArrayLike | None = None
    ) -> None:
        """Start anew: no step made, no row seen.

        Parameters
        ----------
        state : mapping of state name to array_like (L, S, H), optional
            The state before the first step; where absent the learned one, or zeros.
        y_start : array_like (S, K), optional
            With feedback: what the first step is fed. Zeros by default.
        """
        if y_start is not None and not self._net.feedback:
            raise InvalidInput("y_start must be left out of a network without feedback. Got one")
        checked = {**self._initial, **({} if state is None else self._checked_state(state))}
        fed = None
        if y_start is not None:
            fed = self._numbers("y_start", y_start, [("S", self.streams), ("K", self._net.output_size)])
            _check_finite("y_start", fed)
        self._start(checked, None, fed, 0)

    def refresh(self) -> None:
        """Read the network's weights again, a learned initial state among them; the streams' state stays."""
        net, parameters = self._net, self._net.parameters
        self._load(parameters)
        for name in net.recurrent.states:
            shape = net.recurrent.state_shape(self.streams)
            learned = parameters.get(f"initial.{name}")
            start = np.zeros(shape, self._dtype) if learned is None else learned[:, None]
            self._initial[name] = np.array(np.broadcast_to(start, shape))

    def __repr__(self) -> str:
        stack = self._net.recurrent
        return (
            f"Stream({stack.cell!r}, hidden_size={stack.hidden_size}, streams={self.streams}, steps={self.steps}, "
            f"engine={stack.engine!r})"
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # A copy of the addresses inside would write into this stream's memory.
        raise InvalidType(
            "a stream cannot be copied or pickled, only its memory. Got a request for one: "
            "assign stream.memory to another stream of the network"
        )

    # ---------------------------------------------------------------- inside

    def _start(self, state: State, rows: Array | None, fed: Array | None, steps: int) -> None:
        runner = self._runner
        runner.clock[0] = steps
        runner.rows[...] = 0 if rows is None else rows
        runner.fed[...] = 0 if fed is None else fed
        runner.write_state(state)

    def _numbers(self, name: str, value: object, shape: Shape) -> Array:
        """Return an array of the stated shape, contiguous and in the network's dtype."""
        with np.errstate(over="ignore"):  # as in `_converted`
            array = check_array(name, value, shape, dtype=self._dtype)
        _check_real(name, array)
        return np.require(array, requirements=["C", "A"])

    def _converted(self, x_t: object) -> Array:
        """Take over a row that is not what `step` takes at once."""
        if x_t is None and not self._net.input_size:
            return self._x
        if type(x_t) is np.ndarray and x_t.shape == self._shape and x_t.dtype.kind in "fiub":
            array = x_t  # another dtype than the network's: the common case
        else:
            symbols = "D" if self.streams == 1 else "SD"
            array = check_array("x_t", x_t, list(zip(symbols, self._shape, strict=True)))
            _check_real("x_t", array)
        # A number beyond the range of float32 becomes infinite and is refused with its place.
        with np.errstate(over="ignore"):
            self._x[...] = array
        return self._x

    def _checked_state(self, state: Mapping[str, npt.ArrayLike]) -> State:
        found = self._net.recurrent.check_state("state", state, self.streams, self._dtype)
        for name, array in (found or {}).items():
            _check_real(f"state[{name!r}]", array)
            _check_finite(f"state[{name!r}]", array)
        return found or {}

    def _refuse(self, name: str, x: Array) -> NoReturn:
        """Say where in x (S, T, D) a number is not finite."""
        s, t, d = (int(n) for n in np.argwhere(~np.isfinite(x))[0])
        places = [f"column {d}"]
        if name == "X":
            places.append(f"step {t}")
        if self.streams > 1:
            places.append(f"stream {s}")
        raise InvalidInput(
            f"{name} must be finite: the state would never forget it. Got {x[s, t, d]} in {', '.join(places)}: "
            "fill the gap before it gets here"
        )


def _check_real(name: str, array: Array) -> None:
    if array.dtype.kind == "c":
        raise InvalidType(f"{name} must hold real numbers. Got dtype {array.dtype}")


def _check_finite(name: str, array: Array) -> None:
    if not np.isfinite(array).all():
        raise InvalidInput(f"{name} must be finite. Got {array[~np.isfinite(array)][0]}")
