"""The grader's own gradients are right, each mistake is one, and no two are the same."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt.verify import check_gradients
from bptt.verify.mistakes import (
    GIVEN,
    HALF_SQUARED,
    RIGHT,
    SOFTMAX,
    SQUARED,
    SUMS,
    WAY_BACK,
    Case,
    Mistake,
    gradient_of_paths,
    gradients,
    judge,
    state_gradients,
)
from tests.errata.proof import ours, same

T, D, H, K = 6, 3, 5, 4
ALL = tuple(dict.fromkeys(GIVEN + SQUARED + HALF_SQUARED + SOFTMAX + WAY_BACK + SUMS))
# Two orders of adding the same numbers.
SAME = 1e-12
FAR = 1e-3

Tensors = dict[str, Any]


def forward(p: Tensors, x: Any) -> tuple[Any, Any]:
    h = [p["h0"]]
    for x_t in x:
        h.append(np.tanh(p["W"] @ h[-1] + p["U"] @ x_t + p["b"]))
    return np.array(h), np.array(h[1:]) @ p["V"].T + p["c"]


def draw(rng: np.random.Generator) -> tuple[Tensors, Any, Any]:
    shapes = {"U": (H, D), "W": (H, H), "V": (K, H), "b": (H,), "c": (K,), "h0": (H,)}
    p = {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}
    return p, rng.standard_normal((T, D)), rng.standard_normal((T, K))


def make_case(p: Tensors, x: Any, dy: Any) -> Case:
    h, _ = forward(p, x)
    others = {m.name: dy * (k + 3.1) ** 0.5 for k, m in enumerate(SOFTMAX)}
    return Case(x, h, dy, p["W"], p["V"], others)


def named(found: Tensors) -> Tensors:
    return {**{name: found[name] for name in ("U", "W", "V", "b", "c")}, "h0": found["h"][0]}


def test_the_right_rules_are_right(rng: np.random.Generator) -> None:
    p, x, dy = draw(rng)
    found = gradients(make_case(p, x, dy))
    check_gradients(
        lambda q: np.sum(forward(q, x)[1] * dy),
        p,
        named(found),
        methods=("complex", "central"),
        max_entries=1000,
    )


def test_the_right_rules_agree_with_bptt(rng: np.random.Generator) -> None:
    p, x, dy = draw(rng)
    p["h0"] = np.zeros(H)  # as there
    letters = {"U": "W_xh", "W": "W_hh", "V": "W_hy", "b": "b_h", "c": "b_y"}
    _, wanted = ours(letters, {name: p[name] for name in letters}, x, lambda _: dy)
    found = gradients(make_case(p, x, dy))
    same({name: found[name] for name in letters}, wanted)


def test_the_parts_by_path_length_add_up(rng: np.random.Generator) -> None:
    p, x, dy = draw(rng)
    case = make_case(p, x, dy)
    parts = [gradient_of_paths(case, size) for size in range(T)]
    np.testing.assert_allclose(np.sum(parts, axis=0), gradients(case)["W"], rtol=0, atol=SAME)
    assert all(np.max(np.abs(part)) > FAR for part in parts)


def differ(a: Any, b: Any) -> bool:
    return a.shape != b.shape or bool(np.max(np.abs(a - b)) > 1e-6 * np.max(np.abs(b)))


@pytest.mark.parametrize("mistake", ALL, ids=lambda m: m.name)
def test_each_mistake_is_one(mistake: Mistake, rng: np.random.Generator) -> None:
    case = make_case(*draw(rng))
    right, found = gradients(case), gradients(case, mistake.change(RIGHT))
    assert any(differ(found[name], right[name]) for name in right)
    assert mistake.says.format(W="W", U="U", V="V", h="h", x="x")


def test_no_two_mistakes_are_the_same(rng: np.random.Generator) -> None:
    case = make_case(*draw(rng))
    # The three spellings of a sign are one mistake in three places.
    found = {m.name: gradients(case, m.change(RIGHT)) for m in ALL if m.name != "negated"}
    for one, other in itertools.combinations(found, 2):
        assert any(differ(found[one][name], found[other][name]) for name in found[one]), (one, other)


def test_a_mistake_in_one_tensor_of_two_is_named_there(rng: np.random.Generator) -> None:
    cases = [make_case(*draw(rng)) for _ in range(2)]
    right = [gradients(case) for case in cases]
    found = [{**each, "W": each["W"].T, "b": -each["b"]} for each in right]
    verdicts = judge(found, right, ALL, lambda m: [gradients(c, m.change(RIGHT)) for c in cases])
    assert {name for name, verdict in verdicts.items() if not verdict.passed} == {"W", "b"}
    assert verdicts["W"].mistake == "outer_transposed"
    assert "sign" in verdicts["b"].says


def test_the_mistake_that_explains_most_is_named(rng: np.random.Generator) -> None:
    cases = [make_case(*draw(rng)) for _ in range(2)]
    right = [gradients(case) for case in cases]
    wrong = next(m for m in ALL if m.name == "recurrent_not_transposed")
    found = [gradients(case, wrong.change(RIGHT)) for case in cases]
    verdicts = judge(found, right, ALL, lambda m: [gradients(c, m.change(RIGHT)) for c in cases])
    assert {name for name, verdict in verdicts.items() if not verdict.passed} == {"h", "b", "W", "U"}
    assert {verdict.mistake for verdict in verdicts.values() if not verdict.passed} == {wrong.name}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda d: d * (1 + 1e-6), "right to a few digits only"),
        (lambda d: -7 * d, "-7 times ours everywhere"),
        (lambda d: d + 1, "the first to differ, entry [0, 0] of shape (5, 3)"),
        (lambda d: d[:, :1], "must have shape (5, 3). Got (5, 1)"),
        (lambda d: d * np.nan, "is nan where ours is"),
    ],
)
def test_what_no_mistake_gives(spoil: Any, says: str, rng: np.random.Generator) -> None:
    case = make_case(*draw(rng))
    right = gradients(case)
    found = {**right, "U": spoil(right["U"])}
    verdicts = judge([found], [right], ALL, lambda m: [gradients(case, m.change(RIGHT))])
    assert not verdicts["U"].passed
    assert verdicts["U"].mistake == ""
    assert says in verdicts["U"].says


def test_what_cannot_be_computed_is_no_explanation(rng: np.random.Generator) -> None:
    case = make_case(*draw(rng))
    right = gradients(case)
    found = {**right, "U": right["U"] + 1}

    def predict(_: Mistake) -> list[Tensors]:
        raise ValueError("shapes that do not fit")

    verdicts = judge([found], [right], ALL[:3], predict, pairs=True)
    assert (verdicts["U"].passed, verdicts["U"].mistake) == (False, "")


def test_a_column_will_do_for_a_vector_and_a_row_will_not(rng: np.random.Generator) -> None:
    case = make_case(*draw(rng))
    right = gradients(case)
    for shape, passed in (((H, 1), True), ((1, H), False)):
        found = {**right, "b": right["b"].reshape(shape)}
        assert judge([found], [right], (), lambda _: [right])["b"].passed is passed


def test_states_given_are_not_computed_again(rng: np.random.Generator) -> None:
    case = make_case(*draw(rng))
    dh = state_gradients(case)
    rules = replace(RIGHT, back=lambda _, da: np.full_like(da, np.nan))
    for name, array in gradients(case, rules, dh).items():
        np.testing.assert_array_equal(array, gradients(case)[name])
