"""Truncated BPTT with carried state: each batch starts from the state that the one before ended with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import numpy as np

from bptt.checks import Array, check_choice, check_whole
from bptt.data.examples.batch import Batch, Indices, Source, Streams
from bptt.data.examples.stretches import Stretches
from bptt.errors import InvalidInput, InvalidType
from bptt.network import LossGradients, Network, Pass
from bptt.training.steps.batches import BLOCK_STEPS, SAMPLINGS, index_blocks

# What an ordinary source gets where the caller does not say.
BATCH_SIZE, SAMPLING = 32, "random"
_IN_ORDER = "in order"


def batching(source: Source, batch_size: int | None, sampling: str | None) -> tuple[int, str]:
    """Return the batch size and the sampling to use: a source of streams brings its own.

    Raises
    ------
    InvalidInput, InvalidType
        A setting that does not fit the source.
    """
    if not isinstance(source, Streams):
        return (
            check_whole("batch_size", BATCH_SIZE if batch_size is None else batch_size),
            check_choice("sampling", SAMPLING if sampling is None else sampling, SAMPLINGS),
        )
    kind = type(source).__name__
    streams = check_whole(f"{kind}.streams", source.streams)
    if len(source) % streams:
        raise InvalidInput(
            f"{kind}: the number of examples must be a multiple of streams = {streams}. Got {len(source)}"
        )
    for name, value in (("batch_size", batch_size), ("sampling", sampling)):
        if value is not None:
            raise InvalidInput(
                f"{name} must be left out with {kind}, which is read in order, streams = {streams} examples a step. "
                f"Got {value!r}"
            )
    return streams, _IN_ORDER


def draw(
    count: int, batch_size: int, steps: int, sampling: str, seed: int, first: int = 0
) -> Iterator[Indices]:
    """Yield the indices of all batches in blocks (n, B): by `index_blocks`, or in order, epoch after epoch.

    From step `first` on, of `steps` in all.
    """
    if sampling != _IN_ORDER:
        yield from index_blocks(count, batch_size, steps, sampling, seed, first)
        return
    left, start, height = steps - first, first * batch_size % count, BLOCK_STEPS * batch_size
    while left > 0:
        block = np.arange(start, min(start + height, count), dtype=np.intp).reshape(-1, batch_size)[:left]
        yield block
        left -= len(block)
        start = (start + block.size) % count


class _Start(TypedDict, total=False):
    """Where a batch starts, as `Network`'s passes take it; empty for the network's own initial state."""

    state: dict[str, Array]
    y_start: Array


class CarriedState:
    """The state between the batches of one run over a source; for batches that carry nothing, nothing.

    Parameters
    ----------
    net : Network
    source : source of batches

    Raises
    ------
    InvalidInput
        A source of streams, and a network that cannot go on from a state.
    """

    def __init__(self, net: Network, source: Source) -> None:
        self.net = net
        self.streams = isinstance(source, Streams)
        self._last: Pass | None = None
        self._before: tuple[int, Pass | None] = -1, None
        check_goes_on(net, source)

    def loss_and_gradients(self, batch: Batch, dropout_key: tuple[int, int]) -> LossGradients:
        """Return `Network.loss_and_gradients` of the batch, from the state carried so far, and carry the new one.

        Notes
        -----
        The carried state is a constant: no gradient leaves the batch. A learned initial state gets its gradient from
        the rows that start anew.
        """
        self._before = dropout_key[1], self._last
        start = self._start(batch)
        found = self.net.loss_and_gradients(
            batch.x, batch.y, weights=batch.weights, lengths=batch.lengths, dropout_key=dropout_key, **start
        )
        if start and self.net.learned_initial_state:
            anew = ~_carry_of(batch)
            for name, d in (found.gradients.state or {}).items():
                found.gradients.parameters[f"initial.{name}"] = d[:, anew].sum(axis=1)
        self._keep(batch, Pass(found.y_hat, found.state, None), start, dropout_key)
        return found

    def settle(self, recorded: int) -> None:
        """Go back to where the state was after `recorded` steps, if the next one was begun."""
        step, last = self._before
        if step == recorded:
            self._last = last

    def arrays(self) -> dict[str, Array]:
        """Return what is carried, by name: nothing, or `y_hat` (B, K) of the last step and ``state.h``, ..."""
        if self._last is None:
            return {}
        return {
            "y_hat": _newest(self._last),
            **{f"state.{name}": final for name, final in self._last.state.items()},
        }

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Carry what `arrays` returned."""
        state = {name.removeprefix("state."): final for name, final in arrays.items() if name != "y_hat"}
        self._last = Pass(arrays["y_hat"], state, None) if arrays else None

    def like(self, rows: int) -> dict[str, Array]:
        """Return arrays of the names, shapes and dtypes of `arrays` where something is carried for `rows` rows."""
        stack, dtype = self.net.recurrent, self.net.dtype
        state = {f"state.{name}": np.empty(stack.state_shape(rows), dtype) for name in stack.states}
        return {"y_hat": np.empty((rows, self.net.output_size), dtype), **state}

    def forward(self, batch: Batch) -> Pass:
        """Return `Network.forward` of the batch without a tape, from the carried state, and carry the new one."""
        start = self._start(batch)
        found = self.net.forward(batch.x, lengths=batch.lengths, tape=False, **start)
        self._keep(batch, found, start, None)
        return found

    def _start(self, batch: Batch) -> _Start:
        if batch.carry is None:
            return {}
        if not self.streams:
            raise InvalidType(
                "carry must come from a source that is read in order. Got it from a source without streams: give the "
                "source that attribute (see bptt.data.Streams)"
            )
        carry = _carry_of(batch)
        if not carry.any():
            return {}
        rows = 0 if self._last is None else len(self._last.y_hat)
        if rows != len(batch):
            raise InvalidInput(
                f"carry must be for rows of the batch before. Got {len(batch)} rows after {rows or 'no batch'}"
            )
        assert self._last is not None
        net, last = self.net, self._last
        # In one memory order whatever the pass left: products of a transposed array may round otherwise.
        state = {
            name: np.ascontiguousarray(np.where(carry[:, None], final, self._initial(name)))
            for name, final in last.state.items()
        }
        if not net.feedback:
            return {"state": state}
        y_start = np.where(carry[:, None], _newest(last), net.dtype.type(0))
        return {"state": state, "y_start": np.ascontiguousarray(y_start)}

    def _initial(self, name: str) -> Any:
        if self.net.learned_initial_state:
            return self.net.parameters[f"initial.{name}"][:, None, :]
        return self.net.dtype.type(0)

    def _keep(self, batch: Batch, found: Pass, start: _Start, dropout_key: tuple[int, int] | None) -> None:
        self._last = None if batch.carry is None else found
        if batch.carry is None or batch.onward is None:
            return
        steps = _steps_of(self.net, batch)
        if (steps == batch.x.shape[1]).all():
            return
        # The state in the middle of the pass: the same steps once more, without a tape.
        self._last = self.net.forward(
            batch.x[:, : steps.max()], lengths=steps, dropout_key=dropout_key, tape=False, **start
        )


