"""The lecture's network, every mistake of its sweep and of its optimiser a switch.

One sequence, one input, one output: Wx (n, 1), Wh (n, n), Wy (1, n), biases (n, 1), as the lecture has them. The
program is written anew; with all switches off it is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.errata.proof import Array, Tensors

LETTERS = {"Wx": "W_xh", "Wh": "W_hh", "Wy": "W_hy", "biases": "b_h"}


def run(p: Tensors, x: Array, *, bias_outside: bool = False) -> tuple[Array, Array]:
    """Return H (T+1, n, 1), H[0] = 0, and y_hat (T, 1)."""
    h = np.zeros(p["biases"].shape)
    states, outputs = [h], []
    for xt in x:
        a = p["Wx"] * xt + p["Wh"] @ h
        h = np.tanh(a) + p["biases"] if bias_outside else np.tanh(a + p["biases"])
        states.append(h)
        outputs.append((p["Wy"] @ h)[0])
    return np.array(states), np.array(outputs)


@dataclass(frozen=True)
class Sweep:
    """The lecture's backward pass; each switch is an entry of docs/errata.md."""

    shared_activation: bool = False
    """All steps share one activation object, which remembers the last step."""
    outer_product_transposed: bool = False
    """dWh += h_(t-1) dtanh^T."""
    recurrent_not_transposed: bool = False
    """dh_(t-1) = Wh dtanh."""
    output_term_dropped: bool = False
    """An inner step's own output does not reach its state."""
    one_step_only: bool = False
    """Each step's loss goes back through that step alone, as in the slides' four formulas."""

    def __call__(self, p: Tensors, x: Array, dy: Array) -> Tensors:
        """Return the gradients from dL/dy (T, 1)."""
        H, _ = run(p, x)
        T = len(x)
        found = {name: np.zeros_like(array) for name, array in p.items()}
        dh = p["Wy"].T * dy[-1]
        for t in reversed(range(T)):
            remembered = H[T] if self.shared_activation else H[t + 1]
            dtanh = (1 - remembered**2) * dh
            found["Wx"] += dtanh * x[t]
            found["Wy"] += (H[t + 1] * dy[t]).T
            found["Wh"] += H[t] @ dtanh.T if self.outer_product_transposed else dtanh @ H[t].T
            found["biases"] += dtanh
            back = (p["Wh"] if self.recurrent_not_transposed else p["Wh"].T) @ dtanh
            own = p["Wy"].T * dy[t - 1]  # for t = 0 it goes nowhere
            dh = own if self.one_step_only else back if self.output_term_dropped else back + own
        return found


@dataclass
class PrintedOptimizer:
    """Momentum and decay as printed; each switch puts one thing right."""

    learning_rate: float
    decay: float = 0.0
    momentum: float = 0.0
    asks_for_its_own_name: bool = False
    """Look for the buffer that is made, not for `weight_momentums`, which nobody makes."""
    moves_in_both_branches: bool = False
    """The four lines that move the parameters stand after the else, not in it."""
    iterations: int = 0
    velocities: dict[str, Array] | None = field(default=None)

    def update(self, p: Tensors, gradients: Tensors) -> None:
        """Change p in place."""
        rate = self.learning_rate / (1 + self.decay * self.iterations)
        if self.momentum:
            if self.velocities is None or not self.asks_for_its_own_name:
                self.velocities = {name: np.zeros_like(array) for name, array in p.items()}
            for name, g in gradients.items():
                self.velocities[name] = self.momentum * self.velocities[name] - rate * g
            moves: dict[str, Any] = self.velocities
        else:
            moves = {name: -rate * g for name, g in gradients.items()}
        if not self.momentum or self.moves_in_both_branches:
            for name, move in moves.items():
                p[name] += move
        self.iterations += 1
