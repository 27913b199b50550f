"""How far back an adder can learn to look: the first and the last digit of a sequence are to be added.

The digits between do not count, so the first must be held against what is read meanwhile. The same training is given to
an Elman network and to an LSTM, and the Elman gets a second one. Beside it: how gradients decay before training, and
what the answers depend on after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bptt.checks import Array
from bptt.diagnostics import gradient_by_path_length
from bptt.engine import reference
from bptt.engine.tape import Tape
from bptt.initializers import Initializer, Uniform
from bptt.labs.addition.data import TEN, first_and_last
from bptt.labs.addition.lab import BATCH, HIDDEN, Notify
from bptt.network import Network, Recurrent
from bptt.optim import Adam
from bptt.training import train

CELLS = {"elman": "Elman", "lstm": "LSTM"}
# Cell and learning rate of Adam. The slower Elman is the one that can learn the short sequences.
TRAININGS = (("elman", 0.003), ("elman", 0.001), ("lstm", 0.003))
LENGTHS, STEPS = (4, 10), 4000
TRAIN_EXAMPLES, TEST_EXAMPLES = 20_000, 5000
# Longer than what is trained, so that the picture shows the decay.
PROFILE_STEPS = 30


@dataclass(frozen=True)
class Holding:
    """One cell and rate at one length; lists have one entry a seed.

    Attributes
    ----------
    cell : str
    rate : float
        Of Adam.
    steps : int
        Length of the sequences: the first digit lies ``steps - 1`` steps back when it is needed.
    right : list of float
        Share of right answers on fresh sequences; guessing gets 0.1.
    losses : list of ndarray
    seconds : list of float
    """

    cell: str
    rate: float
    steps: int
    right: list[float] = field(default_factory=list)
    losses: list[Array] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What tables call the training."""
        return f"{CELLS[self.cell]}, Adam {self.rate:g}"


@dataclass(frozen=True, eq=False)
class Flow:
    """How large the gradient is on its way back, medians over the batch.

    Attributes
    ----------
    dstate : ndarray (T,)
        Norm of dL/d(state after step t), all the cell's states together, t = 1..T.
    dx : ndarray (T,)
        Norm of dL/dx_t.
    """

    dstate: Array
    dx: Array


@dataclass(frozen=True)
class Limits:
    """What was found.

    Attributes
    ----------
    rows : tuple of Holding
        By length, in the order of `TRAININGS`.
    profiles : dict of str to ndarray (PROFILE_STEPS,)
        Mean absolute dL/dW_hh by path length, of untrained networks with the loss at the last of `PROFILE_STEPS`
        steps, over that of the shortest path: as they start here, and an Elman that starts uniform in +-1/sqrt(H).
    flows : dict of str to Flow
        Of the first seed's networks after training on the longest sequences, by `Holding.title`.
    swayed : dict of str to ndarray (steps,)
        Share of the same networks' answers that change when the digit of that step is replaced by another.
    held : dict of str to float
        Share of the variance of their state, just before the last digit, that is due to the first one.
    """

    rows: tuple[Holding, ...]
    profiles: dict[str, Array]
    flows: dict[str, Flow]
    swayed: dict[str, Array]
    held: dict[str, float]


def make_reader(cell: str, seed: int, *, start: str | Initializer = "orthogonal") -> Network:
    """Return a network of 100 units that answers at the last step; the Elman without biases, as assigned."""
    bias = cell != "elman"
    stack = Recurrent(
        cell,
        input_size=TEN,
        hidden_size=HIDDEN,
        bias=bias,
        dtype="float32",
        seed=seed,
        initializers={"W_hh": start},
    )
    return Network(stack, output_size=TEN, readout="last", loss="cross_entropy", bias=bias, seed=seed)


