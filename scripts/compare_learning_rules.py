"""BPTT, RTRL, the extended Kalman filter and an echo state network on the weather of New York, next hour.

The tables in docs/learning/rtrl.md. Run: python scripts/compare_learning_rules.py [--seeds 5]

Every rule gets the same rows, the same scaling and (but for the echo state network) the same GRU of 8 units from the
same starting weights. Its settings are chosen from a small grid by the error on the last 20 % of the training rows,
with seed 0; then it is trained on the rows before those, for each seed, and judged on the last 20 % of all rows.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data import Scaler, Stretches, load_weather
from bptt.learning import EKF, RTRL, echo_state_network, fit_readout
from bptt.learning.ridge import solve_ridge
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, Cosine
from bptt.training import train

Array = npt.NDArray[Any]
UNITS, WARM, LAGS = 8, 24, 24


@dataclass(frozen=True)
class Task:
    """Rows (N, D) and the next row's temperature (N, 1), scaled; where training, validation and test begin and end."""

    x: Array
    y: Array
    ends: tuple[int, int, int]
    column: int
    unit: float
    hourly: float


def weather() -> Task:
    data = load_weather("nyc")
    column, rows = data.target_index, len(data.values)
    test = int(0.8 * rows)
    fit = int(0.8 * test)
    scaled = Scaler.fit(data.values[:fit]).transform(data.values)
    hourly = float(np.diff(scaled[:fit, column]).std())
    unit = float(data.values[:fit, column].std())
    return Task(scaled[:-1], scaled[1:, [column]], (fit, test, rows - 1), column, unit, hourly)


def network(task: Task, seed: int) -> Network:
    stack = Recurrent("gru", task.x.shape[1], UNITS, seed=seed)
    return Network(stack, readout="every", change_of=[task.column], change_scale=task.hourly, seed=seed)


# ---------------------------------------------------------------- rules: each returns a trained network


def bptt(task: Task, seed: int, rate: float, epochs: int) -> Network:
    net = network(task, seed)
    values = np.concatenate([task.x[: task.ends[0]], task.x[task.ends[0], None]])
    source = Stretches(values, targets=[task.column], chunk=48, streams=16, warmup=WARM)
    train(net, source, epochs=epochs, optimizer=Adam(rate), clip=task.hourly**2, progress=False)
    return net


def in_order(task: Task, seed: int, rate: float, chunk: int, passes: int) -> Network:
    net = network(task, seed)
    values = np.concatenate([task.x[: task.ends[0]], task.x[task.ends[0], None]])
    source = Stretches(values, targets=[task.column], chunk=chunk)
    falling = Cosine(rate, passes * source.steps)
    train(net, source, epochs=passes, optimizer=Adam(falling), progress=False)
    return net


def rtrl(task: Task, seed: int, rate: float, passes: int, influence: str = "full") -> Network:
    net, rows = network(task, seed), task.ends[0]
    learner = RTRL(net, Adam(Cosine(rate, passes * rows)), influence=influence)
    for _ in range(passes):
        learner.reset()
        follow(learner, task.x[:rows], task.y[:rows])
    return net


def kalman(task: Task, seed: int, variance: float, walk: float, passes: int) -> Network:
    net, rows = network(task, seed), task.ends[0]
    learner = EKF(net, observation_noise=task.hourly**2, initial_variance=variance, process_noise=walk)
    for _ in range(passes):
        learner.reset()
        follow(learner, task.x[:rows], task.y[:rows])
    return net


def echo(task: Task, seed: int, radius: float, leak: float, scaling: float, ridge: float) -> Network:
    net = echo_state_network(
        task.x.shape[1], 1, 200, spectral_radius=radius, leak=leak, input_scaling=scaling, bias_scaling=0.2,
        linear_lags=LAGS, seed=seed,
    )  # fmt: skip
    end = task.ends[0]
    fit_readout(net, task.x[:end], task.y[:end], ridge=ridge, washout=WARM)
    return net


