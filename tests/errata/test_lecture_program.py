"""The lecture, its program: entries 18 to 26 of docs/errata.md."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bptt.losses import HalfSquared
from bptt.optim import SGD
from tests.errata.lecture_program import PrintedOptimizer, Sweep, run
from tests.errata.proof import Array, Tensors, draw, same

T, N = 9, 5
RATE, MOMENTUM, DECAY = 0.02, 0.7, 0.3


@pytest.fixture
def p(rng: np.random.Generator) -> Tensors:
    return draw(rng, Wx=(N, 1), Wh=(N, N), Wy=(1, N), biases=(N, 1))


@pytest.fixture
def series(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.standard_normal(T), rng.standard_normal((T, 1))


def library_run(optimizer: SGD, p: Tensors, all_gradients: list[Tensors]) -> Tensors:
    """Return what bptt makes of p."""
    moved = {name: array.copy() for name, array in p.items()}
    slots = optimizer.init(moved)
    for step, gradients in enumerate(all_gradients):
        optimizer.update(moved, gradients, slots, step)
    return moved


def printed_run(optimizer: PrintedOptimizer, p: Tensors, all_gradients: list[Tensors]) -> Tensors:
    """Return what the program makes of p."""
    moved = {name: array.copy() for name, array in p.items()}
    for gradients in all_gradients:
        optimizer.update(moved, gradients)
    return moved


def some_gradients(p: Tensors, rng: np.random.Generator, count: int = 6) -> list[Tensors]:
    return [{name: rng.standard_normal(array.shape) for name, array in p.items()} for _ in range(count)]


def test_18_the_bias_is_moved_by_its_gradient_not_by_itself(p: Tensors, series: tuple[Array, Array]) -> None:
    x, target = series
    own, right = ({name: array.copy() for name, array in p.items()} for _ in range(2))
    all_gradients = []
    for _ in range(20):
        own["biases"] -= RATE * own["biases"]
        all_gradients.append(Sweep()(right, x, run(right, x)[1] - target))
        for name, g in all_gradients[-1].items():
            right[name] -= RATE * g
    # The printed line is a decay: it looks at no data.
    np.testing.assert_allclose(own["biases"], p["biases"] * (1 - RATE) ** 20, rtol=1e-12, atol=0)
    same(right, library_run(SGD(RATE), p, all_gradients))
    assert np.max(np.abs(right["biases"] - own["biases"])) > 1e-3


def test_19_the_velocity_is_made_anew_in_every_call(p: Tensors, rng: np.random.Generator) -> None:
    """It asks for `weight_momentums` and makes Wx_momentums, Wy_momentums, Wh_momentums and bias_momentums."""
    all_gradients = some_gradients(p, rng)
    printed = PrintedOptimizer(RATE, momentum=MOMENTUM, moves_in_both_branches=True)
    moved = printed_run(printed, p, all_gradients)
    assert printed.velocities is not None
    # Its velocity is the last step's alone, and its path that of plain descent.
    same(printed.velocities, {name: -RATE * g for name, g in all_gradients[-1].items()})
    same(moved, library_run(SGD(RATE), p, all_gradients))
    right = PrintedOptimizer(RATE, DECAY, MOMENTUM, asks_for_its_own_name=True, moves_in_both_branches=True)
    momentum = library_run(SGD(RATE, momentum=MOMENTUM, decay=DECAY), p, all_gradients)
    same(printed_run(right, p, all_gradients), momentum)
    assert all(np.max(np.abs(moved[name] - momentum[name])) > 1e-3 for name in p)


def test_20_with_momentum_no_weight_moves(p: Tensors, rng: np.random.Generator) -> None:
    """The lines that add the updates stand in the else branch, that of no momentum."""
    all_gradients = some_gradients(p, rng)
    for asks in (False, True):
        printed = PrintedOptimizer(RATE, momentum=MOMENTUM, asks_for_its_own_name=asks)
        moved = printed_run(printed, p, all_gradients)
        for name, array in p.items():
            np.testing.assert_array_equal(moved[name], array)
    # Without momentum it is right, with the decay too.
    plain = PrintedOptimizer(RATE, DECAY)
    same(printed_run(plain, p, all_gradients), library_run(SGD(RATE, decay=DECAY), p, all_gradients))


def test_21_the_curve_is_divided_by_t_twice(p: Tensors, series: tuple[Array, Array]) -> None:
    """Monitor holds L, which is over T already; the plot shows Monitor / T and calls it MSSE."""
    x, target = series
    dY = run(p, x)[1] - target
    monitored = 0.5 * (dY.T @ dY).item() / T
    msse = HalfSquared().value(run(p, x)[1][None], target[None])
    assert monitored == pytest.approx(msse, rel=1e-13)
    assert monitored / T == pytest.approx(msse / T, rel=1e-13)
    assert monitored / T < msse / 2


@pytest.fixture
def figure() -> Any:
    figure, axes = plt.subplots()
    axes.plot([1.0, 2.0])
    yield figure
    plt.close(figure)


def test_22_there_is_no_scale_log_with_a_capital(figure: Any) -> None:
    with pytest.raises(ValueError, match="'Log' is not a valid value"):
        plt.yscale("Log")
    plt.yscale("log")
    assert figure.axes[0].get_yscale() == "log"


def test_23_a_legend_takes_a_list(figure: Any) -> None:
    """Given a string it takes the letters one by one: the one line is called "$"."""

    def labels(legend: Any) -> list[str]:
        return [text.get_text() for text in legend.get_texts()]

    assert labels(plt.legend("$\\hat{y}$")) == ["$"]
    assert labels(plt.legend(["$\\hat{y}$"])) == ["$\\hat{y}$"]


def test_24_x_is_read_before_there_is_one() -> None:
    def printed() -> Array:
        X_t = np.arange(-10, 10, 0.1)
        return x.reshape(len(X_t), 1)  # noqa: F821  # the name that the entry is about

    def right() -> Array:
        X_t = np.arange(-10, 10, 0.1)
        return X_t.reshape(len(X_t), 1)

    with pytest.raises(NameError, match="'x' is not defined"):
        printed()
    assert right().shape == (200, 1)


def test_25_y_hat_and_n_are_unknown_where_they_are_drawn(p: Tensors, series: tuple[Array, Array]) -> None:
    """RunMyRNN draws Y_hat and assigns rnn.Y_hat alone; the last script titles its plot with RunMyRNN's n."""
    x, _ = series

    def printed(epochs: int) -> list[Array]:
        drawn = []
        for n in range(epochs):
            outputs = run(p, x)[1]  # the program's rnn.Y_hat
            assert outputs.shape == (T, 1)
            r = n / 100
            if r - np.ceil(r) == 0:
                drawn.append(Y_hat)  # noqa: F821  # the name that the entry is about
        return drawn

    def right(epochs: int) -> tuple[list[Array], int]:
        drawn = []
        for n in range(epochs):
            outputs = run(p, x)[1]
            r = n / 100
            if r - np.ceil(r) == 0:
                drawn.append(outputs)
        return drawn, n

    def printed_title() -> str:
        right(102)
        return "epoch " + str(n)  # noqa: F821  # the name that the entry is about

    with pytest.raises(NameError, match="'Y_hat' is not defined"):
        printed(1)
    with pytest.raises(NameError, match="'n' is not defined"):
        printed_title()
    drawn, n_last = right(102)
    assert (len(drawn), n_last) == (2, 101)


