"""The two tasks of the gradients lab: what is due is what is marked, and a guess does as badly as is said."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.labs.gradients.data import LAGS, TASKS, adding_problem, digit_echo, get_task
from bptt.network import Network, Recurrent


@pytest.mark.parametrize("lag", [1, 7, 200])
def test_the_marked_digit_is_due(lag: int, rng: np.random.Generator) -> None:
    x, y = digit_echo(rng, 23, lag)
    assert x.shape == (23, lag + 1, 11)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :, :10].sum(axis=2), 1)
    np.testing.assert_array_equal(x[:, 0, 10], 1)
    np.testing.assert_array_equal(x[:, 1:, 10], 0)
    for row in range(23):
        assert x[row, 0, y[row]] == 1


def test_the_digits_between_say_nothing_about_the_answer(rng: np.random.Generator) -> None:
    x, y = digit_echo(rng, 20_000, 3)
    for t in (1, 2, 3):
        same = (x[:, t, :10].argmax(axis=1) == y).mean()
        assert same == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("lag", [1, 6, 150])
def test_the_sum_of_the_two_marked_numbers_is_due(lag: int, rng: np.random.Generator) -> None:
    x, y = adding_problem(rng, 31, lag)
    assert x.shape == (31, lag + 1, 2)
    assert y.shape == (31, 1)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(x[:, :, 1].sum(axis=1), 2)
    for row in range(31):
        first, second = np.flatnonzero(x[row, :, 1])
        assert first == 0
        assert y[row, 0] == pytest.approx(x[row, first, 0] + x[row, second, 0], rel=1e-6)


def test_saying_one_always_has_an_error_of_a_sixth(rng: np.random.Generator) -> None:
    _, y = adding_problem(rng, 40_000, 9)
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, rel=0.03)


def test_a_seed_gives_the_same_examples() -> None:
    for task in TASKS.values():
        one, other = (task.draw(np.random.default_rng([3, 0]), 5, 12) for _ in range(2))
        for found, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("name", list(TASKS))
def test_scores(name: str, rng: np.random.Generator) -> None:
    task = get_task(name)
    net = Network(
        Recurrent("elman", task.inputs, 3, dtype="float32"), task.outputs, loss=task.loss, readout="last"
    )
    x, y = task.draw(rng, 400, 5)
    score = task.score(net, x, y)
    assert not task.solved(score)
    assert task.solved(1.0 if name == "echo" else 0.0)
    # A network that says exactly what is due: every answer is asked of the readout's bias, one class at a time.
    for p in net.parameters.values():
        p[...] = 0
    if name == "echo":
        net.parameters["readout.b_y"][4] = 1
        assert task.score(net, x, y) == pytest.approx((y == 4).mean(), abs=1e-12)
    else:
        net.parameters["readout.b_y"][...] = 0.75
        assert task.score(net, x, y) == pytest.approx(float(np.mean((y - 0.75) ** 2)), rel=1e-6)


def test_wrong_settings_are_refused(rng: np.random.Generator) -> None:
    assert list(LAGS) == sorted(LAGS)
    with pytest.raises(InvalidInput, match="lag must be"):
        digit_echo(rng, 3, 0)
    with pytest.raises(InvalidInput, match="count must be"):
        adding_problem(rng, 0, 3)
    with pytest.raises(InvalidInput, match="task must be one of"):
        get_task("parity")
