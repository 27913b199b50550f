"""A cell's equations as ONNX operators: what has no operator of its own is run step by step from these."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.cells.plan import Product, StagePlan
from bptt.cells.protocol import Cell
from bptt.checks import Array
from bptt.interop.onnx_graph import Graph

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "Add",
    ast.Sub: "Sub",
    ast.Mult: "Mul",
    ast.Div: "Div",
}
# Functions that are one operator; the others are put together in `apply`.
FUNCTIONS = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "identity": "Identity",
    "softplus": "Softplus",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "exp_derivative": "Identity",
}
FLOAT = 1  # ONNX' number for float32


def apply(graph: Graph, function: str, a: str) -> str:
    """Return a function of `bptt.activations`, applied."""
    match function:
        case "step" | "spike" | "relu_derivative":
            return graph.add("Cast", graph.add("Greater", a, graph.number(0.0)), to=FLOAT)
        case "tanh_derivative":
            return graph.add("Sub", graph.number(1.0), graph.add("Mul", a, a))
        case "sigmoid_derivative":
            return graph.add("Mul", a, graph.add("Sub", graph.number(1.0), a))
        case "identity_derivative":
            return graph.add("Add", graph.add("Mul", a, graph.number(0.0)), graph.number(1.0))
        case "softplus_derivative":
            return graph.add("Sub", graph.number(1.0), graph.add("Exp", graph.add("Neg", a)))
        case "spike_derivative":
            scaled = graph.add("Mul", a, graph.number(np.pi))
            one = graph.number(1.0)
            return graph.add("Div", one, graph.add("Add", graph.add("Mul", scaled, scaled), one))
        case _:
            return graph.add(FUNCTIONS[function], a)


def step(
    graph: Graph, cell: Cell, parameters: Mapping[str, Array], H: int, x: str, states: Mapping[str, str]
) -> dict[str, str]:
    """Return the states (B, H) after one step from x (B, inputs) and the states before it, by name."""
    values: dict[str, str] = {}
    for stage in cell.plan.stages:
        columns = _pre_activations(graph, stage, parameters, H, x, states, values)
        bound: dict[str, str] = {}
        functions: dict[str, str] = {}
        for source in stage.inputs:
            match source.kind:
                case "column":
                    bound[source.name] = columns[source.key]
                case "previous":
                    bound[source.name] = states[source.key]
                case "vector":
                    bound[source.name] = graph.number(parameters.get(source.key, np.zeros(H)))
                case "constant":
                    bound[source.name] = graph.number(cell.options[source.key])
                case "function":
                    kind = source.key.removesuffix("_derivative")
                    functions[source.name] = str(cell.options[kind]) + source.key[len(kind) :]
                case _:
                    bound[source.name] = values[source.key]
        values.update(_run_formula(graph, stage.forward.source, bound, functions))
    return {name: values[name] for name in cell.plan.states}


def _pre_activations(
    graph: Graph,
    stage: StagePlan,
    parameters: Mapping[str, Array],
    H: int,
    x: str,
    states: Mapping[str, str],
    values: Mapping[str, str],
) -> dict[str, str]:
    parts: list[list[str]] = [[] for _ in stage.columns]
    for product in stage.products:
        operand = {"x": {"x": x}, "previous": states, "value": values}[product.kind][product.operand]
        weight = parameters[product.weight][:, _columns(product, H)]
        summed = graph.add("MatMul", operand, graph.number(weight))
        for k, column in enumerate(product.columns):
            whole = len(product.columns) == 1
            parts[column].append(summed if whole else graph.take(summed, k * H, (k + 1) * H, 1))
    if "b_h" in parameters:
        for gate, column in enumerate(stage.bias_columns, start=stage.first_gate):
            parts[column].append(graph.number(parameters["b_h"][gate * H : (gate + 1) * H]))
    found = {}
    for name, terms in zip(stage.columns, parts, strict=True):
        total = terms[0]
        for term in terms[1:]:
            total = graph.add("Add", total, term)
        found[name] = total
    return found


def _columns(product: Product, H: int) -> slice:
    return slice(product.first_block * H, (product.first_block + len(product.columns)) * H)


def _run_formula(
    graph: Graph, source: str, bound: Mapping[str, str], functions: Mapping[str, str]
) -> dict[str, str]:
    """Return the results of a formula, by name; `Formula` has checked that there is nothing else in it."""
    known = dict(bound)

    def value(node: Any) -> str:
        match node:
            case ast.Name(id=name):
                return known[name]
            case ast.Constant(value=number):
                return graph.number(number)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return graph.add("Neg", value(operand))
            case ast.UnaryOp(operand=operand):
                return value(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return graph.add(OPERATORS[type(op)], value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return apply(graph, functions.get(name, name), value(argument))
        raise AssertionError(ast.dump(node))

    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                known[name] = value(expression)
            case ast.Return(value=ast.Tuple(elts=elements)):
                return {each.id: known[each.id] for each in elements if isinstance(each, ast.Name)}
            case ast.Return(value=ast.Name(id=name)):
                return {name: known[name]}
    raise AssertionError(source)
