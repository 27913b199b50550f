"""`check_gradients`: any function of a dict of arrays."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.errors import GradientError, InvalidInput, InvalidType
from bptt.verify import check_gradients
from bptt.verify import gradients as documented

Array = npt.NDArray[Any]


def loss(p: dict[str, Array]) -> Any:
    """tanh of a product, squared: complex-safe."""
    h = np.tanh(p["x"] @ p["W"] + p["b"])
    return np.sum(h * h)


def gradients(p: dict[str, Array]) -> dict[str, Array]:
    h = np.tanh(p["x"] @ p["W"] + p["b"])
    da = 2 * h * (1 - h * h)
    return {"W": p["x"].T @ da, "b": da.sum(axis=0), "x": da @ p["W"].T}


@pytest.fixture
def point(rng: np.random.Generator) -> dict[str, Array]:
    return {
        "x": rng.standard_normal((5, 3)),
        "W": rng.standard_normal((3, 4)),
        "b": rng.standard_normal(4),
    }


@pytest.mark.parametrize("methods", [("central",), ("complex",), ("complex", "central")])
def test_right_gradients_pass(methods: tuple[str, ...], point: dict[str, Array]) -> None:
    report = check_gradients(loss, point, gradients(point), methods=methods)
    assert {(row.name, row.method) for row in report.rows} == {(n, m) for n in point for m in methods}
    assert [row.shape for row in report.rows if row.name == "W"] == [(3, 4)] * len(methods)
    assert report.notes == ()


@pytest.mark.parametrize("methods", [("central",), ("complex",)])
def test_one_wrong_entry_is_named_with_both_numbers(
    methods: tuple[str, ...], point: dict[str, Array]
) -> None:
    claimed = gradients(point)
    right = float(claimed["W"][2, 1])
    claimed["W"][2, 1] = right + 0.5
    with pytest.raises(GradientError) as caught:
        check_gradients(loss, point, claimed, methods=methods, max_entries=64)
    message = str(caught.value)
    assert message.startswith("W[2, 1] must agree with ")
    assert f"Got {right + 0.5:+.9e} against " in message
    report = check_gradients(loss, point, claimed, methods=methods, max_entries=64, raise_on_failure=False)
    (row,) = report.failures
    assert row.reference == pytest.approx(right, rel=1e-8)
    assert row.error == pytest.approx(0.5 / np.abs(gradients(point)["W"]).max(), rel=1e-6)


@pytest.mark.parametrize("methods", [("central",), ("complex",)])
@pytest.mark.parametrize("entry", [(0, 0), (13, 7), (39, 24)])
def test_a_wrong_entry_that_was_not_drawn_is_found(
    entry: tuple[int, int], methods: tuple[str, ...], rng: np.random.Generator
) -> None:
    """A thousand entries, three of them taken: the random direction through all of them fails and is halved."""
    point = {"w": rng.standard_normal((40, 25))}
    claimed = {"w": 1 - np.tanh(point["w"]) ** 2}
    one = lambda p: np.sum(np.tanh(p["w"]))  # noqa: E731  # beside its gradient
    assert check_gradients(one, point, claimed, methods=methods, max_entries=3).passed
    claimed["w"][entry] *= 1.01
    report = check_gradients(one, point, claimed, methods=methods, max_entries=3, raise_on_failure=False)
    (row,) = report.failures
    assert row.entry == entry
    assert row.compared == 3
    assert row.found == pytest.approx(1.01 * row.reference, rel=1e-5)


def test_nan_never_passes(point: dict[str, Array]) -> None:
    claimed = gradients(point)
    claimed["b"][2] = np.nan
    report = check_gradients(loss, point, claimed, methods=("central", "complex"), raise_on_failure=False)
    assert [(row.name, row.entry) for row in report.failures] == [("b", (2,)), ("b", (2,))]
    claimed = gradients(point)
    claimed["W"][1, 3] = np.nan
    report = check_gradients(loss, point, claimed, max_entries=2, raise_on_failure=False)
    assert [(row.name, row.entry) for row in report.failures] == [("W", (1, 3))]
    report = check_gradients(lambda p: np.nan * p["w"][0], {"w": [1.0]}, {"w": [0.0]}, raise_on_failure=False)
    assert not report.passed


def test_a_gradient_of_zeros_is_checked_too() -> None:
    one: Callable[[dict[str, Array]], Any] = lambda p: p["a"][0] ** 2 + 0 * p["b"][0]  # noqa: E731
    assert check_gradients(
        one, {"a": [3.0], "b": [1.0]}, {"a": [6.0], "b": [0.0]}, methods=("complex", "central")
    ).passed
    report = check_gradients(
        one, {"a": [3.0], "b": [1.0]}, {"a": [6.0], "b": [1e-3]}, methods=("complex",), raise_on_failure=False
    )
    assert [row.name for row in report.failures] == ["b"]


def test_the_function_gets_copies_and_need_not_be_written_for_complex(point: dict[str, Array]) -> None:
    before = {name: p.copy() for name, p in point.items()}

    def rough(p: dict[str, Array]) -> float:
        value = float(np.sum(np.abs(np.tanh(p["x"] @ p["W"] + p["b"])) ** 2))
        for array in p.values():
            array[...] = 0.0
        return value

    assert check_gradients(rough, point, gradients(point)).passed
    for name, p in point.items():
        np.testing.assert_allclose(p, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 3e-6])
def test_central_differences_keep_clear_of_a_kink(distance: float) -> None:
    """The widest step would straddle it; smaller ones are tried until two differences agree."""
    point = {"w": np.array([distance, -distance, 1.0])}
    report = check_gradients(lambda p: np.sum(np.maximum(p["w"], 0) ** 2 + np.maximum(p["w"], 0)), point,
                             {"w": np.where(point["w"] > 0, 2 * point["w"] + 1, 0.0)})  # fmt: skip
    assert report.worst("central") <= 1e-7


def test_central_differences_of_a_strong_bend() -> None:
    point = {"w": np.array([0.3, -0.2])}
    report = check_gradients(
        lambda p: np.sum(np.sin(300 * p["w"])), point, {"w": 300 * np.cos(300 * point["w"])}
    )
    assert report.worst("central") <= 1e-7


def test_large_numbers_are_stepped_in_their_own_size() -> None:
    point = {"w": np.array([3e6, -5e6])}
    assert check_gradients(lambda p: np.sum(p["w"] ** 2) / 1e12, point, {"w": 2e-12 * point["w"]}).passed


def test_entries_do_not_depend_on_what_else_is_checked(point: dict[str, Array]) -> None:
    claimed = gradients(point)
    both = check_gradients(loss, point, claimed, max_entries=2, methods=("complex",))
    again = check_gradients(loss, point, claimed, max_entries=2, methods=("complex",))
    other = check_gradients(loss, point, claimed, max_entries=2, methods=("complex",), seed=1)
    assert both == again
    assert both != other


def test_entries_by_method(point: dict[str, Array]) -> None:
    both = ("complex", "central")
    report = check_gradients(loss, point, gradients(point), methods=both, max_entries={"central": 2})
    assert {row.compared for row in report.rows if row.method == "central"} == {2}
    assert [row.compared for row in report.rows if row.method == "complex"] == [12, 4, 15]
    report = check_gradients(loss, point, gradients(point), methods=both)
    assert [row.compared for row in report.rows if row.method == "central"] == [8, 4, 8]


def test_parameters_without_a_gradient_are_told(point: dict[str, Array]) -> None:
    report = check_gradients(loss, point, {"b": gradients(point)["b"]})
    assert [row.name for row in report.rows] == ["b"]
    assert report.notes == ("not checked, for want of a gradient: x, W",)


def test_tolerance_by_method(point: dict[str, Array]) -> None:
    claimed = gradients(point)
    claimed["b"] = claimed["b"] * (1 + 1e-5)
    both = ("complex", "central")
    assert check_gradients(loss, point, claimed, methods=both, rtol=1e-4).passed
    report = check_gradients(
        loss, point, claimed, methods=both, rtol={"central": 1e-4}, raise_on_failure=False
    )
    assert [row.method for row in report.failures] == ["complex"]
    assert {row.tolerance for row in report.rows} == {1e-12, 1e-4}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"gradients": {"c": [1.0]}}, InvalidInput, r"^gradients must have names of parameters: w\. Got 'c'$"),
        ({"gradients": {"w": [1.0, 2.0]}}, InvalidInput,
         r"^gradients\['w'\] must have shape \(n0\) = \(3\)\. Got \(2,\): the parameter's shape$"),
        ({"parameters": {"w": ["a"]}}, InvalidType, r"^parameters\['w'\] must hold real numbers\. Got dtype <U1$"),
        ({"methods": "central"}, InvalidInput,
         r"^methods must be a sequence of one or more of complex, central\. Got 'central'$"),
        ({"methods": ()}, InvalidInput, r"^methods must be a sequence of one or more of complex, central\. Got \(\)$"),
        ({"methods": ("forward",)}, InvalidInput, r"^methods must be one of complex, central\. Got 'forward'$"),
        ({"rtol": {"formula": 1.0}}, InvalidInput, r"^rtol must be one of complex, central\. Got 'formula'$"),
        ({"rtol": 0.0}, InvalidInput, r"^rtol must be above 0\. Got 0\.0$"),
        ({"max_entries": 0}, InvalidInput, r"^max_entries must be at least 1\. Got 0$"),
        ({"max_entries": {"formula": 3}}, InvalidInput,
         r"^max_entries must be one of complex, central\. Got 'formula'$"),
        ({"seed": -1}, InvalidInput, r"^seed must be at least 0\. Got -1$"),
        ({"loss_function": lambda p: p["w"]}, InvalidInput,
         r"^loss_function must return one number\. Got ndarray of shape \(3,\)$"),
        ({"loss_function": lambda p: "no"}, InvalidInput, r"^loss_function must return one number\. Got str of shape"),
        ({"loss_function": lambda p: 1j * p["w"][0]}, InvalidInput,
         r"^loss_function must return a real number for real arrays\. Got "),
        ({"methods": ("complex",), "loss_function": lambda p: np.abs(p["w"]).sum()}, InvalidInput,
         r"^loss_function must carry complex arrays to a complex result for the complex step\. Got a real one: leave "
         r'out abs, max and float\(\), or take methods=\("central",\)$'),
        ({"methods": ("complex",), "loss_function": lambda p: float(p["w"][0])}, InvalidInput,
         r"^loss_function must carry"),
        ({"methods": ("complex",), "loss_function": lambda p: p["w"].astype(float).sum()}, InvalidInput,
         r"^loss_function must carry"),
    ],
)  # fmt: skip
def test_messages(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {
        "loss_function": lambda p: np.sum(p["w"] ** 2),
        "parameters": {"w": np.arange(3.0)},
        "gradients": {"w": 2 * np.arange(3.0)},
        **change,
    }
    with pytest.raises(error, match=message):
        check_gradients(given.pop("loss_function"), given.pop("parameters"), given.pop("gradients"), **given)


def test_the_example_in_the_documentation_runs() -> None:
    found = doctest.testmod(documented)
    assert found.attempted
    assert not found.failed
