"""The notes on recurrent forecasting: entries 30 to 32 of docs/errata.md, in their letters.

Columns: h_t = tanh(b + W x_t + U h_(t-1)), o_t = c + V h_t, y_hat = softmax(o_t), L = -sum_t y_t . log y_hat_t. Here W
leads from the input and U from the state before, the other way round than in the weather lab. `e` is a shift of each
h_t, zero where derivatives are taken: dL/de_t is the gradient with respect to h_t.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.losses import CrossEntropy
from tests.errata.proof import Array, Tensors, draw, ours, same, wrong

T, D, H, K = 7, 3, 5, 4
LETTERS = {"W": "W_xh", "U": "W_hh", "V": "W_hy", "b": "b_h", "c": "b_y"}


def softmax(o: Array) -> Array:
    raised = np.exp(o)
    return raised / raised.sum(axis=-1, keepdims=True)


def run(p: Tensors, x: Array) -> tuple[Array, Array]:
    """Return h (T+1, H), h_0 = 0, and y_hat (T, K)."""
    h = [np.zeros(len(p["b"]))]
    for t in range(len(x)):
        h.append(np.tanh(p["b"] + p["W"] @ x[t] + p["U"] @ h[t]) + p["e"][t])
    return np.array(h), softmax(p["c"] + np.array(h[1:]) @ p["V"].T)


class Case:
    """Random weights, one sequence, one true class a step."""

    def __init__(self, rng: np.random.Generator, inputs: int = D) -> None:
        shapes = {"W": (H, inputs), "U": (H, H), "V": (K, H), "b": (H,), "c": (K,)}
        self.p = draw(rng, **shapes) | {"e": np.zeros((T, H))}
        self.x = rng.standard_normal((T, inputs))
        self.classes = rng.integers(K, size=T)
        self.y = np.eye(K)[self.classes]
        self.h, self.y_hat = run(self.p, self.x)
        self.do = self.y_hat - self.y

    def loss(self, p: Tensors) -> Any:
        return -np.sum(self.y * np.log(run(p, self.x)[1]))

    def wrong(self, claimed: Tensors) -> set[str]:
        return wrong(self.loss, self.p, claimed)

    def through_time(self, back: str) -> Array:
        """dL/dh_t, with the letter of the weight that leads back."""
        dh = np.zeros((T, H))
        dh[-1] = self.p["V"].T @ self.do[-1]
        for t in range(T - 1, 0, -1):
            slope = np.diag(1 - self.h[t + 1] ** 2)
            dh[t - 1] = self.p[back].T @ slope @ dh[t] + self.p["V"].T @ self.do[t - 1]
        return dh

    def right(self) -> Tensors:
        """All of them; b, c and x, which the notes announce and leave out, too."""
        dh = self.through_time("U")
        da = (1 - self.h[1:] ** 2) * dh
        return {
            "V": self.do.T @ self.h[1:],
            "W": da.T @ self.x,
            "U": da.T @ self.h[:-1],
            "b": da.sum(axis=0),
            "c": self.do.sum(axis=0),
            "e": dh,
        }

    def agrees_with_bptt(self, found: Tensors) -> None:
        def slope(o: Array) -> Array:
            value, do = CrossEntropy(time="sum").value_and_gradient(o[None], self.classes[None])
            assert value == pytest.approx(self.loss(self.p), rel=1e-13)
            return do[0]

        _, gradients = ours(LETTERS, {name: self.p[name] for name in LETTERS}, self.x, slope)
        same({name: found[name] for name in LETTERS}, gradients)


@pytest.fixture
def case(rng: np.random.Generator) -> Case:
    return Case(rng)


def test_the_right_equations_are_right(case: Case) -> None:
    assert case.wrong(case.right()) == set()
    case.agrees_with_bptt(case.right())


def test_30_a_loss_of_two_vectors(rng: np.random.Generator) -> None:
    """L : R x R cannot be: the softmax of one number is 1, and its cross-entropy 0 whatever the weights."""
    o = rng.standard_normal((T, 1))
    np.testing.assert_array_equal(softmax(o), np.ones((T, 1)))
    with pytest.raises(InvalidInput, match="at least 2 outputs"):
        CrossEntropy().value(o, np.zeros(T, int))
    # Of K numbers each it is a loss.
    y = np.eye(K)[rng.integers(K, size=T)]
    logits = rng.standard_normal((T, K))
    value = CrossEntropy().value(logits, y.argmax(axis=1))
    assert value == pytest.approx(-np.mean(np.log(softmax(logits))[y == 1]), rel=1e-13)


def test_31_the_slope_stands_between_weight_and_gradient(case: Case) -> None:
    """W^T (gradient) diag(...) multiplies a column by a matrix from the right."""
    dh = case.through_time("U")
    column, slope = dh[4][:, None], np.diag(1 - case.h[5] ** 2)
    with pytest.raises(ValueError, match="matmul"):
        case.p["U"].T @ column @ slope
    # Entry by entry it can be computed, and is wrong: the slope belongs to h_(t+1), before the weight.
    printed = dh.copy()
    for t in range(T - 1, 0, -1):
        after = case.p["U"].T @ printed[t] * (1 - case.h[t + 1] ** 2)
        printed[t - 1] = after + case.p["V"].T @ case.do[t - 1]
    assert case.wrong({"e": printed}) == {"e"}
    assert case.wrong({"e": dh}) == set()
    case.agrees_with_bptt(case.right())


def test_32_w_and_u_change_places_on_the_way_back(case: Case, rng: np.random.Generator) -> None:
    """Forward W is the input's weight, backward the state's, and U the other way round."""
    with pytest.raises(ValueError, match="shapes"):
        case.through_time("W")
    right = case.right()
    for printed, is_of in (("W", "U"), ("U", "W")):
        with pytest.raises(InvalidInput, match="parameter's shape"):
            case.wrong({printed: right[is_of]})
    # With as many inputs as hidden units all shapes fit, and all three are wrong.
    square = Case(rng, inputs=H)
    dh = square.through_time("W")
    da = (1 - square.h[1:] ** 2) * dh
    assert square.wrong({"e": dh, "W": da.T @ square.h[:-1], "U": da.T @ square.x}) == {"e", "W", "U"}
    assert square.wrong({"W": square.right()["U"], "U": square.right()["W"]}) == {"W", "U"}
    for each in (case, square):
        assert each.wrong(each.right()) == set()
        each.agrees_with_bptt(each.right())


def test_remark_the_gradient_of_o_needs_targets_that_add_up_to_one(rng: np.random.Generator) -> None:
    """y_hat - y holds for a class or a distribution; in general it is y_hat sum(y) - y."""
    o, some = rng.standard_normal(K), np.abs(rng.standard_normal(K))
    for y, refused in ((some / some.sum(), set()), (np.eye(K)[2], set()), (3 * some / some.sum(), {"o"})):

        def loss(q: Tensors, y: Array = y) -> Any:
            return -np.sum(y * np.log(softmax(q["o"])))

        assert wrong(loss, {"o": o}, {"o": softmax(o) - y}) == refused
        assert wrong(loss, {"o": o}, {"o": softmax(o) * y.sum() - y}) == set()


@pytest.mark.parametrize("appendix", ["A", "B", "C"])
def test_remark_the_appendix_is_right(appendix: str, rng: np.random.Generator) -> None:
    z, y, r = rng.standard_normal(K), np.abs(rng.standard_normal(K)), rng.standard_normal(K)
    y_hat = softmax(z)
    if appendix == "A":
        found = wrong(lambda q: -np.sum(y * np.log(q["y_hat"])), {"y_hat": y_hat}, {"y_hat": -y / y_hat})
    elif appendix == "B":
        jacobian = np.array([[y_hat[j] * ((j == k) - y_hat[k]) for k in range(K)] for j in range(K)])
        found = wrong(lambda q: np.sum(r * softmax(q["z"])), {"z": z}, {"z": r @ jacobian})
    else:
        found = wrong(lambda q: np.sum(r * np.tanh(q["z"])), {"z": z}, {"z": r * (1 - np.tanh(z) ** 2)})
    assert found == set()


def test_remark_the_gradient_of_the_input_is_announced_and_not_given(case: Case) -> None:
    dx = ((1 - case.h[1:] ** 2) * case.through_time("U")) @ case.p["W"]

    def loss(q: Tensors) -> Any:
        return -np.sum(case.y * np.log(run(case.p, q["x"])[1]))

    assert wrong(loss, {"x": case.x}, {"x": dx}) == set()
