"""Teacher forcing and scheduled sampling of outputs that are fed back.

The network forecasts a wave one step ahead and reads its own forecast at the next step. Teacher forcing trains it on
the true values; it then meets its own errors for the first time when it runs freely. Scheduled sampling puts its own
forecasts in the place of true values, of more and more of them as training goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.labs.gradients.remedies import HIDDEN
from bptt.network import Network, Recurrent
from bptt.optim import Adam, ClipNorm

PERIODS, NOISE = (25.0, 11.0), 0.1
LENGTH, WARM_UP, FREE = 60, 40, 100
STEPS, BATCH, RATE = 1500, 32, 0.003
# Share of steps that read the network's own forecast at the end of training.
SHARES = (0.0, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Fed:
    """One way to train; arrays hold the mean over the seeds.

    Attributes
    ----------
    share : float
        Of the network's own forecasts at the end of training: 0 is teacher forcing.
    one_step : float
        Root mean square error of the next value, read from true values.
    free : ndarray (FREE,)
        Root mean square error of each step of a free run, against the wave without noise.
    """

    share: float
    one_step: float
    free: Array


def waves(rng: np.random.Generator, count: int, length: int) -> tuple[Array, Array]:
    """Return noisy sums of two sines of random phases, and the same without noise, each (count, length, 1) float32."""
    t = np.arange(length)
    phases = rng.uniform(0, 2 * np.pi, (count, len(PERIODS), 1))
    clean = sum(0.6 / (k + 1) * np.sin(2 * np.pi * t / p + phases[:, k]) for k, p in enumerate(PERIODS))
    noisy = clean + NOISE * rng.standard_normal((count, length))
    return noisy[:, :, None].astype(np.float32), np.asarray(clean, np.float32)[:, :, None]


def mixed_inputs(net: Network, y: Array, share: float, rng: np.random.Generator) -> Array:
    """Return what the network reads at each step: the value before, or its own forecast of it.

    Parameters
    ----------
    y : ndarray (B, T + 1, 1)
        True values.
    share : float
        Probability of the own forecast, at each step and row.

    Returns
    -------
    ndarray (B, T, 1)
        The first is always true. Forecasts are constants: no gradient goes through them.

    References
    ----------
    Bengio, Vinyals, Jaitly and Shazeer 2015, "Scheduled sampling for sequence prediction with recurrent neural
    networks". The forecasts are those of a pass over true values, as in Mihaylova and Martins 2019, "Scheduled
    sampling for transformers": two passes over the sequence instead of one step at a time.
    """
    x = y[:, :-1].copy()
    if share > 0:
        own = net.predict(x)[:, :-1]
        x[:, 1:] = np.where(rng.random(own.shape) < share, own, x[:, 1:])
    return x


def run_feedback(*, seeds: tuple[int, ...] = (0,), steps: int = STEPS) -> tuple[Fed, ...]:
    """Train with each share and run freely."""
    found = []
    for share in SHARES:
        one_step, free = [], []
        for seed in seeds:
            net = train_fed(share, seed=seed, steps=steps)
            noisy, clean = waves(np.random.default_rng([seed, 1]), 200, WARM_UP + FREE)
            ahead = net.predict(noisy[:, :-1]) - noisy[:, 1:]
            one_step.append(float(np.sqrt((ahead[:, 10:] ** 2).mean())))
            run = net.generate(noisy[:, :WARM_UP], FREE)
            free.append(np.sqrt(((run - clean[:, WARM_UP:]) ** 2).mean(axis=(0, 2))))
        found.append(Fed(share, float(np.mean(one_step)), np.mean(free, axis=0)))
    return tuple(found)


def train_fed(share: float, *, seed: int, steps: int = STEPS) -> Network:
    """Train a network; the share of its own forecasts rises evenly from 0 to `share`."""
    stack = Recurrent("gru", 1, HIDDEN, dtype="float32", seed=seed)
    net = Network(stack, 1, readout="every", seed=seed)
    optimizer, clip = Adam(RATE), ClipNorm(1.0)
    slots = optimizer.init(net.parameters)
    rng = np.random.default_rng([seed, 0])
    for step in range(steps):
        y, _ = waves(rng, BATCH, LENGTH + 1)
        x = mixed_inputs(net, y, share * step / steps, rng)
        gradients = net.loss_and_gradients(x, y[:, 1:]).gradients.parameters
        clip(gradients)
        optimizer.update(net.parameters, gradients, slots, step)
    return net
