"""An independent way to the parts of a gradient: scale every hidden-to-hidden Jacobian by a number, and see.

With each step's incoming state perturbed `scale` times as much as it should be, and its value as it is, a path over k
Jacobians counts scale^k times: dL(scale) = sum_k scale^k part_k. Perturbations are the imaginary parts of the complex
step, so all of it is forward passes of single steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.engine import reference
from bptt.network import Network

Array = np.ndarray[Any, Any]
STEP = 1e-30


def slope(
    net: Network, x: Array, y: Array, weights: Array | None, direction: Mapping[str, Array], scale: float
) -> float:
    """Return dL/d(parameters) along a direction, every Jacobian scaled; x (B, T, D), no lengths."""
    p = {name: value + 1j * STEP * direction.get(name, 0.0) for name, value in net.parameters.items()}
    stack = net.recurrent
    T, B = x.shape[1], len(x)
    inputs = x.transpose(1, 0, 2).astype(complex)
    finals: list[Array] = []
    for layer in range(stack.num_layers):
        outputs = []
        finals = []
        for d, name in enumerate(stack.directions):
            k = layer * len(stack.directions) + d
            prefix = stack.prefixes[k]
            own = {key.removeprefix(prefix): v for key, v in p.items() if _is_of(key, prefix)}
            state = {s: np.zeros((B, stack.hidden_size), complex) for s in stack.states}
            if net.learned_initial_state:
                state = {s: np.repeat(p[f"initial.{s}"][k][None], B, axis=0) for s in stack.states}
            h = np.empty((T, B, stack.hidden_size), complex)
            for t in range(T) if name == "forward" else range(T - 1, -1, -1):
                entering = {s: v.real + 1j * scale * v.imag for s, v in state.items()}
                out, state, _ = reference.forward(stack.cell, own, inputs[t : t + 1], entering, tape=False)
                assert out is not None
                h[t] = out[0]
            outputs.append(h)
            finals.append(state["h"])
        inputs = np.concatenate(outputs, axis=2)
    features = inputs.transpose(1, 0, 2) if net.readout == "every" else np.concatenate(finals, axis=1)
    y_hat = features @ p["readout.W_hy"]
    if "readout.b_y" in p:
        y_hat = y_hat + p["readout.b_y"]
    return float(np.imag(net.loss.value(y_hat, y, weights)) / STEP)


def _is_of(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and "." not in key.removeprefix(prefix)
