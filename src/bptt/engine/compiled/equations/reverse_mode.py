"""The backward of a formula that states none: reverse-mode differentiation of its text.

The formula is flattened to one operation a line, so that each intermediate value has a name; the sweep back then
visits the lines in reverse and adds each one's share to its operands, which is the chain rule and nothing else.
The result is a formula's text again: NumPy can run it, and a person can read it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from bptt.formulas import Formula

# The derivative of each function, as text of its argument a and its value y; None where it is 0.
RULES: dict[str, str | None] = {
    "tanh": "tanh_derivative({y})",
    "sigmoid": "sigmoid_derivative({y})",
    "relu": "relu_derivative({y})",
    "identity": "1",
    "softplus": "softplus_derivative({y})",
    "exp": "{y}",
    "log": "1 / {a}",
    "sqrt": "0.5 / {y}",
    "step": None,
    "spike": "spike_derivative({a})",
    "tanh_derivative": "-2 * {a}",
    "sigmoid_derivative": "(1 - 2 * {a})",
    "relu_derivative": None,
    "identity_derivative": None,
    "softplus_derivative": "exp(-{a})",
    "exp_derivative": "1",
    "spike_derivative": "-19.739208802178716 * {a} * {y} * {y}",  # 2 pi^2
}


def derive_backward(formula: Formula, wanted: Iterable[str], gradients: Iterable[str]) -> str:
    """Return the text of a formula for the gradients of a formula's arguments.

    Parameters
    ----------
    formula : Formula
    wanted : iterable of str
        The arguments that carry a gradient; the result returns ``d`` + name for each.
    gradients : iterable of str
        The results that have a gradient, which arrives as the argument ``d`` + name; the others' is 0.

    Returns
    -------
    str
        ``def backward(...)``: the arguments of `formula`, then the arriving gradients.
    """
    lines = _Lines(formula)
    arriving = [name for name in formula.results if name in set(gradients)]
    terms: dict[str, list[str]] = {}
    for name in arriving:
        terms.setdefault(lines.final[name], []).append(f"in_{name}")
    text = [f"{target} = {expression}" for target, expression, _ in lines.flat]
    for target, _, shares in reversed(lines.flat):
        if target not in terms:
            continue
        text.append(f"g_{target} = {' + '.join(terms[target])}")
        for operand, factor in shares:
            terms.setdefault(operand, []).append(factor.format(g=f"g_{target}"))
    results = []
    for name in wanted:
        text.append(f"d{name} = {' + '.join(terms.get(f'v_{name}', ['0']))}")
        results.append(f"d{name}")
    # Own names carry a prefix, so that no name of the formula can meet them.
    opening = [f"v_{name} = {name}" for name in formula.arguments if name not in formula.callables]
    opening += [f"in_{name} = d{name}" for name in arriving]
    body = "\n".join(f"    {line}" for line in (*opening, *text, f"return {', '.join(results)}"))
    return f"def backward({', '.join((*formula.arguments, *(f'd{name}' for name in arriving)))}):\n{body}\n"


class _Lines:
    """A formula with one operation a line: (target, expression, [(operand, share of the gradient)])."""

    def __init__(self, formula: Formula) -> None:
        self.callables = formula.callables
        self.flat: list[tuple[str, str, list[tuple[str, str]]]] = []
        # A name may be assigned again: what it stands for now.
        self.final = {name: f"v_{name}" for name in formula.arguments}
        function = ast.parse(formula.source).body[0]
        assert isinstance(function, ast.FunctionDef)  # Formula has checked it
        for node in function.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.final[node.targets[0].id] = self._flatten(node.value)

    def _line(self, expression: str, shares: list[tuple[str, str]]) -> str:
        target = f"t_{len(self.flat)}"
        self.flat.append((target, expression, shares))
        return target

    def _flatten(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.final[name]
            case ast.UnaryOp(op=op, operand=operand):
                a = self._flatten(operand)
                return self._line(f"-{a}", [(a, "-{g}")]) if isinstance(op, ast.USub) else a
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._flatten(left), self._flatten(right))
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return self._call(name, self._flatten(argument))
            case _:
                return self._line(ast.unparse(node), [])

    def _binary(self, op: ast.operator, a: str, b: str) -> str:
        match op:
            case ast.Add():
                return self._line(f"{a} + {b}", [(a, "{g}"), (b, "{g}")])
            case ast.Sub():
                return self._line(f"{a} - {b}", [(a, "{g}"), (b, "-{g}")])
            case ast.Mult():
                return self._line(f"{a} * {b}", [(a, f"{{g}} * {b}"), (b, f"{{g}} * {a}")])
            case _:
                quotient = f"t_{len(self.flat)}"
                return self._line(f"{a} / {b}", [(a, f"{{g}} / {b}"), (b, f"-{{g}} * {quotient} / {b}")])

    def _call(self, name: str, a: str) -> str:
        value = f"t_{len(self.flat)}"
        rule = f"{name}_derivative({{y}})" if name in self.callables else RULES[name]
        shares = [] if rule is None else [(a, f"{{g}} * {rule.format(a=a, y=value)}")]
        return self._line(f"{name}({a})", shares)
