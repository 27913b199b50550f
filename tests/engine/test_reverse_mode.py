"""Derived backwards against forward-mode numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import FUNCTIONS, sigmoid, tanh
from bptt.cells import Cell
from bptt.cells.registry import CELLS
from bptt.engine.compiled.equations.reverse_mode import RULES, derive_backward
from bptt.engine.forward_mode import pull_back
from bptt.formulas import Formula
from tests.engine.own_cells import OWN


def evaluate(text: str, values: dict[str, Any], functions: dict[str, Any]) -> dict[str, Any]:
    space: dict[str, Any] = {**FUNCTIONS, **functions}
    exec(text, space)  # noqa: S102  # the text under test
    function = space["backward"]
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    results = text.rstrip().splitlines()[-1].split("return ")[1].split(", ")
    found = function(*(values[n] for n in names))
    return dict(zip(results, found if isinstance(found, tuple) else (found,), strict=True))


@pytest.mark.parametrize("cell", [cls() for cls in (*CELLS.values(), *OWN)], ids=repr)
def test_a_derived_backward_is_the_derivative(cell: Cell, rng: np.random.Generator) -> None:
    for stage in cell.plan.stages:
        values: dict[str, Any] = {}
        for s in stage.inputs:
            fixed = {"constant": cell.options, "function": cell.bound_functions}.get(s.kind)
            values[s.name] = rng.standard_normal((3, 5)) if fixed is None else fixed[s.key]
        gradients = {r: rng.standard_normal((3, 5)) for r in stage.forward.results}
        expected = pull_back(stage, [values[s.name] for s in stage.inputs], gradients)
        text = derive_backward(stage.forward, [s.name for s in stage.differentiable], gradients)
        found = evaluate(text, {**values, **{f"d{r}": g for r, g in gradients.items()}}, cell.bound_functions)
        assert found.keys() == expected.keys()
        for name, d in expected.items():
            np.testing.assert_allclose(np.broadcast_to(found[name], d.shape), d, rtol=1e-12, atol=1e-14)


def test_a_result_without_a_gradient_counts_as_nothing() -> None:
    def forward(a: Any, b: Any) -> Any:
        a = a * 2  # a name may be assigned again
        u = tanh(a)
        w = sigmoid(b) / u
        return u, w

    text = derive_backward(Formula(forward), ["a", "b"], ["u"])
    found = evaluate(text, {"a": np.array([0.3]), "b": np.array([0.7]), "du": np.array([1.5])}, {})
    np.testing.assert_allclose(found["da"], 1.5 * 2 * (1 - np.tanh(0.6) ** 2), rtol=1e-14)
    assert found["db"] == 0


def test_every_function_has_a_rule() -> None:
    assert RULES.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", [n for n in RULES if n not in ("step", "spike", "relu_derivative")])
def test_rules_are_derivatives(name: str, rng: np.random.Generator) -> None:
    a = rng.uniform(0.1, 0.9, 50)
    rule = RULES[name]
    expected = np.imag(FUNCTIONS[name](a + 1e-20j)) / 1e-20
    text = "0" if rule is None else rule.format(a="a", y="y")
    found = eval(text, {**FUNCTIONS, "a": a, "y": FUNCTIONS[name](a)})  # noqa: S307  # a rule of ours
    np.testing.assert_allclose(np.broadcast_to(found, a.shape), expected, rtol=1e-12)
