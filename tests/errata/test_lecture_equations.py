"""The lecture, its equations and its sweep back: entries 8 to 17 of docs/errata.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.losses import HalfSquared
from tests.errata.lecture_program import LETTERS, Sweep, run
from tests.errata.proof import Array, Tensors, draw, ours, same, wrong

T, N = 7, 5


class Case:
    """Random weights and one sequence; L = 1/2 sum of squared errors, the slides' loss."""

    def __init__(self, rng: np.random.Generator, steps: int = T) -> None:
        self.p = draw(rng, Wx=(N, 1), Wh=(N, N), Wy=(1, N), biases=(N, 1))
        self.x, self.target = rng.standard_normal(steps), rng.standard_normal((steps, 1))
        self.H, self.y = run(self.p, self.x)
        self.dy = self.y - self.target

    def loss(self, p: Tensors) -> Any:
        return np.sum((run(p, self.x)[1] - self.target) ** 2) / 2

    def wrong(self, **switches: bool) -> set[str]:
        return wrong(self.loss, self.p, Sweep(**switches)(self.p, self.x, self.dy))

    def agrees_with_bptt(self, found: Tensors) -> None:
        y, gradients = ours(LETTERS, self.p, self.x[:, None], lambda y: y - self.target)
        np.testing.assert_allclose(y, self.y, rtol=0, atol=1e-14)
        same(found, gradients)


@pytest.fixture
def case(rng: np.random.Generator) -> Case:
    return Case(rng)


def test_the_sweep_with_every_switch_off_is_right(case: Case) -> None:
    assert case.wrong() == set()
    case.agrees_with_bptt(Sweep()(case.p, case.x, case.dy))


def test_08_the_recurrent_weight_is_that_of_the_state_before(rng: np.random.Generator) -> None:
    """W_h "for x(t)" cannot be formed; "for h(t)" is an equation that h(t) would have to solve."""
    case = Case(rng)
    wide = rng.standard_normal((3, 1))  # an input of three numbers
    with pytest.raises(ValueError, match="matmul"):
        case.p["Wh"] @ wide
    # With n inputs it can be formed, and nothing is remembered: h_t does not depend on h_(t-1).
    x = rng.standard_normal((T, N, 1))

    def last(p: Tensors, first: Array, of: str) -> Array:
        h = first
        for t in range(T):
            h = np.tanh(p["Wx"] + p["Wh"] @ {"x(t)": x[t], "h(t-1)": h}[of] + p["biases"])
        return h

    starts = np.zeros((N, 1)), rng.standard_normal((N, 1))
    same({"h": last(case.p, starts[0], "x(t)")}, {"h": last(case.p, starts[1], "x(t)")})
    assert np.max(np.abs(last(case.p, starts[0], "h(t-1)") - last(case.p, starts[1], "h(t-1)"))) > 1e-6
    # "h(t)": the states that the program computes do not satisfy it; they satisfy h(t-1), and are bptt's.
    for t in range(T):
        right, early = (
            np.tanh(case.p["Wx"] * case.x[t] + case.p["Wh"] @ case.H[k] + case.p["biases"])
            for k in (t, t + 1)
        )
        np.testing.assert_allclose(right, case.H[t + 1], rtol=0, atol=1e-15)
        assert np.max(np.abs(early - case.H[t + 1])) > 1e-3
    case.agrees_with_bptt(Sweep()(case.p, case.x, case.dy))


def test_09_the_bias_stands_inside_the_tanh(rng: np.random.Generator) -> None:
    """One slide closes the bracket before b; its own db, and every other slide, have b inside."""
    case = Case(rng, steps=1)  # one step, where the slides' db = dY Wy (1 - tanh^2) is complete
    printed_H, printed_y = run(case.p, case.x, bias_outside=True)

    def printed_loss(p: Tensors) -> Any:
        return np.sum((run(p, case.x, bias_outside=True)[1] - case.target) ** 2) / 2

    def db(H: Array, y: Array) -> Array:
        return (1 - H[1] ** 2) * case.p["Wy"].T * (y - case.target)

    assert wrong(printed_loss, case.p, {"biases": db(printed_H, printed_y)}) == {"biases"}
    without_slope = case.p["Wy"].T * (printed_y - case.target)
    assert wrong(printed_loss, case.p, {"biases": without_slope}) == set()
    assert wrong(case.loss, case.p, {"biases": db(case.H, case.y)}) == set()
    case.agrees_with_bptt({**Sweep()(case.p, case.x, case.dy), "biases": db(case.H, case.y)})
    # Over many steps the states leave -1..1, the program's do not.
    long = Case(rng, steps=40)
    assert np.max(np.abs(run(long.p, long.x, bias_outside=True)[0])) > 1 > np.max(np.abs(long.H))


