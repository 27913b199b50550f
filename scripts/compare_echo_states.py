"""Echo state networks of bptt and of ReservoirPy on the same data, at the same size.

The table in docs/learning/echo_state.md.
Run with both installed: python scripts/compare_echo_states.py [--seeds 10]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.learning import echo_state_network, fit_readout, mackey_glass, narma10

Array = npt.NDArray[Any]

# spectral radius, leak, input scaling, bias, density, ridge: one set a task, used by both libraries.
TASKS: dict[str, dict[str, float]] = {
    "mackey_glass": {"radius": 1.25, "leak": 0.3, "scaling": 1.0, "bias": 0.2, "density": 0.1, "ridge": 1e-7},
    "narma10": {"radius": 0.95, "leak": 1.0, "scaling": 0.2, "bias": 0.1, "density": 0.1, "ridge": 1e-8},
}
TRAINED, WASHOUT, HORIZON = 2000, 100, 84


def data(task: str) -> tuple[Array, Array]:
    """Return inputs and targets (4000, 1); of Mackey-Glass in deviations of the first 2000 numbers."""
    if task == "narma10":
        return narma10(4000, seed=1)
    series = mackey_glass(4001)
    z = (series - series[:TRAINED].mean()) / series[:TRAINED].std()
    return z[:-1], z[1:]


def ours(settings: dict[str, float], units: int, seed: int, x: Array, y: Array) -> tuple[Array, Any]:
    """Return the predictions of all steps, and a function that runs freely after n of them."""
    net = echo_state_network(
        1, 1, units, spectral_radius=settings["radius"], leak=settings["leak"], input_scaling=settings["scaling"],
        bias_scaling=settings["bias"], density=settings["density"], linear_lags=0, seed=seed,
    )  # fmt: skip
    fit_readout(net, x[:TRAINED], y[:TRAINED], ridge=settings["ridge"], washout=WASHOUT)
    return net.predict(x[None])[0], lambda n: net.generate(x[None, :n], HORIZON)[0]


def theirs(settings: dict[str, float], units: int, seed: int, x: Array, y: Array) -> tuple[Array, Any]:
    """Return the same of ReservoirPy, with the same distributions of weights."""
    from reservoirpy.mat_gen import normal, uniform
    from reservoirpy.nodes import Reservoir, Ridge

    bias = uniform(units, low=-settings["bias"], high=settings["bias"], connectivity=1.0, seed=seed + 1000)
    reservoir = Reservoir(
        units, lr=settings["leak"], sr=settings["radius"], input_scaling=settings["scaling"], input_connectivity=1.0,
        rc_connectivity=settings["density"], W=normal, Win=uniform, bias=bias, seed=seed,
    )  # fmt: skip
    model = reservoir >> Ridge(ridge=settings["ridge"])
    model.fit(x[:TRAINED], y[:TRAINED], warmup=WASHOUT)
    model.reset()
    predicted = model.run(x)

    def free(n: int) -> Array:
        model.reset()
        newest, found = model.run(x[:n])[-1], []
        for _ in range(HORIZON):
            found.append(newest)
            newest = np.ravel(model.step(newest))
        return np.array(found)

    return predicted, free


def measure(run: Callable[..., tuple[Array, Any]], task: str, units: int, seed: int) -> dict[str, float]:
    """Return the normalised error one step ahead on the last 2000 steps, and that of free runs from 5 places."""
    x, y = data(task)
    predicted, free = run(TASKS[task], units, seed, x, y)
    found = {"one step": float(np.sqrt(np.mean((predicted - y)[TRAINED:] ** 2)) / y[TRAINED:].std())}
    if task == "mackey_glass":
        starts = range(2200, 3700, 300)
        squares = [np.mean((free(n) - y[n - 1 : n - 1 + HORIZON]) ** 2) for n in starts]
        found[f"free, {HORIZON} steps"] = float(np.sqrt(np.mean(squares)) / y[TRAINED:].std())
    return found


def compare(task: str, units: int, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Return the figures of both libraries, one number a seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, run in (("bptt", ours), ("ReservoirPy", theirs)):
        for seed in range(seeds):
            for what, number in measure(run, task, units, seed).items():
                found.setdefault(what, {}).setdefault(name, []).append(number)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    print("| task | units | error | bptt: median (least..largest) | ReservoirPy: median (least..largest) |")
    print("| --- | --- | --- | --- | --- |")
    for task in TASKS:
        for units in (100, 300):
            for what, both in compare(task, units, seeds).items():
                shown = [f"{np.median(n):.2g} ({min(n):.2g}..{max(n):.2g})" for n in both.values()]
                print(f"| {task} | {units} | {what} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
