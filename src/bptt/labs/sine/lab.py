"""The sine lab: whether the gradient explodes, whether clipping helps, and how well a network predicts.

Follows the assignment "Recurrent Neural Network for Sine Wave Prediction": 25 values of sin(k) into an Elman network of
100 units without biases, the 26th out, half the squared error. `run` trains every combination of starting weights,
batch, optimiser, output activation and clipping, over several seeds; `bptt.labs.sine.report` draws what it found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from bptt.checks import Array, check_whole
from bptt.diagnostics import Diagnosis, diagnose
from bptt.initializers import Normal
from bptt.labs.sine.data import Baselines, SineData, make_sine, measure_baselines, rmse
from bptt.labs.sine.free import FreeRun, run_freely
from bptt.labs.sine.gradients import Flow, gradient_flow
from bptt.labs.watched import RECORDED, Watched, look_every, watch
from bptt.losses import HalfSquared
from bptt.network import Network, Recurrent
from bptt.optim import SGD, ClipNorm, Clipping, ClipValue
from bptt.training import History, TrainingDivergedError, train

HIDDEN, RATE = 100, 0.01
# Standard deviation of all three weights. W_hh then has a spectral radius of about sd sqrt(100): 1, 2 and 10; the last
# is what a plain `randn` gives.
STARTS = {"small": 0.1, "large": 0.2, "huge": 1.0}
BATCHES = {"full batch": 175, "per sample": 1}
# About the same time each: 60 updates, and 3,500.
EPOCHS = {"full batch": 60, "per sample": 20}
MOMENTA = {"plain": 0.0, "momentum": 0.9}
ACTIVATIONS = ("identity", "tanh")
CLIPS: dict[str, Clipping | None] = {"off": None, "value": ClipValue(0.1), "norm": ClipNorm(1.0)}
# The best setting's test error is to be at most this.
BAR = 0.01

# Called with what is being computed, parts done and parts to do.
Notify = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Setting:
    """A cell of the grid: names of `STARTS`, `BATCHES`, `MOMENTA`, `ACTIVATIONS` and `CLIPS`."""

    start: str
    batch: str
    optimizer: str
    activation: str
    clip: str

    @property
    def title(self) -> str:
        """In words."""
        clip = "no clipping" if self.clip == "off" else f"clipped by {self.clip}"
        return f"{self.start} start, {self.batch}, {self.optimizer}, {self.activation} output, {clip}"


@dataclass(frozen=True, eq=False)
class Trained:
    """A setting's runs, one row a seed. After a divergence the curves hold nan.

    Attributes
    ----------
    losses : ndarray (seeds, epochs)
        Mean loss of each epoch's updates.
    norms : ndarray (seeds, epochs)
        Largest gradient norm of each epoch, before clipping; of the updates made, where a run diverged in it.
    rmse : ndarray (seeds,)
        On the test windows; inf where the run diverged.
    diverged : tuple of int or None
        Updates made before the run left the finite numbers; None where it did not.
    """

    setting: Setting
    losses: Array
    norms: Array
    rmse: Array
    diverged: tuple[int | None, ...]

    @property
    def failures(self) -> int:
        """How many runs diverged."""
        return sum(step is not None for step in self.diverged)

    @property
    def last_loss(self) -> float:
        """Mean over the seeds of the last epoch's training loss, inf where one diverged."""
        return np.inf if self.failures else float(self.losses[:, -1].mean())


@dataclass(frozen=True, eq=False)
class SineResult:
    """Everything the lab found.

    Attributes
    ----------
    seeds : tuple of int
    data : SineData
    baselines : Baselines
    grid : dict of Setting to Trained
    best : Setting
        With the lowest training loss at its end; the test had no say.
    nets : list of Network
        The best setting's, a seed each.
    predictions : ndarray (seeds, 200)
        Their one-step predictions of the test targets.
    free : list of FreeRun
        Their free runs.
    flows : dict of str to Flow
        For each start, and for the best setting's first network ("trained"): the gradient of one window's error.
    diagnosis : Diagnosis or None
        What the training doctor says of the best setting's first run.
    watched : Watched or None
        The same run, for the sliders.
    """

    seeds: tuple[int, ...]
    data: SineData
    baselines: Baselines
    grid: dict[Setting, Trained]
    best: Setting
    nets: list[Network]
    predictions: Array
    free: list[FreeRun]
    flows: dict[str, Flow]
    diagnosis: Diagnosis | None = None
    watched: Watched | None = None


def settings() -> list[Setting]:
    """Return the grid, clipping running fastest."""
    return [Setting(*names) for names in product(STARTS, BATCHES, MOMENTA, ACTIVATIONS, CLIPS)]


