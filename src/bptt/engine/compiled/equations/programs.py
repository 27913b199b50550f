"""A formula as the kernels take it: named statements, evaluated over lanes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bptt.engine.compiled.llvm.abreast import Abreast, Several
from bptt.engine.compiled.llvm.emitter import Emitter, Value
from bptt.engine.compiled.llvm.functions import EMITTED
from bptt.formulas import Formula


@dataclass(frozen=True)
class Program:
    """Statements in order, and the names that come out."""

    statements: tuple[tuple[str, ast.expr], ...]
    results: tuple[str, ...]


def read_program(source: str) -> Program:
    """Parse a formula's text."""
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)  # Formula has checked it
    statements: list[tuple[str, ast.expr]] = []
    results: tuple[str, ...] = ()
    for node in function.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            statements.append((node.targets[0].id, node.value))
        elif isinstance(node, ast.Return):
            items = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            results = tuple(item.id for item in items if isinstance(item, ast.Name))
    return Program(tuple(statements), results)


def of_formula(formula: Formula) -> Program:
    """Return a checked formula's program."""
    return read_program(formula.source)


def emit_program(
    e: Emitter, program: Program, arguments: Mapping[str, Value], functions: Mapping[str, str]
) -> dict[str, Value]:
    """Evaluate over lanes.

    Parameters
    ----------
    arguments : mapping of name to lanes
    functions : mapping of name to name in `bptt.activations.FUNCTIONS`
        What the cell's function arguments stand for.

    Returns
    -------
    dict of result name to lanes
    """
    known = dict(arguments)
    for name, expression in program.statements:
        known[name] = _evaluate(e, expression, known, functions)
    return {name: known[name] for name in program.results}


def emit_abreast(
    e: Emitter, program: Program, several: Sequence[Mapping[str, Value]], functions: Mapping[str, str]
) -> list[dict[str, Value]]:
    """Evaluate for several vectors' arguments side by side."""
    names = several[0] if several else {}
    arguments = {name: Several(one[name] for one in several) for name in names}
    found = emit_program(Abreast(e), program, arguments, functions)
    return [
        {name: value[k] if isinstance(value, Several) else value for name, value in found.items()}
        for k in range(len(several))
    ]


def _evaluate(e: Emitter, node: ast.expr, known: Mapping[str, Value], functions: Mapping[str, str]) -> Value:
    match node:
        case ast.Name(id=name):
            return known[name]
        case ast.Constant(value=value) if isinstance(value, (int, float)):
            return e.const(value)
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(e, operand, known, functions)
            return e.neg(value) if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            a, b = (_evaluate(e, part, known, functions) for part in (left, right))
            operations = {ast.Add: e.add, ast.Sub: e.sub, ast.Mult: e.mul, ast.Div: e.div}
            return operations[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return EMITTED[functions.get(name, name)](e, _evaluate(e, argument, known, functions))
        case _:
            raise AssertionError(f"Formula let through {ast.unparse(node)}")
