"""How networks are drawn and trained here: a healthy way first, which each disease then spoils."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.doctor.tasks import Rng, Task
from bptt.activations import sigmoid, tanh
from bptt.cells import Cell
from bptt.data import Arrays
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, Optimizer, RMSProp
from bptt.training import History, TrainingDivergedError, evaluate, train


class MinimalGated(Cell):
    """A cell of the user's own: one gate mixes the old state with a candidate (Zhou et al. 2016, simplified)."""

    name = "minimal_gated"
    gates = ("f", "n")

    @staticmethod
    def forward(a_f: Any, a_n: Any, h_prev: Any) -> Any:
        f = sigmoid(a_f)
        n = tanh(a_n)
        h = (1 - f) * h_prev + f * n
        return h, f, n


CELLS = ("elman", "relu", "gru", "lstm", "own", "gru_reset_before")


@dataclass
class Plan:
    """Everything a run is made of; a disease changes some of it before `make`."""

    task: Task
    cell: str
    hidden: int
    layers: int
    optimizer: Optimizer
    steps: int
    batch_size: int
    clip: float | None
    validate: bool
    seed: int
    dtype: str = "float32"
    engine: str = "auto"
    initializers: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    activation: str | None = None
    early_stopping: int | None = None


@dataclass
class Run:
    """A finished run."""

    plan: Plan
    net: Network
    source: Arrays
    history: History
    diverged: bool

    def learnt(self) -> float:
        """Return the share of what can be learnt, on fresh data."""
        task = self.plan.task
        with np.errstate(all="ignore"):
            return task.learnt(evaluate(self.net, (task.fresh_x, task.fresh_y)))


def draw_plan(rng: Rng, task: Task, cells: tuple[str, ...] = CELLS) -> Plan:
    """Draw a sensible run."""
    cell = str(rng.choice(list(cells)))
    kind = rng.random()
    optimizer: Optimizer
    if kind < 0.6:
        optimizer = Adam(float(np.exp(rng.uniform(np.log(0.004), np.log(0.015)))))
    elif kind < 0.85:
        optimizer = SGD(float(np.exp(rng.uniform(np.log(0.03), np.log(0.12)))), momentum=0.9)
    else:
        optimizer = RMSProp(float(np.exp(rng.uniform(np.log(0.002), np.log(0.006)))))
    clipped = kind >= 0.6 or rng.random() < 0.5
    return Plan(
        task=task,
        cell=cell,
        hidden=int(rng.integers(8, 41)),
        layers=2 if rng.random() < 0.15 else 1,
        optimizer=optimizer,
        steps=int(rng.integers(400, 900)),
        batch_size=int(rng.choice([16, 32, 48])),
        clip=1.0 if clipped else None,
        validate=bool(rng.random() < 0.5),
        seed=int(rng.integers(0, 10**6)),
        dtype="float64" if rng.random() < 0.2 else "float32",
        engine="numpy" if rng.random() < 0.05 else "auto",
        network={"change_of": [task.level], "change_scale": 0.5}
        if task.level is not None and rng.random() < 0.3
        else {},
    )


def make_net(plan: Plan) -> Network:
    """Return the network before training."""
    cell: Any = {"own": MinimalGated, "relu": "elman"}.get(plan.cell, plan.cell)
    options: dict[str, Any] = {}
    if plan.cell in ("elman", "relu"):
        options["activation"] = plan.activation or ("relu" if plan.cell == "relu" else "tanh")
    task = plan.task
    stack = Recurrent(
        cell, task.x.shape[2], plan.hidden, num_layers=plan.layers, dtype=plan.dtype, engine=plan.engine,
        seed=plan.seed, initializers=plan.initializers or None, **options,
    )  # fmt: skip
    settings = {"readout": task.readout, "loss": task.loss, "seed": plan.seed, **plan.network}
    return Network(stack, task.outputs, **settings)


def carry_out(plan: Plan, net: Network | None = None) -> Run:
    """Train; a run that diverges is kept as it ended."""
    net = make_net(plan) if net is None else net
    task = plan.task
    source = Arrays(task.x, task.y)
    settings: dict[str, Any] = {}
    if plan.validate:
        settings["validation"] = (task.fresh_x[::2], task.fresh_y[::2])
        settings["early_stopping"] = plan.early_stopping
    diverged = False
    with np.errstate(all="ignore"):
        try:
            history = train(
                net, source, optimizer=plan.optimizer, steps=plan.steps, batch_size=min(plan.batch_size, len(source)),
                clip=plan.clip, seed=plan.seed, progress=False, **settings,
            )  # fmt: skip
        except TrainingDivergedError as error:
            history, diverged = error.history, True
    return Run(plan, net, source, history, diverged)
