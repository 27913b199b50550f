"""A cell's equations as Python text that needs nothing but NumPy."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable

from bptt.activations import FUNCTIONS
from bptt.cells.plan import CellPlan, Product, Source, StagePlan
from bptt.cells.protocol import Cell


def functions_text(cell: Cell, *others: str) -> str:
    """Return the functions that a cell's formulas call, those named beside, and a function a stage, as text."""
    called = {name for stage in cell.plan.stages for name in stage.forward.called if name in FUNCTIONS}
    called |= {cell.options[name] for name in cell.functions}
    called |= {f"{cell.options[name]}_derivative" for name in cell.functions}
    texts = [_plain(inspect.getsource(FUNCTIONS[name]), name) for name in _with_callees({*called, *others})]
    texts += [_plain(stage.forward.source, f"stage_{k}") for k, stage in enumerate(cell.plan.stages)]
    return "\n\n\n".join(texts)


def step_text(cell: Cell, H: int, parameters: Iterable[str]) -> str:
    """Return the body of ``step(p, x, s)``, which fills ``v`` with what the stages return, indented once.

    Parameters
    ----------
    cell : Cell
    H : int
        Units.
    parameters : iterable of str
        Bare names of the parameters that there are: without bias some are missing.
    """
    there = set(parameters)
    plan = cell.plan
    lines: list[str] = []
    for k, stage in enumerate(plan.stages):
        lines += [f"m{n} = {_operand(p)} @ {_block(p, plan, H)}" for n, p in enumerate(stage.products)]
        lines += [f"a{c} = {' + '.join(_terms(stage, c, H, there))}" for c in range(len(stage.columns))]
        arguments = ", ".join(_argument(source, stage, cell, H, there) for source in stage.inputs)
        results = [f"v[{name!r}]" for name in stage.forward.results]
        lines.append(f"{', '.join(results)} = stage_{k}({arguments})")
    return textwrap.indent("\n".join(lines), "    ")


def _operand(product: Product) -> str:
    return {"x": "x", "previous": f"s[{product.operand!r}]", "value": f"v[{product.operand!r}]"}[product.kind]


def _block(product: Product, plan: CellPlan, H: int) -> str:
    blocks = len(product.columns)
    whole = blocks == plan.weights[product.weight][1]
    cut = "" if whole else f"[:, {product.first_block * H}:{(product.first_block + blocks) * H}]"
    return f"p[{product.weight!r}]{cut}"


def _terms(stage: StagePlan, column: int, H: int, there: set[str]) -> list[str]:
    """Return what a pre-activation is the sum of."""
    found = [
        f"m{n}[:, {block * H}:{(block + 1) * H}]"
        for n, product in enumerate(stage.products)
        for block, into in enumerate(product.columns)
        if into == column
    ]
    if "b_h" in there:
        found += [
            f"p['b_h'][{gate * H}:{(gate + 1) * H}]"
            for gate, into in enumerate(stage.bias_columns, start=stage.first_gate)
            if into == column
        ]
    return found


def _argument(source: Source, stage: StagePlan, cell: Cell, H: int, there: set[str]) -> str:
    match source.kind:
        case "column":
            return f"a{stage.columns.index(source.key)}"
        case "previous":
            return f"s[{source.key!r}]"
        case "vector":
            return f"p[{source.key!r}]" if source.key in there else f"np.zeros({H}, DTYPE)"
        case "constant":
            return repr(float(cell.options[source.key]))
        case "function":
            kind = source.key.removesuffix("_derivative")
            return str(cell.options[kind]) + source.key[len(kind) :]
        case _:
            return f"v[{source.key!r}]"


def _with_callees(names: set[str]) -> list[str]:
    """Return the names in the order of `FUNCTIONS`, with those of the functions that they call."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            tree = ast.parse(inspect.getsource(FUNCTIONS[name]))
            waiting += [
                node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in FUNCTIONS
            ]
    return [name for name in FUNCTIONS if name in seen]


def _plain(source: str, name: str) -> str:
    """Return a function's text under `name`, without docstring and types."""
    tree = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.name, tree.returns, tree.decorator_list = name, None, []
    for argument in tree.args.args:
        argument.annotation = None
    if isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        del tree.body[0]
    return ast.unparse(tree)
