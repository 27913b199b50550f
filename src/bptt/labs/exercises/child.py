"""Runs hand-written functions in a process of its own: it may loop for ever, crash or print, and nobody else does.

Started as a script, with a folder that holds ``plan.json`` and ``arguments.npz``; leaves ``answers.json`` and
``results.npz`` there. It imports nothing of bptt: what a file needs is the file's own affair.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    """Do what the plan says, and write down how it went."""
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    arguments = np.load(folder / "arguments.npz", allow_pickle=False)
    labels = [label for label, _ in plan["chunks"]]
    results: dict[str, Any] = {}
    with (folder / "stuck.txt").open("w", encoding="utf-8") as stuck:
        # Says where the file was when its time was up.
        faulthandler.dump_traceback_later(plan["seconds"], exit=True, file=stuck)
        module, notes = load(plan["chunks"], plan["name"], plan["folder"])
        answers = []
        for number, call in enumerate(plan["calls"]):
            (folder / "now.txt").write_text(call["function"], encoding="utf-8")
            try:
                found = run(module, call, arguments)
                for k, array in enumerate(found):
                    results[f"{number}.{k}"] = array
                answers.append({"error": None})
            except BaseException as error:  # noqa: BLE001  # somebody's code: whatever it raises is an answer
                answers.append(describe(error, labels))
        faulthandler.cancel_dump_traceback_later()
    np.savez(folder / "results.npz", **results)
    text = json.dumps({"answers": answers, "loading": [describe(error, labels) for error in notes]})
    (folder / "answers.json").write_text(text, encoding="utf-8")


def load(chunks: list[list[str]], name: str, folder: str) -> tuple[types.ModuleType, list[BaseException]]:
    """Return the file as a module, and what its chunks raised; the others run all the same."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    # At the end: a file numpy.py beside the exercise must not hide the real one.
    sys.path.append(folder)
    raised: list[BaseException] = []
    for label, source in chunks:
        try:
            exec(compile(source, label, "exec"), module.__dict__)  # noqa: S102  # what this process is for
        except BaseException as error:  # noqa: BLE001
            raised.append(error)
    return module, raised


def run(module: types.ModuleType, call: dict[str, Any], arguments: Any) -> list[Any]:
    """Return the results of one call, each a float64 array."""
    target: Any = module
    *owners, last = call["function"].split(".")
    for owner in owners:
        made = getattr(target, owner)
        target = made(**{name: arguments[key].item() for name, key in call["options"].items()})
        for name, key in call["attributes"].items():
            setattr(target, name, arguments[key].copy())
    returned = getattr(target, last)(*(_argument(arguments[key]) for key in call["arguments"]))
    count, reads = call["returns"], call["reads"]
    parts = [] if not count else [returned] if count == 1 else _several(returned, count)
    return [*map(_numbers, parts), *(_rows(name, getattr(target, name)) for name in reads)]


class ResultError(Exception):
    """What a function returned cannot be compared."""


def _argument(array: Any) -> Any:
    return array.item() if array.ndim == 0 else array.copy()


def _several(returned: Any, count: int) -> list[Any]:
    if not isinstance(returned, (tuple, list)) or len(returned) != count:
        got = f"{len(returned)}" if isinstance(returned, (tuple, list)) else type(returned).__name__
        raise ResultError(f"must return {count} results. Got {got}")
    return list(returned)


def _numbers(value: Any) -> Any:
    if value is None:
        raise ResultError("must return numbers. Got None: is there a return?")
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ResultError(f"must return numbers. Got {type(value).__name__}") from None


def _rows(name: str, value: Any) -> Any:
    """Return a list of columns, or however else states are kept, as rows."""
    try:
        return np.array([np.asarray(part, np.float64).reshape(-1) for part in value])
    except (TypeError, ValueError):
        raise ResultError(
            f"must keep states of one size in self.{name}. Got {type(value).__name__}"
        ) from None


def describe(error: BaseException, labels: list[str]) -> dict[str, Any]:
    """Return what was raised, and the last line of the file itself that it went through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in labels]
    place = frames[-1] if frames else None
    if isinstance(error, SyntaxError) and error.filename in labels:
        where, line = error.filename, error.lineno
    else:
        where, line = (place.filename, place.lineno) if place else ("", None)
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    return {
        "error": type(error).__name__,
        "text": " ".join(text.split()),
        "where": where,
        "line": line,
        "inside": place.name if place else "",
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
