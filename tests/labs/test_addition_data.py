"""Digits, sums and the ways to write them, against Python's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.labs.addition.data import (
    ENCODINGS,
    best_without_the_carry,
    carry_through,
    digits_of,
    draw_pairs,
    first_and_last,
    get_encoding,
    keys,
    sum_digits,
)

N, DIGITS = 40, 7


def number(digits: np.ndarray) -> int:
    """Digits, units first, as a number."""
    return int("".join(str(d) for d in digits[::-1]))


def test_the_assignments_example() -> None:
    assert digits_of(142857, 10) == [0, 0, 0, 0, 1, 4, 2, 8, 5, 7]
    assert digits_of(0, 3) == [0, 0, 0]
    for wrong in (-1, 1000):
        with pytest.raises(
            InvalidInput, match=r"^number must lie in 0\.\.10\^width - 1 with width = 3\. Got "
        ):
            digits_of(wrong, 3)


def test_sums_are_pythons(rng: np.random.Generator) -> None:
    pairs = draw_pairs(rng, N, DIGITS)
    assert pairs.shape == (2, N, DIGITS)
    sums = sum_digits(pairs)
    for k in range(N):
        assert number(sums[k]) == number(pairs[0, k]) + number(pairs[1, k])


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_each_encoding_can_be_read_back(name: str, rng: np.random.Generator) -> None:
    pairs = draw_pairs(rng, N, DIGITS)
    encoding = get_encoding(name)
    examples = encoding.encode(pairs)
    steps = {"side_by_side": DIGITS + 1, "concatenated": 2 * DIGITS + 1}.get(name, 2 * DIGITS + 2)
    assert examples.x.shape == (N, steps, encoding.inputs)
    assert examples.x.dtype == np.float32
    assert set(np.unique(examples.x)) == {0.0, 1.0}
    # One digit a step is one 1 in ten places; side by side there are two.
    assert (examples.x.sum(axis=2) == encoding.inputs // 10).all()
    read = examples.x.reshape(N, steps, -1, 10).argmax(axis=3)
    for k in range(N):
        said = examples.y[k][examples.weights[k] > 0]
        if name == "side_by_side":
            a, b = read[k, :, 0], read[k, :, 1]
        elif name == "concatenated":
            a, b = read[k, :DIGITS, 0], read[k, DIGITS:, 0]
        else:
            a, b = read[k, ::2, 0], read[k, 1::2, 0]
        if name == "most_significant":
            a, b, said = a[::-1], b[::-1], said[::-1]
        assert (number(a), number(b)) == (number(pairs[0, k]), number(pairs[1, k]))
        assert number(said) == number(a) + number(b)


def test_a_digit_is_due_only_once_its_operands_have_been_read() -> None:
    assert get_encoding("interleaved").encode(np.zeros((2, 1, 3), int)).weights[0].tolist() == [0, 1] * 4
    assert (
        get_encoding("concatenated").encode(np.zeros((2, 1, 3), int)).weights[0].tolist() == [0] * 3 + [1] * 4
    )
    with pytest.raises(InvalidInput, match=r"^encoding must be one of"):
        get_encoding("roman")


def test_pairs_to_judge_by_are_new_and_as_long_as_they_should_be(rng: np.random.Generator) -> None:
    seen = draw_pairs(rng, 90, 1)
    known = frozenset(keys(seen))
    assert len(known) < 90
    fresh = draw_pairs(rng, 300, 1, unlike=known)
    assert fresh.shape == (2, 300, 1)
    assert not known & set(keys(fresh))
    # The same numbers are the same pair, however many zeros lead.
    assert keys(np.concatenate([seen, np.zeros((2, 90, 4), int)], axis=2)) == keys(seen)
    assert (draw_pairs(rng, 200, 4, full=True)[:, :, -1] > 0).all()
    assert not (draw_pairs(rng, 200, 4)[:, :, -1] > 0).all()


def test_carries_go_through_every_digit(rng: np.random.Generator) -> None:
    pairs = carry_through(rng, N, DIGITS)
    assert ((pairs >= 0) & (pairs <= 9)).all()
    for k in range(N):
        assert number(pairs[0, k]) + number(pairs[1, k]) == 10**DIGITS
    assert len(set(keys(pairs))) == N


def test_first_and_last(rng: np.random.Generator) -> None:
    x, y = first_and_last(rng, N, 6)
    digits = x.argmax(axis=2)
    np.testing.assert_array_equal(y, (digits[:, 0] + digits[:, 5]) % 10)
    with pytest.raises(InvalidInput, match=r"^steps must be"):
        first_and_last(rng, N, 1)


@pytest.mark.parametrize("digits", [1, 2])
def test_the_bound_without_the_carry_is_what_the_best_guesses_reach(digits: int) -> None:
    """Every pair of numbers, and every table of guesses that sees the digits read so far."""
    width = 10**digits
    a, b = np.divmod(np.arange(width * width), width)
    shares, carries = [], []
    for j in range(digits + 1):
        # Into digit j of the sum, from the j digits below; what has been read by then is independent of it.
        carry = (a % 10**j + b % 10**j) >= 10**j
        carries.append(carry)
        shares.append(max(carry.mean(), 1 - carry.mean()))
    of_digits, of_sums = best_without_the_carry(digits)
    assert of_digits == pytest.approx(np.mean(shares), rel=1e-12)
    # Guesses made with the digits above in sight: the top one blind, the next seeing one more digit of each number.
    best = 0.0
    if digits == 1:
        best = shares[1]
    else:
        top = (a // 10 + b // 10) * 1  # the sum of the higher digits, read before the second guess
        for first in (False, True):
            total = 0
            for value in range(19):
                here = top == value
                total += max(
                    (here & (carries[2] == first) & (carries[1] == second)).sum() for second in (False, True)
                )
            best = max(best, total / len(a))
    assert of_sums == pytest.approx(best, rel=1e-12)
