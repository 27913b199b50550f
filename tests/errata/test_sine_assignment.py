"""The sine assignment: entries 27 to 29 of docs/errata.md, in its letters.

Columns: h_t = tanh(W_XH X_t + W_HH h_(t-1)), y = W_HY h_T; no biases; L = 1/2 (y - sample_y)^2 of the last step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from tests.errata.proof import Array, Tensors, draw, ours, same, wrong

T, H = 7, 5
LETTERS = {"W_XH": "W_xh", "W_HH": "W_hh", "W_HY": "W_hy"}


def run(p: Tensors, x: Array) -> list[Array]:
    """Return h_0..h_T, each (H, 1)."""
    h = [np.zeros((H, 1))]
    for x_t in x:
        h.append(np.tanh(p["W_XH"] * x_t + p["W_HH"] @ h[-1]))
    return h


class Case:
    """Random weights, one window, one target."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.p = draw(rng, W_XH=(H, 1), W_HH=(H, H), W_HY=(1, H))
        self.x, self.sample_y = rng.standard_normal(T), rng.standard_normal()
        self.h = run(self.p, self.x)
        self.y = (self.p["W_HY"] @ self.h[T]).item()
        self.error = self.y - self.sample_y

    def loss(self, p: Tensors) -> Any:
        return (p["W_HY"] @ run(p, self.x)[T] - self.sample_y)[0, 0] ** 2 / 2

    def wrong(self, claimed: Tensors) -> set[str]:
        return wrong(self.loss, self.p, claimed)

    def by_rows(self) -> Tensors:
        """The assignment's loop, read rightly: dht and temp are rows, a term is an outer product."""
        found = {name: np.zeros_like(array) for name, array in self.p.items()}
        found["W_HY"] = self.error * self.h[T].T
        dht = self.error * self.p["W_HY"]
        for step in range(T - 1, -1, -1):
            temp = dht * (1 - self.h[step + 1] ** 2).T
            found["W_HH"] += temp.T @ self.h[step].T
            found["W_XH"] += temp.T * self.x[step]
            dht = temp @ self.p["W_HH"]
        return found

    def agrees_with_bptt(self, found: Tensors) -> None:
        y, gradients = ours(LETTERS, self.p, self.x[:, None], lambda y: y - self.sample_y, readout="last")
        assert y.item() == pytest.approx(self.y, rel=1e-13)
        same(found, gradients)


@pytest.fixture
def case(rng: np.random.Generator) -> Case:
    return Case(rng)


def test_the_loop_read_rightly_is_right(case: Case) -> None:
    assert case.wrong(case.by_rows()) == set()
    case.agrees_with_bptt(case.by_rows())


def test_27_the_loss_is_of_a_difference(case: Case) -> None:
    """Without the minus it is half the square of a product, whose gradient is not `error`."""

    def printed(p: Tensors) -> Any:
        return ((p["W_HY"] @ run(p, case.x)[T])[0, 0] * case.sample_y) ** 2 / 2

    assert wrong(printed, case.p, case.by_rows()) == {"W_XH", "W_HH", "W_HY"}
    assert wrong(case.loss, case.p, case.by_rows()) == set()
    # The least of the printed loss is an output of 0, whatever the target.
    silent = {**case.p, "W_HY": np.zeros((1, H))}
    assert printed(silent) == 0 < case.loss(silent)


def test_28_one_factor_for_each_step_back(case: Case) -> None:
    """dL/dW_HH has dh_25/dh_24 twice in its second term; dL/dW_XH has dh_25/dh_25 in its place."""
    p, h = case.p, case.h
    identity = np.eye(H)
    J = [identity, *((1 - h[t] ** 2) * p["W_HH"] for t in range(1, T + 1))]  # J[t] = dh_t/dh_(t-1)

    def added_up(second: Array) -> Tensors:
        """Sum the terms, with `second` as all the factors between h_T and h_(T-1) in the second one."""
        found = {"W_HH": np.zeros((H, H)), "W_XH": np.zeros((H, 1))}
        way = case.error * p["W_HY"]  # dL/dy dy/dh_T
        for back in range(T):
            t = T - back
            here = case.error * p["W_HY"] @ second if back == 1 else way
            temp = (here * (1 - h[t] ** 2).T).T
            found["W_HH"] += temp @ h[t - 1].T
            found["W_XH"] += temp * case.x[t - 1]
            way = way @ J[t]
        return found

    assert case.wrong({"W_HH": added_up(J[T] @ J[T])["W_HH"]}) == {"W_HH"}
    assert case.wrong({"W_XH": added_up(identity)["W_XH"]}) == {"W_XH"}
    right = added_up(J[T])
    assert case.wrong(right) == set()
    case.agrees_with_bptt({**case.by_rows(), **right})
    # The third terms hold dh_24/dh_25, which is zero: no state depends on a later one.
    other_end = run(p, np.append(case.x[:-1], 9.0))
    np.testing.assert_array_equal(other_end[T - 1], h[T - 1])
    assert np.max(np.abs(other_end[T] - h[T])) > 1e-2


