"""Runs that are ill: each disease spoils a sensible plan, and says by a measure of its own whether the illness took.

None of these measures is the doctor's: they know what was done, or look at what the doctor does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.doctor.runs import CELLS, Plan, Run, carry_out, draw_plan, make_net
from benchmarks.doctor.tasks import REAL, Rng, Task, draw_task, drifting, recall
from bptt.cells import Cell
from bptt.initializers import Constant, Normal, SpectralRadius
from bptt.losses import HalfSquared
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam

# A draw gives a run, or None where the illness did not take.
Draw = Callable[[Rng], Run | None]


def healthy(rng: Rng) -> Run | None:
    """A sensible run that learnt at least four fifths of what can be learnt, on fresh data."""
    run = carry_out(draw_plan(rng, draw_task(rng)))
    if run.diverged or not run.learnt() > 0.8:
        return None
    task = run.plan.task
    if task.level is not None and task.readout == "last":
        last = task.fresh_x[:, -1, task.level]
        persistence = float(np.mean((task.fresh_y[:, 0] - last) ** 2))
        # Of the changes, too, something must have been learnt, wherever there is something.
        reached = float(np.mean((run.net.predict(task.fresh_x) - task.fresh_y) ** 2))
        if reached > persistence - 0.4 * max(0.0, persistence - task.floor):
            return None
    if run.plan.validate:
        values = [loss for _, loss in run.history.validation]
        if values[-1] > 1.15 * min(values) + 0.02 * task.constant:
            return None
    return run


def exploding(rng: Rng) -> Run | None:
    """Recurrent weights that amplify; the first gradient is a thousand times what the readout alone would see."""
    task = draw_task(
        rng, ("oscillation", "sines", "driven", "filtered", "drifting"), T=int(rng.integers(35, 80))
    )
    plan = draw_plan(rng, task, ("elman", "relu", "identity"))
    scale = 0.1 if plan.cell == "elman" else 0.5
    radius = rng.uniform(2.2, 4.0) if plan.cell == "elman" else rng.uniform(1.35, 2.0)
    activation = {
        "elman": "tanh",
        "relu": "softplus" if rng.random() < 0.3 else "relu",
        "identity": "identity",
    }
    optimizer = (
        SGD(float(np.exp(rng.uniform(np.log(1e-5), np.log(1e-2))))) if rng.random() < 0.5 else plan.optimizer
    )
    plan = replace(
        plan, layers=1, activation=activation[plan.cell], cell="elman", optimizer=optimizer, network={},
        steps=300, clip=1.0 if rng.random() < 0.3 else None,
        initializers={"W_hh": SpectralRadius(Normal(1.0), radius), "W_xh": Normal(scale)},
    )  # fmt: skip
    net = make_net(plan)
    with np.errstate(all="ignore"):
        found = net.loss_and_gradients(task.x[:48], task.y[:48]).gradients.parameters
        ratio = np.linalg.norm(found["layers.0.W_hh"]) / np.linalg.norm(found["readout.b_y"])
    if not ratio > 1000:
        return None
    return carry_out(plan, net)


def vanishing(rng: Rng) -> Run | None:
    """What must be remembered lies further back than any gradient reaches."""
    task = recall(rng, T=int(rng.integers(20, 50)))
    plan = draw_plan(rng, task, ("elman", "gru", "lstm", "own", "sigmoid"))
    start: dict[str, object] = {}
    if plan.cell == "elman":
        start = {"W_hh": SpectralRadius(Normal(1.0), rng.uniform(0.2, 0.6))}
    elif plan.cell in ("gru", "lstm", "own"):
        start = {"W_hh": Normal(0.05)}
    activation = "sigmoid" if plan.cell == "sigmoid" else None
    cell = "elman" if plan.cell == "sigmoid" else plan.cell
    plan = replace(
        plan, cell=cell, activation=activation, initializers=start, layers=1, steps=400, network={}
    )
    net = make_net(plan)
    H = plan.hidden
    if cell == "lstm" or cell == "gru":
        net.parameters["layers.0.b_h"][H : 2 * H] = -1.0
    elif cell == "own":
        net.parameters["layers.0.b_h"][:H] = 1.0
    run = carry_out(plan, net)
    return run if run.learnt() < 0.3 and _deaf_to_the_first(run) else None


def _deaf_to_the_first(run: Run) -> bool:
    """Whether another first input changes the answer by less than a hundredth of what another last one does."""
    x = run.plan.task.x
    said, changes = run.net.predict(x), []
    for step in (0, -1):
        other = x.copy()
        other[:, step] = np.roll(x[:, step], 1, axis=0)
        changes.append(np.sqrt(np.mean((run.net.predict(other) - said) ** 2)))
    return bool(changes[0] < 0.01 * changes[1])


def saturation(rng: Rng) -> Run | None:
    """Weights from the input so large that units sit at their bounds."""
    task = draw_task(rng)
    plan = draw_plan(rng, task, ("elman", "sigmoid", "gru", "lstm", "own"))
    activation = "sigmoid" if plan.cell == "sigmoid" else None
    cell = "elman" if plan.cell == "sigmoid" else plan.cell
    size = float(np.exp(rng.uniform(np.log(15), np.log(60)))) * (3 if activation or cell != "elman" else 1)
    plan = replace(
        plan, cell=cell, activation=activation, layers=1, steps=300, optimizer=Adam(0.003), clip=1.0,
        initializers={"W_xh": Normal(size)}, network={},
    )  # fmt: skip
    net = make_net(plan)
    if cell == "lstm":
        net.parameters["layers.0.W_xh"][:, : plan.hidden] = np.abs(
            net.parameters["layers.0.W_xh"][:, : plan.hidden]
        )
    run = carry_out(plan, net)
    return run if run.learnt() < 0.8 else None


def dead_relu(rng: Rng) -> Run | None:
    """Biases that keep most rectified units silent."""
    task = draw_task(rng)
    plan = replace(draw_plan(rng, task, ("relu",)), layers=1, network={})
    if rng.random() < 0.3:
        plan = replace(plan, optimizer=SGD(float(rng.uniform(2, 20)), momentum=0.9), clip=1.0)
    net = make_net(plan)
    H = plan.hidden
    killed = rng.random(H) < rng.uniform(0.7, 1.1)
    net.parameters["layers.0.b_h"][killed] = -rng.uniform(5, 20)
    run = carry_out(plan, net)
    if run.diverged:
        return None
    silent = (_states(run) == 0).all(axis=(0, 1))
    return run if silent.mean() >= 0.6 else None


def _states(run: Run) -> np.ndarray:
    """Return the first layer's outputs (T, B, H) by NumPy alone."""
    x = np.asarray(run.plan.task.x, np.float64)
    p = {name.removeprefix("layers.0."): np.asarray(v, np.float64) for name, v in run.net.parameters.items()}
    h, found = np.zeros((len(x), run.plan.hidden)), []
    for t in range(x.shape[1]):
        h = np.maximum(x[:, t] @ p["W_xh"] + h @ p["W_hh"] + p["b_h"], 0)
        found.append(h)
    return np.array(found)


