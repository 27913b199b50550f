"""The lecture's program with its mistakes, each a switch; the numbers are those of docs/errata.md.

Written anew, in the lecture's letters and column vectors: Wx (n, 1), Wh (n, n), Wy (1, n), biases (n, 1). It is here to
be looked at; whoever wants to train takes `bptt.labs.noisy_sine.lab.run_rnn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array

LETTERS = {
    "Wx": "layers.0.W_xh",
    "Wh": "layers.0.W_hh",
    "Wy": "readout.W_hy",
    "biases": "layers.0.b_h",
}
HIDDEN = ("Wx", "Wh", "biases")


@dataclass(frozen=True)
class Mistakes:
    """What is left wrong; all of them by default."""

    shared_activation: bool = True
    """14: one activation object for all steps, which remembers the last step."""
    outer_product_transposed: bool = True
    """15: dWh += h_(t-1) dtanh^T."""
    recurrent_not_transposed: bool = True
    """16: dh_(t-1) = Wh dtanh."""
    output_term_dropped: bool = True
    """17: an inner step's own output does not reach its state."""
    momentum_forgotten: bool = True
    """19: the velocity is made anew in every call."""
    still_with_momentum: bool = True
    """20: with momentum the weights are not moved."""
    bias_by_itself: bool = False
    """18, in the script before the optimiser only: biases -= e biases."""


RIGHT = Mistakes(*[False] * 7)
# The four of the backward pass, by the number of their entry.
SWEEP = {
    14: "shared_activation",
    15: "outer_product_transposed",
    16: "recurrent_not_transposed",
    17: "output_term_dropped",
}


@dataclass(frozen=True, eq=False)
class PrintedRun:
    """What the program leaves behind.

    Attributes
    ----------
    losses : ndarray (epochs + 1,)
        MSSE before each update, and after the last.
    fits : dict of int to ndarray (T, 1)
        Predictions by updates made.
    hidden_gradients : ndarray (epochs,)
        Norm of the gradient of Wx, Wh and biases together.
    parameters : dict of str to ndarray
        At the end, in the lecture's letters.
    """

    losses: Array
    fits: dict[int, Array]
    hidden_gradients: Array
    parameters: dict[str, Array]