def follow(learner: RTRL | EKF, x: Array, y: Array) -> float:
    """Go through the rows; return the root mean squared error of the predictions, each made before learning."""
    squares = [float(learner.step(a, b).loss or 0.0) for a, b in zip(x, y, strict=True)]
    return float(np.sqrt(np.mean(squares)))


# The rates fall to 0 over the run, except those of the first rule, which averages over 16 streams.
RATES = (0.001, 0.003, 0.01)
RULES: dict[str, tuple[Callable[..., Network], dict[str, tuple[Any, ...]]]] = {
    "BPTT in chunks of 48, 16 streams, 40 passes": (bptt, {"rate": (0.003, 0.01, 0.03), "epochs": (40,)}),
    "BPTT in chunks of 48, 5 passes in order": (in_order, {"rate": RATES, "chunk": (48,), "passes": (5,)}),
    "BPTT of the newest step alone, 5 passes": (in_order, {"rate": RATES, "chunk": (1,), "passes": (5,)}),
    "RTRL, 5 passes": (rtrl, {"rate": RATES, "passes": (5,)}),
    "RTRL, diagonal, 5 passes": (rtrl, {"rate": RATES, "passes": (5,), "influence": ("diagonal",)}),
    "RTRL, 1 pass": (rtrl, {"rate": RATES, "passes": (1,)}),
    "EKF, 1 pass": (kalman, {"variance": (0.1, 1.0), "walk": (0.0, 1e-6), "passes": (1,)}),
    "EKF, 3 passes": (kalman, {"variance": (0.1, 1.0), "walk": (0.0, 1e-6), "passes": (3,)}),
    "echo state network, 200 units": (
        echo,
        {"radius": (0.5, 0.9), "leak": (0.3, 1.0), "scaling": (0.1, 0.3), "ridge": (1.0, 100.0)},
    ),
}


def error(task: Task, net: Network, first: int, last: int) -> float:
    """Return the RMSE in degrees of rows first..last, the state carried from the first row of all."""
    y_hat = net.predict(task.x[None, :last])[0]
    return task.unit * float(np.sqrt(np.mean((y_hat[first:] - task.y[first:last]) ** 2)))


