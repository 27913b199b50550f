"""Grading a filled-in exercise: every function on random problems, beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checks import check_number, check_whole
from bptt.errors import InvalidInput
from bptt.labs.exercises.exercise import Array, Exercise, Task
from bptt.labs.exercises.registry import EXERCISES
from bptt.labs.exercises.student_file import StudentFile, read_student_file
from bptt.labs.exercises.subprocess_run import EMPTY, Answer, Call, run_calls
from bptt.verify.mistakes import judge

# A mistake must give the same numbers on each of them, all sizes different.
PROBLEMS = 3
SECONDS = 20.0


@dataclass(frozen=True)
class Finding:
    """What is said of one result of one function.

    Attributes
    ----------
    function, tensor : str
        `tensor` is empty where the function could not be run.
    passed : bool
    mistake : str
        Stable name of the mistake; ``"not filled in"``, ``"error"`` or ``"too slow"`` where it could not be run; empty
        where none was recognised.
    says : str
        One line for a person.
    """

    function: str
    tensor: str
    passed: bool
    mistake: str
    says: str

    def __str__(self) -> str:
        at = f"{self.function}: " + (f"{self.tensor}: " if self.tensor else "")
        return at + self.says


@dataclass(frozen=True)
class Grade:
    """A graded file.

    Attributes
    ----------
    lab : str
    file : str
    findings : tuple of Finding
        One a result, in the order of the exercise.
    notes : tuple of str
        What else happened when the file was run.
    """

    lab: str
    file: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every result is right."""
        return all(finding.passed for finding in self.findings)

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that were asked for."""
        return tuple(dict.fromkeys(finding.function for finding in self.findings))

    @property
    def right(self) -> tuple[str, ...]:
        """The functions without a fault."""
        wrong = {finding.function for finding in self.findings if not finding.passed}
        return tuple(name for name in self.functions if name not in wrong)

    def of(self, function: str) -> tuple[Finding, ...]:
        """Return what is said of one function."""
        return tuple(finding for finding in self.findings if finding.function == function)

    def __str__(self) -> str:
        lines = [f"{self.file}: {len(self.right)} of {len(self.functions)} functions are right"]
        lines += [f"  {_mark(finding):5} {finding}" for finding in self.findings]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _mark(finding: Finding) -> str:
    return "ok" if finding.passed else "open" if finding.mistake == EMPTY else "WRONG"


def grade(file: str | Path, *, seed: int = 0, seconds: float = SECONDS) -> Grade:
    """Grade a filled-in exercise, a script or a notebook that `bptt lab NAME --exercise DIR` wrote.

    Parameters
    ----------
    file : str or path
        Its code is run, in a process of its own.
    seed : int
        Of the random problems.
    seconds : float
        What the file may take altogether.

    Returns
    -------
    Grade
        Nothing is raised for what is wrong inside the functions: a finding says so.

    Raises
    ------
    FileMissing, FileFormatError, InvalidInput
        No such file; no Python; none of an exercise's functions in it.
    """
    check_whole("seed", seed, least=0)
    check_number("seconds", seconds, above=0.0)
    student = read_student_file(Path(file))
    exercise = find_exercise(student)
    rng = np.random.default_rng([seed, 5])
    problems = [exercise.problem(rng, number) for number in range(PROBLEMS)]
    known = [task for task in exercise.tasks if task.function in student.names]
    calls = [_call(task, problem) for task in known for problem in problems]
    outcome = run_calls(student, calls, seconds=seconds)
    answers = {
        task.function: outcome.answers[k * PROBLEMS : (k + 1) * PROBLEMS] for k, task in enumerate(known)
    }
    findings: list[Finding] = []
    for task in exercise.tasks:
        ordered = _seen_first(task, {finding.mistake for finding in findings})
        findings += _findings(exercise, ordered, problems, answers.get(task.function))
    return Grade(exercise.lab, str(file), tuple(findings), outcome.notes)


def find_exercise(student: StudentFile) -> Exercise:
    """Return the exercise whose functions the file defines."""
    counts = {lab: len(student.names & set(e.functions)) for lab, e in EXERCISES.items()}
    best = max(counts, key=lambda lab: counts[lab])
    if not counts[best]:
        raise InvalidInput(
            f"FILE must define functions of an exercise ({', '.join(EXERCISES)}). Got none in {student.path}: "
            "bptt lab NAME --exercise DIR writes one"
        )
    return EXERCISES[best]


def _call(task: Task, problem: Any) -> Call:
    return Call(
        task.function,
        tuple(task.arguments(problem)),
        returns=len(task.results) - len(task.reads),
        options=task.options(problem),
        attributes=task.attributes(problem),
        reads=task.reads,
    )


def _seen_first(task: Task, seen: set[str]) -> Task:
    """Return the task with the mistakes found in other functions first: it may call them."""
    return replace(task, mistakes=tuple(sorted(task.mistakes, key=lambda m: m.name not in seen)))


def _findings(
    exercise: Exercise, task: Task, problems: Sequence[Any], answers: Sequence[Answer] | None
) -> list[Finding]:
    if answers is None:
        return [Finding(task.function, "", False, EMPTY, "is not there: the file must define it")]
    failed = next((answer for answer in answers if answer.error), None)
    if failed is not None:
        return [Finding(task.function, "", False, failed.kind, failed.error)]

    def named(arrays: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(task.results, (np.asarray(a, np.float64) for a in arrays), strict=True))

    verdicts = judge(
        [named(answer.results) for answer in answers],
        [named(task.right(problem)) for problem in problems],
        task.mistakes,
        lambda mistake: [named(task.predict(problem, mistake)) for problem in problems],
        pairs=task.pairs,
    )
    return [
        Finding(task.function, name, v.passed, v.mistake, "right" if v.passed else _spoken(exercise, v.says))
        for name, v in verdicts.items()
    ]


def _spoken(exercise: Exercise, says: str) -> str:
    for letter, theirs in exercise.letters.items():
        says = says.replace("{" + letter + "}", theirs)
    return says
