"""Spectral radius against what gradients do: untrained Elman networks, their recurrent weights scaled to a radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.diagnostics.spectra import spectral_norm, spectral_radius, step_jacobians
from bptt.engine import reference
from bptt.initializers import Normal, SpectralRadius
from bptt.labs.gradients.data import get_task
from bptt.labs.gradients.remedies import HIDDEN
from bptt.network import Network, Recurrent

RADII = (0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0)
ACTIVATIONS = ("identity", "tanh")
LAG, ROWS = 100, 64


@dataclass(frozen=True, eq=False)
class Decay:
    """What one network does to its gradient.

    Attributes
    ----------
    activation : str
    radius, norm : float
        Spectral radius and largest singular value of W_hh.
    jacobian : float
        Largest singular value of a step's Jacobian, the median over the steps of one sequence.
    per_step : float
        ``(|dL/dh_0| / |dL/dh_T|) ** (1 / T)``, the median over sequences: what a step back multiplies by.
    flow : ndarray (T + 1,)
        ``|dL/dh_t| / |dL/dh_T|``, t = 0..T, the median over sequences, from a random dL/dh_T in each.
    """

    activation: str
    radius: float
    norm: float
    jacobian: float
    per_step: float
    flow: Array


def decay_of(net: Network, x: Array, rng: np.random.Generator, activation: str = "tanh") -> Decay:
    """Return what an Elman network does to a gradient that comes in at its last step from a random direction."""
    W_hh = net.parameters["layers.0.W_hh"]
    tape = net.forward(x).tape.stack.tapes[0]
    swept = reference.backward(tape, None, {"h": rng.standard_normal((len(x), len(W_hh)))}, want={"states"})
    assert swept.states is not None
    flow = np.linalg.norm(swept.states["h"], axis=2)
    relative = np.median(flow / flow[-1], axis=1)
    return Decay(
        activation=activation,
        radius=spectral_radius(W_hh),
        norm=spectral_norm(W_hh),
        jacobian=float(np.median(step_jacobians(net, x[0]).singular_values[:, 0])),
        per_step=float(relative[0] ** (1 / (len(relative) - 1))),
        flow=relative,
    )


def run_radii(*, seed: int = 0, lag: int = LAG) -> tuple[Decay, ...]:
    """Return the decay at every radius, for a linear network and for one of tanh units; the same draw, rescaled."""
    task = get_task("echo")
    x, _ = task.draw(np.random.default_rng([seed, 5]), ROWS, lag)
    found = []
    for activation in ACTIVATIONS:
        for radius in RADII:
            stack = Recurrent(
                "elman", task.inputs, HIDDEN, activation=activation, seed=seed, engine="numpy",
                initializers={"W_hh": SpectralRadius(Normal(1.0), radius)},
            )  # fmt: skip
            net = Network(stack, task.outputs, readout="last", loss=task.loss, seed=seed)
            found.append(decay_of(net, x, np.random.default_rng([seed, 7]), activation))
    return tuple(found)
