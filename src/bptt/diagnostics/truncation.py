"""The gradient cut at the borders of chunks and blocks, to stand beside the one cut per output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_array, check_whole
from bptt.diagnostics.exact import check_network, check_real
from bptt.diagnostics.path_lengths import Run
from bptt.engine.blas import one_blas_thread
from bptt.engine.tape import Tape
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Pass, StackTape


def chunked_gradient(
    net: Network, x: npt.ArrayLike, y: npt.ArrayLike, *, chunk: int, weights: npt.ArrayLike | None = None
) -> tuple[float, dict[str, Array]]:
    """Return the loss and its gradient with paths cut between chunks of steps.

    The sequence is cut into chunks; the state is carried over each border, the gradient is not. An output at the
    start of a chunk looks back over no step, one at its end over ``chunk - 1``. With one chunk it is the full gradient.

    Parameters
    ----------
    net : Network
        With readout "every", forward in time, without feedback and linear path.
    x : array_like (B, T, D)
    y : array_like
        As for `Network.loss_and_gradients`.
    chunk : int
        Steps of each chunk; the last one may be shorter.
    weights : array_like (B,) or (B, T), optional

    Returns
    -------
    loss : float
        Of the whole sequence.
    gradients : dict of parameter name to ndarray

    Raises
    ------
    InvalidInput, InvalidType
        A network whose outputs need more than the state that is carried.
    """
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    for fits, rule, got in (
        (net.readout == "every", "have readout 'every'", f"readout {net.readout!r}"),
        (
            net.recurrent.direction == "forward",
            "run forward in time",
            f"direction {net.recurrent.direction!r}",
        ),
        (not net.feedback, "be without feedback", "feedback=True"),
        (not net.linear_lags, "be without a linear path", f"linear_lags = {net.linear_lags}"),
    ):
        if not fits:
            raise InvalidInput(f"net must {rule} to be cut into chunks. Got {got}")
    steps = check_whole("chunk", chunk)
    inputs = check_array("x", check_real("x", x), [("B", None), ("T", None), ("D", net.input_size)])
    if not inputs.shape[1]:
        raise InvalidInput(f"x must hold at least one step, T >= 1. Got shape {inputs.shape}")
    cuts = range(0, inputs.shape[1], steps)
    passes: list[Pass] = []
    for first in cuts:
        before = passes[-1].state if passes else None
        passes.append(net.forward(inputs[:, first : first + steps], before))
    y_hat = np.concatenate([each.y_hat for each in passes], axis=1)
    loss, dy_hat = net.loss.value_and_gradient(y_hat, check_real("y", y), weights)
    total: dict[str, Array] = {}
    for first, each in zip(cuts, passes, strict=True):
        found = net.backward(each, dy_hat[:, first : first + steps], want_x=False).parameters
        total = {name: d + total[name] if total else d for name, d in found.items()}
    return float(loss), total


def tbptt_gradient(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    k1: int,
    k2: int,
    weights: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> tuple[float, dict[str, Array]]:
    """Return the loss and its gradient by TBPTT(k1, k2): every k1 steps, back over k2 of them.

    Parameters
    ----------
    net : Network
        Any cell and stack that runs forward in time; without feedback.
    x : array_like (B, T, D)
    k1 : int
        Steps of a block: the losses of a block are swept back together.
    k2 : int
        Steps that they are swept back over, the block's own among them; at least k1.
    y, weights, lengths, state, parameters
        As for `Network.loss_and_gradients`.

    Returns
    -------
    loss : float
        Of the whole sequence.
    gradients : dict of parameter name to ndarray
        float64. With k1 = 1 that of `sliding_gradient` with ``truncate=k2 - 1`` (of a learned initial state with
        ``truncate=k2``: the state before a step is one Jacobian further away than its weights), with k1 = k2 that of
        `chunked_gradient`, with k1 = T the full one.

    Raises
    ------
    InvalidInput, InvalidType
        k2 below k1; a network that does not run forward, or with feedback.

    Notes
    -----
    Block m is steps m k1 .. (m + 1) k1 - 1. Its losses' gradient crosses no state before step (m + 1) k1 - k2; the
    weights stay what they are, where training would update them after each block.

    References
    ----------
    Williams, R. J. and Peng, J. (1990). An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories. Neural Computation 2, 490-501: BPTT(h; h'), h = k2, h' = k1.
    """
    block, back = check_whole("k1", k1), check_whole("k2", k2)
    if back < block:
        raise InvalidInput(f"k2 must be at least k1 = {block}, or losses would be left out. Got {back}")
    check_forward(check_network(net))
    run = Run(net, x, y, weights, lengths, state, parameters)
    return run.loss, block_gradient(run, block, back)


def check_forward(net: Network) -> None:
    """Raise unless what comes before a step is what it looks back at."""
    if net.recurrent.direction != "forward":
        raise InvalidInput(
            f"net must run forward in time to be truncated. Got direction {net.recurrent.direction!r}"
        )


def block_gradient(run: Run, k1: int, k2: int) -> dict[str, Array]:
    """Return the gradient of TBPTT(k1, k2) of a pass that has been made."""
    with one_blas_thread():
        total, arriving = run.head()
        tape, stack = run.tape.stack, run.net.recurrent
        T, B = tape.steps, run.tape.x.shape[1]
        dh = np.zeros((T, B, stack.hidden_size))
        for t, entry in enumerate(arriving[0]):
            if entry is not None:
                dh[t] = entry.values[0]
        summed = {name: np.zeros_like(p) for name, p in run.tape.parameters.items()}
        summed.update(total)
        for first in range(0, T, k1):
            last, begin = min(T, first + k1), max(0, first + k1 - k2)
            if not dh[first:last].any():
                continue
            d = np.concatenate([np.zeros((first - begin, *dh.shape[1:])), dh[first:last]])
            swept = stack.sweep(_cut(tape, begin, last), d, None, want={"parameters", "state0"})
            for name, gradient in swept.parameters.items():
                summed[name] += gradient
            if begin == 0 and run.net.learned_initial_state:
                for name, of_state in cast(dict[str, Array], swept.state).items():
                    if name not in run.tape.state_given:
                        summed[f"initial.{name}"] += of_state.sum(axis=1)
    return summed


def _cut(tape: StackTape, first: int, last: int) -> StackTape:
    """Return the tape of steps first .. last - 1; the gradient ends at the state before them."""
    lengths = None if tape.lengths is None else tape.lengths - first
    tapes = tuple(
        Tape(
            each.cell,
            each.parameters,
            each.x[first:last],
            lengths,
            {name: s[first : last + 1] for name, s in each.states.items()},
            {name: s[first:last] for name, s in each.saved.items()},
        )
        for each in tape.tapes
    )
    return StackTape(tapes, tape.trained, tape.masks, lengths, last - first)
