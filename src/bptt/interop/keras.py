"""Weights of Keras' `SimpleRNN`, `GRU` and `LSTM` layers as arrays, in and out; Keras is never loaded.

Keras keeps a kernel (D, G * H), a recurrent kernel (H, G * H) and a bias as ours, with gates in the order i f c o and
z r h. A GRU with ``reset_after=True``, its default, has two biases (2, 3 H): the input's and the recurrent one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_choice
from bptt.errors import InvalidInput, InvalidType
from bptt.interop.effective import bare, effective_parameters
from bptt.interop.pytorch import check_plain_readout
from bptt.interop.pytorch_source import KINDS
from bptt.network import Network, Recurrent

# Where ours stand among Keras' gates, and the other way round: both orders happen to be their own inverse.
ORDERS = {"elman": [0], "gru": [1, 0, 2], "gru_reset_before": [1, 0, 2], "lstm": [0, 1, 2, 3]}
# Our activations by Keras' names.
ACTIVATIONS = {"linear": "identity", **{n: n for n in ("tanh", "relu", "sigmoid", "softplus")}}


@overload
def from_keras(
    layers: Sequence[Any],
    *,
    dense: None = None,
    activation: str | None = None,
    reset_after: bool | None = None,
    go_backwards: bool = False,
    dropout: float = 0.0,
    dtype: str | None = None,
    engine: str = "auto",
) -> Recurrent: ...


@overload
def from_keras(
    layers: Sequence[Any],
    *,
    dense: Sequence[npt.ArrayLike],
    activation: str | None = None,
    reset_after: bool | None = None,
    go_backwards: bool = False,
    dropout: float = 0.0,
    dtype: str | None = None,
    engine: str = "auto",
    **network: Any,
) -> Network: ...


def from_keras(
    layers: Sequence[Any],
    *,
    dense: Sequence[npt.ArrayLike] | None = None,
    activation: str | None = None,
    reset_after: bool | None = None,
    go_backwards: bool = False,
    dropout: float = 0.0,
    dtype: str | None = None,
    engine: str = "auto",
    **network: Any,
) -> Recurrent | Network:
    """Return a stack, or a network, with the weights of Keras layers.

    Parameters
    ----------
    layers : sequence of array_like, or of such sequences
        ``layer.get_weights()`` of one recurrent layer, or a list of them, the lowest layer first: kernel, recurrent
        kernel and, where there is one, bias. Of a `Bidirectional` layer that concatenates: both layers' arrays, one
        after the other, as it gives them. Cell, sizes, directions and bias are read off the shapes.
    dense : sequence of array_like, optional
        ``get_weights()`` of the `Dense` layer that reads the outputs, kernel (H, K) and bias; a `Network` is returned.
    activation : {"tanh", "relu", "sigmoid", "softplus", "linear"}, optional
        Of a `SimpleRNN`; tanh by default.
    reset_after : bool, optional
        Of a `GRU`; read off the bias, and True, as in Keras, where there is none.
    go_backwards : bool
        For layers that run one way. Outputs then stand in the order of the input, where Keras turns them around.
    dropout, dtype, engine
        As for `Recurrent`; the dtype is that of the arrays where it is float64, else float32.
    **network
        With `dense`: what `Network` takes, ``readout="every"``, ``loss=...``.

    Returns
    -------
    Recurrent or Network
        For Keras' standard activations, tanh and sigmoid, in the gates. (Before version 3 some had ``hard_sigmoid``.)

    Raises
    ------
    InvalidInput, InvalidType
        Shapes or settings that do not fit.
    """
    groups = _groups(layers)
    first = groups[0]
    D, (H, columns) = first[0].shape[0], first[1].shape
    G = columns // max(H, 1)
    if G not in KINDS or columns != G * H:
        raise InvalidInput(
            f"layers: a recurrent kernel must have shape (H, G H) with G = 1, 3 or 4 gates. Got {first[1].shape}"
        )
    cell, both, bias = KINDS[G], len(first) > 3, len(first) % 3 == 0
    options: dict[str, Any] = {}
    if cell == "elman":
        options["activation"] = ACTIVATIONS[check_choice("activation", activation or "tanh", ACTIVATIONS)]
    elif activation is not None:
        raise InvalidInput(f"activation must be left out for a {cell}. Got {activation!r}")
    after = _reset_after(cell, first, bias, reset_after)
    if both and go_backwards:
        raise InvalidInput(
            "go_backwards must be left out where there are weights of both directions. Got True"
        )
    stack = Recurrent(
        "gru_reset_before" if cell == "gru" and not after else cell,
        D,
        H,
        num_layers=len(groups),
        direction="bidirectional" if both else "reverse" if go_backwards else "forward",
        bias=bias,
        dropout=dropout,
        dtype=dtype or ("float64" if first[0].dtype == np.float64 else "float32"),
        engine=engine,
        **options,
    )
    n = len(stack.directions)
    size = 3 if bias else 2
    for layer, group in enumerate(groups):
        for d in range(n):
            _fill(
                stack,
                stack.prefixes[layer * n + d],
                group[d * size : (d + 1) * size],
                layer,
                n * size,
                len(group),
            )
    if dense is None:
        if network:
            raise InvalidInput(
                f"{', '.join(network)} must be left out without dense: a stack alone is returned. Got dense=None"
            )
        return stack
    return _network(stack, [_array("dense", each) for each in dense], network)


def to_keras(net: Recurrent | Network) -> list[list[Array]]:
    """Return the weights as Keras' layers take them by ``set_weights``: a list a layer, the lowest first.

    Parameters
    ----------
    net : Recurrent or Network
        An Elman, a GRU of either form or an LSTM. A network may have a readout and nothing else that learns; its
        `Dense` layer's weights are the last list.

    Returns
    -------
    list of list of ndarray
        Kernel, recurrent kernel and bias, of a bidirectional layer twice. A GRU's bias has shape (2, 3 H) if it resets
        after the product: Keras needs the same ``reset_after``.

    Raises
    ------
    InvalidInput
        What Keras' layers cannot express.
    """
    if isinstance(net, Network):
        check_plain_readout(net, "Keras' layers")
        readout = [net.parameters["readout.W_hy"].copy()]
        if net.bias:
            readout.append(net.parameters["readout.b_y"].copy())
        return [*to_keras(net.recurrent), readout]
    if not isinstance(net, Recurrent):
        raise InvalidType(f"net must be a Recurrent or a Network. Got {type(net).__name__}")
    if net.cell.name not in ORDERS:
        raise InvalidInput(
            f"net must be an elman, a gru, a gru_reset_before or an lstm: Keras has no other. Got {net.cell!r}"
        )
    n, H, order = len(net.directions), net.hidden_size, ORDERS[net.cell.name]
    parameters = effective_parameters(net)
    found = []
    for k in range(0, len(net.prefixes), n):
        arrays: list[Array] = []
        for prefix in net.prefixes[k : k + n]:
            part = bare(parameters, prefix)
            arrays += [_reorder(part[name], order, H) for name in ("W_xh", "W_hh")]
            if net.bias and "b_hn" in part:
                second = np.concatenate([np.zeros(2 * H, net.dtype), part["b_hn"]])
                arrays.append(_reorder(np.stack([part["b_h"], second]), order, H))
            elif net.bias:
                arrays.append(_reorder(part["b_h"], order, H))
        found.append(arrays)
    return found


# ---------------------------------------------------------------- inside


def _groups(layers: Any) -> list[list[Array]]:
    """Return a list of arrays a layer."""
    if isinstance(layers, (str, bytes)) or not isinstance(layers, Sequence) or not layers:
        raise InvalidType(
            f"layers must be what get_weights() gave, or a list of that. Got {type(layers).__name__}"
        )
    if not isinstance(layers[0], (list, tuple)):
        layers = [layers]
    groups = []
    for k, group in enumerate(layers):
        if not isinstance(group, (list, tuple)):
            raise InvalidType(
                f"layers[{k}] must be a list of arrays, as the first is. Got {type(group).__name__}"
            )
        arrays = [_array(f"layers[{k}]", each) for each in group]
        if len(arrays) not in (2, 3, 4, 6):
            raise InvalidInput(
                f"layers[{k}] must hold a kernel, a recurrent kernel and at most a bias, of both directions 4 or 6 "
                f"arrays. Got {len(arrays)}"
            )
        for matrix in (arrays[0], arrays[1]):
            if matrix.ndim != 2:
                raise InvalidInput(f"layers[{k}] must begin with two matrices. Got shape {matrix.shape}")
        groups.append(arrays)
    return groups


def _array(name: str, value: Any) -> Array:
    try:
        array: Array = np.asarray(value)
    except ValueError:
        raise InvalidType(
            f"{name} must hold arrays of numbers. Got nested sequences of unequal length"
        ) from None
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"{name} must hold real numbers. Got dtype {array.dtype}")
    return array


def _reset_after(cell: str, arrays: list[Array], bias: bool, given: bool | None) -> bool:
    """Return whether a GRU resets after the product; raise where bias and setting disagree."""
    if cell != "gru":
        if given is not None:
            raise InvalidInput(f"reset_after must be left out for a {cell}. Got {given}")
        return True
    if not bias:
        return True if given is None else given
    found = arrays[2].ndim == 2
    if given is not None and given != found:
        shape = "(2, 3 H)" if given else "(3 H,)"
        raise InvalidInput(
            f"reset_after={given} must come with a bias of shape {shape}. Got {arrays[2].shape}"
        )
    return found


def _fill(stack: Recurrent, prefix: str, arrays: list[Array], layer: int, wanted: int, got: int) -> None:
    """Set one direction's parameters of one layer."""
    if got != wanted:
        raise InvalidInput(f"layers[{layer}] must hold {wanted} arrays, as the first does. Got {got}")
    H, p = stack.hidden_size, stack.parameters
    order = ORDERS[stack.cell.name]
    two = "b_hn" in stack.cell.vectors
    shapes = [p[prefix + "W_xh"].shape, p[prefix + "W_hh"].shape]
    shapes += [(2, len(order) * H) if two else (len(order) * H,)] if stack.bias else []
    for name, array, shape in zip(("kernel", "recurrent kernel", "bias"), arrays, shapes, strict=False):
        if array.shape != shape:
            raise InvalidInput(f"layers[{layer}]: {name} must have shape {shape}. Got {array.shape}")
    p[prefix + "W_xh"][...] = _reorder(arrays[0], order, H)
    p[prefix + "W_hh"][...] = _reorder(arrays[1], order, H)
    if stack.bias and two:
        input_part, second = _reorder(arrays[2], order, H)
        p[prefix + "b_h"][...] = input_part
        p[prefix + "b_h"][: 2 * H] += second[: 2 * H]
        p[prefix + "b_hn"][...] = second[2 * H :]
    elif stack.bias:
        p[prefix + "b_h"][...] = _reorder(arrays[2], order, H)


def _reorder(array: Array, order: list[int], H: int) -> Array:
    """Return a copy with the gates on the last axis in another order."""
    return np.concatenate([array[..., gate * H : (gate + 1) * H] for gate in order], axis=-1)


def _network(stack: Recurrent, dense: list[Array], settings: dict[str, Any]) -> Network:
    shapes = [array.shape for array in dense]
    fits = len(dense) in (1, 2) and dense[0].ndim == 2 and dense[0].shape[0] == stack.output_size
    if not fits or (len(dense) == 2 and dense[1].shape != (dense[0].shape[1],)):
        raise InvalidInput(
            f"dense must hold a kernel (H, K) = ({stack.output_size}, *) and at most a bias (K,). Got {shapes}"
        )
    net = Network(stack, dense[0].shape[1], bias=len(dense) == 2, **settings)
    net.parameters["readout.W_hy"][...] = dense[0]
    if net.bias:
        net.parameters["readout.b_y"][...] = dense[1]
    return net
