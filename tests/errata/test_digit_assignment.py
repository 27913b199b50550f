"""The digit assignment: entries 33 and 34 of docs/errata.md, in its letters.

Columns: s_t = tanh(U x_t + W s_(t-1)), o_t = softmax(V s_t), no biases, L = -1/N sum_n y_n . log o_n over the N digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.losses import CrossEntropy
from tests.errata.proof import Array, Tensors, draw, ours, same, wrong

T, D, H, C = 7, 3, 5, 4
LETTERS = {"U": "W_xh", "V": "W_hy", "W": "W_hh"}


def run(p: Tensors, x: Array) -> tuple[Array, Array]:
    """Return s (T+1, H), the state before the first step at index 0, and the logits (T, C)."""
    s = [np.zeros(len(p["W"]))]
    for x_t in x:
        s.append(np.tanh(p["U"] @ x_t + p["W"] @ s[-1]))
    return np.array(s), np.array(s[1:]) @ p["V"].T


def softmax(a: Array) -> Array:
    raised = np.exp(a)
    return raised / raised.sum(axis=-1, keepdims=True)


class Case:
    def __init__(self, rng: np.random.Generator) -> None:
        self.p = draw(rng, U=(H, D), V=(C, H), W=(H, H))
        self.x, self.digits = rng.standard_normal((T, D)), rng.integers(C, size=T)
        self.s, self.a = run(self.p, self.x)
        self.da = (softmax(self.a) - np.eye(C)[self.digits]) / T

    def loss(self, p: Tensors) -> Any:
        return -np.mean(np.log(softmax(run(p, self.x)[1]))[np.arange(T), self.digits])

    def gradients(self, *, own_output_only: bool = False) -> Tensors:
        """Exercise 1; with `own_output_only` a unit hears of no other unit."""
        found = {name: np.zeros_like(array) for name, array in self.p.items()}
        W = np.diag(np.diag(self.p["W"])) if own_output_only else self.p["W"]
        ds = np.zeros(H)
        for t in range(T - 1, -1, -1):
            ds = ds + self.p["V"].T @ self.da[t]
            dz = (1 - self.s[t + 1] ** 2) * ds
            found["V"] += np.outer(self.da[t], self.s[t + 1])
            found["U"] += np.outer(dz, self.x[t])
            found["W"] += np.outer(dz, self.s[t])
            ds = W.T @ dz
        return found

    def agrees_with_bptt(self, found: Tensors) -> None:
        def slope(a: Array) -> Array:
            return CrossEntropy().value_and_gradient(a[None], self.digits[None])[1][0]

        a, gradients = ours(LETTERS, self.p, self.x, slope)
        np.testing.assert_allclose(a, self.a, rtol=0, atol=1e-14)
        same(found, gradients)


@pytest.fixture
def case(rng: np.random.Generator) -> Case:
    return Case(rng)


def test_33_the_list_of_gradients_names_w_twice_and_v_never(case: Case) -> None:
    printed, right = ("U", "W", "W"), ("U", "V", "W")
    found = case.gradients()
    assert set(case.p) - set(printed) == {"V"}
    assert np.max(np.abs(found["V"])) > 1e-3
    # Whoever checks the three that are named checks two, and no mistake in the third is seen.
    broken = {**found, "V": 2 * found["V"]}
    assert wrong(case.loss, case.p, {name: broken[name] for name in printed}) == set()
    assert wrong(case.loss, case.p, {name: broken[name] for name in right}) == {"V"}
    assert wrong(case.loss, case.p, found) == set()
    case.agrees_with_bptt(found)


def test_34_a_neuron_reads_all_neurons_outputs(case: Case) -> None:
    """Not only its own: that would be a diagonal W, where W is H x H."""
    diagonal = {**case.p, "W": np.diag(np.diag(case.p["W"]))}
    assert np.max(np.abs(run(diagonal, case.x)[1] - case.a)) > 1e-2
    assert wrong(case.loss, case.p, case.gradients(own_output_only=True)) == {"U", "W"}
    found = case.gradients()
    assert np.max(np.abs(found["W"] - np.diag(np.diag(found["W"])))) > 1e-3
    assert wrong(case.loss, case.p, found) == set()
    case.agrees_with_bptt(found)


def test_remark_the_limit_cannot_be_taken_on_a_machine(case: Case) -> None:
    """The quotient is best at a middling h; as h goes to 0 it becomes 0/2h."""
    right = case.gradients()["W"][1, 2]

    def quotient(h: float) -> float:
        up, down = ({name: array.copy() for name, array in case.p.items()} for _ in range(2))
        up["W"][1, 2] += h
        down["W"][1, 2] -= h
        return (case.loss(up) - case.loss(down)) / (2 * h)

    assert quotient(1e-5) == pytest.approx(right, rel=1e-5)
    assert quotient(1e-20) == 0.0
    assert abs(quotient(1e-1) - right) > 10 * abs(quotient(1e-3) - right)


def test_remark_the_first_digit_cannot_be_known_first(rng: np.random.Generator) -> None:
    """Most significant first, a sum's first digit hangs on a carry from digits that are not read yet."""
    one, other = (499_999, 500_000), (499_999, 500_001)
    digits = [np.array([[int(d) for d in f"{n:07d}"] for n in pair]).T for pair in (one, other)]
    assert (sum(one), sum(other)) == (999_999, 1_000_000)
    np.testing.assert_array_equal(digits[0][:-1], digits[1][:-1])
    # Whatever the weights: before the last digit is read the outputs are the same, though the sums' digits differ.
    p = draw(rng, U=(H, 20), V=(10, H), W=(H, H))
    outputs = []
    for each in digits:
        x = np.concatenate([np.eye(10)[each[:, 0]], np.eye(10)[each[:, 1]]], axis=1)
        outputs.append(run(p, x)[1])
    np.testing.assert_array_equal(outputs[0][:-1], outputs[1][:-1])
    assert np.max(np.abs(outputs[0][-1] - outputs[1][-1])) > 1e-3
    # Least significant first a carry is known when it is needed.
    carry, total = 0, []
    for a, b in digits[1][::-1]:
        total.append((a + b + carry) % 10)
        carry = (a + b + carry) // 10
    assert int("".join(str(d) for d in reversed(total))) == sum(other)
