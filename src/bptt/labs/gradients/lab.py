"""The gradients lab: which remedy against vanishing and exploding gradients reaches which lag.

Fills the empty chapters of the notes "Recurrent models for time series forecasting": spectral radius, why gradients
vanish and explode, what to do about it, LSTM. `run` trains every remedy on digit echo at growing lags until it
fails, measures how gradients flow before and after, and adds Bengio's latch and Pascanu's cliff.
`bptt.labs.gradients.report` draws the records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Event

import numpy as np

from bptt.checks import Array, check_whole
from bptt.diagnostics import gradient_by_path_length
from bptt.diagnostics.gradient_flow import gradient_flow
from bptt.diagnostics.spectra import spectral_norm, spectral_radius
from bptt.forecast.fitting.networks.members import Tick
from bptt.forecast.fitting.running.side_by_side import Meter, run_jobs
from bptt.labs.gradients.cliff import Cliff, run_cliff
from bptt.labs.gradients.data import LAGS, Task, get_task
from bptt.labs.gradients.feedback import Fed, run_feedback
from bptt.labs.gradients.forcing import Forced, run_forcing
from bptt.labs.gradients.latch import Latching, run_latch
from bptt.labs.gradients.remedies import (
    REMEDIES,
    STEPS,
    Remedy,
    Run,
    make_network,
    train_and_keep,
    train_one,
)
from bptt.labs.gradients.spectral import Decay, run_radii
from bptt.labs.watched import RECORDED, Watched, look_every, watch
from bptt.network import Network

# Called with what is being trained, parts done and parts to do.
Notify = Callable[[str, int, int], None]

# Untrained networks are looked at with the answer so many steps away.
PROFILE_LAG, PROFILE_ROWS = 100, 64
# Those that start differently; the others share a start with one of them.
STARTS = (
    "none",
    "orthogonal",
    "identity_relu",
    "programmed",
    "gru",
    "gru_keep",
    "lstm_zero",
    "lstm",
    "lstm_keep",
)


@dataclass(frozen=True)
class Ladder:
    """One remedy on one task, at growing lags.

    Attributes
    ----------
    title : str
    runs : dict of int to list of Run
        By lag, one entry a seed. A lag is tried by the seeds that solved the one before, if they are more than half.
    seconds : float
    """

    title: str
    runs: dict[int, list[Run]] = field(default_factory=dict)
    seconds: float = 0.0

    def solved(self, lag: int) -> int:
        """Return how many seeds solved this lag."""
        return sum(run.solved for run in self.runs.get(lag, ()))

    def reach(self, seeds: int) -> int:
        """Return the longest lag that more than half of the seeds solved; 0 if none."""
        return max((lag for lag in self.runs if 2 * self.solved(lag) > seeds), default=0)


# A ladder, and the longest lag that the first seed solved with the network that did.
Climbed = tuple[Ladder, tuple[int, Network] | None]


@dataclass(frozen=True, eq=False)
class Start:
    """An untrained network, its loss at the last of `PROFILE_LAG` + 1 steps.

    Attributes
    ----------
    by_lag : ndarray (PROFILE_LAG + 1,)
        Norm of dL/dW_hh from paths of each length, over that of length 0.
    flow : ndarray (PROFILE_LAG + 1,)
        |dL/d(state)| over that at the last, after the first step, the second, ...; the median over sequences.
    dx : ndarray (PROFILE_LAG + 1,)
        |dL/dx_t| over the same.
    per_step : float
        What a step back multiplies the gradient by: the geometric mean.
    radius, norm : float
        Spectral radius and largest singular value of W_hh, its largest over the gates.
    """

    by_lag: Array
    flow: Array
    dx: Array
    per_step: float
    radius: float
    norm: float


@dataclass(frozen=True)
class Gradients:
    """What the lab found.

    Attributes
    ----------
    ladders : dict of str to dict of str to Ladder
        By task, then by remedy.
    starts : dict of str to Start
    trained : dict of str to tuple of int and ndarray (lag + 1,)
        Of the first seed's networks after training at the longest lag they solved: that lag, and the flow.
    nets : dict of str to Network
        The same networks.
    watched : Watched
        The Elman network without a remedy, at the longest lag that it solved, else at the first: for the sliders.
    radii : tuple of Decay
    latch : Latching
    cliff : Cliff
    forced : tuple of Forced
        First seed.
    fed : tuple of Fed
        Mean over the seeds.
    seeds : tuple of int
    steps : int
        Updates of each run at most.
    seconds : float
    """

    ladders: dict[str, dict[str, Ladder]]
    starts: dict[str, Start]
    trained: dict[str, tuple[int, Array]]
    nets: dict[str, Network]
    watched: Watched
    radii: tuple[Decay, ...]
    latch: Latching
    cliff: Cliff
    forced: tuple[Forced, ...]
    fed: tuple[Fed, ...]
    seeds: tuple[int, ...]
    steps: int
    seconds: float


def run(
    *,
    seed: int = 0,
    seeds: int = 3,
    steps: int = STEPS,
    lags: tuple[int, ...] = LAGS,
    notify: Notify | None = None,
) -> Gradients:
    """Train every remedy at growing lags, and look at the gradients.

    Parameters
    ----------
    seed, seeds : int
        First seed, and their number on digit echo; the adding problem is run with the first alone.
    steps : int
        Updates of each run at most.
    lags : tuple of int
        Tried in this order.
    notify : callable, optional
        Told of progress.
    """
    begun = time.perf_counter()
    tell = notify or (lambda *_: None)
    all_seeds = tuple(check_whole("seed", seed, least=0) + k for k in range(check_whole("seeds", seeds)))
    ladders: dict[str, dict[str, Ladder]] = {}
    trained: dict[str, tuple[int, Array]] = {}
    nets: dict[str, Network] = {}
    for task, used in ((get_task("echo"), all_seeds), (get_task("adding"), all_seeds[:1])):
        chosen = {name: remedy for name, remedy in REMEDIES.items() if task.name in remedy.tasks}
        ladders[task.name] = {}
        for name, (ladder, best) in _climb_all(chosen, task, used, steps, lags, tell).items():
            ladders[task.name][name] = ladder
            if task.name == "echo" and best is not None:
                lag, nets[name] = best
                trained[name] = lag, _flow(nets[name], task, lag, all_seeds[0])
    tell("forcing", 0, 2)
    forced = run_forcing(seed=all_seeds[0], steps=max(1, steps // 2))
    tell("forcing", 1, 2)
    fed = run_feedback(seeds=all_seeds, steps=max(1, steps // 2))
    tell("forcing", 2, 2)
    tell("gradients of untrained networks, the latch, the cliff", 0, 1)
    result = Gradients(
        ladders=ladders,
        starts={name: look_at(REMEDIES[name], all_seeds[0]) for name in STARTS},
        trained=trained,
        nets=nets,
        watched=_look_back(trained.get("none", (lags[0],))[0], all_seeds[0], steps),
        radii=run_radii(seed=all_seeds[0]),
        latch=run_latch(seed=all_seeds[0], neurons=max(5, min(20, steps // 50))),
        cliff=run_cliff(),
        forced=forced,
        fed=fed,
        seeds=all_seeds,
        steps=steps,
        seconds=time.perf_counter() - begun,
    )
    tell("gradients of untrained networks, the latch, the cliff", 1, 1)
    return result


def _climb_all(
    remedies: Mapping[str, Remedy],
    task: Task,
    seeds: tuple[int, ...],
    steps: int,
    lags: tuple[int, ...],
    tell: Notify,
) -> dict[str, Climbed]:
    """Let every remedy climb, as many at a time as there are processors; in the order given."""
    finished: list[str] = []
    meter = Meter(len(remedies), lambda done, total: tell(f"{task.title}: {finished[-1]}", done, total))
    tell(task.title, 0, len(remedies))

    def job(remedy: Remedy, tick: Tick) -> Climbed:
        found = climb(remedy, task, seeds, steps=steps, lags=lags, stop=meter.stop)
        finished.append(remedy.title)
        tick(1, 1)
        return found

    jobs = [partial(job, remedy, meter.tick()) for remedy in remedies.values()]
    return dict(zip(remedies, run_jobs(jobs, meter, None), strict=True))


def climb(
    remedy: Remedy,
    task: Task,
    seeds: tuple[int, ...],
    *,
    steps: int,
    lags: tuple[int, ...] = LAGS,
    stop: Event | None = None,
) -> Climbed:
    """Train one remedy at growing lags, each from a fresh start, by the seeds that solved the one before.

    It ends where no more than half of the seeds solved a lag: nothing further counts as reached. Once `stop` is set,
    from another thread, it ends with an exception.

    Returns
    -------
    ladder : Ladder
    best : (int, Network) or None
        The longest lag that the first seed solved, and the network that did.
    """
    begun = time.perf_counter()
    runs: dict[int, list[Run]] = {}
    best = None
    going = list(seeds)
    for lag in lags:
        if 2 * len(going) <= len(seeds):
            break
        solved = []
        for k in going:
            net, found = train_one(remedy, task, lag, k, steps=steps, stop=stop)
            runs.setdefault(lag, []).append(found)
            if found.solved:
                solved.append(k)
                if k == seeds[0]:
                    best = lag, net
        going = solved
    return Ladder(remedy.title, runs, time.perf_counter() - begun), best


def look_at(remedy: Remedy, seed: int) -> Start:
    """Measure an untrained network on digit echo, in float64."""
    task = get_task("echo")
    net = make_network(remedy, task, seed, dtype="float64")
    x, y = task.draw(np.random.default_rng([seed, 5]), PROFILE_ROWS, PROFILE_LAG)
    by_lag = gradient_by_path_length(net, x, y).norms("layers.0.W_hh")
    flow = gradient_flow(net, x, y).of_layer()[1:]  # from the state that has read the digit
    relative = np.median(flow / flow[-1], axis=1)
    dx = net.loss_and_gradients(x, y, want_x=True).gradients.x
    assert dx is not None
    W_hh = net.parameters["layers.0.W_hh"]
    gates = np.split(W_hh, W_hh.shape[1] // W_hh.shape[0], axis=1)
    return Start(
        by_lag=by_lag / by_lag[0],
        flow=relative,
        dx=np.median(np.linalg.norm(dx, axis=2).T / flow[-1], axis=1),
        per_step=float(relative[0] ** (1 / PROFILE_LAG)),
        radius=max(spectral_radius(gate) for gate in gates),
        norm=max(spectral_norm(gate) for gate in gates),
    )


def _look_back(lag: int, seed: int, steps: int) -> Watched:
    """Train the Elman network again, with the same bits, and record it."""
    task = get_task("echo")
    record = {"record": RECORDED, "every": look_every(steps)}
    net, _, history = train_and_keep(REMEDIES["none"], task, lag, seed, steps=steps, settings=record)
    assert history is not None  # without a remedy `train` does it all
    x, y = task.draw(np.random.default_rng([seed, 7]), PROFILE_ROWS, lag)
    return watch(
        f"the Elman network without a remedy, digit echo at lag {lag}, seed {seed}", net, history, x, y,
        f"{PROFILE_ROWS} fresh sequences",
    )  # fmt: skip


def _flow(net: Network, task: Task, lag: int, seed: int) -> Array:
    x, y = task.draw(np.random.default_rng([seed, lag, 6]), PROFILE_ROWS, lag)
    flow = gradient_flow(net, x, y).of_layer()[1:]
    # A row that the network is sure of has a gradient of 0 in the end.
    sure = flow[-1] == 0
    return np.asarray(np.median(flow[:, ~sure] / flow[-1, ~sure], axis=1))
