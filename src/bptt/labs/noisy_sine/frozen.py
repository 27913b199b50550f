"""Training that notices when the recurrent part has stopped for good, and goes on with the readout alone.

From the lecture's start one update makes every state exactly -1 or +1, and the gradient of all but the readout exactly
0. What `bptt.labs.noisy_sine.lab.run_rnn` then computes 999 times over are the same states. Here they are kept: the
numbers are the same but for rounding, which a test shows, in half the time.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bptt.checks import Array
from bptt.diagnostics import diagnose
from bptt.errors import DivergedError
from bptt.labs.noisy_sine.data import msse
from bptt.labs.noisy_sine.lab import (
    WEIGHTS,
    Fitted,
    Recipe,
    Snapshot,
    Tell,
    apply_rnn,
    make_network,
    run_rnn,
)
from bptt.network import Network
from bptt.optim import SGD
from bptt.training import History

READOUT = "readout.W_hy"


def run_until_frozen(
    x: Array, y: Array, recipe: Recipe, *, seed: int = 0, keep: Iterable[int] = (), tell: Tell | None = None
) -> Fitted:
    """Train as `run_rnn`; once the gradient of the recurrent part is exactly 0, with the states as they are.

    Momentum goes on moving the other weights for some hundred updates more, and where a sum nearly cancels a state can
    leave its -1 or +1 for an update or two: while weights move, the states are looked at again. A recipe with clipping,
    and a run that diverges, are left to `run_rnn`.

    Parameters
    ----------
    x, y : ndarray (T, 1)
    recipe, seed, keep, tell
        As for `run_rnn`.
    """
    wanted = frozenset(keep)
    found = None if recipe.clip is not None else _run(x, y, recipe, seed, wanted, tell)
    return found or run_rnn(x, y, recipe, seed=seed, keep=wanted, tell=tell)


def _run(
    x: Array, y: Array, recipe: Recipe, seed: int, keep: frozenset[int], tell: Tell | None
) -> Fitted | None:
    net = make_network(recipe, seed)
    one_x, one_y = (np.asarray(a, net.dtype)[None] for a in (x, y))
    optimizer = SGD(recipe.learning_rate, momentum=recipe.momentum, decay=recipe.decay)
    slots = optimizer.init(net.parameters)
    losses, norms = np.empty(recipe.epochs + 1), np.empty(recipe.epochs)
    snapshots: dict[int, Snapshot] = {}
    h: Array | None = None  # once they have stopped moving
    for n in range(recipe.epochs + 1):
        if h is None:
            y_hat, gradients, states = _pass(net, one_x, one_y)
            if not any(gradients[name].any() for name in WEIGHTS):
                h = states
        else:
            y_hat = h @ net.parameters[READOUT]
            gradients = {READOUT: h.T @ (y_hat - one_y[0])}
        losses[n] = msse(y_hat, np.asarray(y))
        sizes = {
            name: float(np.linalg.norm(np.float64(gradients[name]))) if name in gradients else 0.0
            for name in net.parameters
        }
        if n in keep:
            kept = h if h is not None else states
            snapshots[n] = Snapshot(y_hat.astype(np.float64), kept.copy(), sizes)
        if n == recipe.epochs:
            break
        norms[n] = np.linalg.norm(list(sizes.values()))
        if not (np.isfinite(losses[n]) and np.isfinite(norms[n])):
            return None
        # Momentum goes on carrying the other weights, though nothing pulls at them.
        still = {name: np.zeros_like(p) for name, p in net.parameters.items() if name not in gradients}
        before = {name: net.parameters[name].copy() for name in WEIGHTS} if h is not None else {}
        try:
            optimizer.update(net.parameters, gradients | still, slots, n)
        except DivergedError:
            return None
        moved = any(not np.array_equal(net.parameters[name], p) for name, p in before.items())
        if h is not None and moved and not np.array_equal(_states(net, one_x), h):
            h = None
        if tell and ((n + 1) % max(1, recipe.epochs // 50) == 0 or n + 1 == recipe.epochs):
            tell(n + 1, recipe.epochs)
    losses[-1] = msse(apply_rnn(x, net), np.asarray(y))
    rates = np.array([optimizer.rate(n) for n in range(recipe.epochs)])
    history = History(losses[:-1] * len(x), norms, rates, (), None, "finished", 0.0)
    return Fitted(net, losses, norms, None, snapshots, diagnose(history, net, (one_x, one_y)))


def _pass(net: Network, x: Array, y: Array) -> tuple[Array, dict[str, Array], Array]:
    """Return y_hat (T, 1), the gradients and the states (T, n)."""
    found = net.loss_and_gradients(x, y)
    return found.y_hat[0], found.gradients.parameters, _states(net, x)


def _states(net: Network, x: Array) -> Array:
    h, _, _ = net.recurrent.forward(x)
    states: Array = h[0]
    return states