def test_10_the_loss_of_the_formula_is_t_times_that_of_the_program(case: Case) -> None:
    """The program prints L / T and goes down the gradient of L."""

    def printed(p: Tensors) -> Any:
        return case.loss(p) / T

    everything = set(LETTERS)
    assert wrong(printed, case.p, Sweep()(case.p, case.x, case.dy)) == everything
    assert wrong(printed, case.p, Sweep()(case.p, case.x, case.dy / T)) == set()
    # bptt has both, and the gradient of each is its own.
    for time, divisor in (("mean", T), ("sum", 1)):
        value, slope = HalfSquared(time=time).value_and_gradient(case.y[None], case.target[None])
        assert value == pytest.approx(case.loss(case.p) / divisor, rel=1e-13)
        np.testing.assert_allclose(slope[0], case.dy / divisor, rtol=1e-13, atol=0)


def test_11_no_learning_rate_and_no_minus_in_a_derivative(case: Case) -> None:
    """dL/dW_i = -epsilon ... is the change of W_i, not the derivative; used as one it climbs."""
    rate = 1e-3
    right = Sweep()(case.p, case.x, case.dy)
    printed = {name: -rate * g for name, g in right.items()}
    assert wrong(case.loss, case.p, printed) == set(LETTERS)
    before = case.loss(case.p)
    # As the program does it: W -= e dW.
    assert case.loss({name: w - rate * printed[name] for name, w in case.p.items()}) > before
    assert case.loss({name: w - rate * right[name] for name, w in case.p.items()}) < before


def test_12_the_readout_weight_is_counted_once(rng: np.random.Generator) -> None:
    """dy/dh is W_y already; a dh/dtanh that holds it again squares it."""
    case = Case(rng, steps=1)  # one step: nothing else of the slides' formulas is wrong there
    slope = 1 - case.H[1] ** 2
    chain = case.p["Wy"].T * case.dy[0]  # dL/dy dy/dh
    printed = chain * (case.p["Wy"].T * slope) * case.x[0]
    right = chain * slope * case.x[0]
    assert wrong(case.loss, case.p, {"Wx": printed}) == {"Wx"}
    assert wrong(case.loss, case.p, {"Wx": right}) == set()
    case.agrees_with_bptt({**Sweep()(case.p, case.x, case.dy), "Wx": right})


def test_13_the_way_through_later_steps_is_missing(case: Case) -> None:
    """dW = dY Wy (1 - tanh^2) ..., summed over t, is BPTT cut off after one step."""
    assert case.wrong(one_step_only=True) == {"Wx", "Wh", "biases"}
    assert case.wrong() == set()
    # It is what truncation to one step gives: each step from a state that is taken as given.
    cut = {name: np.zeros_like(array) for name, array in case.p.items()}
    for t in range(T):
        dtanh = (1 - case.H[t + 1] ** 2) * case.p["Wy"].T * case.dy[t]
        cut["Wx"] += dtanh * case.x[t]
        cut["Wh"] += dtanh @ case.H[t].T
        cut["Wy"] += case.H[t + 1].T * case.dy[t]
        cut["biases"] += dtanh
    same(Sweep(one_step_only=True)(case.p, case.x, case.dy), cut)
    # For a sequence of one step it is the gradient.
    short = Case(np.random.default_rng(5), steps=1)
    assert short.wrong(one_step_only=True) == set()


class Tanh:
    """An activation object that remembers its output, as the lecture's does."""

    def forward(self, a: Array) -> None:
        self.output = np.tanh(a)


def test_14_one_activation_object_for_all_steps(case: Case) -> None:
    """[A for i in range(T)] holds one object T times: every step has the last step's slope."""
    one = Tanh()
    shared, own = [one for _ in range(T)], [Tanh() for _ in range(T)]
    for t in range(T):
        a = case.p["Wx"] * case.x[t] + case.p["Wh"] @ case.H[t] + case.p["biases"]
        shared[t].forward(a)
        own[t].forward(a)
    assert len({id(each) for each in shared}) == 1
    for t in range(T):
        np.testing.assert_array_equal(shared[t].output, case.H[T])
        np.testing.assert_array_equal(own[t].output, case.H[t + 1])
    # Nothing of the backward pass is there yet.
    assert not hasattr(own[0], "dinputs")
    # The forward pass is right, and so is dWy, which has no slope in it.
    assert case.wrong(shared_activation=True) == {"Wx", "Wh", "biases"}
    assert case.wrong() == set()
    case.agrees_with_bptt(Sweep()(case.p, case.x, case.dy))


