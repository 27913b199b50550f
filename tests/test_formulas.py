"""Formulas: what the rules allow, and what each refusal says."""

# What is refused looks odd on purpose.
# ruff: noqa: F841, RET504

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.activations import sigmoid, spike, tanh
from bptt.errors import InvalidInput, InvalidType
from bptt.formulas import Formula


def gate(a: Any, c_prev: Any, p: Any) -> Any:
    """A docstring is no statement."""
    i = sigmoid(a + p * c_prev)
    g = -tanh(2 * a) / (1 + i)
    c = +c_prev - i * g  # (1)
    return c, i


def test_names_come_in_the_order_of_the_text() -> None:
    formula = Formula(gate)
    assert formula.arguments == ("a", "c_prev", "p")
    assert formula.results == ("c", "i")
    assert formula.called == {"sigmoid", "tanh"}
    assert not formula.surrogate
    assert repr(formula) == "Formula(gate: a, c_prev, p -> c, i)"
    assert formula.source.startswith("def gate(")
    assert formula.source.endswith("return c, i\n")


def test_numpy_runs_it_on_numbers_arrays_and_complex_numbers(rng: np.random.Generator) -> None:
    formula = Formula(gate)
    a, c, p = rng.standard_normal((3, 4, 5))
    by_hand = 1 / (1 + np.exp(-(a + p * c)))
    np.testing.assert_allclose(formula(a, c, p)[1], by_hand, rtol=1e-14)
    np.testing.assert_allclose(formula(a[1, 2], c[1, 2], p[1, 2])[1], by_hand[1, 2], rtol=1e-14)
    assert np.iscomplexobj(formula(a + 1e-20j, c, p)[0])
    assert formula(*(v.astype("float32") for v in (a, c, p)))[0].dtype == np.float32


def test_one_result_comes_as_a_tuple_too() -> None:
    @Formula
    def twice(a: Any) -> Any:
        b = 2 * a
        return b

    assert twice(3) == (6,)
    assert twice.results == ("b",)


def test_a_surrogate_is_known_by_what_it_calls() -> None:
    def fires(a: Any) -> Any:
        h = spike(a)
        return h

    assert Formula(fires).surrogate


def test_digest_is_that_of_the_text() -> None:
    def first(a: Any) -> Any:
        b = a + 1
        return b

    one = Formula(first)

    def first(a: Any) -> Any:  # type: ignore[no-redef]  # the same text but for a number
        b = a + 2
        return b

    assert Formula(gate).digest == Formula(gate).digest
    assert one.digest != Formula(first).digest


def test_arguments_can_be_functions() -> None:
    def step(a: Any, activation: Any) -> Any:
        h = activation(a)
        return h

    formula = Formula(step, callables=frozenset({"activation"}))
    assert formula(2.0, math.sqrt) == (math.sqrt(2.0),)
    assert formula.arguments == ("a", "activation")


# ------------------------------------------------------------------ what is refused


def no_return(a: Any) -> Any:
    b = a


def only_a_docstring(a: Any) -> Any:
    """Nothing here."""


def branches(a: Any) -> Any:
    if a:
        a = -a
    return a


def adds_in_place(a: Any) -> Any:
    a += 1
    return a


def unpacks(a: Any) -> Any:
    b, c = a, a
    return b, c


def chains(a: Any) -> Any:
    b = c = a
    return b, c


def returns_an_expression(a: Any) -> Any:
    return a + 1


def returns_nothing(a: Any) -> Any:
    return


def returns_a_stranger(a: Any) -> Any:
    return b  # type: ignore[name-defined]  # noqa: F821  # the point


def returns_twice(a: Any) -> Any:
    b = a
    return b, b


def uses_a_stranger(a: Any) -> Any:
    b = a * tau  # type: ignore[name-defined]  # noqa: F821  # the point
    return b


def uses_a_global(a: Any) -> Any:
    b = a * math.pi
    return b


def uses_true(a: Any) -> Any:
    b = a * True
    return b


def uses_a_complex_number(a: Any) -> Any:
    b = a * 1j
    return b


def squares(a: Any) -> Any:
    b = a**2
    return b


def compares(a: Any) -> Any:
    b = a > 0
    return b


def indexes(a: Any) -> Any:
    b = a[0]
    return b


def negates(a: Any) -> Any:
    b = not a
    return b


def takes_abs(a: Any) -> Any:
    b = abs(a)
    return b


def calls_numpy(a: Any) -> Any:
    b = np.tanh(a)
    return b


def names_an_argument(a: Any) -> Any:
    b = tanh(a=a)  # type: ignore[call-arg]
    return b


def has_a_default(a: Any, b: Any = 1) -> Any:
    return a, b


def has_more(*a: Any) -> Any:
    return a


