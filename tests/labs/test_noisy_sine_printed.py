"""The lecture's program, as the lab holds it: equal to the errata's proofs, switch by switch."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from bptt.labs.noisy_sine.data import make_series
from bptt.labs.noisy_sine.lab import LECTURE, SANE, Recipe, make_network
from bptt.labs.noisy_sine.printed import (
    LETTERS,
    RIGHT,
    SWEEP,
    Mistakes,
    alignment,
    backward,
    in_letters,
    in_names,
    run_printed,
    states,
)
from bptt.network import Network, Recurrent
from tests.errata import lecture_program
from tests.errata.lecture_program import PrintedOptimizer, Sweep

T, N = 9, 5
RATE, DECAY, MOMENTUM = 0.02, 0.3, 0.7
RTOL = 1e-11

Tensors = dict[str, np.ndarray]


@pytest.fixture
def p(rng: np.random.Generator) -> Tensors:
    shapes = {"Wx": (N, 1), "Wh": (N, N), "Wy": (1, N), "biases": (N, 1)}
    return {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.fixture
def series(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((T, 1)), rng.standard_normal((T, 1))


def same(found: Tensors, expected: Tensors) -> None:
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=RTOL, atol=RTOL, err_msg=name)


def test_states_are_those_of_the_proof(p: Tensors, series: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = series
    expected, _ = lecture_program.run(p, x[:, 0])
    np.testing.assert_allclose(states(p, x), expected[:, :, 0], rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("wrong", [(), *((name,) for name in SWEEP.values()), tuple(SWEEP.values())])
def test_each_mistake_is_the_one_that_the_errata_prove(
    wrong: tuple[str, ...], p: Tensors, series: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = series
    H = states(p, x)
    dy = H[1:] @ p["Wy"].T - y
    switches = dict.fromkeys(wrong, True)
    found = backward(p, x, H, dy, replace(RIGHT, **switches))
    same(found, Sweep(**switches)(p, x[:, 0], dy))


def test_with_every_switch_off_it_is_the_networks_gradient() -> None:
    data = make_series(3)
    net = make_network(Recipe(neurons=31, radius=0.9), 5)
    exact = Network(Recurrent("elman", 1, 31), readout="every", loss=net.loss, bias=False)
    for name, q in net.parameters.items():
        exact.parameters[name][...] = q
    letters = in_letters(net.parameters)
    H = states(letters, data.x)
    found = in_names(backward(letters, data.x, H, H[1:] @ letters["Wy"].T - data.y, RIGHT))
    engine = exact.loss_and_gradients(data.x[None], data.y[None]).gradients.parameters
    for name in LETTERS.values():
        scale = np.abs(engine[name]).max()
        np.testing.assert_allclose(found[name], engine[name], rtol=0, atol=1e-10 * scale, err_msg=name)


def test_letters_and_names_go_both_ways() -> None:
    net = make_network(Recipe(neurons=7), 1)
    back = in_names(in_letters(net.parameters))
    for name in LETTERS.values():
        np.testing.assert_array_equal(back[name], net.parameters[name])


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("momentum", [0.0, MOMENTUM])
def test_the_optimiser_is_that_of_the_proof(
    momentum: float, still: bool, forgotten: bool, series: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = series
    net = make_network(Recipe(neurons=N), 2)
    wrong = replace(RIGHT, momentum_forgotten=forgotten, still_with_momentum=still)
    found = run_printed(
        net.parameters, x, y, epochs=6, learning_rate=RATE, decay=DECAY, momentum=momentum, mistakes=wrong
    )
    moved = in_letters(net.parameters)
    optimizer = PrintedOptimizer(
        RATE, DECAY, momentum, asks_for_its_own_name=not forgotten, moves_in_both_branches=not still
    )
    losses = []
    for _ in range(6):
        dy = lecture_program.run(moved, x[:, 0])[1] - y
        losses.append(0.5 * float((dy**2).sum()) / T)
        optimizer.update(moved, Sweep()(moved, x[:, 0], dy))
    same(found.parameters, moved)
    np.testing.assert_allclose(found.losses[:-1], losses, rtol=RTOL)
    assert found.losses[-1] == pytest.approx(
        0.5 * np.mean((lecture_program.run(moved, x[:, 0])[1] - y) ** 2), rel=RTOL
    )


def test_the_bias_of_the_plain_script_decays_by_itself(series: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = series
    net = make_network(Recipe(neurons=N), 2)
    found = run_printed(
        net.parameters,
        x,
        y,
        epochs=4,
        learning_rate=RATE,
        momentum=0.0,
        mistakes=replace(RIGHT, bias_by_itself=True),
    )
    start = in_letters(net.parameters)["biases"]
    np.testing.assert_allclose(found.parameters["biases"], start * (1 - RATE) ** 4, rtol=1e-12)


def test_to_the_letter_nothing_moves_and_fits_are_kept(series: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = series
    net = make_network(Recipe(neurons=N), 2)
    found = run_printed(net.parameters, x, y, epochs=5, keep=(0, 3, 5))
    assert found.losses.shape == (6,)
    assert np.all(found.losses == found.losses[0])
    assert list(found.fits) == [0, 3, 5]
    same(found.parameters, in_letters(net.parameters))


def test_from_the_lectures_start_one_step_freezes_the_recurrent_part() -> None:
    data = make_series(0)
    net = make_network(replace(LECTURE, neurons=600), 0)
    for wrong in (Mistakes(still_with_momentum=False), RIGHT):
        found = run_printed(net.parameters, data.x, data.y, epochs=3, mistakes=wrong)
        assert found.hidden_gradients[0] > 1e10
        assert not found.hidden_gradients[1:].any()


def test_alignment_knows_right_from_wrong() -> None:
    data = make_series(1)
    found = alignment(make_network(replace(SANE, neurons=60), 1).parameters, data.x, data.y)
    assert list(found) == [*SWEEP.values(), "all four"]
    for cosines in found.values():
        assert cosines["Wy"] == pytest.approx(1.0, rel=1e-12)
        assert cosines["Wh"] < 0.99
    assert found["outer_product_transposed"]["Wx"] == pytest.approx(1.0, rel=1e-12)
    assert abs(found["outer_product_transposed"]["Wh"]) < 0.3


def test_everything_is_wrong_by_default_but_the_earlier_script() -> None:
    assert [f.name for f in fields(Mistakes) if not f.default] == ["bias_by_itself"]
    assert not any(getattr(RIGHT, f.name) for f in fields(Mistakes))