def _newest(last: Pass) -> Array:
    """Return the predictions of the last step (B, K)."""
    newest: Array = last.y_hat[:, -1] if last.y_hat.ndim == 3 else last.y_hat
    return newest


def _carry_of(batch: Batch) -> Array:
    carry = np.asarray(batch.carry)
    if carry.shape != (len(batch),) or carry.dtype != np.bool_:
        raise InvalidInput(
            f"carry must be booleans of shape (B,) = ({len(batch)},). Got {carry.dtype} of shape {carry.shape}"
        )
    return carry


def _steps_of(net: Network, batch: Batch) -> Array:
    """Return after how many steps the next batch goes on from each row; where it does after none, it starts anew."""
    steps, T = np.asarray(batch.onward), batch.x.shape[1]
    if steps.shape != (len(batch),) or steps.dtype.kind not in "iu" or steps.min() < 0:
        raise InvalidInput(
            f"onward must be whole numbers of at least 0, shape (B,) = ({len(batch)},). "
            f"Got {steps.dtype} of shape {steps.shape}"
        )
    if net.feedback:
        raise InvalidInput(
            "onward must be left out for a network with feedback, whose outputs are part of its state. Got it: use "
            "chunks that do not overlap (lookback=0)"
        )
    clipped: Array = np.clip(steps, 1, T)
    return clipped


def check_goes_on(net: Network, *sources: Source | None) -> None:
    """Refuse a network that cannot go on from a carried state, where a source of streams is among `sources`."""
    kind = next((type(source).__name__ for source in sources if isinstance(source, Streams)), None)
    if kind is None:
        return
    if net.readout != "every" and any(isinstance(source, Stretches) for source in sources):
        raise InvalidInput(
            f"net must have readout='every' with {kind}, which has a target at every step. Got {net.readout!r}"
        )
    direction, lags = net.recurrent.direction, net.linear_lags
    if direction != "forward":
        raise InvalidInput(
            f"net must run forward in time to carry its state through {kind}. Got direction {direction!r}"
        )
    if lags > 1:
        raise InvalidInput(
            f"linear_lags must be at most 1 with {kind}: a chunk does not hold the rows before it. Got {lags}: "
            "train on Sequences, or add the path after training"
        )
