"""A run that writes a checkpoint after every second step, in a process of its own: to be killed by its test."""

from __future__ import annotations

import hashlib
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bptt.data import Stretches
from bptt.network import Network, Recurrent
from bptt.optim import L2, AdamW, Cosine
from bptt.training import History, train

STEPS = {"fused": 60, "carried": 60}


def digest(net: Network, history: History) -> str:
    found = hashlib.sha256(repr(history.validation).encode())
    for array in (history.losses, history.gradient_norms, history.learning_rates, *net.parameters.values()):
        found.update(array.tobytes())
    return found.hexdigest()


def go(kind: str, path: str | None, **more: object) -> str:
    rng = np.random.default_rng(0)
    steps = STEPS[kind]
    if kind == "fused":
        data = rng.standard_normal((37, 6, 3)).astype("f"), rng.standard_normal((37, 2)).astype("f")
        held_out = rng.standard_normal((9, 6, 3)).astype("f"), rng.standard_normal((9, 2)).astype("f")
        net = Network(Recurrent("gru", 3, 5, dtype="float32"), 2)
        settings = {"data": data, "validation": held_out, "batch_size": 5, "sampling": "shuffled"}
    else:
        values = rng.standard_normal((300, 3)).cumsum(axis=0) / 5
        training, held_out = Stretches(values, targets=[1, 0], chunk=7, streams=3).split_last(0.2)
        net = Network(Recurrent("lstm", 3, 5, num_layers=2, dropout=0.3), 2, readout="every")
        settings = {"data": training, "validation": held_out}
    if path is not None:
        settings |= {"checkpoint": path, "checkpoint_every": 2, "resume": True}
    history = train(
        net, **settings, steps=steps, optimizer=AdamW(Cosine(0.01, steps)), clip=0.5, penalty=L2(1e-3), seed=5,
        evaluate_every=9, early_stopping=10**6, progress=False, **more,
    )  # fmt: skip
    return digest(net, history)


class Begun:
    """A callback that tells the other process, once, that steps are being made."""

    looks_at_net = False

    def __init__(self, connection: Connection) -> None:
        self.connection: Connection | None = connection

    def __call__(self, event: object) -> None:
        if self.connection is not None:
            self.connection.send("begun")
            self.connection = None


def go_on(kind: str, folder: Path, connection: Connection) -> None:
    """Begin the run, or go on with it, and write its digest at the end."""
    found = go(kind, str(folder / "run.ckpt"), threads=1, callbacks=[Begun(connection)])
    (folder / "digest").write_text(found)
