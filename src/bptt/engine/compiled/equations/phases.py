"""A formula in phases: one for each activation that waits for another.

An activation takes some sixty cycles from its argument to its result, and most of a formula's instructions. Where one
waits for another (a GRU's candidate for its reset gate), a core that looks two hundred instructions ahead sees three
vectors at a time, all of them waiting. So the first activations of some dozens of vectors are formed first, then the
second ones: each loop is short enough for many of its rounds to run side by side.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bptt.engine.compiled.equations.programs import Program

# What takes long.
SLOW = frozenset({"tanh", "sigmoid", "exp", "softplus", "log"})


@dataclass(frozen=True)
class Phase:
    """A part of a program.

    Attributes
    ----------
    program : Program
        Its statements; its results are those that the whole program returns, and those that later phases read.
    reads : tuple of str
        The arguments and the earlier phases' results that it needs.
    held : dict of str to str
        Results that only later phases read, and the column whose place each takes.
    activations : int
        How many it has.
    """

    program: Program
    reads: tuple[str, ...]
    held: Mapping[str, str]
    activations: int


def split(
    program: Program, functions: Mapping[str, str], columns: Sequence[str], stored: frozenset[str]
) -> tuple[Phase, ...]:
    """Cut a program into phases; one alone where nothing waits, or where a result between two has no place.

    Parameters
    ----------
    functions : mapping of name to name in `bptt.activations.FUNCTIONS`
        What the cell's function arguments stand for.
    columns : sequence of str
        Arguments whose place in memory is free once they have been read.
    stored : frozenset of str
        Results that are written where later phases find them.
    """
    numbers = _number(program, functions)
    last: dict[str, int] = {}  # phase that reads a name last
    for (_, expression), number in zip(program.statements, numbers, strict=True):
        for name in _names(expression):
            last[name] = max(last.get(name, 0), number)
    free: list[str] = []
    phases: list[Phase] = []
    made: set[str] = set()
    for number in range(max(numbers, default=0) + 1):
        own = [s for s, n in zip(program.statements, numbers, strict=True) if n == number]
        free += [c for c in columns if last.get(c, 0) == number]
        names = {name for name, _ in own}
        across = [n for n, _ in own if last.get(n, 0) > number]
        without = [n for n in across if n not in stored]
        if len(without) > len(free):
            return (_whole(program, functions),)
        held = {name: free.pop(0) for name in without}
        read = dict.fromkeys(n for _, expression in own for n in _names(expression))
        results = [r for r in program.results if r in names] + [n for n in across if n not in program.results]
        phases.append(
            Phase(
                Program(tuple(own), tuple(results)),
                tuple(n for n in read if n not in names),
                held,
                _count(own, functions),
            )
        )
        made |= names
    return tuple(phases)


def _count(statements: Sequence[tuple[str, ast.expr]], functions: Mapping[str, str]) -> int:
    """Return how many activations statements have."""
    calls = [n.func for _, expression in statements for n in ast.walk(expression) if isinstance(n, ast.Call)]
    return sum(isinstance(f, ast.Name) and functions.get(f.id, f.id) in SLOW for f in calls)


def _whole(program: Program, functions: Mapping[str, str]) -> Phase:
    names = {name for name, _ in program.statements}
    read = dict.fromkeys(n for _, expression in program.statements for n in _names(expression))
    return Phase(program, tuple(n for n in read if n not in names), {}, _count(program.statements, functions))


def _number(program: Program, functions: Mapping[str, str]) -> list[int]:
    """Return each statement's phase, from 0 on: how many activations wait for one another up to it, less one."""
    depth: dict[str, int] = {}
    found = []
    for name, expression in program.statements:
        depth[name] = _depth(expression, depth, functions)
        found.append(depth[name])
    # What waits for nothing is formed where it is wanted.
    for i in reversed(range(len(found))):
        if not found[i]:
            name = program.statements[i][0]
            uses = [
                n
                for (_, e), n in zip(program.statements[i + 1 :], found[i + 1 :], strict=True)
                if name in _names(e)
            ]
            found[i] = min(uses, default=1)
    return [max(number, 1) - 1 for number in found]


def _depth(node: ast.expr, depth: Mapping[str, int], functions: Mapping[str, str]) -> int:
    if isinstance(node, ast.Name):
        return depth.get(node.id, 0)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        inside = max(_depth(a, depth, functions) for a in node.args)
        return inside + (functions.get(node.func.id, node.func.id) in SLOW)
    parts = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return max((_depth(part, depth, functions) for part in parts), default=0)


def _names(node: ast.expr) -> list[str]:
    """Return the names that an expression reads, functions excepted."""
    called = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in called]
