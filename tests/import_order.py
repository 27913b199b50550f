"""Reads a package's source and finds every breach of its import order; the rules come from the caller."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Where:
    """Which modules may import a library: at the top of the file, and inside a function."""

    top: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What a package's modules may import; see `tests.test_architecture`."""

    levels: tuple[str, ...]
    heavy: Mapping[str, Where]
    lazy_standard: Mapping[str, tuple[str, ...]]
    lazy_own: tuple[tuple[str, str], ...]
    dynamic: tuple[str, ...]
    cell_support: tuple[str, ...]
    folders: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Edge:
    """One import: `target` is a module of the package or the top-level name of a library."""

    source: str
    target: str
    line: int
    lazy: bool = False
    types_only: bool = False


def within(module: str, prefixes: Sequence[str]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def find_modules(package: Path) -> dict[str, Path]:
    """Return each module's dotted name and its file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_types_only(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def is_import(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}
    return isinstance(node, (ast.Import, ast.ImportFrom))


def import_nodes(
    node: ast.AST, lazy: bool = False, types_only: bool = False
) -> Iterator[tuple[Any, bool, bool]]:
    """Walk a tree; give every import and import_module call, with whether it is lazy and for types only."""
    for child in ast.iter_child_nodes(node):
        if is_import(child):
            yield child, lazy, types_only
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from import_nodes(child, True, types_only)
        elif isinstance(child, ast.If) and is_types_only(child.test):
            yield from import_nodes(ast.Module(child.body, []), lazy, True)
            yield from import_nodes(ast.Module(child.orelse, []), lazy, types_only)
        else:
            yield from import_nodes(child, lazy, types_only)


def read_targets(node: Any, modules: Container[str], root: str) -> list[str]:
    """Return the modules that one import statement or call names; none for a relative or a computed name."""
    match node:
        case ast.ImportFrom(level=0, module=module, names=names):
            full = [f"{module}.{alias.name}" for alias in names]
            return [name if name in modules else str(module) for name in full]
        case ast.Import(names=names):
            # `import root.a` binds the name `root`; `import root.a as a` does not.
            return [
                root if alias.name.startswith(f"{root}.") and alias.asname is None else alias.name
                for alias in names
            ]
        case ast.Call(args=[ast.Constant(value=str(name)), *_]):
            return [name]
    return []


def read_edges(
    source: str, path: Path, modules: Container[str], root: str, dynamic: Container[str]
) -> tuple[list[Edge], list[str]]:
    """Return one module's imports, and what is wrong with the way they are written."""
    edges: list[Edge] = []
    wrong: list[str] = []
    if source == root:  # the root only re-exports; it may reach everything, now or later
        return edges, wrong
    for node, lazy, types_only in import_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        here = f"{source}:{node.lineno}"
        targets = read_targets(node, modules, root)
        if not targets and isinstance(node, ast.ImportFrom):
            wrong.append(f"{here}: relative import")
        elif not targets and source not in dynamic:
            wrong.append(f"{here}: imports a module by a computed name")
        for target in targets:
            library = target.split(".")[0]
            if target == root:
                wrong.append(f"{here}: imports the root package; say from {root}.MODULE import ...")
            else:
                name = target if library == root else library
                edges.append(Edge(source, name, node.lineno, lazy, types_only))
    return edges, wrong


def level_of(module: str, levels: Sequence[str]) -> int | None:
    name = module.split(".")[1]
    return levels.index(name) if name in levels else None


def check_direction(edge: Edge, levels: Sequence[str]) -> str | None:
    mine, other = level_of(edge.source, levels), level_of(edge.target, levels)
    if mine is None or other is None:
        return f"{edge.source if mine is None else edge.target} has no place in LEVELS"
    if other > mine:
        return f"imports upward: {edge.target}"
    return None


def place_in(module: str, folder: str) -> str | None:
    """Return the name that a module, or the folder that it is in, has inside a folder; none for one elsewhere."""
    return module.removeprefix(f"{folder}.").split(".")[0] if module.startswith(f"{folder}.") else None


def check_folders(edge: Edge, folders: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Say which folder's own order an import breaks."""
    for folder, order in folders.items():
        mine, other = place_in(edge.source, folder), place_in(edge.target, folder)
        if mine in order and other in order and order.index(other) > order.index(mine):
            yield f"imports upward in {folder}: {edge.target}"


def check_place(edge: Edge, root: str, rules: Rules) -> str | None:
    """Say why an import may not stand where it stands (at the top, or inside a function)."""
    library = edge.target.split(".")[0]
    if edge.types_only:
        return None
    if library == root:
        allowed = any(
            within(edge.source, [who]) and within(edge.target, [what]) for who, what in rules.lazy_own
        )
        return f"stray lazy import of {edge.target}" if edge.lazy and not allowed else None
    if library in rules.heavy:
        where = rules.heavy[library].inside if edge.lazy else rules.heavy[library].top
        kind = "lazy" if edge.lazy else "top-level"
        return None if within(edge.source, where) else f"stray {kind} import of {library}"
    if edge.lazy and not within(edge.source, rules.lazy_standard.get(library, ())):
        return f"stray lazy import of {library}"
    return None


def check_cells(edge: Edge, support: Container[str]) -> str | None:
    equations = within(edge.source, ["bptt.cells"]) and edge.source not in support
    if equations and within(edge.target, ["bptt.cells"]) and edge.target != "bptt.cells.protocol":
        return f"a cell imports from its neighbour: {edge.target}"
    return None


def find_cycle(edges: Sequence[Edge]) -> list[str] | None:
    """Return the modules of one cycle, first one repeated at the end.

    Lazy imports count: deferring one hides a cycle and does not remove it. Imports for types alone do not, since
    nothing depends on them when the program runs; `check_direction` still holds them to their level.
    """
    graph: dict[str, list[str]] = {}
    for edge in edges:
        if not edge.types_only:
            graph.setdefault(edge.source, []).append(edge.target)
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str] | None:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return None
        for target in graph.get(module, []):
            if found := visit(target, [*trail, module]):
                return found
        done.add(module)
        return None

    return next((found for module in sorted(graph) if (found := visit(module, []))), None)


def find_violations(package: Path, rules: Rules) -> list[str]:
    """Return every breach of the import order in a package, one line each."""
    root = package.name
    modules = find_modules(package)
    edges: list[Edge] = []
    wrong: list[str] = []
    for name, path in modules.items():
        found, badly_written = read_edges(name, path, modules, root, rules.dynamic)
        edges += found
        wrong += badly_written
        if name != root and level_of(name, rules.levels) is None:
            wrong.append(f"{name}:1: {name} has no place in LEVELS")
        for folder, order in rules.folders.items():
            if (place := place_in(name, folder)) is not None and place not in order:
                wrong.append(f"{name}:1: {place} has no place in the order of {folder}")
    own = [edge for edge in edges if within(edge.target, [root])]
    for edge in edges:
        reasons = [check_place(edge, root, rules)]
        if edge in own:
            reasons += [check_direction(edge, rules.levels), check_cells(edge, rules.cell_support)]
            reasons += check_folders(edge, rules.folders)
        wrong += [f"{edge.source}:{edge.line}: {reason}" for reason in reasons if reason]
    if cycle := find_cycle(own):
        wrong.append(f"cycle: {' -> '.join(cycle)}")
    return wrong
