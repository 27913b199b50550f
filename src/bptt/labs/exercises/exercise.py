"""What an exercise is: its functions, how each is called on a random problem, and what it should give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.verify.mistakes import Mistake

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Task:
    """One function that a student fills in.

    Attributes
    ----------
    function : str
        ``"name"``, or ``"Class.method"``: then the class is made anew for every call.
    results : tuple of str
        Names of what is compared: what is returned, in order, then the attributes `reads`.
    arguments : callable (problem) -> sequence
        In the order of the signature.
    right : callable (problem) -> sequence of arrays
    mistakes : tuple
        The likelier first.
    predict : callable (problem, mistake) -> sequence of arrays
        What `right` becomes with one mistake made.
    options, attributes : callable (problem) -> mapping, optional
        For a class: what it is made with, and what is set on it then.
    reads : tuple of str
        Attributes that are compared after the call.
    pairs : bool
        Whether two mistakes at once are searched for.
    """

    function: str
    results: tuple[str, ...]
    arguments: Callable[[Any], Sequence[Any]]
    right: Callable[[Any], Sequence[Array]]
    mistakes: tuple[Mistake, ...]
    predict: Callable[[Any, Mistake], Sequence[Array]]
    options: Callable[[Any], Mapping[str, Any]] = field(default=lambda _: {})
    attributes: Callable[[Any], Mapping[str, Any]] = field(default=lambda _: {})
    reads: tuple[str, ...] = ()
    pairs: bool = True


@dataclass(frozen=True)
class Exercise:
    """The exercise of one lab.

    Attributes
    ----------
    lab : str
    tasks : tuple of Task
    problem : callable (rng, number) -> problem
        A random problem, all its sizes different; `number` counts from 0.
    letters : mapping
        What this exercise calls ``W``, ``U``, ``V``, ``h`` and ``x``.
    """

    lab: str
    tasks: tuple[Task, ...]
    problem: Callable[[np.random.Generator, int], Any]
    letters: Mapping[str, str]

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions to fill in."""
        return tuple(task.function for task in self.tasks)
