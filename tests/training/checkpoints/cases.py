"""Runs of every kind, made anew as often as a test of checkpoints likes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from bptt.data import Sequences, Stretches, Windows
from bptt.data.examples.arrays import Arrays
from bptt.losses import Huber
from bptt.network import Network, Recurrent
from bptt.optim import (
    L1,
    L2,
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    ClipValue,
    Cosine,
    InverseTime,
    RMSProp,
    StepDecay,
)
from bptt.training import EarlyStopping
from tests.training.checkpoints.resumed import Make
from tests.training.setups import Recording

# Examples, steps, inputs, outputs, hidden units, batch: all different; B does not divide N.
N, T, D, K, H, B = 41, 6, 3, 2, 5, 7
STEPS = 17

OPTIMIZERS: dict[str, Any] = {
    "sgd": SGD(0.05, decay=0.1),
    "momentum": SGD(InverseTime(0.04, 0.2), momentum=0.9),
    "nesterov": SGD(StepDecay(0.03, 5, 0.5), momentum=0.8, nesterov=True),
    "adam": Adam(Cosine(0.05, STEPS, 4, 0.1)),
    "adamw": AdamW(0.03, weight_decay=0.2),
    "rmsprop": RMSProp(0.02, rho=0.8),
}
# One row an optimiser; the columns meet each other in turn.
FUSED = [
    {"optimizer": optimizer, "cell": cell, "clip": clip, "penalty": penalty, "dtype": dtype, "sampling": sampling,
     "source": source}
    for optimizer, cell, clip, penalty, dtype, sampling, source in zip(
        OPTIMIZERS,
        ("elman", "gru", "lstm", "gru", "elman", "lstm"),
        (None, ClipNorm(0.3), ClipValue(0.02), ClipNorm(0.2), None, 0.4),
        (None, L2(0.01), (L1(1e-3), L2(0.02, "readout.*")), None, L1(1e-3), None),
        itertools.cycle(("float64", "float32")),
        itertools.cycle(("random", "shuffled", "shuffled")),
        ("windows", "sequences", "arrays", "windows", "sequences", "arrays"),
        strict=False,
    )
]  # fmt: skip


def make_source(kind: str, dtype: str, seed: int = 4) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((N + T, 4)).cumsum(axis=0) / 4
    if kind == "arrays":
        return Arrays(rng.standard_normal((N, T, D)).astype(dtype), rng.standard_normal((N, K)).astype(dtype))
    made = Windows if kind == "windows" else Sequences
    return made(values, inputs=(3, 0, 1), targets=(2, 0), length=T, horizon=1, segments=(0, 19), dtype=dtype)


def make_fused(case: dict[str, Any], engine: str = "auto") -> Make:
    def make() -> tuple[Network, dict[str, Any]]:
        stack = Recurrent(case["cell"], D, H, num_layers=2, dtype=case["dtype"], seed=1, engine=engine)
        readout = "every" if case["source"] == "sequences" else "last"
        net = Network(stack, K, readout=readout, loss=Huber(0.7), linear_lags=2, seed=2)
        return net, {
            "data": make_source(case["source"], case["dtype"]), "optimizer": OPTIMIZERS[case["optimizer"]],
            "steps": STEPS, "batch_size": B, "sampling": case["sampling"], "seed": 6, "clip": case["clip"],
            "penalty": case["penalty"], "validation": make_source(case["source"], case["dtype"], 5),
            "evaluate_every": 3, "early_stopping": EarlyStopping(2),
        }  # fmt: skip

    return make


def own_settings(**more: Any) -> dict[str, Any]:
    return {"steps": STEPS, "batch_size": B, "optimizer": Adam(0.03), "clip": 0.5, "seed": 3, **more}


def dropout() -> tuple[Network, dict[str, Any]]:
    stack = Recurrent("lstm", D, H, num_layers=2, dropout=0.4, direction="bidirectional", seed=1)
    return Network(stack, K, seed=2), own_settings(data=make_source("windows", "float64"))


def feedback() -> tuple[Network, dict[str, Any]]:
    stack = Recurrent("gru", D + K, H, seed=1)
    net = Network(stack, K, readout="every", feedback=True, learned_initial_state=True, seed=2)
    return net, own_settings(data=make_source("sequences", "float64"), sampling="shuffled")


def ragged() -> tuple[Network, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((N, T, D)), rng.standard_normal((N, K))
    source = Recording(x, y, lengths=rng.integers(1, T + 1, N), weights=rng.uniform(0.5, 2, N))
    return Network(Recurrent("elman", D, H, seed=1), K, seed=2), own_settings(
        data=source, validation=source, evaluate_every=4, early_stopping=3
    )


def masked() -> tuple[Network, dict[str, Any]]:
    mask = np.random.default_rng(8).random((H, H)) < 0.6
    stack = Recurrent("elman", D, H, mask=mask, signs=[1, -1, 1, 1, -1], seed=1, dtype="float32")
    return Network(stack, K, seed=2), own_settings(data=make_source("arrays", "float32"))


def recorded() -> tuple[Network, dict[str, Any]]:
    net, settings = make_fused(FUSED[1])()
    kinds = ["gradient_norms", "weight_norms", "spectral_radius", "snapshots"]
    return net, settings | {"record": kinds, "every": 5}


def make_series(**options: Any) -> Stretches:
    values = np.random.default_rng(9).standard_normal((90, D)).cumsum(axis=0) / 3
    return Stretches(values, **{"targets": (2, 0), "chunk": 7, "streams": 3, "segments": (0, 33)} | options)


def carried(cell: str, *, dtype: str = "float64", lookback: int = 0, **options: Any) -> Make:
    def make() -> tuple[Network, dict[str, Any]]:
        feeds = options.get("feedback", False)
        layers = {} if feeds else {"num_layers": 2, "dropout": 0.3}
        stack = Recurrent(cell, D + K * feeds, H, seed=1, dtype=dtype, **layers)
        net = Network(stack, K, readout="every", seed=2, **options)
        training, held_out = make_series(dtype=dtype, warmup=2, lookback=lookback).split_last(0.2)
        return net, {
            "data": training, "validation": held_out, "evaluate_every": 4, "early_stopping": 9, "epochs": 5,
            "optimizer": AdamW(0.02), "clip": 0.5, "penalty": L2(1e-3), "seed": 3,
        }  # fmt: skip

    return make


STEP_BY_STEP: dict[str, Make] = {
    "dropout, both directions": dropout,
    "feedback, learned state": feedback,
    "a source of one's own": ragged,
    "mask and signs": masked,
    "recorded": recorded,
    "carried": carried("lstm"),
    "carried, look-back": carried("gru", dtype="float32", lookback=5),
    "carried, feedback": carried("gru", feedback=True),
    "carried, learned state": carried("elman", learned_initial_state=True),
}
