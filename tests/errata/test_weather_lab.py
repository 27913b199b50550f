"""Lab 9, the weather: entries 1 to 7 of docs/errata.md, in the lab's letters U, W, V, b, c.

Columns: h_t = tanh(W h_(t-1) + U x_t + b), y_t = V h_t + c. `e` is a shift of each h_t after the tanh, zero at the
point where derivatives are taken: dL/de_t is the lab's gradient with respect to h_t, so equations 4, 5, 30 and 31
can be checked themselves and not only through the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.data import load_weather, read_table
from bptt.errors import DataError, InvalidInput
from tests.errata.proof import Array, Tensors, draw, ours, same, wrong

T, D, H, K = 7, 3, 5, 4
LETTERS = {"U": "W_xh", "W": "W_hh", "V": "W_hy", "b": "b_h", "c": "b_y"}


def run(p: Tensors, x: Array) -> tuple[Array, Array]:
    """Equations 1 and 2: h (T+1, H) with h_0 = 0, and y (T, K)."""
    h = [np.zeros(len(p["b"]))]
    for t in range(len(x)):
        h.append(np.tanh(p["W"] @ h[t] + p["U"] @ x[t] + p["b"]) + p["e"][t])
    return np.array(h), np.array(h[1:]) @ p["V"].T + p["c"]


def through_time(p: Tensors, h: Array, dy: Array, slope: Array | None = None) -> Array:
    """Equations 4 and 5 (30 and 31 where dy is zero but for the last step): dL/dh_t for t = 1..T, as rows 0..T-1.

    `slope` (T+1, H) holds the diagonal that stands for step t+1 at index t+1: 1 - h^2 unless given.
    """
    diagonal = 1 - h**2 if slope is None else slope
    dh = np.zeros((len(dy), h.shape[1]))
    dh[-1] = p["V"].T @ dy[-1]
    for t in range(len(dy) - 1, 0, -1):
        dh[t - 1] = p["W"].T @ (diagonal[t + 1] * dh[t]) + p["V"].T @ dy[t - 1]
    return dh


def of_parameters(x: Array, h: Array, dy: Array, dh: Array) -> Tensors:
    """Equations 6 to 10."""
    da = (1 - h[1:] ** 2) * dh
    return {
        "c": dy.sum(axis=0),
        "b": da.sum(axis=0),
        "V": sum(np.outer(dy[t], h[t + 1]) for t in range(len(x))),
        "W": sum(np.outer(da[t], h[t]) for t in range(len(x))),
        "U": sum(np.outer(da[t], x[t]) for t in range(len(x))),
    }


class Case:
    """Random weights and one sequence; half the squared error of every step, or the lab's exercise 2."""

    def __init__(
        self, rng: np.random.Generator, *, outputs: int = K, hidden: int = H, last: bool = False
    ) -> None:
        shapes = {
            "U": (hidden, D),
            "W": (hidden, hidden),
            "V": (outputs, hidden),
            "b": (hidden,),
            "c": (outputs,),
        }
        self.p = draw(rng, **shapes) | {"e": np.zeros((T, hidden))}
        self.x = rng.standard_normal((T, D))
        self.target = rng.standard_normal((T, outputs))
        self.last = last
        self.h, self.y = run(self.p, self.x)
        self.dy = self.slope(self.y)

    def loss(self, p: Tensors) -> Any:
        error = run(p, self.x)[1] - self.target
        return np.sum(error[-1] ** 2) if self.last else np.sum(error**2) / 2

    def slope(self, y: Array) -> Array:
        error = y - self.target
        return np.where(np.arange(T)[:, None] == T - 1, 2 * error, 0) if self.last else error

    def gradients(self, dh: Array) -> Tensors:
        return {**of_parameters(self.x, self.h, self.dy, dh), "e": dh}

    def wrong(self, claimed: Tensors) -> set[str]:
        return wrong(self.loss, self.p, claimed)

    def agrees_with_bptt(self, claimed: Tensors) -> None:
        weights = {letter: self.p[letter] for letter in LETTERS}
        y, found = ours(LETTERS, weights, self.x, self.slope)
        np.testing.assert_allclose(y, self.y, rtol=0, atol=1e-14)
        same({letter: claimed[letter] for letter in LETTERS}, found)


@pytest.mark.parametrize("equation", ["4", "5", "6", "7", "8", "9", "10"])
def test_what_exercise_1_asks_to_show_is_right(equation: str, rng: np.random.Generator) -> None:
    case = Case(rng)
    dh = through_time(case.p, case.h, case.dy)
    found = case.gradients(dh)
    if equation == "4":
        np.testing.assert_allclose(dh[-1], case.p["V"].T @ case.dy[-1], rtol=0, atol=0)
    tensor = {"4": "e", "5": "e", "6": "c", "7": "b", "8": "V", "9": "W", "10": "U"}[equation]
    assert case.wrong({tensor: found[tensor]}) == set()
    case.agrees_with_bptt(found)


