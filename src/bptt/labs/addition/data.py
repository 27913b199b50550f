"""Sums of two numbers as sequences of digits, in the ways that two numbers can be written one digit a step."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_choice, check_whole
from bptt.errors import InvalidInput

Array = npt.NDArray[Any]
Digits = npt.NDArray[np.int64]

TEN = 10


@dataclass(frozen=True, eq=False)
class Examples:
    """Sequences, what is to be answered at each step, and which steps count.

    Attributes
    ----------
    x : ndarray (N, T, D), float32
        One digit a step, one-hot in D = 10 numbers; side by side two digits a step, D = 20. Zeros: no digit.
    y : ndarray (N, T), int64
        Digits of the sum; 0 where the step does not count.
    weights : ndarray (N, T), float32
        1 where a digit of the sum is due.
    """

    x: Array
    y: Digits
    weights: Array


@dataclass(frozen=True)
class Encoding:
    """A way to write two numbers as a sequence: `encode` takes pairs (2, N, n), units first."""

    title: str
    inputs: int
    encode: Callable[[Digits], Examples]


def digits_of(number: int, width: int) -> list[int]:
    """Return a number's digits with leading zeros, most significant first, as the assignment prints them.

    Examples
    --------
    >>> digits_of(142857, 10)
    [0, 0, 0, 0, 1, 4, 2, 8, 5, 7]
    """
    check_whole("width", width)
    if not 0 <= number < TEN**width:
        raise InvalidInput(f"number must lie in 0..10^width - 1 with width = {width}. Got {number}")
    return [int(digit) for digit in f"{number:0{width}d}"]


def draw_pairs(
    rng: np.random.Generator,
    count: int,
    digits: int,
    *,
    full: bool = False,
    unlike: AbstractSet[bytes] = frozenset(),
) -> Digits:
    """Draw pairs of numbers (2, count, digits), units first.

    Parameters
    ----------
    full : bool
        Whether the first digit of each number is 1 to 9, so that it has that many digits; else zeros may lead.
    unlike : set of bytes
        Pairs that must not come up, from `keys`.
    """
    found = np.empty((2, 0, digits), np.int64)
    while found.shape[1] < count:
        more = rng.integers(0, TEN, (2, count - found.shape[1], digits))
        if full:
            more[:, :, -1] = rng.integers(1, TEN, more.shape[:2])
        if unlike:
            new = np.array([key not in unlike for key in keys(more)])
            more = more[:, new]
        found = np.concatenate([found, more], axis=1)
    return found


def keys(pairs: Digits) -> list[bytes]:
    """Return what tells each pair from any other, of whatever width: two numbers without leading zeros."""
    a, b = (["".join(map(str, row[::-1])).lstrip("0") for row in number] for number in pairs)
    return [f"{one}+{other}".encode() for one, other in zip(a, b, strict=True)]


def carry_through(rng: np.random.Generator, count: int, digits: int) -> Digits:
    """Draw pairs whose sum carries from the units through every digit: units that make 10, then pairs that make 9."""
    a = rng.integers(0, TEN, (count, digits))
    a[:, 0] = rng.integers(1, TEN, count)
    b = 9 - a
    b[:, 0] += 1
    return np.stack([a, b])


def sum_digits(pairs: Digits) -> Digits:
    """Return the digits of the sums (N, n + 1), units first."""
    a, b = pairs
    carry = np.zeros(len(a), np.int64)
    found = []
    for k in range(a.shape[1]):
        total = a[:, k] + b[:, k] + carry
        found.append(total % TEN)
        carry = total // TEN
    return np.stack([*found, carry], axis=1)


def interleaved(pairs: Digits) -> Examples:
    """Write a_0 b_0 a_1 b_1 ..., units first, a zero of each last; a digit of the sum is due when b's has been read."""
    digits = _with_zero(pairs)
    return _in_turns(digits, sum_digits(pairs))


