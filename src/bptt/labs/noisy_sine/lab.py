"""The noisy-sine lab: the lecture's network as printed, corrected, and as one would train it.

Follows "Recurrent Neural Networks - from Scratch" (M. Hohle): one noisy sine of 200 steps, 500 to 800 neurons, an
output at every step, SGD with momentum and decay. `run_rnn` and `apply_rnn` are the lecture's RunMyRNN and ApplyMyRNN
on the public API; `bptt.labs.noisy_sine.study` runs the configurations side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from bptt.checks import Array
from bptt.diagnostics import Diagnosis, diagnose
from bptt.initializers import Normal, SpectralRadius
from bptt.labs.noisy_sine.data import msse
from bptt.labs.watched import RECORDED, Watched, look_every
from bptt.labs.watched import watch as look_back
from bptt.losses import HalfSquared
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import Event, TrainingDivergedError, train

# Called with updates made and updates to make.
Tell = Callable[[int, int], None]
# A look at hundreds of neurons, its radius and its paths, takes as long as many updates.
LOOKS, LONGEST = 5, 40
WEIGHTS = ("layers.0.W_xh", "layers.0.W_hh", "layers.0.b_h")


@dataclass(frozen=True)
class Recipe:
    """How to train; by default as the lecture's RunMyRNN does.

    Attributes
    ----------
    radius : float, optional
        Spectral radius of W_hh at the start. None takes the lecture's normal numbers of deviation 0.1, which have
        0.1 sqrt(n): 2.8 for 800 neurons.
    clip : float, optional
        Largest norm of the gradient.
    """

    epochs: int = 1000
    neurons: int = 800
    learning_rate: float = 1e-5
    decay: float = 0.0
    momentum: float = 0.95
    activation: str = "tanh"
    radius: float | None = None
    clip: float | None = None


LECTURE = Recipe()
PLAIN = Recipe(epochs=20, neurons=500, momentum=0.0)
MOMENTUM = Recipe(epochs=200, neurons=500)
SANE = Recipe(epochs=300, learning_rate=1e-2, decay=0.15, radius=1.0, clip=1.0)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The network after some updates.

    Attributes
    ----------
    fit : ndarray (T, 1)
    states : ndarray (T, n)
        h_1..h_T.
    norms : dict of parameter name to float
        Of the gradient of the sum of squares.
    """

    fit: Array
    states: Array
    norms: dict[str, float]

    @property
    def saturated(self) -> float:
        """Share of the states beyond 0.9 on either side."""
        return float(np.mean(np.abs(self.states) > 0.9))

    @property
    def hidden_norm(self) -> float:
        """Norm of the gradient of all but the readout."""
        return float(np.linalg.norm([self.norms[name] for name in WEIGHTS]))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network and its way there.

    Attributes
    ----------
    losses : ndarray (updates + 1,)
        MSSE before each update, and after the last one made.
    gradient_norms : ndarray (updates,)
        Before clipping, of the *sum* of squares: that is what the lecture descends.
    diverged : int or None
        Updates made before the run left the finite numbers.
    snapshots : dict of int to Snapshot
        By updates made.
    diagnosis : Diagnosis or None
        What the training doctor says, of runs with snapshots.
    watched : Watched or None
        For the sliders, of a run that was to be recorded.
    """

    net: Network
    losses: Array
    gradient_norms: Array
    diverged: int | None = None
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    diagnosis: Diagnosis | None = None
    watched: Watched | None = None


def make_network(recipe: Recipe, seed: int) -> Network:
    """Return the lecture's network: all weights and the bias normal with 0.1, no bias of the output."""
    normal = Normal(0.1)
    recurrent = normal if recipe.radius is None else SpectralRadius(Normal(1.0), recipe.radius)
    stack = Recurrent(
        "elman", 1, recipe.neurons, activation=recipe.activation, dtype="float32", seed=seed,
        initializers={"W_xh": normal, "W_hh": recurrent, "b_h": normal},
    )  # fmt: skip
    return Network(
        stack,
        readout="every",
        loss=HalfSquared(time="sum"),
        bias=False,
        readout_initializer=normal,
        seed=seed,
    )


def run_rnn(
    x: Array,
    y: Array,
    recipe: Recipe = LECTURE,
    *,
    seed: int = 0,
    keep: Iterable[int] = (),
    tell: Tell | None = None,
    record: str | None = None,
) -> Fitted:
    """Train on one sequence, as the lecture's RunMyRNN.

    Parameters
    ----------
    x, y : ndarray (T, 1)
    recipe : Recipe
        ``replace(LECTURE, activation="relu", decay=0.01)``, ...
    seed : int
        Of the starting weights.
    keep : iterable of int
        After how many updates to keep a snapshot: each needs a pass of its own.
    tell : callable, optional
        Told of progress.
    record : str, optional
        What to call the run in a report: it is then recorded, to be moved through with sliders.
    """
    net = make_network(recipe, seed)
    one_x, one_y = (np.asarray(a, net.dtype)[None] for a in (x, y))
    watch = _Watch(one_x, one_y, frozenset(keep), tell)
    watch.look(net, 0)
    diverged = None
    try:
        history = train(
            net, (one_x, one_y), epochs=recipe.epochs, batch_size=1, clip=recipe.clip, callbacks=(watch,),
            optimizer=SGD(recipe.learning_rate, momentum=recipe.momentum, decay=recipe.decay), progress=False,
            record=None if record is None else RECORDED,
            every=None if record is None else look_every(recipe.epochs, LOOKS),
        )  # fmt: skip
    except TrainingDivergedError as error:
        history, diverged = error.history, error.updates_kept
    if history.stopped_because == "interrupted":
        raise KeyboardInterrupt
    end = msse(net.predict(one_x)[0], np.asarray(y))
    found = diagnose(history, net, (one_x, one_y)) if watch.snapshots else None
    watched = None
    if record is not None and diverged is None:
        examples = f"the sequence itself, paths of up to {LONGEST} steps"
        watched = look_back(record, net, history, one_x, one_y, examples, longest=LONGEST)
    return Fitted(
        net, np.append(history.losses / len(x), end), history.gradient_norms, diverged, watch.snapshots, found,
        watched,
    )  # fmt: skip


def apply_rnn(x: Array, net: Network) -> Array:
    """Return y_hat (n, 1) on another series (n, 1) of any length, from the zero state: the lecture's ApplyMyRNN."""
    return np.asarray(net.predict(np.asarray(x, net.dtype)[None])[0])


class _Watch:
    """A training callback: tells of progress and takes snapshots."""

    def __init__(self, x: Array, y: Array, keep: frozenset[int], tell: Tell | None) -> None:
        self.x, self.y, self.keep, self.tell = x, y, keep, tell
        self.snapshots: dict[int, Snapshot] = {}
        # Without a snapshot many steps may be made in one call.
        self.looks_at_net = bool(keep)

    def __call__(self, event: Event) -> None:
        done = event.step + 1
        self.look(event.net, done)
        if self.tell and (done % max(1, event.total_steps // 50) == 0 or done == event.total_steps):
            self.tell(done, event.total_steps)

    def look(self, net: Network, done: int) -> None:
        """Take a snapshot if this is one of the steps."""
        if done not in self.keep:
            return
        h, _, _ = net.recurrent.forward(self.x)
        found = net.loss_and_gradients(self.x, self.y)
        norms = {
            name: float(np.linalg.norm(d.astype(np.float64)))
            for name, d in found.gradients.parameters.items()
        }
        self.snapshots[done] = Snapshot(found.y_hat[0].astype(np.float64), h[0].copy(), norms)
