"""Hand-written functions called in another process, within a time limit; every failure becomes one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.labs.exercises.student_file import StudentFile

CHILD = Path(__file__).with_name("child.py")
# The child stops itself when its time is up, and says where it was; a child that cannot is stopped this much later.
GRACE = 10.0
MODULE = "bptt_exercise"
# The sort of failure that is none yet.
EMPTY = "not filled in"


@dataclass(frozen=True)
class Call:
    """One call: the function, its arguments in order, and how many results it returns; for a method also the object."""

    function: str
    arguments: tuple[Any, ...]
    returns: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of one call: arrays, or one line, with ``kind`` saying which sort of failure it tells of."""

    results: tuple[npt.NDArray[Any], ...] = ()
    error: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of all calls, and what the file raised while it was read in."""

    answers: tuple[Answer, ...]
    notes: tuple[str, ...]


def run_calls(student: StudentFile, calls: Sequence[Call], *, seconds: float) -> Outcome:
    """Run the calls in a process of its own, one after the other."""
    with tempfile.TemporaryDirectory(prefix="bptt-check-") as name:
        folder = Path(name)
        _write_plan(folder, student, calls, seconds)
        status = _run(folder, student, seconds)
        if not (folder / "answers.json").is_file():
            error = _what_stopped_it(folder, student, status, seconds)
            return Outcome(tuple(_before(folder, calls, error)), ())
        return _read(folder, calls)


def _write_plan(folder: Path, student: StudentFile, calls: Sequence[Call], seconds: float) -> None:
    arrays: dict[str, Any] = {}

    def keep(value: Any) -> str:
        arrays[key := f"a{len(arrays)}"] = np.asarray(value)
        return key

    plan = {
        "chunks": student.chunks,
        "name": MODULE,
        "folder": str(student.path.resolve().parent),
        "seconds": seconds,
        "calls": [
            {
                "function": call.function,
                "arguments": [keep(value) for value in call.arguments],
                "options": {name: keep(value) for name, value in call.options.items()},
                "attributes": {name: keep(value) for name, value in call.attributes.items()},
                "returns": call.returns,
                "reads": call.reads,
            }
            for call in calls
        ],
    }
    np.savez(folder / "arguments.npz", **arrays)
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


def _run(folder: Path, student: StudentFile, seconds: float) -> int | None:
    """Return the child's exit status, None if it had to be stopped."""
    # -P: the folder that it is started in does not come before the libraries.
    command = [sys.executable, "-P", str(CHILD), str(folder)]
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    try:
        done = subprocess.run(
            command,
            cwd=student.path.resolve().parent,
            env=os.environ | quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds + GRACE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def _what_stopped_it(folder: Path, student: StudentFile, status: int | None, seconds: float) -> Answer:
    stuck = folder / "stuck.txt"
    trace = stuck.read_text(encoding="utf-8") if stuck.is_file() else ""
    if status is not None and not trace:
        return Answer(error=f"ended the process (status {status}) instead of returning", kind="error")
    own = {label for label, _ in student.chunks}
    places = [
        f"{label}, line {n}" for label, n in re.findall(r'File "(.*)", line (\d+)', trace) if label in own
    ]
    at = f", and was at {places[0]}" if places else ""
    return Answer(error=f"did not end within {seconds:g} s{at}: a loop without an end?", kind="too slow")


def _before(folder: Path, calls: Sequence[Call], error: Answer) -> list[Answer]:
    """Return the error for the function that ran last, and for the others that they were not reached."""
    now = folder / "now.txt"
    stopped = now.read_text(encoding="utf-8") if now.is_file() else ""
    waits = Answer(error=f"was not judged: {stopped or 'the file itself'} {error.error}", kind=error.kind)
    return [error if call.function == stopped else waits for call in calls]


def _read(folder: Path, calls: Sequence[Call]) -> Outcome:
    told = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    notes = tuple(_line(each) for each in told["loading"])
    answers = []
    with np.load(folder / "results.npz", allow_pickle=False) as stored:
        for number, (call, each) in enumerate(zip(calls, told["answers"], strict=True)):
            if each["error"] is None:
                count = call.returns + len(call.reads)
                answers.append(Answer(tuple(stored[f"{number}.{k}"] for k in range(count))))
            elif each["error"] == "NotImplementedError":
                answers.append(Answer(error=_empty(call, each), kind=EMPTY))
            else:
                answers.append(Answer(error=_line(each), kind="error"))
    return Outcome(tuple(answers), notes)


def _empty(call: Call, each: Mapping[str, Any]) -> str:
    inside = each["inside"]
    if inside and inside != call.function.split(".")[-1]:
        return f"waits for {inside}, which it calls and which is not filled in yet"
    return "is not filled in yet"


def _line(each: Mapping[str, Any]) -> str:
    if each["error"] == "ResultError":
        return str(each["text"])
    place = f"{each['where']}, line {each['line']}: " if each["line"] else ""
    return f"{place}{each['error']}: {each['text']}"
