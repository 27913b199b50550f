"""JAX on the CPU: a jitted scan over the steps, value_and_grad and the update in one compiled function."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.jobs import RATE, Arrays, Problem


def version() -> str:
    return str(jax.__version__)


def elman(p: Any, state: Any, a_t: Any) -> Any:
    (h,) = state
    return (jnp.tanh(a_t + h @ p["layers.0.W_hh"]),)


def lstm(p: Any, state: Any, a_t: Any) -> Any:
    h, c = state
    i, f, g, o = jnp.split(a_t + h @ p["layers.0.W_hh"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(p: Any, state: Any, a_t: Any) -> Any:
    (h,) = state
    x_r, x_z, x_n = jnp.split(a_t, 3, axis=1)
    h_r, h_z, h_n = jnp.split(h @ p["layers.0.W_hh"], 3, axis=1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * (h_n + p["layers.0.b_hn"]))
    return ((1 - z) * n + z * h,)


CELLS = {"elman": (elman, 1), "lstm": (lstm, 2), "gru": (gru, 1)}


def make_loss(problem: Problem) -> Any:
    """Return a function (parameters, x (T, B, D), y) to the loss."""
    job = problem.job
    step, states = CELLS[problem.cell]

    def loss(p: Any, x: Any, y: Any) -> Any:
        # The input's products of all steps at once.
        a = x @ p["layers.0.W_xh"] + p["layers.0.b_h"]
        start = tuple(jnp.zeros((x.shape[1], job.H), x.dtype) for _ in range(states))

        def advance(state: Any, a_t: Any) -> Any:
            state = step(p, state, a_t)
            return state, state[0] if job.every else None

        final, h = lax.scan(advance, start, a)
        y_hat = (h if job.every else final[0]) @ p["readout.W_hy"] + p["readout.b_y"]
        if job.classes:
            chosen = jnp.take_along_axis(jax.nn.log_softmax(y_hat), y[..., None], axis=-1)
            return -chosen.mean()
        return ((y_hat - y) ** 2).mean()

    return loss


class Training:
    """One jitted call a step; calls are queued and waited for at the end."""

    def __init__(self, problem: Problem, threads: int) -> None:  # noqa: ARG002  # a worker's pool is set by environment
        self.problem = problem
        self.p = {name: jnp.array(value) for name, value in problem.parameters.items()}
        self.x = jnp.array(problem.x.transpose(1, 0, 2))
        y = problem.y
        self.y = jnp.array(y.transpose(1, 0, *range(2, y.ndim)) if problem.job.every else y)
        if self.x.dtype != problem.dtype:
            raise NotImplementedError(f"this worker's JAX has no {problem.dtype.name}")
        value_and_grad = jax.value_and_grad(make_loss(problem))

        def step(p: Any, x: Any, y: Any) -> Any:
            loss, gradients = value_and_grad(p, x, y)
            return {name: value - RATE * gradients[name] for name, value in p.items()}, loss

        self.gradients = jax.jit(value_and_grad)
        self.step = jax.jit(step, donate_argnums=0)

    def found(self) -> Arrays:
        loss, gradients = self.gradients(self.p, self.x, self.y)
        return {"loss": np.array(loss), **{name: np.array(value) for name, value in gradients.items()}}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.p, loss = self.step(self.p, self.x, self.y)
        loss.block_until_ready()


KINDS = {"training": Training}