def test_15_the_outer_product_of_the_recurrent_weight_is_transposed(case: Case) -> None:
    assert case.wrong(outer_product_transposed=True) == {"Wh"}
    printed = Sweep(outer_product_transposed=True)(case.p, case.x, case.dy)["Wh"]
    right = Sweep()(case.p, case.x, case.dy)
    same({"Wh": printed}, {"Wh": right["Wh"].T})
    case.agrees_with_bptt(right)


def test_16_the_recurrent_weight_is_transposed_on_the_way_back(case: Case) -> None:
    assert case.wrong(recurrent_not_transposed=True) == {"Wx", "Wh", "biases"}
    assert case.wrong() == set()
    case.agrees_with_bptt(Sweep()(case.p, case.x, case.dy))


def test_17_the_output_term_is_dropped_at_inner_steps(case: Case) -> None:
    """dL/dh_t = Wh^T dtanh_(t+1) + Wy^T dy_t: the program keeps the second term for the last step only."""
    assert case.wrong(output_term_dropped=True) == {"Wx", "Wh", "biases"}
    assert case.wrong() == set()
    case.agrees_with_bptt(Sweep()(case.p, case.x, case.dy))

    # What is left is the gradient of the last step's loss alone; only Wy hears of the others.
    def last_loss(p: Tensors) -> Any:
        return np.sum((run(p, case.x)[1] - case.target)[-1] ** 2) / 2

    printed = Sweep(output_term_dropped=True)(case.p, case.x, case.dy)
    assert wrong(last_loss, case.p, printed) == {"Wy"}


def test_remark_the_star_is_not_one_product(case: Case) -> None:
    """dY * W_y * (1 - tanh^2) * x(t) by matrix products is one number, not a gradient of W_x."""
    t = T - 1
    printed = case.dy[t : t + 1] @ case.p["Wy"] @ (1 - case.H[t + 1] ** 2) * case.x[t]
    assert printed.shape == (1, 1)
    with pytest.raises(InvalidInput, match="parameter's shape"):
        wrong(case.loss, case.p, {"Wx": printed})


def test_remark_all_four_slips_together_leave_only_the_readout_right(case: Case) -> None:
    printed = Sweep(
        shared_activation=True,
        outer_product_transposed=True,
        recurrent_not_transposed=True,
        output_term_dropped=True,
    )(case.p, case.x, case.dy)
    assert wrong(case.loss, case.p, printed) == {"Wx", "Wh", "biases"}


def test_remark_the_slip_h_t_minus_1(case: Case) -> None:
    """One slide's dW_h has "h(t) - 1" for h(t-1)."""
    right, slip = np.zeros((N, N)), np.zeros((N, N))
    dh = case.p["Wy"].T * case.dy[-1]
    for t in reversed(range(T)):
        dtanh = (1 - case.H[t + 1] ** 2) * dh
        right += dtanh @ case.H[t].T
        slip += dtanh @ (case.H[t + 1] - 1).T
        dh = case.p["Wh"].T @ dtanh + case.p["Wy"].T * case.dy[t - 1]
    assert wrong(case.loss, case.p, {"Wh": slip}) == {"Wh"}
    assert wrong(case.loss, case.p, {"Wh": right}) == set()


def test_remark_weights_of_a_tenth_explode_at_800_neurons(rng: np.random.Generator) -> None:
    """A deviation of 0.1 is a spectral radius of 0.1 sqrt(n) = 2.8: one right update, and W_h learns no more."""
    n, k = 800, np.arange(-10, 10, 0.1)
    x, target = k, (np.sin(k) + 0.1 * rng.standard_normal(len(k)))[:, None]
    shapes = {"Wx": (n, 1), "Wh": (n, n), "Wy": (1, n), "biases": (n, 1)}
    p = {name: 0.1 * rng.standard_normal(shape) for name, shape in shapes.items()}
    # The growth of a power: |Wh^m v|^(1/m).
    v, growth = rng.standard_normal(n), []
    for _ in range(60):
        v = p["Wh"] @ v
        growth.append(np.log(np.linalg.norm(v)))
        v /= np.linalg.norm(v)
    assert np.exp(np.mean(growth[20:])) == pytest.approx(0.1 * np.sqrt(n), rel=0.05)
    first = Sweep()(p, x, run(p, x)[1] - target)
    assert np.linalg.norm(first["Wh"]) > 1e15
    for name, g in first.items():
        p[name] -= 1e-5 * g
    second = Sweep()(p, x, run(p, x)[1] - target)
    for name in ("Wx", "Wh", "biases"):
        assert not second[name].any(), name
    assert second["Wy"].any()