@pytest.mark.parametrize("equation", ["30", "31", "32", "33"])
def test_what_exercise_2_asks_to_show_is_right(equation: str, rng: np.random.Generator) -> None:
    case = Case(rng, outputs=1, last=True)
    twice = 2 * (case.y[-1] - case.target[-1])
    found = {
        "e": through_time(case.p, case.h, case.dy),
        "c": twice,
        "V": twice[:, None] * case.h[-1],
    }
    if equation == "30":
        np.testing.assert_allclose(found["e"][-1], twice * case.p["V"][0], rtol=1e-15, atol=0)
    tensor = {"30": "e", "31": "e", "32": "c", "33": "V"}[equation]
    assert case.wrong({tensor: found[tensor]}) == set()
    case.agrees_with_bptt({**case.gradients(found["e"]), **found})


def test_01_the_slope_belongs_to_the_later_step(rng: np.random.Generator) -> None:
    """Equations 14, 15 and 35 take 1 - h_t^2 where step t+1 is differentiated."""
    # 14: the Jacobian of one step, against r . h_(t+1) as a function of h_t.
    case = Case(rng)
    r, h_t, h_next = rng.standard_normal(H), case.h[3], case.h[4]

    def one_step(q: Tensors) -> Any:
        return r @ np.tanh(case.p["W"] @ q["h"] + case.p["U"] @ case.x[3] + case.p["b"])

    assert wrong(one_step, {"h": h_t}, {"h": case.p["W"].T @ np.diag(1 - h_t**2) @ r}) == {"h"}
    assert wrong(one_step, {"h": h_t}, {"h": case.p["W"].T @ np.diag(1 - h_next**2) @ r}) == set()
    # 15 and 35: the recursion, with and without losses at inner steps.
    for each in (case, Case(rng, outputs=1, last=True)):
        one_early = np.vstack([np.full(H, np.nan), 1 - each.h[:-1] ** 2])
        printed = each.gradients(through_time(each.p, each.h, each.dy, one_early))
        assert each.wrong(printed) == {"e", "b", "W", "U"}
        right = each.gradients(through_time(each.p, each.h, each.dy))
        assert each.wrong(right) == set()
        each.agrees_with_bptt(right)


def test_02_a_gradient_of_y_where_one_of_v_is_meant(rng: np.random.Generator) -> None:
    """Equation 25: what is printed is equation 16, the gradient of c."""
    case = Case(rng)
    unit = np.eye(K)
    # d y_i / d y is the i-th unit vector: a vector (K,), no matrix with h_t in row i.
    for i in range(K):
        assert wrong(lambda q, i=i: q["y"][i], {"y": case.y[2]}, {"y": unit[i]}) == set()
    printed = sum(unit[i] * case.dy[t, i] for t in range(T) for i in range(K))
    right = sum(np.outer(unit[i], case.h[t + 1]) * case.dy[t, i] for t in range(T) for i in range(K))
    assert case.wrong({"c": printed}) == set()
    with pytest.raises(InvalidInput, match="parameter's shape"):
        case.wrong({"V": printed})
    assert case.wrong({"V": right}) == set()
    case.agrees_with_bptt({**case.gradients(through_time(case.p, case.h, case.dy)), "V": right})


@pytest.mark.parametrize("outputs", [1, K])
def test_03_the_sum_over_hidden_units_stops_at_the_outputs(outputs: int, rng: np.random.Generator) -> None:
    """Equations 26, 28 and 29 add up n terms, but V is n x m: there are m hidden units."""
    case = Case(rng, outputs=outputs)
    dh = through_time(case.p, case.h, case.dy)

    def added_up_to(bound: int) -> Tensors:
        found = {"W": np.zeros((H, H)), "U": np.zeros((H, D))}
        for t in range(T):
            for i in range(bound):
                slope = 1 - case.h[t + 1, i] ** 2
                found["W"][i] += slope * case.h[t] * dh[t, i]
                found["U"][i] += slope * case.x[t] * dh[t, i]
        return found

    n, m = case.p["V"].shape
    assert case.wrong(added_up_to(n)) == {"W", "U"}
    assert not added_up_to(n)["W"][n:].any()
    right = added_up_to(m)
    assert case.wrong(right) == set()
    case.agrees_with_bptt({**case.gradients(dh), **right})


def test_04_a_gradient_of_y_where_one_of_h_is_meant(rng: np.random.Generator) -> None:
    """Equations 28 and 29, last form."""
    case = Case(rng)
    with pytest.raises(ValueError, match="matmul"):
        np.diag(1 - case.h[T] ** 2) @ case.dy[T - 1]
    # With as many outputs as hidden units it can be computed, and is wrong.
    case = Case(rng, outputs=H)
    dh = through_time(case.p, case.h, case.dy)
    right = case.gradients(dh)
    da = (1 - case.h[1:] ** 2) * case.dy
    printed = {
        "W": sum(np.outer(da[t], case.h[t]) for t in range(T)),
        "U": sum(np.outer(da[t], case.x[t]) for t in range(T)),
    }
    assert case.wrong(printed) == {"W", "U"}
    assert case.wrong(right) == set()
    case.agrees_with_bptt(right)


