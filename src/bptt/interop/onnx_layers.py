"""Layers as ONNX operators: RNN, GRU and LSTM where there is one for the cell, a Scan of its equations elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.cells import CELLS
from bptt.checks import Array
from bptt.interop.effective import bare
from bptt.interop.onnx_equations import step
from bptt.interop.onnx_graph import END, Graph
from bptt.network import Recurrent

# Our cell -> the operator, and ONNX' gates by the number of ours (i o f c, z r h).
OPERATORS = {
    "elman": ("RNN", [0]),
    "gru": ("GRU", [1, 0, 2]),
    "gru_reset_before": ("GRU", [1, 0, 2]),
    "lstm": ("LSTM", [0, 3, 1, 2]),
    "lstm_peephole": ("LSTM", [0, 3, 1, 2]),
}
# Without softplus: inside the RNN operator, ONNX Runtime's is log(1 + exp(a)), which overflows at 89.
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "identity": "Affine"}


def add_stack(
    graph: Graph, stack: Recurrent, parameters: Mapping[str, Array], x: str, states: Mapping[str, str]
) -> tuple[str, dict[str, str], str]:
    """Add a stack of layers.

    Parameters
    ----------
    graph : Graph
    stack : Recurrent
    parameters : mapping of str to ndarray
        Constraints applied.
    x : str
        (T, B, D).
    states : mapping of state name to str
        (L * directions, B, H).

    Returns
    -------
    h : str
        (T, B, H * directions)
    final : dict of str to str
        (L * directions, B, H)
    last : str
        The top layer's final outputs (B, H * directions).
    """
    n = len(stack.directions)
    finals: dict[str, list[str]] = {name: [] for name in stack.states}
    for layer in range(stack.num_layers):
        parts = [bare(parameters, prefix) for prefix in stack.prefixes[layer * n : (layer + 1) * n]]
        begin = {name: graph.take(s, layer * n, (layer + 1) * n, 0) for name, s in states.items()}
        add = _add_operator if _has_operator(stack) else _add_scans
        x, final = add(graph, stack, parts, x, begin)
        for name, s in final.items():
            finals[name].append(s)
    last = graph.add("Transpose", finals["h"][-1], perm=[1, 0, 2])
    last = graph.add("Reshape", last, graph.whole(0, stack.output_size))
    total = {
        name: parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=0)
        for name, parts in finals.items()
    }
    return x, total, last


def _has_operator(stack: Recurrent) -> bool:
    # The type, not the name: a cell of the user's own may have any name.
    if type(stack.cell) is not CELLS.get(stack.cell.name):
        return False
    return stack.cell.options.get("activation", "tanh") in ACTIVATIONS


def _add_operator(
    graph: Graph, stack: Recurrent, parts: list[dict[str, Array]], x: str, states: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    cell, H, n = stack.cell, stack.hidden_size, len(parts)
    op, order = OPERATORS[cell.name]
    weights = [_packed(each["W_xh"].T, order, H) for each in parts]
    recurrent = [_packed(each["W_hh"].T, order, H) for each in parts]
    biases = [np.concatenate(_biases(each, order, H)) for each in parts]
    inputs = [x, *(graph.number(np.stack(each)) for each in (weights, recurrent, biases)), ""]
    inputs += [states[name] for name in stack.states]
    attributes: dict[str, Any] = {"hidden_size": H, "direction": stack.direction}
    if op == "RNN":
        attributes["activations"] = [ACTIVATIONS[str(cell.options["activation"])]] * n
        if cell.options["activation"] == "identity":
            attributes |= {"activation_alpha": [1.0] * n, "activation_beta": [0.0] * n}
    if op == "GRU":
        attributes["linear_before_reset"] = int(cell.name == "gru")
    if cell.name == "lstm_peephole":
        inputs.append(
            graph.number([np.concatenate([each[p] for p in ("p_i", "p_o", "p_f")]) for each in parts])
        )
    h, *final = graph.add_many(op, 1 + len(stack.states), *inputs, **attributes)
    h = graph.add("Transpose", h, perm=[0, 2, 1, 3])  # (T, directions, B, H) before
    h = graph.add("Reshape", h, graph.whole(0, 0, n * H))
    return h, dict(zip(stack.states, final, strict=True))


def _packed(rows: Array, order: list[int], H: int) -> Array:
    """Return rows (G * H, ...) with the gates in ONNX' order."""
    return np.concatenate([rows[gate * H : (gate + 1) * H] for gate in order])


def _biases(part: Mapping[str, Array], order: list[int], H: int) -> tuple[Array, Array]:
    """Return the input's and the recurrent bias; only the GRU's ``b_hn`` belongs to the second."""
    b_h = part.get("b_h", np.zeros(len(order) * H))
    second = np.zeros_like(b_h)
    if "b_hn" in part:
        second[2 * H :] = part["b_hn"]
    return _packed(b_h, order, H), _packed(second, order, H)


def _add_scans(
    graph: Graph, stack: Recurrent, parts: list[dict[str, Array]], x: str, states: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Add one Scan a direction."""
    outputs: list[str] = []
    finals: dict[str, list[str]] = {name: [] for name in stack.states}
    H = stack.hidden_size
    for d, (part, direction) in enumerate(zip(parts, stack.directions, strict=True)):
        body = Graph(around=graph)
        inputs = {name: body.want(body.name(f"{name}_prev"), ("batch", H)) for name in stack.states}
        x_t = body.want(body.name("x_t"), ("batch", len(part["W_xh"]) if "W_xh" in part else "columns"))
        new = step(body, stack.cell, part, H, x_t, inputs)
        for name, value in (*new.items(), ("outputs", new["h"])):
            body.give(body.name(f"{name}_next"), value, ("batch", H))
        begin = [graph.add("Gather", states[name], graph.index(d), axis=0) for name in stack.states]
        back = int(direction == "reverse")
        *final, h = graph.add_many(
            "Scan",
            len(stack.states) + 1,
            *begin,
            x,
            body=body,
            num_scan_inputs=1,
            scan_input_directions=[back],
            scan_output_directions=[back],
        )
        outputs.append(h)
        for name, value in zip(stack.states, final, strict=True):
            finals[name].append(graph.add("Unsqueeze", value, graph.whole(0)))
    joined = outputs[0] if len(outputs) == 1 else graph.add("Concat", *outputs, axis=2)
    return joined, {
        name: each[0] if len(each) == 1 else graph.add("Concat", *each, axis=0)
        for name, each in finals.items()
    }


def last_row(graph: Graph, x: str) -> str:
    """Return the newest row (B, D) of x (T, B, D)."""
    return graph.add("Gather", x, graph.index(-1), axis=0)


def newest_rows(graph: Graph, x: str, lags: int, rows: str) -> str:
    """Return the newest rows of x (T, B, D), oldest first, zeros before the first (B, lags * D).

    `rows` holds zeros (lags, B, D).
    """
    padded = graph.add("Concat", rows, x, axis=0)
    newest = graph.take(padded, -lags, END, 0)
    return graph.add("Transpose", newest, perm=[1, 0, 2])
