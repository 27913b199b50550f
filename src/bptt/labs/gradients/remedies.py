"""The remedies against vanishing and exploding gradients, each switched on alone, and how a network is trained."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.diagnostics import Diagnosis, diagnose
from bptt.errors import DivergedError
from bptt.forecast.fitting.running.side_by_side import Stopped
from bptt.initializers import Constant, Identity, Initializer, Uniform
from bptt.labs.gradients.data import DIGITS, Task
from bptt.labs.gradients.penalty import penalised_gradients
from bptt.network import Network, Recurrent
from bptt.optim import L1, L2, Adam, ClipNorm, Penalty
from bptt.training import Event, History, TrainingDivergedError, train

HIDDEN, BATCH, RATE, STEPS = 32, 32, 0.003, 2000
EXAMPLES = 10_000
# Every so many updates the loss on examples apart is looked at. Training ends once it is below the task's `stop_at`,
# and is given up where after `PATIENCE` updates it is still above this share of what guessing costs.
EVERY, HELD_OUT, PATIENCE, HOPELESS = 50, 256, 1500, 0.95


@dataclass(frozen=True)
class Remedy:
    """One row of the table.

    Attributes
    ----------
    title : str
    cell : str
    activation : str, optional
        Of the Elman cell.
    start : Initializer or str
        Of W_hh. Uniform in +-1/sqrt(H), PyTorch's, is "no remedy".
    bias : Initializer, optional
        Of b_h.
    clip : float, optional
        Largest norm of the gradient.
    penalty : Penalty, optional
    truncate : int, optional
        Steps that the gradient reads, counted from the answer.
    omega : float
        Strength of Pascanu's penalty.
    programmed : bool
        Whether the first ten units start as latches for the ten digits.
    tasks : tuple of str
        Where it can be used.
    """

    title: str
    cell: str = "elman"
    activation: str = "tanh"
    start: Initializer | str = field(default_factory=Uniform)
    bias: Initializer | None = None
    clip: float | None = None
    penalty: Penalty | None = None
    truncate: int | None = None
    omega: float = 0.0
    programmed: bool = False
    tasks: tuple[str, ...] = ("echo", "adding")


# Latches hold one of ten digits; there is no such state by hand for a sum of numbers. And the gated cells without
# clipping do on digit echo what they do with it: once is enough, so that the lab stays within its time.
ECHO = ("echo",)

# In PyTorch's order of gates the update gate z is the GRU's second, the forget gate f the LSTM's second.
REMEDIES: dict[str, Remedy] = {
    "none": Remedy("Elman, none"),
    "clip": Remedy("Elman, clipped at norm 1", clip=1.0),
    "l2": Remedy("Elman, L2 1e-4", penalty=L2(1e-4)),
    "l1": Remedy("Elman, L1 1e-5", penalty=L1(1e-5)),
    "truncated": Remedy("Elman, truncated after 15 steps", truncate=15),
    "orthogonal": Remedy("Elman, orthogonal start", start="orthogonal"),
    "identity": Remedy("Elman, identity start", start=Identity()),
    "identity_relu": Remedy("Elman, identity start, ReLU, clipped", activation="relu", start=Identity(), clip=1.0),
    "omega": Remedy("Elman, Pascanu's penalty, clipped", omega=0.5, clip=1.0),
    "programmed": Remedy("Elman, pre-programmed, clipped", programmed=True, clip=1.0, tasks=ECHO),
    "gru": Remedy("GRU", cell="gru", tasks=ECHO),
    "gru_clip": Remedy("GRU, clipped", cell="gru", clip=1.0),
    "gru_keep": Remedy("GRU, update bias 2, clipped", cell="gru", bias=Constant((0.0, 2.0, 0.0)), clip=1.0),
    "lstm_zero": Remedy("LSTM, forget bias 0", cell="lstm", bias=Constant(0.0)),
    "lstm": Remedy("LSTM, forget bias 1", cell="lstm", tasks=ECHO),
    "lstm_clip": Remedy("LSTM, forget bias 1, clipped", cell="lstm", clip=1.0),
    "lstm_keep": Remedy(
        "LSTM, forget bias 4, clipped", cell="lstm", bias=Constant((0.0, 4.0, 0.0, 0.0)), clip=1.0
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One network trained at one lag.

    Attributes
    ----------
    score : float
        On fresh examples.
    solved : bool
    steps : int
        Updates made: fewer than allowed where training ended early.
    diverged : bool
    diagnosis : Diagnosis or None
        What the training doctor says, where nothing was done and the task was not solved.
    """

    score: float
    solved: bool
    steps: int
    diverged: bool
    diagnosis: Diagnosis | None = None


def make_network(remedy: Remedy, task: Task, seed: int, *, dtype: str = "float32") -> Network:
    """Return the network that a remedy starts from."""
    starts: dict[str, Initializer | str] = {"W_hh": remedy.start}
    if remedy.bias is not None:
        starts["b_h"] = remedy.bias
    options: dict[str, Any] = {"activation": remedy.activation} if remedy.cell == "elman" else {}
    stack = Recurrent(
        remedy.cell, task.inputs, HIDDEN, dtype=dtype, seed=seed, initializers=starts, **options
    )
    net = Network(stack, task.outputs, readout="last", loss=task.loss, seed=seed)
    if remedy.programmed:
        programme(net)
    return net


def programme(net: Network) -> None:
    """Make the first ten units latches for the digit that is marked, by hand.

    A unit with h = tanh(4 h + input) has two resting states near +-1, and it takes an input of 2.15 to move it from one
    to the other. A digit gives its unit +2, which is not enough. At the first step the state is still 0 and the mark
    gives every unit -1: the marked digit's unit goes up with +1, the others go down.
    """
    W_xh, W_hh = net.parameters["layers.0.W_xh"], net.parameters["layers.0.W_hh"]
    W_hh[:DIGITS], W_hh[:, :DIGITS], W_xh[:, :DIGITS] = 0, 0, 0
    latches = np.arange(DIGITS)
    W_hh[latches, latches] = 4
    W_xh[latches, latches] = 2
    W_xh[DIGITS, :DIGITS] = -1