def test_05_y_and_y_hat_change_places(rng: np.random.Generator) -> None:
    """Equation 34 has y the output; 30, 32, 33, 36 and 37 have y the truth."""
    case = Case(rng, outputs=1, last=True)
    output, truth = case.y[-1], case.target[-1]
    for y, y_hat, both in ((truth, output, {"34"}), (output, truth, {"30", "36", "37"})):
        claimed = {
            "30": ("e", case.p["V"][0] * 2 * (y_hat - y)),
            "34": ("e", case.p["V"][0] * 2 * (y - y_hat)),
            "36": ("c", 2 * (y_hat - y)),
            "37": ("V", 2 * (y_hat - y)[:, None] * case.h[-1]),
        }
        refused = set()
        for equation, (tensor, gradient) in claimed.items():
            found = gradient
            if tensor == "e":
                found = through_time(case.p, case.h, case.dy)
                found[-1] = gradient
            refused |= {equation} if case.wrong({tensor: found}) else set()
        assert refused == both
    right = case.gradients(through_time(case.p, case.h, case.dy))
    np.testing.assert_allclose(right["c"], 2 * (output - truth), rtol=1e-15, atol=0)
    case.agrees_with_bptt(right)


# Table 1 of the lab.
COLUMNS = ("No", "year", "month", "day", "hour", "pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")


def test_06_seven_features_are_named_six_are_taken(tmp_path: Path) -> None:
    named = ("DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
    taken = tuple(COLUMNS[k - 1] for k in (7, 8, 9, 11, 12, 13))
    assert len(COLUMNS) == 13
    assert [name for name in named if name not in taken] == ["cbwd"]
    # A file of that header: the seventh feature is text, which has no mean; the six are numbers.
    path = tmp_path / "hours.csv"
    rows = [",".join("NW" if name == "cbwd" else str(k) for k, name in enumerate(COLUMNS)) for _ in range(48)]
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    with pytest.raises(DataError, match="cbwd"):
        read_table(path, columns=named)
    assert read_table(path, columns=taken).values.shape == (48, 6)


def test_06_the_file_itself_holds_six_numbers_an_hour(data_file: Callable[[str], Path]) -> None:
    data = load_weather(data_file("beijing_pm25.csv"))
    assert data.columns == tuple(COLUMNS[k - 1] for k in (7, 8, 9, 11, 12, 13))
    assert data.values.shape == (42_984, 6)


def unmatched(text: str) -> str:
    """Return the brackets that have no partner, in order."""
    open_: list[str] = []
    for sign in text:
        if sign in "([{":
            open_.append(sign)
        elif sign in ")]}":
            if open_ and {"(": ")", "[": "]", "{": "}"}[open_[-1]] == sign:
                open_.pop()
            else:
                open_.append(sign)
    return "".join(open_)


def test_07_brackets_without_a_partner() -> None:
    # The last lines of forward_pass; the brackets of compute_gradient_U from its first line to its last.
    assert unmatched("y <- ( V %*% H[nrow(X) + 1,] + c)[1] )") == ")"
    assert unmatched("y <- ((V %*% H[nrow(X) + 1,] + c)[1])") == ""
    assert unmatched("function() { for () { } } grad }") == "}"
    assert unmatched("function() { for () { } grad }") == ""


def test_remark_total_and_immediate_derivatives_differ(rng: np.random.Generator) -> None:
    """The superscript that equation 18 gives to V is dropped for W, the weight that needs it."""
    case = Case(rng)
    dh = through_time(case.p, case.h, case.dy)
    immediate, total = np.zeros((H, H)), np.zeros((H, H))
    J = np.zeros((H, H, H))  # dh_t[i] / dW[j, k], through all steps up to t
    for t in range(T):
        slope = (1 - case.h[t + 1] ** 2)[:, None, None]
        direct = slope * np.einsum("ij,k->ijk", np.eye(H), case.h[t])
        J = direct + slope * np.einsum("il,ljk->ijk", case.p["W"], J)
        immediate += np.einsum("ijk,i->jk", direct, dh[t])
        total += np.einsum("ijk,i->jk", J, dh[t])
    assert case.wrong({"W": total}) == {"W"}
    assert case.wrong({"W": immediate}) == set()


def test_remark_the_last_day_is_cut_off_by_the_reader(data_file: Callable[[str], Path]) -> None:
    rows = len(read_table(data_file("beijing_pm25.csv"), columns=["TEMP"]).values)
    assert rows % 24 == 0
    assert rows > 43_000
    assert 43_000 % 24 == 16