class Tanh:
    def forward(self, a: Array) -> Array:
        self.output = np.tanh(a)
        return self.output


def apply_with(activations: list[Tanh], p: Tensors, x: Array) -> Array:
    """Run p over x, one activation object a step."""
    h, y = np.zeros((N, 1)), []
    for t, xt in enumerate(x):
        h = activations[t].forward(p["Wx"] * xt + p["Wh"] @ h + p["biases"])
        y.append((p["Wy"] @ h)[0])
    return np.array(y)


def test_26_a_longer_series_runs_out_of_activations(p: Tensors, rng: np.random.Generator) -> None:
    """ApplyMyRNN lends the training run's list, which has one entry a training step."""
    trained = [Tanh() for _ in range(T)]
    shorter, longer = rng.standard_normal(T - 2), rng.standard_normal(T + 2)
    same({"y": apply_with(trained, p, shorter)}, {"y": run(p, shorter)[1]})
    with pytest.raises(IndexError):
        apply_with(trained, p, longer)
    same({"y": apply_with([Tanh() for _ in longer], p, longer)}, {"y": run(p, longer)[1]})


def test_remark_float_of_a_matrix(p: Tensors, series: tuple[Array, Array]) -> None:
    """print(float(L)) of L (1, 1): deprecated since NumPy 1.25, refused since 2.4; L.item() is the number."""
    x, target = series
    dY = run(p, x)[1] - target
    L = 0.5 * dY.T @ dY / T
    assert L.shape == (1, 1)
    with pytest.raises((TypeError, DeprecationWarning)):
        float(L)
    assert isinstance(L.item(), float)


def test_remark_the_longest_axis_need_not_be_time(rng: np.random.Generator) -> None:
    """T = max(shape) is the number of steps while there are more steps than inputs."""
    assert max(np.empty((200, 1)).shape) == 200
    assert max(np.empty((4, 6)).shape) == 6


def test_remark_clipping_does_not_lengthen_a_gradient(rng: np.random.Generator) -> None:
    """np.clip is named as the remedy for exploding *and* vanishing gradients; it is one for the first."""
    small, large = 1e-9 * rng.standard_normal(50), 1e9 * rng.standard_normal(50)
    np.testing.assert_array_equal(np.clip(small, -1, 1), small)
    assert np.max(np.abs(np.clip(large, -1, 1))) == 1