def choices(grid: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def table(task: Task, seeds: int) -> dict[str, Network]:
    """Print the first table; return each rule's network of seed 0."""
    fit, test, end = task.ends
    print("| rule | test RMSE, °C: mean (least..largest of the seeds) | seconds a run | chosen |")
    print("| --- | --- | --- | --- |")
    truth, now = task.y[test:end], task.x[test:end, [task.column]]
    print(f"| no change | {task.unit * np.sqrt(np.mean((truth - now) ** 2)):.3f} | | |")
    windows = np.concatenate([task.x[LAGS - 1 - k : end - k] for k in range(LAGS)], axis=1)
    targets = task.y[LAGS - 1 : end]
    w, b = solve_ridge([(windows[: fit - LAGS], targets[: fit - LAGS])], np.full(windows.shape[1], 10.0), 1)
    left = (windows @ w + b - targets)[test - LAGS + 1 :]
    print(f"| ridge regression on {LAGS} hours | {task.unit * np.sqrt(np.mean(left**2)):.3f} | | |")
    kept = {}
    for name, (rule, grid) in RULES.items():
        tried = [
            (error(task, rule(task, 0, **chosen), fit, test), i) for i, chosen in enumerate(choices(grid))
        ]
        chosen = list(choices(grid))[min(tried)[1]]
        errors, seconds = [], []
        for seed in range(seeds):
            begun = time.perf_counter()
            net = rule(task, seed, **chosen)
            seconds.append(time.perf_counter() - begun)
            errors.append(error(task, net, test, end))
            kept.setdefault(name, net)
        told = ", ".join(f"{k} {v}" for k, v in chosen.items() if len(grid[k]) > 1)
        spread = f"{np.mean(errors):.3f} ({min(errors):.3f}..{max(errors):.3f})"
        print(f"| {name} | {spread} | {np.median(seconds):.1f} | {told} |", flush=True)
    return kept


def going_on(task: Task, net: Network) -> None:
    """Print the second table: a trained network that goes on learning through the test rows."""
    _, test, end = task.ends
    state = net.forward(task.x[None, :test], tape=False).state
    rows = {
        "stays as it is": None,
        "RTRL, Adam 0.0003": lambda n: RTRL(n, Adam(0.0003), state=state),
        "RTRL, Adam 0.001": lambda n: RTRL(n, Adam(0.001), state=state),
        "EKF": lambda n: EKF(n, observation_noise=task.hourly**2, initial_variance=1e-3, state=state),
        "EKF, process noise 1e-7": lambda n: EKF(
            n, observation_noise=task.hourly**2, initial_variance=1e-3, process_noise=1e-7, state=state
        ),
    }
    print("\n| the network of BPTT, through the test rows | RMSE, °C |\n| --- | --- |")
    for name, make in rows.items():
        if make is None:
            found = error(task, net, test, end)
        else:
            found = task.unit * follow(make(deepcopy(net)), task.x[test:end], task.y[test:end])
        print(f"| {name} | {found:.3f} |", flush=True)


def drifting(seed: int, still: int, steps: int) -> Array:
    """Return a noisy sine of period 12, which from `still` on grows to 30."""
    t = np.arange(steps + 1)
    period = 12 + 18 * np.maximum(t - still, 0) / (steps - still)
    noise = np.random.default_rng([seed, 3]).standard_normal(steps + 1)
    return np.sin(np.cumsum(2 * np.pi / period)) + 0.05 * noise


def drift(seeds: int, still: int = 1000, steps: int = 4000) -> None:
    """Print the third table: a period that grows after the training rows; mean squared error from there on."""
    errors: dict[str, list[float]] = {}
    for seed in range(seeds):
        series = drifting(seed, still, steps)
        net = Network(Recurrent("gru", 1, UNITS, seed=seed), readout="every", seed=seed)
        source = Stretches(series[: still + 1, None], targets=[0], chunk=25, streams=10, warmup=10)
        train(net, source, epochs=100, optimizer=Adam(0.01), progress=False)
        x, y = series[:-1, None], series[1:, None]
        left = (net.predict(x[None])[0] - y)[still:]
        errors.setdefault("stays as it is", []).append(float(np.mean(left**2)))
        state = net.forward(x[None, :still], tape=False).state
        lags = Network(Recurrent("elman", 1, 1), readout="every", linear_lags=8)
        lags.parameters["readout.W_hy"][...] = 0
        own = ["linear.W_xy", "readout.b_y"]
        going = {
            "BPTT, then RTRL, SGD 0.03": RTRL(deepcopy(net), SGD(0.03), state=state),
            "BPTT, then diagonal RTRL, SGD 0.03": RTRL(
                deepcopy(net), SGD(0.03), state=state, influence="diagonal"
            ),
            "BPTT, then EKF, process noise 1e-5": EKF(
                deepcopy(net), observation_noise=0.01, initial_variance=1e-3, process_noise=1e-5, state=state
            ),
            "8 lags, no recurrence, Kalman filter": EKF(
                lags, observation_noise=0.01, process_noise=1e-5, only=own
            ),
        }
        for name, learner in going.items():
            if learner.net is lags:
                follow(learner, x[:still], y[:still])
            errors.setdefault(name, []).append(follow(learner, x[still:], y[still:]) ** 2)
    print("\n| after the period began to grow | mean squared error: mean (least..largest) |\n| --- | --- |")
    for name, found in errors.items():
        print(f"| {name} | {np.mean(found):.4f} ({min(found):.4f}..{max(found):.4f}) |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds, task = parser.parse_args().seeds, weather()
    kept = table(task, seeds)
    going_on(task, next(iter(kept.values())))
    drift(seeds)


if __name__ == "__main__":
    main()