def sweep(case: Case, times: Any, first: Array) -> Tensors:
    """The bullets' loop with every star read as `times`."""
    found: dict[str, Any] = {"W_HH": 0.0, "W_XH": 0.0}
    dht = first
    for step in range(T - 1, -1, -1):
        temp = times(dht, 1 - case.h[step + 1] ** 2)
        found["W_HH"] = found["W_HH"] + times(temp, case.h[step])
        found["W_XH"] = found["W_XH"] + times(temp, case.x[step : step + 1, None])
        dht = times(temp, case.p["W_HH"])
    return found


def test_29_no_one_product_can_be_meant_by_the_star(case: Case) -> None:
    """dht = error W_HY is a row (1, H), h_24 a column (H, 1), and temp * h_24 has to be (H, H)."""
    dht = case.error * case.p["W_HY"]
    # Each star a matrix product: temp is one number, and a number times h is no (H, H).
    with pytest.raises(ValueError, match="matmul"):
        sweep(case, np.matmul, dht)
    # Each star a product of entries: row times column is spread to a square.
    spread = sweep(case, np.multiply, dht)
    assert case.wrong({"W_HH": spread["W_HH"]}) == {"W_HH"}
    with pytest.raises(InvalidInput, match="parameter's shape"):
        case.wrong({"W_XH": spread["W_XH"]})
    # Rows kept rows, and only temp * h_24 as NumPy multiplies a row and a column: the transpose.
    transposed = np.zeros((H, H))
    for step in range(T - 1, -1, -1):
        temp = dht * (1 - case.h[step + 1] ** 2).T
        transposed += temp * case.h[step]
        dht = temp @ case.p["W_HH"]
    right = case.by_rows()
    assert case.wrong({"W_HH": transposed}) == {"W_HH"}
    same({"W_HH": transposed}, {"W_HH": right["W_HH"].T})
    assert case.wrong(right) == set()
    case.agrees_with_bptt(right)


def test_remark_the_way_back_is_not_transposed_because_dht_is_a_row(case: Case) -> None:
    """dht = temp * W_HH is right for rows; for columns it is W_HH^T temp, and without the transpose wrong."""
    found = {True: np.zeros((H, H)), False: np.zeros((H, H))}
    for transpose, dW in found.items():
        dh = case.error * case.p["W_HY"].T
        for step in range(T - 1, -1, -1):
            temp = dh * (1 - case.h[step + 1] ** 2)
            dW += temp @ case.h[step].T
            dh = (case.p["W_HH"].T if transpose else case.p["W_HH"]) @ temp
    assert case.wrong({"W_HH": found[False]}) == {"W_HH"}
    assert case.wrong({"W_HH": found[True]}) == set()


def test_remark_an_activation_of_the_output_belongs_into_dht(case: Case) -> None:
    """dht = error W_HY holds for a linear output; the question's y_t = tanh(W_HY h_t) adds 1 - y^2."""

    def loss(p: Tensors) -> Any:
        return (np.tanh(p["W_HY"] @ run(p, case.x)[T]) - case.sample_y)[0, 0] ** 2 / 2

    y = np.tanh(case.y)
    case.error = y - case.sample_y
    printed = case.by_rows()
    case.error *= 1 - y**2
    right = case.by_rows()
    assert wrong(loss, case.p, printed) == {"W_XH", "W_HH", "W_HY"}
    assert wrong(loss, case.p, right) == set()
    found = ours(
        LETTERS,
        case.p,
        case.x[:, None],
        lambda y: y - case.sample_y,
        readout="last",
        output_activation="tanh",
    )
    assert found[0].item() == pytest.approx(y, rel=1e-13)
    same(right, found[1])


def test_remark_the_counts_are_right() -> None:
    """175 windows of 25 from k = 0..199, each with the 26th value as its target."""
    k = np.arange(200)
    windows = np.lib.stride_tricks.sliding_window_view(k, 26)
    assert windows.shape == (175, 26)
    assert (windows[0, 0], windows[-1, 0], windows[-1, 24], windows[-1, 25]) == (0, 174, 198, 199)
