"""Targets for hidden units: teacher forcing as the notes mean it, "using targets for some or all of the hidden units".

The network of digit echo gets targets for its first ten units: +0.9 for the unit of the marked digit, -0.9 for the
others, at every step. While training, the state handed to the next step is a mixture,

    m_t = (1 - alpha) h_t + alpha h*_t   (forced units),   m_t = h_t   (the others),

and the distance of h_t to h*_t is part of the loss. With alpha = 1 no gradient crosses a forced unit: each step is
learnt by itself, whatever the lag. Judged is the network that runs freely, which never sees a target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.labs.gradients.data import DIGITS, get_task
from bptt.labs.gradients.remedies import BATCH, EXAMPLES, RATE, REMEDIES, make_network
from bptt.losses import get_loss
from bptt.network import Network
from bptt.optim import Adam, ClipNorm

# What the forced units aim at, and what their distance counts beside the answer's cross-entropy.
TARGET, WEIGHT = 0.9, 100.0
MIXES = (0.0, 0.5, 1.0)
# Trained at the first two lags, judged at all.
TRAINED, JUDGED = (10, 50), (10, 50, 200)
STEPS = 1000


@dataclass(frozen=True)
class Forced:
    """One network.

    Attributes
    ----------
    mix : float or None
        alpha; None: without targets for hidden units.
    lag : int
        Trained at.
    right : dict of int to float
        Share of right answers at each lag, running freely.
    distance : float
        Root mean square distance of the forced units from their targets, running freely at the lag it was trained at.
    """

    mix: float | None
    lag: int
    right: dict[int, float]
    distance: float


def hidden_targets(y: Array, steps: int) -> Array:
    """Return the targets of the forced units (steps, B, 10) for digits y (B,)."""
    one = np.where(np.eye(DIGITS, dtype=bool)[y], TARGET, -TARGET)
    return np.broadcast_to(one, (steps, *one.shape))


def forced_gradients(
    parameters: Mapping[str, Array], x: Array, y: Array, targets: Array, *, mix: float, weight: float = WEIGHT
) -> tuple[Any, dict[str, Array]]:
    """Return loss and gradients of an Elman network whose first units are forced towards targets.

    Parameters
    ----------
    parameters : mapping of str to ndarray
        Of a `Network` of one Elman layer; complex for the complex-step check.
    x : ndarray (B, T, D)
    y : ndarray of int (B,)
    targets : ndarray (T, B, F)
        Of the first F hidden units, at every step.
    mix : float
        alpha in 0..1.
    weight : float
        Of the forced units' loss beside the cross-entropy of the answer.

    Returns
    -------
    loss : float
        Cross-entropy of the answer plus `weight` times half the mean square distance of the forced units.
    gradients : dict of str to ndarray

    References
    ----------
    Williams and Zipser 1989, "A learning algorithm for continually running fully recurrent neural networks", section 5,
    where alpha is 1 and the targets are those of visible units.
    """
    W_xh, W_hh, b_h = (parameters[f"layers.0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    B, T, _ = x.shape
    forced = targets.shape[2]
    fed = np.zeros((T + 1, B, len(W_hh)), np.result_type(*parameters.values(), x))  # what each step reads
    h = np.empty_like(fed[1:])
    inputs = x.transpose(1, 0, 2) @ W_xh + b_h
    for t in range(T):
        h[t] = np.tanh(inputs[t] + fed[t] @ W_hh)
        fed[t + 1] = h[t]
        fed[t + 1, :, :forced] = (1 - mix) * h[t, :, :forced] + mix * targets[t]
    answer = h[-1] @ parameters["readout.W_hy"] + parameters["readout.b_y"]
    loss, dy_hat = get_loss("cross_entropy").value_and_gradient(answer, y)
    apart = h[:, :, :forced] - targets
    loss = loss + weight * 0.5 * (apart * apart).mean()

    da = np.empty_like(h)
    dfed = np.zeros_like(h[0])
    for t in range(T - 1, -1, -1):
        dh = dfed.copy()
        dh[:, :forced] *= 1 - mix
        dh[:, :forced] += weight * apart[t] / apart.size
        if t == T - 1:
            dh += dy_hat @ parameters["readout.W_hy"].T
        da[t] = dh * (1 - h[t] * h[t])
        dfed = da[t] @ W_hh.T
    flat = da.reshape(T * B, -1)
    return loss, {
        "layers.0.W_xh": x.transpose(1, 0, 2).reshape(T * B, -1).T @ flat,
        "layers.0.W_hh": fed[:-1].reshape(T * B, -1).T @ flat,
        "layers.0.b_h": flat.sum(axis=0),
        "readout.W_hy": h[-1].T @ dy_hat,
        "readout.b_y": dy_hat.sum(axis=0),
    }


def run_forcing(*, seed: int = 0, steps: int = STEPS) -> tuple[Forced, ...]:
    """Train with each mixture at each lag, and without targets for hidden units."""
    found = []
    for lag in TRAINED:
        for mix in (None, *MIXES):
            net = train_forced(lag, mix, seed=seed, steps=steps)
            right, distance = {}, 0.0
            for judged in JUDGED:
                x, y = get_task("echo").draw(np.random.default_rng([seed, judged, 1]), 1000, judged)
                right[judged] = get_task("echo").score(net, x, y)
                if judged == lag:
                    h, _, _ = net.recurrent.forward(x)
                    apart = h[:, :, :DIGITS].transpose(1, 0, 2) - hidden_targets(y, lag + 1)
                    distance = float(np.sqrt((apart * apart).mean()))
            found.append(Forced(mix, lag, right, distance))
    return tuple(found)


def train_forced(lag: int, mix: float | None, *, seed: int, steps: int = STEPS) -> Network:
    """Train a network with targets for its hidden units; without where `mix` is None."""
    task = get_task("echo")
    net = make_network(REMEDIES["clip"], task, seed)
    x, y = task.draw(np.random.default_rng([seed, lag, 0]), EXAMPLES, lag)
    optimizer, clip = Adam(RATE), ClipNorm(1.0)
    slots = optimizer.init(net.parameters)
    rng = np.random.default_rng([seed, 2])
    for step in range(steps):
        chosen = rng.integers(len(x), size=BATCH)
        targets = hidden_targets(y[chosen], lag + 1).astype(net.dtype)
        _, gradients = forced_gradients(
            net.parameters,
            x[chosen],
            y[chosen],
            targets,
            mix=mix or 0.0,
            weight=0.0 if mix is None else WEIGHT,
        )
        gradients = {name: d.astype(net.dtype, copy=False) for name, d in gradients.items()}
        clip(gradients)
        optimizer.update(net.parameters, gradients, slots, step)
    return net
