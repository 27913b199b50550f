"""The recurrent part: networks trained on long stretches of all lines, from one seed each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.data import Sequences
from bptt.data.examples.partly_seen import PartlySeen
from bptt.engine.blas import one_blas_thread
from bptt.forecast.features.encoding import Encoded
from bptt.forecast.features.targets import CHUNK, Targets
from bptt.forecast.fitting.networks.kept import Keep, kept_run
from bptt.forecast.fitting.networks.learnt import Learnt, stacked
from bptt.forecast.recipe import Recipe
from bptt.initializers import Constant
from bptt.network import Network, Recurrent
from bptt.network.records import State
from bptt.optim import AdamW, Cosine
from bptt.training import train
from bptt.training.watching.callbacks import Event
from bptt.training.watching.history import make_history

# A sequence of fewer steps teaches nothing about carrying a state.
SHORTEST = 8
# Steps of the horizon that a network is taught; the closed form reads all of them from its state.
_TAUGHT = 48
# Targets are multiplied by the number of their step to the power of minus this: squared errors count by one over it.
_NEARER = 0.5
# Rows for which `Recipe.updates` is meant; fewer are overfitted sooner.
_ROWS = 30_000
# Numbers, inputs and targets, that one network learns from.
_NUMBERS = 12_000_000
# Numbers of padded inputs that one pass holds.
_PASS = 1 << 22

# Called with updates made and updates to make; may raise to end the training.
Tick = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Lines to learn from: inputs, what is to be said after each row, and how much of it counts.

    Attributes
    ----------
    lines : list of Encoded
    y : list of Targets
        Of T_i - K rows each.
    weights : list of ndarray float64 (T_i - K,)
    """

    lines: list[Encoded]
    y: list[Targets]
    weights: list[Array]

    @property
    def rows(self) -> int:
        """Rows that have a target."""
        return sum(map(len, self.y))


def taught_steps(horizon: int) -> Array:
    """Return which steps of the horizon the gradient sees, from 0, the last among them: all, or so many far apart."""
    count = min(horizon, _TAUGHT)
    found: Array = np.arange(1, count + 1) * horizon // count - 1
    return found


def emphasis(count: int) -> Array:
    """Return what the targets of so many taught steps are multiplied by: near ones count more, (count,).

    A state that knows the next row well knows more of the far ones too, and less of what is only learnt by heart.
    """
    near = np.arange(1, count + 1) ** -_NEARER
    found: Array = near / np.sqrt(np.mean(near**2))
    return found


def planned_updates(recipe: Recipe, rows: int, share: float = 1.0) -> int:
    """Return the updates of one network for so many rows: the full number, times a share."""
    if not recipe.scaled:
        return max(1, round(recipe.updates * share))
    return max(20, round(recipe.updates * share * float(np.clip(np.sqrt(rows / _ROWS), 0.2, 1.5))))


def sequence_length(recipe: Recipe, lesson: Lesson) -> int:
    """Return the steps of a training sequence: as in the recipe, or what nine lines in ten have; 0 for too little."""
    counts = [len(y) for y in lesson.y if len(y) >= SHORTEST]
    return min(recipe.length, int(np.quantile(counts, 0.1, method="lower"))) if counts else 0