REFUSED: list[tuple[Callable[..., Any], int, str]] = [
    (no_return, 0, "a formula must end in `return` of one or more names. Got `def no_return(a: Any) -> Any:`"),
    (only_a_docstring, 0,
     "a formula must end in `return` of one or more names. Got `def only_a_docstring(a: Any) -> Any:`"),
    (branches, 1, "a formula holds only assignments `name = expression` and one return: no if, loop, augmented or "
     "multiple assignment (select with relu or step). Got `if a:`"),
    (adds_in_place, 1, "a formula holds only assignments `name = expression` and one return: no if, loop, augmented or "
     "multiple assignment (select with relu or step). Got `a += 1`"),
    (unpacks, 1, "a formula holds only assignments `name = expression` and one return: no if, loop, augmented or "
     "multiple assignment (select with relu or step). Got `b, c = (a, a)`"),
    (chains, 1, "a formula holds only assignments `name = expression` and one return: no if, loop, augmented or "
     "multiple assignment (select with relu or step). Got `b = c = a`"),
    (returns_an_expression, 1, "return plain names, so that each result has one. Got `return a + 1`"),
    (returns_nothing, 1, "return plain names, so that each result has one. Got `return`"),
    (returns_a_stranger, 1, "`b` is not an argument and was not assigned above. Got `return b`"),
    (returns_twice, 2, "each result must be returned once. Got `return (b, b)`"),
    (uses_a_stranger, 1, "`tau` is not an argument and was not assigned above: pass it as an argument (constants and "
     "vectors are declared on the cell). Got `tau`"),
    (uses_a_global, 1, "expressions are names, numbers, + - * / and calls of functions of bptt.activations by name. "
     "Got `math.pi`"),
    (uses_true, 1, "literals must be real numbers. Got `True`"),
    (uses_a_complex_number, 1, "literals must be real numbers. Got `1j`"),
    (squares, 1, "operators are + - * / (write a * a for a square). Got `a ** 2`"),
    (compares, 1, "expressions are names, numbers, + - * / and calls of functions of bptt.activations by name. "
     "Got `a > 0`"),
    (indexes, 1, "expressions are names, numbers, + - * / and calls of functions of bptt.activations by name. "
     "Got `a[0]`"),
    (negates, 1, "expressions are names, numbers, + - * / and calls of functions of bptt.activations by name. "
     "Got `not a`"),
    (takes_abs, 1, "`abs` is not one of tanh, tanh_derivative, sigmoid, sigmoid_derivative, relu, relu_derivative, "
     "identity, identity_derivative, softplus, softplus_derivative, exp, exp_derivative, log, sqrt, step, spike, "
     "spike_derivative. Got `abs(a)`"),
    (calls_numpy, 1, "expressions are names, numbers, + - * / and calls of functions of bptt.activations by name. "
     "Got `np.tanh(a)`"),
    (names_an_argument, 1, "expressions are names, numbers, + - * / and calls of functions of bptt.activations by "
     "name. Got `tanh(a=a)`"),
    (has_a_default, 0, "arguments are plain names without defaults. Got "
     "`def has_a_default(a: Any, b: Any=1) -> Any:`"),
    (has_more, 0, "arguments are plain names without defaults. Got `def has_more(*a: Any) -> Any:`"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "below", "message"), REFUSED, ids=lambda v: getattr(v, "__name__", ""))
def test_refusal_names_function_line_rule_and_text(
    function: Callable[..., Any], below: int, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        Formula(function)
    line = function.__code__.co_firstlineno + below
    assert str(caught.value) == f"{function.__name__}, line {line}: {message}"


def test_the_line_is_right_under_a_decorator() -> None:
    class Mine:
        @staticmethod
        def forward(a: Any) -> Any:
            b = tanh(a)
            c = abs(b)
            return c

    first = Mine.forward.__code__.co_firstlineno
    with pytest.raises(InvalidInput, match=rf"^Mine\.forward, line {first + 3}: `abs` is not one of"):
        Formula(Mine.forward, where="Mine.forward")


def test_a_function_of_the_same_name_is_not_ours() -> None:
    tanh = math.tanh

    def masked(a: Any) -> Any:
        b = tanh(a)
        return b

    with pytest.raises(
        InvalidInput, match=r"`tanh` here is not bptt\.activations\.tanh: import it from there\. Got"
    ):
        Formula(masked)


def test_a_local_name_hides_the_function() -> None:
    def masked(a: Any) -> Any:
        tanh = 2 * a
        b = tanh(a)
        return b

    with pytest.raises(InvalidInput, match=r"`tanh` here is not bptt\.activations\.tanh"):
        Formula(masked)


def test_function_arguments_are_called_and_never_assigned() -> None:
    def adds(a: Any, f: Any) -> Any:
        b = a + f
        return b

    def assigns(a: Any, f: Any) -> Any:
        f = a
        return f

    with pytest.raises(InvalidInput, match=r"line \d+: `f` is a function: call it\. Got `f`$"):
        Formula(adds, callables=frozenset({"f"}))
    with pytest.raises(
        InvalidInput, match=r"line \d+: `f` is a function: assign to another name\. Got `f = a`$"
    ):
        Formula(assigns, callables=frozenset({"f"}))


def test_only_functions_written_with_def_in_a_file() -> None:
    with pytest.raises(
        InvalidType, match=r"^formula must be a plain function\. Got <built-in function sqrt>$"
    ):
        Formula(math.sqrt)
    with pytest.raises(InvalidType, match=r"^mine must be a plain function\. Got 3$"):
        Formula(3, where="mine")  # type: ignore[arg-type]  # the point
    small = lambda a: a  # noqa: E731  # the point
    with pytest.raises(InvalidInput, match=r"must be written with def\. Got `small = lambda a: a"):
        Formula(small)
    made: dict[str, Any] = {}
    exec("def f(a):\n    b = a\n    return b\n", made)  # noqa: S102  # text that no file holds
    with pytest.raises(InvalidInput, match=(
        r"^mine: its source text must be readable, to check and compile it\. Got a function typed at a prompt or built "
        r"by exec: put it in a file$"
    )):  # fmt: skip
        Formula(made["f"], where="mine")
