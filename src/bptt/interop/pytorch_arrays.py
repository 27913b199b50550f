"""Parameters between our names and layout and PyTorch's, as arrays; PyTorch is not loaded.

PyTorch keeps ``weight_ih_l0`` (G * H, D) and two biases a gate; ours are ``layers.0.W_xh`` (D, G * H) and one sum. Only
in the GRU with the reset after the product do the two biases of gate n stay apart: ``b_h`` holds the input's, ``b_hn``
the recurrent one, which stands inside the product with the reset gate. The order of the gates is the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptt.checks import Array
from bptt.network import Recurrent


def suffixes(stack: Recurrent) -> dict[str, str]:
    """Return our prefix (``layers.1.reverse.``) to PyTorch's suffix (``_l1_reverse``), in PyTorch's order."""
    return {
        prefix: f"_l{prefix.split('.')[1]}" + ("_reverse" if ".reverse." in prefix else "")
        for prefix in stack.prefixes
    }


def pytorch_names(stack: Recurrent) -> list[str]:
    """Return the names of PyTorch's parameters in the order of its modules."""
    kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if stack.bias else ()))
    return [kind + suffix for suffix in suffixes(stack).values() for kind in kinds]


def parameters_from_pytorch(stack: Recurrent, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return a stack's parameters from arrays under PyTorch's names; always copies, in the stack's dtype."""
    H, dtype = stack.hidden_size, stack.dtype
    found: dict[str, Array] = {}
    for prefix, suffix in suffixes(stack).items():
        # "C": a transposed copy, as the engines read it.
        found[prefix + "W_xh"] = np.array(tensors["weight_ih" + suffix].T, dtype, order="C")
        found[prefix + "W_hh"] = np.array(tensors["weight_hh" + suffix].T, dtype, order="C")
        if not stack.bias:
            continue
        b_ih, b_hh = tensors["bias_ih" + suffix], tensors["bias_hh" + suffix]
        b_h = np.asarray(b_ih + b_hh, dtype)
        if "b_hn" in stack.cell.vectors:
            b_h[2 * H :] = b_ih[2 * H :]
            found[prefix + "b_hn"] = np.array(b_hh[2 * H :], dtype)
        found[prefix + "b_h"] = b_h
    return {name: found[name] for name in stack.parameters}


def parameters_to_pytorch(stack: Recurrent, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return arrays under PyTorch's names; the second bias is zero but for the GRU's ``b_hn``."""
    H = stack.hidden_size
    found: dict[str, Array] = {}
    for prefix, suffix in suffixes(stack).items():
        W_hh = parameters[prefix + "W_hh"]
        if stack.constraint is not None:
            W_hh = stack.constraint.effective(W_hh)
        found["weight_ih" + suffix] = np.array(parameters[prefix + "W_xh"].T, order="C")
        found["weight_hh" + suffix] = np.array(W_hh.T, order="C")
        if stack.bias:
            b_h = parameters[prefix + "b_h"]
            found["bias_ih" + suffix] = b_h.copy()
            found["bias_hh" + suffix] = np.zeros_like(b_h)
            if "b_hn" in stack.cell.vectors:
                found["bias_hh" + suffix][2 * H :] = parameters[prefix + "b_hn"]
    return found


def gradients_to_pytorch(stack: Recurrent, gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Return a stack's gradients under PyTorch's names.

    Parameters
    ----------
    stack : Recurrent
    gradients : mapping of str to ndarray
        By our names, as `Recurrent.backward` returns them in ``parameters``.

    Returns
    -------
    dict of str to ndarray
        Both of PyTorch's biases get the gradient of their sum; in the GRU's gate n each has its own. Weights are
        views of what came in.
    """
    H = stack.hidden_size
    found: dict[str, Array] = {}
    for prefix, suffix in suffixes(stack).items():
        found["weight_ih" + suffix] = gradients[prefix + "W_xh"].T
        found["weight_hh" + suffix] = gradients[prefix + "W_hh"].T
        if stack.bias:
            found["bias_ih" + suffix] = gradients[prefix + "b_h"]
            found["bias_hh" + suffix] = gradients[prefix + "b_h"].copy()
            if "b_hn" in stack.cell.vectors:
                found["bias_hh" + suffix][2 * H :] = gradients[prefix + "b_hn"]
    return found