def rate_too_high(rng: Rng) -> Run | None:
    """A rate with which little is learnt, where a thirtieth of it or less learns well."""
    task = draw_task(rng)
    plan = replace(draw_plan(rng, task), layers=1, network={}, early_stopping=None, validate=False)
    adam = rng.random() < 0.6
    rate = float(
        np.exp(rng.uniform(np.log(0.15), np.log(2.0)) if adam else rng.uniform(np.log(0.5), np.log(20)))
    )
    plan = replace(plan, optimizer=_rated(plan, adam, rate), clip=None if rng.random() < 0.5 else plan.clip)
    run = carry_out(plan)
    if not run.diverged and run.learnt() > 0.5:
        return None
    good = carry_out(replace(plan, optimizer=_rated(plan, adam, rate / 30), clip=1.0))
    better = good.learnt() > 0.8 or carry_out(replace(plan, optimizer=Adam(0.01), clip=1.0)).learnt() > 0.8
    return run if better and not _explodes(plan) else None


def _explodes(plan: Plan) -> bool:
    net = make_net(plan)
    found = net.loss_and_gradients(plan.task.x[:48], plan.task.y[:48]).gradients.parameters
    return bool(np.linalg.norm(found["layers.0.W_hh"]) > 100 * np.linalg.norm(found["readout.b_y"]) + 100)


def rate_too_low(rng: Rng) -> Run | None:
    """A rate with which little is learnt, where one a hundred times as large learns well."""
    task = draw_task(rng)
    plan = replace(draw_plan(rng, task), network={})
    adam = rng.random() < 0.6
    rate = float(
        np.exp(rng.uniform(np.log(1e-6), np.log(1e-4)) if adam else rng.uniform(np.log(1e-5), np.log(1e-3)))
    )
    run = carry_out(replace(plan, optimizer=_rated(plan, adam, rate)))
    if run.learnt() > 0.5:
        return None
    good = carry_out(replace(plan, optimizer=_rated(plan, adam, min(100 * rate, 0.01)), clip=1.0))
    better = good.learnt() > 0.8 or carry_out(replace(plan, optimizer=Adam(0.01), clip=1.0)).learnt() > 0.8
    return run if better else None


