"""Claimed gradients against derivatives of the loss itself: the comparison that every check here ends in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_array, check_choice, check_number, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.verify.differences import (
    Array,
    Direction,
    Problem,
    central_differences,
    check_complex,
    complex_step,
    problem_of,
    single,
)
from bptt.verify.report import GradientReport, TensorCheck

# Largest error of a tensor over its largest entry, float64. The complex step has no error of its own; fourth-order
# central differences leave 1e-12 to 1e-9.
TOLERANCES = {"complex": 1e-12, "central": 1e-7}

# Entries of a tensor that are taken one by one where the caller does not say.
ENTRIES = {"complex": 32, "central": 8}

Reals = npt.NDArray[np.float64]

# The terms of a gradient may cancel, those of a bias under an absolute loss to the last bit. What is left is rounding,
# and no tensor is judged against less than this part of the largest gradient; at 1e-12 that is 1e-16 of the latter.
CANCELLED = 1e-4

# Entry (None: a direction), claimed number, reference, error.
_Row = tuple[tuple[int, ...] | None, float, float, float]


def check_gradients(
    loss_function: Callable[[dict[str, Array]], Any],
    parameters: Mapping[str, npt.ArrayLike],
    gradients: Mapping[str, npt.ArrayLike],
    *,
    methods: Sequence[str] = ("central",),
    rtol: float | Mapping[str, float] | None = None,
    max_entries: int | Mapping[str, int] | None = None,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> GradientReport:
    """Check gradients of any function of a dict of arrays.

    Parameters
    ----------
    loss_function : callable
        From a dict of arrays to one number. It is called with copies, and must not draw random numbers.
    parameters : mapping of str to array_like
        The point; computed with in float64.
    gradients : mapping of str to array_like
        What your code claims, by the same names and of the same shapes. Parameters without one are not checked.
    methods : sequence of {"central", "complex"}
        The complex step is exact, and needs a function that carries complex arrays through.
    rtol : float or mapping of method to float, optional
        Largest difference over a tensor's largest entry; 1e-7 for central differences and 1e-12 for the complex step.
    max_entries : int or mapping of method to int, optional
        How many entries of a tensor are taken one by one; 32 by the complex step and 8 by central differences, which
        take four evaluations each. The rest is held by one random direction through all of them, and where that fails
        a wrong entry is searched for.
    seed : int
        Of the choice of entries and of the direction.
    raise_on_failure : bool

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientError
        A gradient is wrong: the message names tensor, entry and both numbers.
    InvalidInput, InvalidType
        Names, shapes or a function that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from bptt.verify import check_gradients
    >>> def loss(p):
    ...     return np.sum(np.tanh(p["w"]))
    >>> w = np.array([0.5, -1.0])
    >>> check_gradients(loss, {"w": w}, {"w": 1 - np.tanh(w) ** 2}).passed
    True
    """
    chosen = check_methods(methods)
    tensors = {name: _real(name, value) for name, value in parameters.items()}
    claimed: dict[str, Array] = {}
    for name, gradient in gradients.items():
        if name not in tensors:
            raise InvalidInput(f"gradients must have names of parameters: {', '.join(tensors)}. Got {name!r}")
        axes = [(f"n{k}", size) for k, size in enumerate(tensors[name].shape)]
        claimed[name] = check_array(f"gradients[{name!r}]", gradient, axes, reason="the parameter's shape")
    problem = problem_of(loss_function, tensors)
    if "complex" in chosen:
        check_complex(loss_function, tensors)
    rows = compare(problem, claimed, methods=chosen, rtol=rtol, max_entries=max_entries, seed=seed)
    left = [name for name in tensors if name not in claimed]
    notes = (f"not checked, for want of a gradient: {', '.join(left)}",) if left else ()
    report = GradientReport(rows, notes)
    return report.raise_if_failed() if raise_on_failure else report


def check_methods(methods: Sequence[str]) -> tuple[str, ...]:
    """Return the methods as a tuple, or raise."""
    if isinstance(methods, str) or not len(methods):
        raise InvalidInput(
            f"methods must be a sequence of one or more of {', '.join(TOLERANCES)}. Got {methods!r}"
        )
    return tuple(dict.fromkeys(check_choice("methods", method, TOLERANCES) for method in methods))


def tolerances(rtol: float | Mapping[str, float] | None) -> dict[str, float]:
    """Return the tolerance of each method."""
    if rtol is None:
        return dict(TOLERANCES)
    if isinstance(rtol, Mapping):
        for method in rtol:
            check_choice("rtol", method, TOLERANCES)
        return {**TOLERANCES, **{m: check_number("rtol", r, above=0.0) for m, r in rtol.items()}}
    return dict.fromkeys(TOLERANCES, check_number("rtol", rtol, above=0.0))


def compare(
    problem: Problem,
    gradients: Mapping[str, Array],
    *,
    methods: Sequence[str],
    rtol: float | Mapping[str, float] | None = None,
    max_entries: int | Mapping[str, int] | None = None,
    seed: int = 0,
    shown_only: frozenset[str] = frozenset(),
    problems: Mapping[str, Problem] | None = None,
) -> tuple[TensorCheck, ...]:
    """Compare every claimed gradient with every method.

    Parameters
    ----------
    max_entries : int or mapping of method to int, optional
    shown_only : set of str
        Methods whose rows are not judged.
    problems : mapping of method to Problem, optional
        Where a method evaluates the loss another way.
    """
    allowed = tolerances(rtol)
    limits = _limits(max_entries)
    floor = CANCELLED * _largest(problem, gradients)
    rows = []
    for position, (name, gradient) in enumerate(gradients.items()):
        if not gradient.size:
            continue
        for method in methods:
            # A stream of its own for each tensor: the entries do not depend on what else is checked.
            rng = np.random.default_rng([check_whole("seed", seed, least=0), position])
            task = _Tensor((problems or {}).get(method, problem), name, gradient, method, floor)
            rows.append(task.check(allowed[method], limits[method], rng, method not in shown_only))
    return tuple(rows)


def _limits(max_entries: int | Mapping[str, int] | None) -> dict[str, int]:
    """Return how many entries each method takes one by one."""
    if max_entries is None:
        return dict(ENTRIES)
    if not isinstance(max_entries, Mapping):
        return dict.fromkeys(ENTRIES, check_whole("max_entries", max_entries))
    for method in max_entries:
        check_choice("max_entries", method, ENTRIES)
    return {**ENTRIES, **{m: check_whole("max_entries", n) for m, n in max_entries.items()}}


class _Tensor:
    """One tensor under one method."""

    def __init__(self, problem: Problem, name: str, gradient: Array, method: str, floor: float) -> None:
        self.problem, self.name, self.method = problem, name, method
        self.floor = 0.0 if name in problem.slices else floor
        self.gradient = np.asarray(gradient, np.float64)
        axis = problem.slices.get(name)
        index = np.arange(gradient.size)
        # The slice that each flat index belongs to; one slice where the tensor is judged as a whole.
        self.slices = (
            np.zeros(gradient.size, np.intp)
            if axis is None
            else np.unravel_index(index, gradient.shape)[axis].astype(np.intp)
        )

    def check(self, tolerance: float, limit: int, rng: np.random.Generator, judged: bool) -> TensorCheck:
        size = self.gradient.size
        entries = np.arange(size) if size <= limit else self._choose(limit, rng)
        reference, rounding = self._derivatives([single(int(k)) for k in entries], self.slices[entries])
        claimed = self.gradient.reshape(-1)[entries]
        scale = self._scales(entries, reference)
        floors = np.maximum(rounding / tolerance, self.floor)
        errors = _errors(claimed, reference, scale[self.slices[entries]], floors)
        worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
        place = tuple(int(i) for i in np.unravel_index(entries[worst], self.gradient.shape))
        row: _Row = (place, float(claimed[worst]), float(reference[worst]), float(errors[worst]))
        if size > limit:
            through = Direction(np.arange(size), rng.choice(np.array([-1.0, 1.0]), size))
            largest = float(np.max(scale))
            error, found, wanted = self._direction(through, largest, tolerance)
            if not error <= max(row[3], tolerance):
                row = self._search(through, (None, found, wanted, error), largest, tolerance)
        return TensorCheck(self.name, self.gradient.shape, self.method, *row, tolerance, len(entries), judged)

    def _choose(self, limit: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """Return random flat indices, spread evenly over the slices."""
        order = rng.permutation(self.gradient.size)
        # Sorted by how many of the slice came before: one of each slice first, then a second one, ...
        seen: dict[int, int] = {}
        rank = np.empty(len(order), np.intp)
        for k, index in enumerate(order):
            number = int(self.slices[index])
            rank[k] = seen.get(number, 0)
            seen[number] = rank[k] + 1
        return np.sort(order[np.argsort(rank, kind="stable")[:limit]]).astype(np.intp)

    def _derivatives(
        self, directions: Sequence[Direction], groups: npt.NDArray[np.intp]
    ) -> tuple[Reals, Reals]:
        if self.method == "complex":
            return complex_step(self.problem, self.name, directions), np.zeros(len(directions))
        return central_differences(self.problem, self.name, directions, groups)

    def _scales(self, entries: npt.NDArray[np.intp], reference: Reals) -> Reals:
        """Return the largest entry of each slice; where only some entries were taken, the claimed ones count too."""
        scale = np.zeros(int(self.slices.max()) + 1)
        np.fmax.at(scale, self.slices[entries], np.abs(reference))
        if len(entries) < self.gradient.size:
            np.fmax.at(scale, self.slices, np.abs(self.gradient.reshape(-1)))
        return scale

    def _direction(
        self, direction: Direction, largest: float, tolerance: float
    ) -> tuple[float, float, float]:
        """Return the error, relative to the tensor's largest entry, and both numbers."""
        wanted, rounding = self._derivatives([direction], np.zeros(1, np.intp))
        found = direction.along(self.gradient)
        floors = np.maximum(rounding / tolerance, self.floor)
        error = _errors(np.array([found]), wanted, np.array([largest]), floors)
        return float(error[0]), found, float(wanted[0])

    def _search(self, direction: Direction, row: _Row, largest: float, tolerance: float) -> _Row:
        """Halve a direction that fails, and go on with the worse half, until one entry is left."""
        error, found, wanted = row[3], row[1], row[2]
        while len(direction.where) > 1:
            halves = [(self._direction(half, largest, tolerance), half) for half in direction.halves()]
            (error, found, wanted), direction = max(halves, key=lambda pair: _nan_last(pair[0][0]))
        if error <= tolerance:
            return row
        sign = direction.signs[0]
        place = tuple(int(i) for i in np.unravel_index(direction.where[0], self.gradient.shape))
        return place, float(found * sign), float(wanted * sign), error


def _largest(problem: Problem, gradients: Mapping[str, Array]) -> float:
    """Return the largest finite entry among the gradients that are judged as a whole."""
    whole = [np.abs(g) for name, g in gradients.items() if name not in problem.slices]
    return max((float(np.max(g, initial=0.0, where=np.isfinite(g))) for g in whole), default=0.0)


def _nan_last(error: float) -> float:
    return float("inf") if np.isnan(error) else error


def _errors(found: Reals, reference: Reals, scale: Reals, floor: Reals) -> Reals:
    """Return abs(found - reference) / max(scale, floor), 0 where both are 0."""
    apart = np.abs(found - reference)
    below = np.maximum(scale, floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((below == 0) & (apart == 0), 0.0, apart / below)


def _real(name: str, value: npt.ArrayLike) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InvalidType(f"parameters[{name!r}] must hold real numbers. Got dtype {array.dtype}")
    return array.astype(np.float64)