def train_one(
    remedy: Remedy,
    task: Task,
    lag: int,
    seed: int,
    *,
    steps: int = STEPS,
    stop: threading.Event | None = None,
) -> tuple[Network, Run]:
    """Train a network at one lag; return it, and how it did on fresh examples.

    Once `stop` is set, from another thread, it ends with an exception.
    """
    net, found, _ = train_and_keep(remedy, task, lag, seed, steps=steps, stop=stop)
    return net, found


def train_and_keep(
    remedy: Remedy, task: Task, lag: int, seed: int, *, steps: int = STEPS,
    stop: threading.Event | None = None, settings: Mapping[str, Any] | None = None,
) -> tuple[Network, Run, History | None]:  # fmt: skip
    """Train as `train_one`, and return the history too, where `bptt.train` made one.

    `settings` are further arguments of `bptt.train`: what to record.
    """
    net = make_network(remedy, task, seed)
    x, y = task.draw(np.random.default_rng([seed, lag, 0]), EXAMPLES, lag)
    held_out = task.draw(np.random.default_rng([seed, lag, 2]), HELD_OUT, lag)
    watch = _Watch(task.stop_at, HOPELESS * task.guessing, stop)
    diverged = False
    try:
        if remedy.truncate is None and not remedy.omega:
            history = train(
                net, (x, y), optimizer=Adam(RATE), clip=remedy.clip, penalty=remedy.penalty, steps=steps,
                batch_size=BATCH, seed=seed, validation=held_out, evaluate_every=EVERY, callbacks=(watch,),
                progress=False, **(settings or {}),
            )  # fmt: skip
            if history.stopped_because == "interrupted":
                raise KeyboardInterrupt
        else:
            _train_by_hand(net, (x, y), held_out, remedy, watch, steps, seed)
    except _Decided:
        pass
    except (TrainingDivergedError, DivergedError):
        diverged = True
    seen = (x, y)
    x, y = task.draw(np.random.default_rng([seed, lag, 1]), 1000, lag)
    with np.errstate(over="ignore"):  # a network that has diverged may answer anything
        score = task.score(net, x, y)
    solved, found = task.solved(score), None
    if remedy is REMEDIES["none"] and not solved and watch.history is not None:
        found = diagnose(watch.history, net, seen)
    return net, Run(score, solved, watch.steps, diverged, found), watch.history


class _Decided(Exception):
    """The losses are low enough, or there is no hope: raised by the callback to end a run."""


class _Watch:
    """A training callback that ends the run once the held-out loss is low, or too long as high as that of a guess."""

    looks_at_net = False  # so that many steps may be made in one compiled call

    def __init__(self, stop_at: float, hopeless: float, stop: threading.Event | None = None) -> None:
        self.stop = stop
        self.steps = 0
        self.history: History | None = None
        self.stop_at, self.hopeless = stop_at, hopeless

    def __call__(self, event: Event) -> None:
        self.see(event.step + 1, event.validation_loss)

    def finish(self, history: History) -> None:
        """Keep the run's history, however it ended."""
        self.history = history

    def see(self, steps: int, held_out: float | None) -> None:
        """Take the number of updates made, and the held-out loss where there is one.

        A decision waits for that: between two evaluations, how many updates were made when this is called depends
        on the machine's speed.
        """
        self.steps = steps
        if self.stop is not None and self.stop.is_set():
            raise Stopped
        if held_out is None:
            return
        if held_out < self.stop_at or (steps == PATIENCE and held_out > self.hopeless):
            raise _Decided


def _train_by_hand(
    net: Network, examples: tuple[Array, Array], held_out: tuple[Array, Array], remedy: Remedy, watch: _Watch,
    steps: int, seed: int,
) -> None:  # fmt: skip
    """Train with a gradient that `train` does not follow, by a loop that is written out."""
    x, y = examples
    optimizer = Adam(RATE)
    slots = optimizer.init(net.parameters)
    clip = None if remedy.clip is None else ClipNorm(remedy.clip)
    rng = np.random.default_rng([seed, 2])
    for step in range(steps):
        chosen = rng.integers(len(x), size=BATCH)
        if remedy.omega:
            loss, _, gradients = penalised_gradients(net, x[chosen], y[chosen], remedy.omega)
        else:
            assert remedy.truncate is not None
            loss, gradients = truncated_gradients(net, x[chosen], y[chosen], remedy.truncate)
        norm = _norm(gradients) if clip is None else clip(gradients)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DivergedError(
                f"loss {loss:.4g} and gradient norm {norm:.4g} must be finite. Got them at step {step}"
            )
        optimizer.update(net.parameters, gradients, slots, step)
        made = step + 1
        watch.see(made, float(net.loss_value(*held_out)) if made % EVERY == 0 else None)


def truncated_gradients(net: Network, x: Array, y: Array, steps: int) -> tuple[float, dict[str, Array]]:
    """Return the loss at the last step, and its gradient over the last `steps` steps alone.

    The state is carried over the border, the gradient is not.
    """
    border = max(0, x.shape[1] - steps)
    state = None if border == 0 else net.forward(x[:, :border], tape=False).state
    found = net.loss_and_gradients(x[:, border:], y, state=state)
    return float(found.loss), found.gradients.parameters


def _norm(gradients: Mapping[str, Array]) -> float:
    return math.sqrt(sum(float(np.vdot(d, d)) for d in gradients.values()))
