"""What the golden files were made from; it may change, they may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bptt.activations import sigmoid, tanh
from bptt.cells import CELLS, Cell
from bptt.data import Stretches
from bptt.forecast import Forecaster, Recipe
from bptt.losses import CrossEntropy, Pinball
from bptt.network import Network, Recurrent
from bptt.optim import L2, AdamW, Cosine

# The newest version of the format; a new one gets a folder of its own, and the old folders stay.
FOLDER = Path(__file__).parent / "v1"

B, T, D, H, K = 4, 7, 3, 5, 2


class Leaky(Cell):
    """A cell of a user's own, with a vector, a constant and a function to choose."""

    name = "leaky"
    gates = ("f", "n")
    products = {"W_xh": "x", "W_hh": "h"}
    vectors = {"p_f": 0.5}
    constants = {"leak": 0.25}
    functions = {"squash": "tanh"}

    @staticmethod
    def forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, leak: Any, squash: Any) -> Any:
        f = sigmoid(a_f + p_f * h_prev)
        n = squash(a_n)
        h = leak * tanh(h_prev) + f * n
        return h, f, n


def _stack(cell: Any, **options: Any) -> Recurrent:
    return Recurrent(cell, options.pop("input_size", D), H, **options)


MODELS: dict[str, Callable[[], Recurrent | Network]] = {
    **{f"stack_{name}": lambda name=name: _stack(name) for name in CELLS},
    "stack_both_directions": lambda: _stack("lstm", direction="bidirectional", num_layers=2, dropout=0.25),
    "stack_masked": lambda: _stack("gru", mask=np.arange(H * H).reshape(H, H) % 3 > 0, signs=[1, -1, 1, 1, -1]),
    "network": lambda: Network(_stack("gru", num_layers=2), K, linear_lags=3, change_of=(2, 0), change_scale=0.3),
    "network_float32": lambda: Network(_stack("lstm", dtype="float32"), K, readout="every", bias=False),
    "network_fed_back": lambda: Network(
        _stack("elman", input_size=D + K, activation="relu"), K, readout="every", feedback=True,
        learned_initial_state=True,
    ),
    "network_classes": lambda: Network(
        _stack("gru_reset_before", direction="reverse"), 3, loss=CrossEntropy(time="sum")
    ),
    "network_quantiles": lambda: Network(
        _stack("lstm_peephole", direction="bidirectional"), 3, loss=Pinball((0.1, 0.5, 0.9)),
        output_activation="sigmoid",
    ),
    "network_own_cell": lambda: Network(_stack(Leaky(leak=0.125, squash="sigmoid"), num_layers=2), K),
}  # fmt: skip

TINY = Recipe(
    hidden=5, layers=2, ensemble=2, length=48, warmup=8, updates=20, shorter=(), window=20, past_window=6, period=24,
    trial_members=1, blocks=2, step_back=False,
)  # fmt: skip


def shops(rng: np.random.Generator, hours: int = 200) -> dict[str, Any]:
    """Return two series in one table, with a category, a gap and a column known ahead."""
    time = np.datetime64("2024-02-28T00", "s") + np.arange(hours) * np.timedelta64(3600, "s")
    sky = rng.choice(["fog", "rain", "sun"], 2 * hours)
    warmth = 10 + rng.standard_normal(2 * hours).cumsum() / 5
    warmth[37] = np.nan
    hour = np.tile(np.arange(hours), 2)
    y = 5 + np.sin(hour * 2 * np.pi / 24) + 0.3 * (sky == "sun") + 0.1 * rng.standard_normal(2 * hours)
    return {
        "time": np.tile(time, 2), "shop": np.repeat(["east", "west"], hours), "sky": sky, "warmth": warmth,
        "sale": (hour // 24 % 7 == 3).astype(float), "y": np.repeat([1.0, 40.0], hours) * y,
    }  # fmt: skip


def wave(rng: np.random.Generator, hours: int = 260) -> dict[str, Any]:
    """Return one series that least squares forecasts well."""
    y = np.zeros(hours)
    noise = rng.standard_normal(hours)
    for t in range(2, hours):
        y[t] = 1.6 * y[t - 1] - 0.8 * y[t - 2] + noise[t]
    return {"ds": np.datetime64("2023-01-01", "s") + np.arange(hours) * np.timedelta64(86400, "s"), "y": y}


FORECASTERS: dict[str, tuple[Callable[[np.random.Generator], dict[str, Any]], Callable[[], Forecaster]]] = {
    "forecaster_network": (
        shops,
        lambda: Forecaster(target="y", horizon=3, group="shop", quantiles=[0.2, 0.5], recipe=TINY),
    ),
    "forecaster_ridge": (
        wave,
        lambda: Forecaster(target="y", horizon=4, recipe=replace(TINY, updates=1, step_back=True, period=7)),
    ),
}


def checkpoint_run(values: Any) -> tuple[Network, dict[str, Any]]:
    """Return a run with a little of everything, on the engine that every machine has."""
    stack = Recurrent("lstm", D, H, num_layers=2, dropout=0.3, seed=1, engine="numpy")
    net = Network(stack, K, readout="every", seed=2)
    training, held_out = Stretches(values, targets=(2, 0), chunk=7, streams=3, warmup=2).split_last(0.2)
    return net, {
        "data": training, "validation": held_out, "evaluate_every": 4, "early_stopping": 9, "steps": 16, "clip": 0.5,
        "optimizer": AdamW(Cosine(0.02, 16)), "penalty": L2(1e-3), "seed": 3, "record": ["weight_norms"], "every": 5,
        "progress": False,
    }  # fmt: skip
