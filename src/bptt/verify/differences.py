"""Derivatives of a loss from values of the loss alone: a step along the imaginary axis, and central differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.errors import InvalidInput

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

# Its square is far below the rounding of anything, so the real part is the unperturbed value to the last bit.
COMPLEX_STEP = 1e-20

# Central differences try the widest step first: it rounds best. A step that straddles a kink, or a strong bend, shows
# as two differences (over one and two steps) that disagree; then the next one is tried.
CENTRAL_STEPS = (3e-4, 1e-5, 1e-6)
AGREEMENT = 1e-5

# Central differences cannot see below this many roundings of the loss, divided by the step.
ROUNDINGS = 16.0

# Perturbed copies of a tensor are made in chunks of at most this many numbers.
CHUNK = 2_000_000


@dataclass(frozen=True)
class Direction:
    """A way to move a tensor: the flat indices of its entries that move, and by how many steps."""

    where: npt.NDArray[np.intp]
    signs: Reals

    def along(self, gradient: Array) -> float:
        """Return the derivative in this direction that `gradient` claims."""
        return float(gradient.reshape(-1)[self.where] @ self.signs)

    def halves(self) -> tuple[Direction, Direction]:
        """Return the direction in two parts."""
        middle = len(self.where) // 2
        return (
            Direction(self.where[:middle], self.signs[:middle]),
            Direction(self.where[middle:], self.signs[middle:]),
        )


@dataclass(frozen=True)
class Problem:
    """A loss as a function of named tensors.

    Attributes
    ----------
    tensors : mapping of str to float64 array
        The point where derivatives are taken.
    losses : callable (name, variants) -> (P,)
        The loss with tensor `name` replaced by each of `variants` (P, *shape), the others as they are. `variants` are
        float64 or complex128, and the losses are of the same kind.
    slices : mapping of str to int
        The axis along which a tensor is judged slice by slice, each against its own largest entry.
    magnitude : float
        Size of the terms that add up to the loss: what its rounding error is relative to.
    """

    tensors: Mapping[str, Array]
    losses: Callable[[str, Array], Array]
    slices: Mapping[str, int] = field(default_factory=dict)
    magnitude: float = 1.0


def single(index: int) -> Direction:
    """Return the direction of one entry."""
    return Direction(np.array([index], np.intp), np.ones(1))


def complex_step(problem: Problem, name: str, directions: Sequence[Direction]) -> Reals:
    """Return imag(L(tensor + i e direction)) / e for each direction.

    References
    ----------
    Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions",
    doi 10.1137/S003614459631241X.
    """
    tensor = problem.tensors[name].astype(np.complex128)
    found = _values(problem, name, tensor, directions, np.full(len(directions), COMPLEX_STEP) * 1j)
    return np.imag(found) / COMPLEX_STEP


def central_differences(
    problem: Problem, name: str, directions: Sequence[Direction], groups: npt.NDArray[np.intp]
) -> tuple[Reals, Reals]:
    """Return fourth-order differences for each direction, and the size of their rounding error.

    Parameters
    ----------
    groups : ndarray (len(directions),)
        Directions with the same number are judged against the largest derivative among them.

    Notes
    -----
    (4 D1 - D2) / 3 with D1 = (L(p + h) - L(p - h)) / 2h and D2 the same over 2h. The step is chosen by how well D1 and
    D2 agree, never by the gradient that is being checked.
    """
    tensor = problem.tensors[name].astype(np.float64)
    count = len(directions)
    found, gap, steps = np.zeros(count), np.full(count, np.nan), np.ones(count)
    todo = np.arange(count, dtype=np.intp)
    for size in CENTRAL_STEPS:
        some = [directions[int(k)] for k in todo]
        h = np.array([size * _scale(tensor, d) for d in some])
        up, down, up2, down2 = (
            _values(problem, name, tensor, some, factor * h) for factor in (1.0, -1.0, 2.0, -2.0)
        )
        with np.errstate(invalid="ignore", over="ignore"):  # a loss of inf or NaN ends as a failed comparison
            near, far = (up - down) / (2 * h), (up2 - down2) / (4 * h)
            apart = np.abs(near - far)
            best = (4 * near - far) / 3
        better = ~(apart >= gap[todo])  # anything is better than nothing (NaN)
        taken = todo[better]
        found[taken], gap[taken], steps[taken] = best[better], apart[better], h[better]
        largest = np.array([np.max(np.abs(found[groups == g])) for g in groups])
        todo = np.flatnonzero(gap > AGREEMENT * largest + _rounding(problem, steps))
        if not todo.size:
            break
    return found, _rounding(problem, steps)


def _rounding(problem: Problem, steps: Reals) -> Reals:
    return ROUNDINGS * float(np.finfo(np.float64).eps) * problem.magnitude / steps


def _scale(tensor: Array, direction: Direction) -> float:
    """Return how far one step goes: 1, or the tensor's own size there; a direction of n entries is of length 1."""
    there = np.abs(tensor.reshape(-1)[direction.where])
    largest = float(np.max(there, initial=0.0, where=np.isfinite(there)))
    return max(1.0, largest) / float(np.sqrt(len(direction.where)))


def _values(
    problem: Problem, name: str, tensor: Array, directions: Sequence[Direction], steps: Array
) -> Array:
    """Return the losses at tensor + step * direction."""
    found = [np.zeros(0, tensor.dtype)]
    for chunk in _chunks(len(directions), tensor.size):
        variants = np.repeat(tensor[None], len(chunk), axis=0)
        flat = variants.reshape(len(chunk), -1)
        for row, k in enumerate(chunk):
            flat[row, directions[k].where] += steps[k] * directions[k].signs
        found.append(np.asarray(problem.losses(name, variants)))
    return np.concatenate(found)


def _chunks(count: int, size: int) -> Iterator[range]:
    step = max(1, CHUNK // max(1, size))
    for start in range(0, count, step):
        yield range(start, min(count, start + step))


def problem_of(loss_function: Callable[[dict[str, Array]], Any], tensors: Mapping[str, Array]) -> Problem:
    """Return the problem of any function of a dict of arrays.

    Raises
    ------
    InvalidInput
        The function does not return one number, or drops the imaginary part of complex arrays.
    """

    def losses(name: str, variants: Array) -> Array:
        found = []
        for variant in variants:
            arrays = {key: value.copy() for key, value in tensors.items()}
            arrays[name] = variant.copy()
            found.append(_scalar(loss_function(arrays)))
        return np.array(found, np.complex128 if np.iscomplexobj(variants) else np.float64)

    value = _scalar(loss_function({key: value.copy() for key, value in tensors.items()}))
    if np.iscomplexobj(value):
        raise InvalidInput(f"loss_function must return a real number for real arrays. Got {value!r}")
    return Problem(tensors, losses, magnitude=abs(float(value)))


def check_complex(loss_function: Callable[[dict[str, Array]], Any], tensors: Mapping[str, Array]) -> None:
    """Refuse a function that cannot carry complex arrays to its result."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            value = _scalar(loss_function({key: p.astype(np.complex128) for key, p in tensors.items()}))
    except (TypeError, np.exceptions.ComplexWarning):
        value = 0.0
    if not np.iscomplexobj(value):
        raise InvalidInput(
            "loss_function must carry complex arrays to a complex result for the complex step. Got a real one: "
            'leave out abs, max and float(), or take methods=("central",)'
        )


def _scalar(value: Any) -> Any:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fciub":
        raise InvalidInput(
            f"loss_function must return one number. Got {type(value).__name__} of shape {array.shape}"
        )
    return array.reshape(-1)[0]
