"""Random numbers to check with: nothing is zero, constant or alike, so that no mistake can hide."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.network import Network, Recurrent

Array = npt.NDArray[Any]

# Recurrent gain, sd of W_hh times sqrt(H): at most 1, beyond which two correct programs part company.
GAIN = 0.8

# How far biases and vectors are moved from where they start: a bias of 0 hides what is added to it.
JITTER = 0.3

# Rows, steps and target when none are given: small and all different.
ROWS, STEPS = 3, 5


def stack_of(model: Network | Recurrent) -> Recurrent:
    """Return the recurrent part."""
    return model.recurrent if isinstance(model, Network) else model


def random_parameters(model: Network | Recurrent, rng: np.random.Generator) -> dict[str, Array]:
    """Return new values for every parameter, of the model's own shapes and dtype.

    Weights are normal with a gain of 0.8; vectors and biases are moved from where they stand.
    """
    found: dict[str, Array] = {}
    for name, p in model.parameters.items():
        if p.ndim == 2 and not name.startswith("initial."):
            value = rng.standard_normal(p.shape) * GAIN / np.sqrt(max(1, len(p)))
        else:
            value = p + rng.uniform(-JITTER, JITTER, p.shape)
        found[name] = value.astype(p.dtype)
    return found


def random_input(model: Network | Recurrent, rng: np.random.Generator, lengths: Array | None = None) -> Array:
    """Return x (B, T, D), normal; B and T are those of `lengths` where there are any."""
    rows, steps = (ROWS, STEPS) if lengths is None else (len(lengths), int(np.max(lengths)))
    return rng.standard_normal((rows, steps, model.input_size))


def random_state(stack: Recurrent, batch: int, rng: np.random.Generator) -> dict[str, Array]:
    """Return a state within -0.5..0.5, the range of every cell's output."""
    return {name: rng.uniform(-0.5, 0.5, stack.state_shape(batch)) for name in stack.states}


def random_targets(net: Network, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return targets for predictions of `shape`: classes or probabilities where the loss takes them."""
    wanted = net.loss.target_shape(shape)
    if net.loss.probability_targets:
        return rng.dirichlet(np.ones(wanted[-1]), wanted[:-1])
    return rng.integers(0, shape[-1], wanted) if net.loss.class_targets else rng.standard_normal(wanted)
