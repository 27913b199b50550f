"""Networks as ONNX models, for ONNX Runtime and whatever else reads them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bptt.checks import Array
from bptt.errors import InvalidType
from bptt.interop.effective import bare, effective_parameters
from bptt.interop.onnx_equations import apply, step
from bptt.interop.onnx_file import write_model
from bptt.interop.onnx_graph import Graph
from bptt.interop.onnx_layers import add_stack, last_row, newest_rows
from bptt.network import Network, Recurrent


def to_onnx(net: Network | Recurrent, path: str | os.PathLike[str], *, state: bool = True) -> Path:
    """Write a network, or a stack alone, as an ONNX model in float32.

    Parameters
    ----------
    net : Network or Recurrent
        Of any cell: those without an operator in ONNX, the user's own among them, become a Scan of their equations.
    path : str or path
        The file to write, ``"net.onnx"``. An existing one is replaced.
    state : bool
        Whether the initial state is an input. Without it each run starts from zeros, or from the learned state.

    Returns
    -------
    Path
        Of the file. Inputs: ``x`` (batch, time, D), with `state` ``h_0``, for an LSTM ``c_0``
        (layers * directions, batch, H), and with feedback ``y_start`` (batch, K). Outputs: ``y_hat`` (batch, K), or
        (batch, time, K) with readout "every", of a stack ``h`` (batch, time, H * directions), then ``h_n``, ``c_n``.
        Batch and time are any.

    Raises
    ------
    LibraryMissing
        Without the library onnx: ``pip install 'bptt[onnx]'``.
    InvalidType, InvalidInput, FileMissing
        Not a network, or a path that cannot be written.

    Notes
    -----
    All rows of a batch have the same number of steps. ONNX Runtime's results differ from the network's by float32
    rounding.
    """
    if not isinstance(net, (Network, Recurrent)):
        raise InvalidType(f"net must be a Network or a Recurrent. Got {type(net).__name__}")
    return write_model(network_graph(net, state=state), path)


def network_graph(net: Network | Recurrent, *, state: bool) -> Graph:
    """Return the graph of a network or a stack."""
    stack = net if isinstance(net, Recurrent) else net.recurrent
    parameters = effective_parameters(net)
    graph = Graph()
    D = net.input_size
    x = graph.add("Transpose", graph.want("x", ("batch", "time", D)), perm=[1, 0, 2])
    begin = _initial_states(graph, stack, parameters, x, given=state)
    if isinstance(net, Network) and net.feedback:
        final = _add_feedback(graph, net, parameters, x, begin, given=state)
    else:
        h, final, last = add_stack(graph, stack, parameters, x, begin)
        if isinstance(net, Recurrent):
            h = graph.add("Transpose", h, perm=[1, 0, 2])
            graph.give("h", h, ("batch", "time", stack.output_size))
        else:
            _add_readout(graph, net, parameters, x, h, last)
    for name, s in final.items():
        graph.give(f"{name}_n", s, (len(stack.prefixes), "batch", stack.hidden_size))
    return graph


def _initial_states(
    graph: Graph, stack: Recurrent, parameters: dict[str, Array], x: str, *, given: bool
) -> dict[str, str]:
    L, H = len(stack.prefixes), stack.hidden_size
    if given:
        return {name: graph.want(f"{name}_0", (L, "batch", H)) for name in stack.states}
    shape = graph.add("Concat", graph.whole(L), _batch(graph, x), graph.whole(H), axis=0)
    return {
        name: graph.add(
            "Expand", graph.number(parameters.get(f"initial.{name}", np.zeros((L, H)))[:, None]), shape
        )
        for name in stack.states
    }


def _batch(graph: Graph, x: str) -> str:
    """Return the number of rows of x (T, B, D), as a vector of one."""
    return graph.add("Shape", x, start=1, end=2)


def _zeros(graph: Graph, x: str, *, steps: int, columns: int) -> str:
    """Return zeros (steps, B, columns)."""
    shape = graph.add("Concat", graph.whole(steps), _batch(graph, x), graph.whole(columns), axis=0)
    return graph.add("Expand", graph.number(np.zeros((1, 1, 1))), shape)


def _add_readout(graph: Graph, net: Network, parameters: dict[str, Array], x: str, h: str, last: str) -> None:
    every, K, lags = net.readout == "every", net.output_size, net.linear_lags
    linear = None
    if lags and every:
        # A convolution over time reads the same rows at every step.
        kernel = parameters["linear.W_xy"].reshape(lags, net.input_size, K).transpose(2, 1, 0)
        swept = graph.add(
            "Conv", graph.add("Transpose", x, perm=[1, 2, 0]), graph.number(kernel), pads=[lags - 1, 0]
        )
        linear = graph.add("Transpose", swept, perm=[2, 0, 1])
    elif lags:
        zeros = _zeros(graph, x, steps=lags, columns=net.input_size)
        rows = graph.add("Reshape", newest_rows(graph, x, lags, zeros), graph.whole(0, lags * net.input_size))
        linear = graph.add("MatMul", rows, graph.number(parameters["linear.W_xy"]))
    y = _read(graph, net, parameters, h if every else last, linear, x if every else last_row(graph, x))
    if every:
        graph.give("y_hat", graph.add("Transpose", y, perm=[1, 0, 2]), ("batch", "time", K))
    else:
        graph.give("y_hat", y, ("batch", K))


def _read(
    graph: Graph, net: Network, parameters: dict[str, Array], features: str, linear: str | None, newest: str
) -> str:
    """Return predictions (..., K) from features (..., H), the linear path and the newest rows (..., D)."""
    a = graph.add("MatMul", features, graph.number(parameters["readout.W_hy"]))
    if net.bias:
        a = graph.add("Add", a, graph.number(parameters["readout.b_y"]))
    if linear is not None:
        a = graph.add("Add", a, linear)
    y = apply(graph, net.output_activation, a)
    if net.change_of is not None:
        before = graph.add("Gather", newest, graph.whole(*net.change_of), axis=-1)
        y = graph.add("Add", before, graph.add("Mul", y, graph.number(net.change_scale)))
    return y


def _add_feedback(
    graph: Graph, net: Network, parameters: dict[str, Array], x: str, begin: dict[str, str], *, given: bool
) -> dict[str, str]:
    """Add one Scan of the whole network, with each prediction as the next step's input."""
    stack, K, H = net.recurrent, net.output_size, net.recurrent.hidden_size
    layers = range(stack.num_layers)
    start = graph.want("y_start", ("batch", K)) if given else None
    if start is None:
        start = graph.add("Squeeze", _zeros(graph, x, steps=1, columns=K), graph.whole(0))
    keys = [(layer, name) for layer in layers for name in stack.states]
    body = Graph(around=graph)
    previous = {key: body.want(body.name(f"{key[1]}_prev"), ("batch", H)) for key in keys}
    y_prev = body.want(body.name("y_prev"), ("batch", K))
    x_t = body.want(body.name("x_t"), ("batch", net.input_size))
    fed = below = body.add("Concat", x_t, y_prev, axis=1)
    new: dict[tuple[int, str], str] = {}
    for layer in layers:
        found = step(
            body, stack.cell, bare(parameters, stack.prefixes[layer]), H, below,
            {name: previous[layer, name] for name in stack.states},
        )  # fmt: skip
        new |= {(layer, name): value for name, value in found.items()}
        below = found["h"]
    y = _read(body, net, parameters, below, None, fed)
    for key in keys:
        body.give(body.name(f"{key[1]}_next"), new[key], ("batch", H))
    for name in ("y_next", "y_hat_t"):
        body.give(body.name(name), y, ("batch", K))
    states = [graph.add("Gather", begin[name], graph.index(layer), axis=0) for layer, name in keys]
    *final, y_last, outputs = graph.add_many(
        "Scan", len(keys) + 2, *states, start, x, body=body, num_scan_inputs=1
    )
    if net.readout == "every":
        graph.give("y_hat", graph.add("Transpose", outputs, perm=[1, 0, 2]), ("batch", "time", K))
    else:
        graph.give("y_hat", y_last, ("batch", K))
    by_key = dict(zip(keys, final, strict=True))
    found = {}
    for name in stack.states:
        rows = [graph.add("Unsqueeze", by_key[layer, name], graph.whole(0)) for layer in layers]
        found[name] = rows[0] if len(rows) == 1 else graph.add("Concat", *rows, axis=0)
    return found
