"""Straight-line scalar formulas: plain Python text that NumPy runs over arrays and a compiler can take as it is.

Cells, losses and optimisers state their arithmetic as formulas. The rules keep one text good for three readers:
NumPy (whole arrays, complex numbers included), the compiled engine (one lane at a time, in the working dtype)
and a person with a debugger, who steps through the very function that was written.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from bptt.activations import FUNCTIONS, SURROGATES
from bptt.errors import InvalidInput, InvalidType

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)


class Formula:
    """A checked scalar formula.

    Parameters
    ----------
    function : callable
        A plain function: assignments ``name = expression``, then ``return a, b`` of names. Expressions are made of
        names, numeric literals, ``+ - * /``, a minus sign, and calls of `bptt.activations` functions or of
        arguments listed in `callables`.
    callables : set of str
        Arguments that receive a function (``activation``) rather than a number.
    where : str
        What the error messages call it, e.g. ``"LSTM.forward"``.

    Attributes
    ----------
    arguments, results : tuple of str
        Names in the order of the signature and of the return statement.
    callables : frozenset of str
        Names that may stand for a function.
    source, digest : str
        The dedented text, and its sha256: the compiled engine's cache key.
    surrogate : bool
        Whether it calls a function whose derivative is replaced by another (`bptt.activations.SURROGATES`).

    Raises
    ------
    InvalidInput
        The text breaks a rule; the message names the line and what to write instead.
    """

    def __init__(
        self, function: Callable[..., Any], *, callables: frozenset[str] = frozenset(), where: str = ""
    ) -> None:
        if not inspect.isfunction(function):
            raise InvalidType(f"{where or 'formula'} must be a plain function. Got {function!r}")
        self.function = function
        self.where = where or function.__qualname__
        self.callables = callables
        self.source, dropped = _source(function, self.where)
        self.digest = hashlib.sha256(self.source.encode()).hexdigest()
        tree = ast.parse(self.source).body[0]
        assert isinstance(tree, ast.FunctionDef)
        self._first_line = function.__code__.co_firstlineno + dropped
        self.arguments = _arguments(tree, self)
        self.called: set[str] = set()
        self.results = self._check(tree, callables)
        self.surrogate = any(name in SURROGATES for name in self.called)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """Evaluate on numbers or arrays; the results come in the order of `results`."""
        found = self.function(*values)
        return found if isinstance(found, tuple) else (found,)

    def __repr__(self) -> str:
        return f"Formula({self.where}: {', '.join(self.arguments)} -> {', '.join(self.results)})"

    def refuse(self, node: ast.AST, what: str) -> InvalidInput:
        """Return the error for a broken rule at `node`."""
        line = self._first_line + getattr(node, "lineno", 1) - 1
        text = ast.unparse(node).splitlines()[0]
        return InvalidInput(f"{self.where}, line {line}: {what}. Got `{text}`")

    def _check(self, tree: ast.FunctionDef, callables: frozenset[str]) -> tuple[str, ...]:
        known = set(self.arguments) - callables
        body = list(tree.body)
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        if not body or not isinstance(body[-1], ast.Return):
            raise self.refuse(tree, "a formula must end in `return` of one or more names")
        for statement in body[:-1]:
            if (
                not isinstance(statement, ast.Assign)
                or len(statement.targets) != 1
                or not isinstance(statement.targets[0], ast.Name)
            ):
                raise self.refuse(
                    statement,
                    "a formula holds only assignments `name = expression` and one return: "
                    "no if, loop, augmented or multiple assignment (select with relu or step)",
                )
            self._check_expression(statement.value, known, callables)
            if statement.targets[0].id in callables:
                raise self.refuse(
                    statement, f"`{statement.targets[0].id}` is a function: assign to another name"
                )
            known.add(statement.targets[0].id)
        return self._check_return(body[-1], known)

    def _check_return(self, statement: ast.Return, known: set[str]) -> tuple[str, ...]:
        value = statement.value
        items = value.elts if isinstance(value, ast.Tuple) else [value]
        names = []
        for item in items:
            if not isinstance(item, ast.Name):
                raise self.refuse(statement, "return plain names, so that each result has one")
            if item.id not in known:
                raise self.refuse(statement, f"`{item.id}` is not an argument and was not assigned above")
            names.append(item.id)
        if len(set(names)) != len(names):
            raise self.refuse(statement, "each result must be returned once")
        return tuple(names)

    def _check_expression(self, node: ast.AST, known: set[str], callables: frozenset[str]) -> None:
        match node:
            case ast.Name(id=name):
                if name in callables:
                    raise self.refuse(node, f"`{name}` is a function: call it")
                if name not in known:
                    hint = ": pass it as an argument (constants and vectors are declared on the cell)"
                    raise self.refuse(node, f"`{name}` is not an argument and was not assigned above{hint}")
            case ast.Constant(value=value):
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise self.refuse(node, "literals must be real numbers")
            case ast.BinOp(left=left, op=op, right=right):
                if not isinstance(op, _OPERATORS):
                    raise self.refuse(node, "operators are + - * / (write a * a for a square)")
                self._check_expression(left, known, callables)
                self._check_expression(right, known, callables)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._check_expression(operand, known, callables)
            case ast.Call(func=ast.Name(id=name), args=values, keywords=[]):
                if name not in callables:
                    self._check_function(node, name)
                self.called.add(name)
                for argument in values:
                    self._check_expression(argument, known, callables)
            case _:
                raise self.refuse(
                    node,
                    "expressions are names, numbers, + - * / and calls of functions of bptt.activations by name",
                )

    def _check_function(self, node: ast.AST, name: str) -> None:
        if name not in FUNCTIONS:
            raise self.refuse(node, f"`{name}` is not one of {', '.join(FUNCTIONS)}")
        # The name must mean our function where the text stands, or NumPy would run something else than was checked.
        closure = inspect.getclosurevars(self.function)
        found = {**closure.globals, **closure.nonlocals}.get(name, getattr(builtins, name, None))
        if found is not FUNCTIONS[name]:
            raise self.refuse(node, f"`{name}` here is not bptt.activations.{name}: import it from there")


def _source(function: Callable[..., Any], where: str) -> tuple[str, int]:
    """Return the text from `def` on, and how many lines of decorators stand above it."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise InvalidInput(
            f"{where}: its source text must be readable, to check and compile it. "
            "Got a function typed at a prompt or built by exec: put it in a file"
        ) from None
    # Decorators (staticmethod) are not part of the formula.
    lines = text.splitlines()
    above = next((k for k, line in enumerate(lines) if line.startswith("def ")), None)
    if above is None:
        raise InvalidInput(f"{where} must be written with def. Got `{lines[0].strip()}`")
    return "\n".join(lines[above:]) + "\n", above


def _arguments(tree: ast.FunctionDef, formula: Formula) -> tuple[str, ...]:
    a = tree.args
    if a.vararg or a.kwarg or a.kwonlyargs or a.posonlyargs or a.defaults:
        raise formula.refuse(tree, "arguments are plain names without defaults")
    return tuple(argument.arg for argument in a.args)