def run(*, seeds: tuple[int, ...], steps: int = STEPS, notify: Notify | None = None) -> Limits:
    """Train both cells at each length.

    Parameters
    ----------
    seeds : tuple of int
    steps : int
        Updates of each run.
    notify : callable, optional
        Told of progress.
    """
    tell = notify or (lambda *_: None)
    flows: dict[str, Flow] = {}
    swayed: dict[str, Array] = {}
    held: dict[str, float] = {}
    rows = tuple(Holding(cell, rate, length) for length in LENGTHS for cell, rate in TRAININGS)
    for row in rows:
        for number, seed in enumerate(seeds):
            title = f"{row.title}, first and last of {row.steps}"
            tell(title, number, len(seeds))
            x, y = first_and_last(np.random.default_rng([seed, row.steps, 0]), TRAIN_EXAMPLES, row.steps)
            net = make_reader(row.cell, seed)
            history = train(
                net, (x, y), optimizer=Adam(row.rate), clip=1.0, steps=steps, batch_size=BATCH, seed=seed,
                progress=False,
            )  # fmt: skip
            if history.stopped_because == "interrupted":
                raise KeyboardInterrupt
            x, y = first_and_last(np.random.default_rng([seed, row.steps, 1]), TEST_EXAMPLES, row.steps)
            row.right.append(float((net.predict(x).argmax(axis=1) == y).mean()))
            row.losses.append(history.losses)
            row.seconds.append(history.seconds)
            if row.steps == max(LENGTHS) and number == 0:
                flows[row.title] = gradient_flow(net, x[:256], y[:256])
                swayed[row.title] = answers_swayed(net, x[:1000], np.random.default_rng([seed, row.steps, 3]))
                held[row.title] = first_digit_held(net, x[:1000])
            tell(title, number + 1, len(seeds))
    x, y = first_and_last(np.random.default_rng([seeds[0], 2]), 128, PROFILE_STEPS)
    fresh = {title: make_reader(cell, seeds[0]) for cell, title in CELLS.items()}
    fresh["Elman, uniform start"] = make_reader("elman", seeds[0], start=Uniform())
    return Limits(rows, {title: _decay(net, x, y) for title, net in fresh.items()}, flows, swayed, held)


def _decay(net: Network, x: Array, y: Array) -> Array:
    parts = gradient_by_path_length(net, x, y).mean_abs("layers.0.W_hh")
    return np.asarray(parts / parts[0])


def gradient_flow(net: Network, x: Array, y: Array) -> Flow:
    """Return how large the gradient of the last step's loss is at every step, each row's own loss counted in full."""
    h, tape = _run(net, x)
    W_hy = net.parameters["readout.W_hy"].astype(np.float64)
    _, dy_hat = net.loss.value_and_gradient(h[-1] @ W_hy + net.parameters.get("readout.b_y", 0.0), y)
    found = reference.backward(tape, None, {"h": dy_hat @ W_hy.T * len(x)}, want={"states", "x"})
    assert found.states is not None
    assert found.x is not None
    both = np.concatenate([d[1:] for d in found.states.values()], axis=2)
    return Flow(*(np.median(np.linalg.norm(d, axis=2), axis=1) for d in (both, found.x)))


def answers_swayed(net: Network, x: Array, rng: np.random.Generator) -> Array:
    """Return for each step the share of answers that change when its digit is replaced by another, drawn evenly."""
    answers = net.predict(x).argmax(axis=1)
    changed = np.empty(x.shape[1])
    for t in range(x.shape[1]):
        digits = (x[:, t].argmax(axis=1) + rng.integers(1, TEN, len(x))) % TEN
        other = x.copy()
        other[:, t] = np.eye(TEN)[digits]
        changed[t] = (net.predict(other).argmax(axis=1) != answers).mean()
    return changed


def first_digit_held(net: Network, x: Array) -> float:
    """Return how much of the state's variance before the last step the first digit accounts for, the units' median.

    The state is the cell of an LSTM, else h. By chance it is about 9 / rows.
    """
    states = _run(net, x)[1].states
    before = states["c" if "c" in states else "h"][-2]
    digits = x[:, 0].argmax(axis=1)
    means = np.array([before[digits == digit].mean(axis=0) for digit in digits])
    return float(np.median(means.var(axis=0) / before.var(axis=0)))


def _run(net: Network, x: Array) -> tuple[Array, Tape]:
    """Return h (T, B, H) and the tape of a forward pass in float64."""
    stack = net.recurrent
    h, _, tape = reference.forward(
        stack.cell,
        {name.removeprefix("layers.0."): p.astype(np.float64) for name, p in stack.parameters.items()},
        x.transpose(1, 0, 2).astype(np.float64),
    )
    assert h is not None
    assert tape is not None
    return h, tape