def train_member(
    lesson: Lesson,
    recipe: Recipe,
    *,
    seed: int,
    updates: int,
    tick: Tick,
    keep: Keep | None = None,
    steps: Array | None = None,
    known: Learnt | None = None,
) -> tuple[Network, Learnt]:
    """Return a network (float32, readout at every step) and what is to be kept of its training.

    Parameters
    ----------
    lesson : Lesson
    recipe : Recipe
    seed, updates : int
    tick : Tick
    keep : callable, optional
        Told of the run.
    steps : ndarray of int, optional
        Those of the horizon that it is taught, from 0; `taught_steps` by default.
    known : Learnt, optional
        Where it was trained before.
    """
    length = sequence_length(recipe, lesson)
    warmup = min(recipe.warmup, length // 4)
    values, weights, segments, inputs = _one_series(
        lesson, length, recipe.most_rows, seed, taught_steps(lesson.y[0].horizon) if steps is None else steps
    )
    outputs = values.shape[1] - inputs
    sequences = Sequences(
        values,
        inputs=range(inputs),
        targets=range(inputs, inputs + outputs),
        length=length,
        warmup=warmup,
        segments=segments,
        dtype="float32",
    )
    source = sequences if bool((weights == 1).all()) else PartlySeen(sequences, weights)
    stack = Recurrent(
        recipe.cell, inputs, recipe.hidden, num_layers=recipe.layers, dtype="float32", seed=seed
    )
    net = Network(stack, outputs, readout="every", loss=recipe.loss, seed=seed)
    if not len(source):
        # No target was seen: the weights stay as they were drawn, and the readout is solved for.
        if known is not None:
            known.restore(net.parameters, (updates, 3))
        return net, Learnt(dict(net.parameters), np.zeros((updates, 3)))
    schedule = Cosine(recipe.rate, updates, min(100, updates // 4))

    def told(event: Event) -> None:
        tick(event.step + 1, updates)

    told.looks_at_net = False  # type: ignore[attr-defined]  # the promise that keeps the steps fused
    if known is None:
        history = train(
            net,
            source,
            optimizer=AdamW(schedule, weight_decay=recipe.decay),
            steps=updates,
            batch_size=recipe.batch,
            sampling="random",
            clip=recipe.clip,
            seed=seed,
            callbacks=(told,),
            progress=False,
            threads=1,
        )
        if history.stopped_because == "interrupted":
            raise KeyboardInterrupt
    else:
        known.restore(net.parameters, (updates, 3))
        history = make_history(known.rows.tolist(), [], "finished", 0.0)
        tick(updates, updates)
    if keep is not None:
        keep(kept_run(history, net, source, length))
    rows = stacked(history.losses, history.gradient_norms, history.learning_rates)
    return net, Learnt(dict(net.parameters), rows)


def run_states(
    net: Network, lines: Sequence[Array], starts: Sequence[State | None] | None = None
) -> Iterator[tuple[int, Array, State]]:
    """Yield the number of each line, the top layer's output after each of its rows (T, H), and its last state.

    Lines of like lengths go through together.

    Parameters
    ----------
    net : Network
    lines : sequence of ndarray (T_i, D)
        At least one row each.
    starts : sequence of states, each (L, 1, H), optional
        The states before the first rows; None for zeros.
    """
    order = sorted(range(len(lines)), key=lambda k: len(lines[k]))
    stack = net.recurrent
    width, first = stack.input_size + 4 * stack.hidden_size, 0
    while first < len(order):
        stop = first + 1
        while stop < len(order) and len(lines[order[stop]]) * (stop + 1 - first) * width <= _PASS:
            stop += 1
        group = order[first:stop]
        sizes = np.array([len(lines[number]) for number in group])
        x = np.zeros((len(group), sizes[-1], stack.input_size), net.dtype)
        for k, number in enumerate(group):
            x[k, : sizes[k]] = lines[number]
        lengths = None if sizes[0] == sizes[-1] else sizes
        x_t, state, checked = stack.check_inputs(
            x, _together(stack, starts, group, net.dtype), lengths, copy=False
        )
        with one_blas_thread():
            h, last, _ = stack.run(x_t, state, checked, tape=False)
        assert h is not None
        for k, number in enumerate(group):
            yield number, h[: sizes[k], k], {name: array[:, k : k + 1] for name, array in last.items()}
        first = stop


def _together(
    stack: Recurrent, starts: Sequence[State | None] | None, group: list[int], dtype: np.dtype[Any]
) -> State | None:
    if starts is None or all(starts[number] is None for number in group):
        return None
    found = {name: np.zeros(stack.state_shape(len(group)), dtype) for name in stack.states}
    for k, number in enumerate(group):
        for name, array in (starts[number] or {}).items():
            found[name][:, k] = array[:, 0]
    return found


def in_double(net: Network, horizon: int) -> Network:
    """Return the network in float64, with an output for each step of the horizon.

    The weights of the readout are left at 0: they are solved for.
    """
    stack = net.recurrent
    double = Network(
        Recurrent(
            stack.cell,
            stack.input_size,
            stack.hidden_size,
            num_layers=stack.num_layers,
            dtype="float64",
            initializers=dict.fromkeys(stack.cell.plan.weights, Constant(0.0)),
        ),
        horizon,
        readout="every",
        readout_initializer="zeros",
        bias=False,
    )
    for name in stack.parameters:
        double.parameters[name][...] = net.parameters[name]
    return double


def _one_series(
    lesson: Lesson, length: int, most: int, seed: int, steps: Array
) -> tuple[Array, Array, Array, int]:
    """Return all lines under each other (N, D + K), the weights of their rows (N,), where each begins, and D.

    The targets of a row stand one row below it, where `Sequences` looks for them. Of more rows than `most`, some lines
    or a stretch of each are drawn.
    """
    # A row holds its inputs and a value for each step of the horizon.
    most = max(4 * length, min(most, _NUMBERS // (lesson.lines[0].x.shape[1] + len(steps))))
    chosen = [k for k in range(len(lesson.y)) if len(lesson.y[k]) >= length]
    spans = {k: (0, len(lesson.y[k])) for k in chosen}
    total = sum(stop for _, stop in spans.values())
    if total > most:
        rng = np.random.default_rng([seed, 2])
        each = max(length, most // len(chosen))
        kept: dict[int, tuple[int, int]] = {}
        left = most
        for k in rng.permutation(chosen):
            if left < length:
                break
            count = min(spans[int(k)][1], 4 * each, max(left, length))
            begin = int(rng.integers(0, spans[int(k)][1] - count + 1))
            kept[int(k)] = (begin, begin + count)
            left -= count
        spans = dict(sorted(kept.items()))
    D, K = lesson.lines[0].x.shape[1], len(steps)
    near = emphasis(K)
    rows = sum(stop - begin + 1 for begin, stop in spans.values())
    values, weights = np.zeros((rows, D + K), np.float32), np.ones(rows)
    segments, row = [], 0
    for k, (begin, stop) in spans.items():
        count = stop - begin
        # The last row lends its place to the targets of the one before; its own inputs are not reached by any target.
        values[row : row + count + 1, :D] = lesson.lines[k].x[begin : stop + 1]
        for top in range(begin, stop, CHUNK):
            piece = lesson.y[k][top : min(top + CHUNK, stop)]
            values[row + 1 + top - begin : row + 1 + top - begin + len(piece), D:] = piece[:, steps] * near
        weights[row : row + count] = lesson.weights[k][begin:stop]
        segments.append(row)
        row += count + 1
    return values, weights, np.array(segments), D