def _rated(plan: Plan, adam: bool, rate: float) -> Adam | SGD:
    return Adam(rate) if adam else SGD(rate, momentum=0.9 if plan.seed % 2 else 0.0)


def unscaled_inputs(rng: Rng) -> Run | None:
    """Columns in units of their own: kelvins, pascals, millionths."""
    task = draw_task(rng, ("oscillation", "sines", "driven", "mackey_glass", "filtered", "drifting"))
    D = task.x.shape[2]
    chosen = rng.random(D) < 0.6
    chosen[rng.integers(D)] = True
    size = np.where(chosen, np.exp(rng.uniform(np.log(15), np.log(3000), D)), 1.0)
    offset = np.where(chosen & (rng.random(D) < 0.5), rng.uniform(2, 50, D), 0.0)
    if rng.random() < 0.2:
        size, offset = np.full(D, 10.0 ** rng.uniform(-6, -3)), np.zeros(D)
    task = replace(task.with_x(lambda x: size * (x + offset)), level=None)
    plan = replace(draw_plan(rng, task), network={})
    return carry_out(plan)


def unscaled_targets(rng: Rng) -> Run | None:
    """Targets in units of their own, inputs scaled."""
    task = draw_task(rng, ("oscillation", "sines", "driven", "mackey_glass", "filtered", "drifting"))
    size = float(np.exp(rng.uniform(np.log(20), np.log(5000))))
    offset = float(rng.uniform(0, 20)) if rng.random() < 0.5 else 0.0
    if rng.random() < 0.2:
        size, offset = 10.0 ** rng.uniform(-5, -2.5), 0.0
    elif rng.random() < 0.2:
        size, offset = 1.0, float(rng.uniform(12, 300))
    task = replace(
        task, y=size * (task.y + offset), fresh_y=size * (task.fresh_y + offset), floor=task.floor * size**2,
        constant=task.constant * size**2, level=None,
    )  # fmt: skip
    return carry_out(replace(draw_plan(rng, task), network={}))