def most_significant_first(pairs: Digits) -> Examples:
    """Write the same from the other end: leading zeros, highest digits first, as the assignment prints its number."""
    return _in_turns(_with_zero(pairs)[:, :, ::-1], sum_digits(pairs)[:, ::-1])


def side_by_side(pairs: Digits) -> Examples:
    """Write both digits at once, units first: 20 inputs, so not the assignment's x_t in R^10."""
    a, b = _one_hot(_with_zero(pairs))
    y = sum_digits(pairs)
    return Examples(np.concatenate([a, b], axis=2), y, np.ones(y.shape, np.float32))


def concatenated(pairs: Digits) -> Examples:
    """Write all of a, then all of b and a zero, units first; a digit of the sum is due when b's has been read."""
    a, b = _with_zero(pairs)
    n = pairs.shape[2]
    y = np.concatenate([np.zeros((len(a), n), np.int64), sum_digits(pairs)], axis=1)
    weights = np.zeros(y.shape, np.float32)
    weights[:, n:] = 1
    return Examples(_one_hot(np.concatenate([a[:, :n], b], axis=1)), y, weights)


def first_and_last(rng: np.random.Generator, count: int, steps: int) -> tuple[Array, Digits]:
    """Draw digits of which the first and the last are to be added; those between do not count.

    Returns
    -------
    x : ndarray (count, steps, 10), float32
    y : ndarray (count,), int64
        The last digit of the sum.
    """
    digits = rng.integers(0, TEN, (count, check_whole("steps", steps, least=2)))
    return _one_hot(digits), (digits[:, 0] + digits[:, -1]) % TEN


ENCODINGS = {
    "interleaved": Encoding("interleaved, units first", TEN, interleaved),
    "side_by_side": Encoding("side by side, units first", 2 * TEN, side_by_side),
    "concatenated": Encoding("one after the other, units first", TEN, concatenated),
    "most_significant": Encoding("interleaved, highest digit first", TEN, most_significant_first),
}


def get_encoding(name: str) -> Encoding:
    """Return an encoding by name."""
    return ENCODINGS[check_choice("encoding", name, ENCODINGS)]


def best_without_the_carry(digits: int) -> tuple[float, float]:
    """Return the best share of digits and of whole sums that can be right with the highest digit first.

    A digit of the sum hangs on the carry from the digits below, which have not been read: with j of them it is 1 with
    probability p_j, where p_0 = 0 and p_(j+1) = 0.45 + 0.1 p_j (two digits make 10 or more with probability 0.45, and
    9 with 0.1). Whatever is computed from what has been read, max(p_j, 1 - p_j) of such digits are right at best. A
    whole sum is right if every guess is: each digit read confirms the guess before it with probability at most
    0.55, that of no carry after no carry.

    Returns
    -------
    share_of_digits, share_of_sums : float
        For numbers of `digits` digits drawn evenly, leading zeros included.
    """
    p, best = 0.0, []
    for _ in range(check_whole("digits", digits) + 1):
        best.append(max(p, 1 - p))
        p = 0.45 + 0.1 * p
    return float(np.mean(best)), 0.55**digits


def _with_zero(pairs: Digits) -> Digits:
    """Return the pairs with a leading zero: the sum may have a digit more."""
    return np.concatenate([pairs, np.zeros((*pairs.shape[:2], 1), np.int64)], axis=2)


def _in_turns(digits: Digits, sums: Digits) -> Examples:
    """Write a's and b's digits in turns; b's steps answer."""
    a, b = digits
    sequence = np.stack([a, b], axis=2).reshape(len(a), -1)
    y = np.zeros(sequence.shape, np.int64)
    y[:, 1::2] = sums
    weights = np.zeros(sequence.shape, np.float32)
    weights[:, 1::2] = 1
    return Examples(_one_hot(sequence), y, weights)


def _one_hot(digits: Digits) -> Array:
    return np.eye(TEN, dtype=np.float32)[digits]