def in_letters(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return a network's parameters as the lecture has them: columns, float64, copied."""
    found = {letter: np.array(parameters[name], np.float64) for letter, name in LETTERS.items()}
    return {letter: p[:, None] if p.ndim == 1 else p.T.copy() for letter, p in found.items()}


def in_names(p: Mapping[str, Array]) -> dict[str, Array]:
    """Return the lecture's parameters as a network has them."""
    return {name: p[letter][:, 0] if letter == "biases" else p[letter].T for letter, name in LETTERS.items()}


def alignment(parameters: Mapping[str, Array], x: Array, y: Array) -> dict[str, dict[str, float]]:
    """Return the cosine between the right gradient and that of each mistake of the sweep, alone and together.

    By the mistake's field name, or "all four", and by letter; 1 is right, 0 at a right angle, -1 uphill.
    """
    p = in_letters(parameters)
    H = states(p, x)
    dy = H[1:] @ p["Wy"].T - y
    right = backward(p, x, H, dy, RIGHT)
    alone = {name: replace(RIGHT, **{name: True}) for name in SWEEP.values()}
    together = replace(RIGHT, **dict.fromkeys(SWEEP.values(), True))
    return {
        name: {letter: _cosine(g, right[letter]) for letter, g in backward(p, x, H, dy, wrong).items()}
        for name, wrong in {**alone, "all four": together}.items()
    }


def _cosine(a: Array, b: Array) -> float:
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def states(p: Mapping[str, Array], x: Array) -> Array:
    """Return H (T + 1, n), H[0] = 0: the program's RNNCell without its outputs."""
    H = np.zeros((len(x) + 1, len(p["biases"])))
    bias, Wx = p["biases"][:, 0], p["Wx"][:, 0]
    for t, xt in enumerate(x[:, 0]):
        H[t + 1] = np.tanh(Wx * xt + p["Wh"] @ H[t] + bias)
    return H


def backward(p: Mapping[str, Array], x: Array, H: Array, dy: Array, mistakes: Mistakes) -> dict[str, Array]:
    """Return the program's gradients from dL/dy (T, 1); those of Wx, Wh and biases are left out where all are 0."""
    T, n = len(x), H.shape[1]
    deltas = np.zeros((T, n))  # dtanh of each step
    Wh = p["Wh"] if mistakes.recurrent_not_transposed else p["Wh"].T
    own = dy * p["Wy"]  # (T, n): each output's own term
    dh = own[-1]
    for t in reversed(range(T)):
        remembered = H[T] if mistakes.shared_activation else H[t + 1]
        deltas[t] = (1 - remembered**2) * dh
        dh = Wh @ deltas[t] if deltas[t].any() else np.zeros(n)
        if not mistakes.output_term_dropped and t:
            dh = dh + own[t - 1]
    dWy = {"Wy": dy.T @ H[1:]}
    if not deltas.any():
        return dWy
    dWh = deltas.T @ H[:-1]
    return dWy | {
        "Wx": deltas.T @ x,
        "Wh": dWh.T if mistakes.outer_product_transposed else dWh,
        "biases": deltas.sum(axis=0)[:, None],
    }


def run_printed(
    parameters: Mapping[str, Array],
    x: Array,
    y: Array,
    *,
    epochs: int,
    learning_rate: float = 1e-5,
    decay: float = 0.0,
    momentum: float = 0.95,
    mistakes: Mistakes | None = None,
    keep: tuple[int, ...] = (),
) -> PrintedRun:
    """Train as the program does.

    Parameters
    ----------
    parameters : mapping
        A network's starting weights, so that other runs can begin from the same.
    x, y : ndarray (T, 1)
    epochs : int
    learning_rate, decay, momentum : float
        Without momentum the update is the plain script's.
    mistakes : Mistakes, optional
        All of them.
    keep : tuple of int
        After how many updates to keep the fit.
    """
    wrong = mistakes or Mistakes()
    p, T = in_letters(parameters), len(x)
    velocities: dict[str, Array] = {}
    losses, norms = np.empty(epochs + 1), np.empty(epochs)
    fits: dict[int, Array] = {}
    H, moved = np.empty(0), set(p)
    for n in range(epochs + 1):
        # States that have not moved need not be computed again: the program spends most of its time on that.
        if moved & set(HIDDEN):
            H = states(p, x)
        y_hat = H[1:] @ p["Wy"].T
        dy = y_hat - y
        losses[n] = 0.5 * float((dy.T @ dy).item()) / T
        if n in keep:
            fits[n] = y_hat
        if n == epochs:
            break
        gradients = backward(p, x, H, dy, wrong)
        norms[n] = np.sqrt(sum(float(np.sum(gradients[name] ** 2)) for name in HIDDEN if name in gradients))
        rate = learning_rate / (1 + decay * n)
        if momentum:
            kept = {} if wrong.momentum_forgotten else velocities
            velocities = {
                name: np.asarray(momentum * kept.get(name, 0.0) - rate * gradients.get(name, 0.0))
                for name in {*kept, *gradients}
            }
            moves = {} if wrong.still_with_momentum else velocities
        else:
            moves = {name: -rate * g for name, g in gradients.items()}
            if wrong.bias_by_itself:
                moves["biases"] = -rate * p["biases"]
        moved = {name for name, move in moves.items() if move.any()}
        for name in moved:
            p[name] += moves[name]
        if not moved:  # and so it will be in every epoch to come
            losses[n:], norms[n:] = losses[n], norms[n]
            fits |= {k: y_hat for k in keep if n < k <= epochs}
            break
    return PrintedRun(losses, fits, norms, p)