def leakage(rng: Rng) -> Run | None:
    """A column that holds the target, scaled and with a little noise, among the inputs."""
    task = draw_task(rng, ("oscillation", "sines", "driven", "filtered", "drifting"))
    gain, noise = rng.uniform(0.5, 1.5) * rng.choice([-1, 1]), float(rng.choice([0.0, 0.02]))
    spread, order = noise * np.sqrt(task.floor), rng.permutation(task.x.shape[2] + 1)

    def leaking(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if y.ndim == 3:
            column = gain * y + spread * rng.standard_normal(y.shape)
        else:
            column = rng.standard_normal((*x.shape[:2], 1))
            # A series that runs ahead of the target's: what it says now, the target says next.
            if task.level is not None:
                column[:, :-1] = gain * x[:, 1:, [task.level]]
            column[:, -1] = gain * y + spread * rng.standard_normal(y.shape)
        return np.concatenate([x, column], axis=2)[:, :, order]

    x, fresh = leaking(task.x, task.y), leaking(task.fresh_x, task.fresh_y)
    task = replace(task, x=x, fresh_x=fresh, level=None)
    return carry_out(replace(draw_plan(rng, task), network={}))


def repeats_last(rng: Rng) -> Run | None:
    """A wandering level whose changes can be told, and a network that has only learnt the level."""
    task = drifting(rng)
    plan = draw_plan(rng, task)
    if rng.random() < 0.4:
        plan = replace(
            plan, network={"change_of": [0], "change_scale": 0.5, "readout_initializer": Constant(0.0)},
            optimizer=Adam(1e-6), layers=1,
        )  # fmt: skip
        run = carry_out(plan)
    else:
        # Its only informative input is the last level.
        wander = np.cumsum(rng.standard_normal(len(task.x) + task.x.shape[1]))
        for t in range(1, len(wander)):
            wander[t] = 0.99 * wander[t - 1] + (wander[t] - wander[t - 1]) * 0.3
        wander = (wander - wander.mean()) / wander.std()
        T = task.x.shape[1]
        cut = int(0.7 * len(wander))
        series = np.column_stack([wander, rng.standard_normal(len(wander))])
        x = np.stack([series[i : i + T] for i in range(len(series) - T)])
        y = series[T:, :1]
        task = replace(
            task, x=x[: cut - T], y=y[: cut - T], fresh_x=x[cut:], fresh_y=y[cut:], constant=1.0,
            floor=float(np.var(np.diff(wander))),
        )  # fmt: skip
        run = carry_out(replace(plan, task=task, network={}))
    last = run.plan.task.x[:, -1, :1]
    predicted, truth = run.net.predict(run.plan.task.x), run.plan.task.y
    near = np.mean((predicted - last) ** 2) < 0.1 * np.mean((truth - truth.mean()) ** 2)
    skill = 1 - np.mean((predicted - truth) ** 2) / np.mean((last - truth) ** 2)
    return run if near and skill < 0.02 else None


def overfitting(rng: Rng) -> Run | None:
    """Few noisy examples, a large network, many steps."""
    task = draw_task(rng, ("oscillation", "sines", "driven", "filtered", "markov", "recall", "drifting"))
    few = rng.choice(len(task.x), int(rng.integers(10, 30)), replace=False)
    y = task.y[few]
    if y.dtype.kind == "f":
        y = y + 0.3 * task.y.std() * rng.standard_normal(y.shape)
    task = replace(task, x=task.x[few], y=y)
    plan = replace(
        draw_plan(rng, task), hidden=int(rng.integers(24, 64)), optimizer=Adam(0.01), steps=800, validate=True,
        batch_size=16,
    )  # fmt: skip
    run = carry_out(plan)
    values = [loss for _, loss in run.history.validation]
    if not values or not run.history.losses[-50:].mean() < 0.5 * values[-1]:
        return None
    return run if values[-1] > 1.3 * min(values) else None


class Unfinished(Cell):
    """A cell of the user's own whose hand-written backward sends nothing back."""

    name = "unfinished"
    gates = ("h",)
    functions = {"activation": "tanh"}  # noqa: RUF012  # as a user would write it

    @staticmethod
    def forward(a_h, activation):
        h = activation(a_h)
        return h  # noqa: RET504  # a formula names what it returns

    @staticmethod
    def backward(dh, h):
        da_h = dh * h * 0
        return da_h  # noqa: RET504  # likewise


def readout_only(rng: Rng) -> Run | None:
    """The lecture's case: the first step blows the recurrent weights up; or a backward that sends nothing."""
    T = int(rng.integers(100, 200))
    t = np.arange(T)[:, None]
    wave = np.sin(t * rng.uniform(0.03, 0.12)) + 0.1 * rng.standard_normal((T, 1))
    x = np.linspace(0, rng.uniform(4, 7), T)[None, :, None] if rng.random() < 0.5 else wave[None]
    y = np.roll(wave, -1, axis=0)[None] if x.shape == wave[None].shape and rng.random() < 0.3 else wave[None]
    x = x + 0.0
    if np.array_equal(x, y):
        x = np.linspace(0, 5, T)[None, :, None]
    task = Task("noisy_sine", x, y, x, y, "every", "mse", 0.01, float(np.var(y)))
    plan = draw_plan(rng, task, CELLS)
    hidden = int(rng.integers(100, 180))
    if rng.random() < 0.25:
        task = draw_task(rng, REAL)
        plan = replace(draw_plan(rng, task), layers=1, cell="own", network={})
        stack = Recurrent(Unfinished, task.x.shape[2], plan.hidden, dtype=plan.dtype, seed=plan.seed)
        net = Network(stack, task.outputs, readout=task.readout, loss=task.loss, seed=plan.seed)
        return carry_out(plan, net)
    sd = rng.uniform(2.3, 3.3) / np.sqrt(hidden)
    plan = replace(
        plan, cell="elman", layers=1, hidden=hidden, optimizer=SGD(1e-5, momentum=0.95), steps=300, batch_size=1,
        clip=None, validate=False, dtype="float32",
        initializers={"W_xh": Normal(0.1), "W_hh": Normal(sd), "b_h": Normal(0.1)},
        network={"loss": HalfSquared(time="sum"), "bias": False, "readout_initializer": Normal(0.1)},
    )  # fmt: skip
    net = make_net(plan)
    before = net.parameters["layers.0.W_hh"].copy()
    run = carry_out(plan, net)
    if run.diverged:
        return None
    grown = np.linalg.norm(net.parameters["layers.0.W_hh"]) / np.linalg.norm(before)
    found = net.loss_and_gradients(task.x, task.y).gradients.parameters
    still = np.linalg.norm(found["layers.0.W_hh"]) <= 1e-6 * np.linalg.norm(found["readout.W_hy"])
    return run if grown > 3 and still else None


SICK: dict[str, Draw] = {
    "exploding gradients": exploding,
    "readout-only learning": readout_only,
    "vanishing gradients": vanishing,
    "saturation": saturation,
    "dead units": dead_relu,
    "learning rate too high": rate_too_high,
    "learning rate too low": rate_too_low,
    "unscaled inputs": unscaled_inputs,
    "unscaled targets": unscaled_targets,
    "target leakage": leakage,
    "repeats the last value": repeats_last,
    "overfitting": overfitting,
}