def make_network(start: str, activation: str, seed: int, dtype: str = "float32") -> Network:
    """Return the assignment's network: 100 units, no biases, zero initial state, all weights normal."""
    normal = Normal(STARTS[start])
    stack = Recurrent(
        "elman",
        1,
        HIDDEN,
        bias=False,
        dtype=dtype,
        seed=seed,
        initializers={"W_xh": normal, "W_hh": normal},
    )
    return Network(
        stack, readout="last", loss=HalfSquared(), output_activation=activation, bias=False,
        readout_initializer=normal, seed=seed,
    )  # fmt: skip


def train_one(
    setting: Setting, data: SineData, seed: int, epochs: int | None = None, *, record: bool = False
) -> tuple[Network, History, int | None]:
    """Train one network; return it, its history, and after how many updates it diverged, if it did."""
    net = make_network(setting.start, setting.activation, seed)
    passes = epochs or EPOCHS[setting.batch]
    steps = passes * -(-len(data.x) // BATCHES[setting.batch])
    try:
        history = train(
            net,
            (data.x.astype(net.dtype), data.y.astype(net.dtype)),
            optimizer=SGD(RATE, momentum=MOMENTA[setting.optimizer]),
            clip=CLIPS[setting.clip],
            epochs=passes,
            batch_size=BATCHES[setting.batch],
            sampling="shuffled",
            seed=seed,
            progress=False,
            record=RECORDED if record else None,
            every=look_every(steps) if record else None,
        )
    except TrainingDivergedError as error:
        return net, error.history, error.updates_kept
    if history.stopped_because == "interrupted":
        raise KeyboardInterrupt
    return net, history, None


def run(
    *, seed: int = 0, seeds: int = 5, epochs: dict[str, int] | None = None, notify: Notify | None = None
) -> SineResult:
    """Train the whole grid, then look at the best setting: its predictions, its free run, its gradients.

    Parameters
    ----------
    seed, seeds : int
        First seed and their number.
    epochs : dict of str to int, optional
        Passes over the 175 windows by batch; `EPOCHS`.
    notify : callable, optional
        Told of progress.
    """
    tell = notify or (lambda *_: None)
    passes = {**EPOCHS, **(epochs or {})}
    first, count = check_whole("seed", seed, least=0), check_whole("seeds", seeds)
    all_seeds = tuple(range(first, first + count))
    data = make_sine()
    grid: dict[Setting, Trained] = {}
    for start in STARTS:
        chosen = [setting for setting in settings() if setting.start == start]
        for done, setting in enumerate(chosen):
            tell(f"{start} start", done, len(chosen))
            grid[setting] = _train_all(setting, data, all_seeds, passes[setting.batch])
        tell(f"{start} start", len(chosen), len(chosen))
    best = min(grid, key=lambda setting: grid[setting].last_loss)
    # The same seeds give the same bits, so nothing had to be kept of 360 networks.
    trained = [train_one(best, data, k, passes[best.batch], record=k == first) for k in all_seeds]
    nets = [net for net, _, _ in trained]
    flows = {start: gradient_flow(make_network(start, "identity", first), data.x, data.y) for start in STARTS}
    flows["trained"] = gradient_flow(nets[0], data.x, data.y)
    return SineResult(
        seeds=all_seeds,
        data=data,
        baselines=measure_baselines(data),
        grid=grid,
        best=best,
        nets=nets,
        predictions=np.array([net.predict(data.x_test.astype(net.dtype))[:, 0] for net in nets]),
        free=[run_freely(net, data) for net in nets],
        flows=flows,
        diagnosis=diagnose(trained[0][1], nets[0], (data.x, data.y)),
        watched=watch(
            f"the best setting, seed {first}", nets[0], trained[0][1], data.x, data.y, "all 175 windows"
        ),
    )


def _train_all(setting: Setting, data: SineData, seeds: tuple[int, ...], epochs: int) -> Trained:
    updates = -(-len(data.x) // BATCHES[setting.batch])
    losses, norms = np.full((2, len(seeds), epochs, updates), np.nan)
    errors, diverged = np.full(len(seeds), np.inf), []
    for row, seed in enumerate(seeds):
        net, history, failed = train_one(setting, data, seed, epochs)
        losses[row].flat[: history.steps] = history.losses
        norms[row].flat[: history.steps] = history.gradient_norms
        diverged.append(failed)
        if failed is None:
            errors[row] = rmse(net.predict(data.x_test.astype(net.dtype)), data.y_test)
    return Trained(setting, losses.mean(axis=2), np.fmax.reduce(norms, axis=2), errors, tuple(diverged))
