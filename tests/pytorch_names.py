"""PyTorch's names, layouts and gate orders against ours: the map that conformance and agreement tests share.

PyTorch keeps ``weight_ih_l0`` (G * H, D) and two biases; ours are ``layers.0.W_xh`` (D, G * H) and one sum. Only in
the GRU with the reset after the product do the two biases of gate n stay apart: ``b_h`` holds the input one, ``b_hn``
the recurrent one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.network import Recurrent

Array = npt.NDArray[Any]

# PyTorch's kind and whether the GRU resets after the product -> our cell and its options.
CELLS: dict[tuple[str, bool | None], tuple[str, dict[str, str]]] = {
    ("rnn_tanh", None): ("elman", {"activation": "tanh"}),
    ("rnn_relu", None): ("elman", {"activation": "relu"}),
    ("gru", True): ("gru", {}),
    ("gru", False): ("gru_reset_before", {}),
    ("lstm", None): ("lstm", {}),
}


def suffixes(stack: Recurrent) -> dict[str, str]:
    """Return our prefix (``layers.1.reverse.``) to PyTorch's suffix (``_l1_reverse``)."""
    return {
        prefix: f"_l{prefix.split('.')[1]}" + ("_reverse" if ".reverse." in prefix else "")
        for prefix in stack.prefixes
    }


def from_pytorch(stack: Recurrent, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the stack's parameters, filled from arrays under PyTorch's names."""
    H = stack.hidden_size
    found: dict[str, Array] = {}
    for prefix, suffix in suffixes(stack).items():
        found[prefix + "W_xh"] = tensors["weight_ih" + suffix].T
        found[prefix + "W_hh"] = tensors["weight_hh" + suffix].T
        if not stack.bias:
            continue
        b_ih, b_hh = tensors["bias_ih" + suffix], tensors["bias_hh" + suffix]
        found[prefix + "b_h"] = b_ih + b_hh
        if stack.cell.name == "gru":
            found[prefix + "b_h"][2 * H :] = b_ih[2 * H :]
            found[prefix + "b_hn"] = b_hh[2 * H :]
    return {name: np.ascontiguousarray(found[name], p.dtype) for name, p in stack.parameters.items()}


def gradients_to_pytorch(stack: Recurrent, gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Return our gradients under PyTorch's names: both of its biases get the gradient of their sum."""
    H = stack.hidden_size
    found: dict[str, Array] = {}
    for prefix, suffix in suffixes(stack).items():
        found["weight_ih" + suffix] = gradients[prefix + "W_xh"].T
        found["weight_hh" + suffix] = gradients[prefix + "W_hh"].T
        if stack.bias:
            found["bias_ih" + suffix] = gradients[prefix + "b_h"]
            found["bias_hh" + suffix] = gradients[prefix + "b_h"].copy()
            if stack.cell.name == "gru":
                found["bias_hh" + suffix][2 * H :] = gradients[prefix + "b_hn"]
    return found


def pytorch_weights(
    stack: Recurrent, parameters: Mapping[str, Any], join: Callable[..., Any], zeros: Callable[[int], Any]
) -> dict[str, Any]:
    """Return tensors under PyTorch's names made of *tensors* under ours, so that autograd reaches ours.

    Parameters
    ----------
    join, zeros : callable
        ``torch.cat`` and a function from a size to a tensor of zeros: this module does not load PyTorch.
    """
    H = stack.hidden_size
    found: dict[str, Any] = {}
    for prefix, suffix in suffixes(stack).items():
        found["weight_ih" + suffix] = parameters[prefix + "W_xh"].T
        found["weight_hh" + suffix] = parameters[prefix + "W_hh"].T
        if stack.bias:
            b_h = parameters[prefix + "b_h"]
            found["bias_ih" + suffix] = b_h
            found["bias_hh" + suffix] = zeros(len(b_h))
            if stack.cell.name == "gru":
                found["bias_hh" + suffix] = join((zeros(2 * H), parameters[prefix + "b_hn"]))
    return found


def tensor_error(found: Array, wanted: Array) -> float:
    """Return max abs(found - wanted) over max abs(wanted), the error of a whole tensor; NaN anywhere is infinite."""
    assert found.shape == wanted.shape, f"shape {found.shape}, wanted {wanted.shape}"
    if not wanted.size:
        return 0.0
    largest = np.max(np.abs(wanted))
    apart = np.max(np.abs(found - wanted))
    error = float(apart / largest) if largest > 0 else float(apart)
    return error if np.isfinite(error) else float("inf")
