"""Checks at the public border: what passes, and every message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.checks import check_array, check_choice, check_dtype, check_lengths, check_number, check_whole
from bptt.errors import InvalidInput, InvalidType

ANY = [("B", None), ("T", None), ("D", 3)]


def test_array_is_passed_through_without_a_copy() -> None:
    x = np.zeros((2, 4, 3))
    assert check_array("x", x, ANY) is x
    assert check_array("x", x, ANY, dtype=np.dtype("float64")) is x


def test_array_takes_what_numpy_takes_and_converts() -> None:
    found = check_array("x", [[1, 2], [3, 4]], [("n", 2), ("m", None)], dtype=np.dtype("float32"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[1, 2], [3, 4]], rtol=0, atol=0)
    assert check_array("x", True, []).shape == ()


def test_complex_stays_complex() -> None:
    assert check_array("x", [1j], [("n", 1)], dtype=np.dtype("float32")).dtype == np.complex128


@pytest.mark.parametrize(
    ("value", "options", "error", "message"),
    [
        (np.zeros((2, 4)), {}, InvalidInput, "x must have shape (B, T, D) = (*, *, 3). Got (2, 4)"),
        (np.zeros((50, 8, 4)), {"reason": "the model was fitted with D = 3 features"}, InvalidInput,
         "x must have shape (B, T, D) = (*, *, 3). Got (50, 8, 4): the model was fitted with D = 3 features"),
        ([[1.0], [1.0, 2.0]], {}, InvalidType,
         "x must be a rectangular array of numbers. Got nested sequences of unequal length: "
         "pad them and pass lengths="),
        ([["a"]], {}, InvalidType, "x must hold numbers. Got dtype <U1"),
        ([[None]], {}, InvalidType, "x must hold numbers. Got dtype object"),
    ],
)  # fmt: skip
def test_array_messages(value: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_array("x", value, ANY, **options)
    assert str(caught.value) == message


def test_lengths() -> None:
    assert check_lengths(None, 2, 5) is None
    assert check_lengths([5, 5], 2, 5) is None
    found = check_lengths(np.array([3, 5], np.uint8), 2, 5)
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([1.0, 2.0], InvalidType, "lengths must be whole numbers. Got dtype float64"),
        ([True, False], InvalidType, "lengths must be whole numbers. Got dtype bool"),
        ([[1], [1, 2]], InvalidType, "lengths must be a flat sequence of whole numbers. Got nested sequences"),
        ([1, 2, 3], InvalidInput, "lengths must have shape (B,) = (2,). Got (3,)"),
        ([1, 6], InvalidInput,
         "lengths must lie in 1..T = 1..5. Got 6 in row 1: drop empty sequences, or pass a longer x"),
        ([0, 5], InvalidInput,
         "lengths must lie in 1..T = 1..5. Got 0 in row 0: drop empty sequences, or pass a longer x"),
    ],
)  # fmt: skip
def test_lengths_messages(lengths: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_lengths(lengths, 2, 5)
    assert str(caught.value) == message


def test_dtype() -> None:
    for dtype in ("float32", np.float32, np.dtype("float64"), float):
        assert check_dtype(dtype).name in ("float32", "float64")


@pytest.mark.parametrize("dtype", ["float16", "int64", "complex128", "double precision", object()])
def test_dtype_message(dtype: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_dtype(dtype)
    assert str(caught.value) == f"dtype must be one of float32, float64. Got {dtype!r}"


def test_whole() -> None:
    assert check_whole("n", np.int32(3)) == 3
    assert type(check_whole("n", np.int32(3))) is int
    assert check_whole("n", 0, least=0) == 0


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (2.0, InvalidType, "n must be a whole number. Got 2.0"),
        ("2", InvalidType, "n must be a whole number. Got '2'"),
        (True, InvalidType, "n must be a whole number. Got True"),
        (0, InvalidInput, "n must be at least 1. Got 0"),
    ],
)
def test_whole_messages(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_whole("n", value)
    assert str(caught.value) == message


def test_number() -> None:
    assert check_number("r", 1) == 1.0
    assert type(check_number("r", np.float32(0.5))) is float
    assert check_number("r", 0.0, least=0.0, below=1.0) == 0.0


@pytest.mark.parametrize(
    ("value", "limits", "error", "message"),
    [
        ("1", {}, InvalidType, "r must be a number. Got '1'"),
        (True, {}, InvalidType, "r must be a number. Got True"),
        (1j, {}, InvalidType, "r must be a number. Got 1j"),
        (float("inf"), {}, InvalidInput, "r must be finite. Got inf"),
        (-0.5, {"least": 0.0}, InvalidInput, "r must be at least 0. Got -0.5"),
        (0.0, {"above": 0.0}, InvalidInput, "r must be above 0. Got 0.0"),
        (1.0, {"below": 1.0}, InvalidInput, "r must be below 1. Got 1.0"),
        (float("nan"), {"least": 0.0, "below": 1.0}, InvalidInput,
         "r must be finite and at least 0 and below 1. Got nan"),
    ],
)  # fmt: skip
def test_number_messages(value: Any, limits: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_number("r", value, **limits)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["c", 3, None, ["a"]])
def test_choice(value: Any) -> None:
    assert check_choice("way", "a", ("a", "b")) == "a"
    assert check_choice("way", "b", {"a": 1, "b": 2}) == "b"
    with pytest.raises(InvalidInput) as caught:
        check_choice("way", value, ("a", "b"))
    assert str(caught.value) == f"way must be one of a, b. Got {value!r}"
