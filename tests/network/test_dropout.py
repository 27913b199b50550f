"""Dropout between layers: masks from a counter, and what they do to a pass."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from bptt.network.dropout import dropout_mask
from tests.network.build import EXACT, every_entry, random_signs, randomise, slope_errors, wrong

B, T, D, H, K = 4, 6, 3, 5, 2

# The masks are fixed numbers, so these bounds cannot fail by chance; a fair generator exceeds them once in 1e4 runs.
CHI_SQUARE_15 = 44.3
CHI_SQUARE_63 = 112.0


def mask(shape: tuple[int, ...] = (50, 20, 32), rate: float = 0.3, **key: int) -> np.ndarray:
    return dropout_mask(shape, rate, **{"seed": 5, "step": 2, "layer": 1, "dtype": "float64", **key})


def test_a_mask_depends_on_its_key_and_nothing_else() -> None:
    kept = mask()
    np.random.default_rng(0).random(10)  # no stream is shared with anything
    np.testing.assert_array_equal(mask(), kept)
    assert set(np.unique(kept)) == {0.0, 1 / 0.7}


@pytest.mark.parametrize("other", [{"seed": 6}, {"step": 3}, {"layer": 0}, {"seed": 2, "step": 5}])
def test_another_seed_step_or_layer_is_another_mask(other: dict[str, int]) -> None:
    # Two independent masks of rate 0.3 differ in 2 * 0.3 * 0.7 = 0.42 of their elements.
    assert (mask() != mask(**other)).mean() == pytest.approx(0.42, abs=0.02)


def test_elements_are_counted_over_steps_rows_and_units_in_that_order() -> None:
    # Element n of (T, B, H) is a function of n: a longer batch begins with the shorter one's mask. The mask of a
    # row therefore changes with its place and with the number of rows, but not with what the other rows hold.
    np.testing.assert_array_equal(mask((9, 20, 32)), mask()[:9])
    np.testing.assert_array_equal(mask((1000, 32)), mask((50, 20, 32)).reshape(1000, 32))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_is_one(rate: float, dtype: str) -> None:
    made = dropout_mask((100, 50, 40), rate, seed=1, step=0, layer=0, dtype=dtype)
    assert made.dtype == dtype
    # The standard error of the mean: sqrt(rate / (1 - rate) / n), times 4.
    assert made.mean(dtype="float64") == pytest.approx(1.0, abs=4 * np.sqrt(rate / (1 - rate) / made.size))


def test_the_uniform_numbers_behind_the_masks_are_uniform() -> None:
    # An element is dropped at every rate above its number, so masks at rates k/16 put each number into its bin.
    for seed, step, layer in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**40, 2**33 + 1, 7)):
        dropped = [
            dropout_mask((64, 25, 40), k / 16, seed=seed, step=step, layer=layer, dtype="float64") == 0
            for k in range(16)
        ]
        for low, high in pairwise(dropped):
            assert not (low & ~high).any()
        below = np.array([d.sum() for d in dropped] + [dropped[0].size])
        found, wanted = np.diff(below), below[-1] / 16
        assert ((found - wanted) ** 2 / wanted).sum() < CHI_SQUARE_15


def test_each_element_is_kept_as_often_as_another() -> None:
    # Over 2,000 steps: 64 elements, each kept with probability 0.6, and each pair of neighbours independently.
    masks = np.array(
        [
            dropout_mask((4, 2, 8), 0.4, seed=3, step=s, layer=0, dtype="float64").ravel() > 0
            for s in range(2000)
        ]
    )
    spread = np.sqrt(2000 * 0.6 * 0.4)
    assert (((masks.sum(axis=0) - 1200) / spread) ** 2).sum() < CHI_SQUARE_63
    together = (masks[:, 1:] & masks[:, :-1]).sum(axis=0)
    pairs = np.sqrt(2000 * 0.36 * 0.64)
    assert (((together - 720) / pairs) ** 2).sum() < CHI_SQUARE_63


def test_nothing_is_dropped_without_a_key(rng: np.random.Generator) -> None:
    with_rate = randomise(Recurrent("gru", D, H, num_layers=3, dropout=0.5), rng)
    without = Recurrent("gru", D, H, num_layers=3)
    without.parameters.update(with_rate.parameters)
    x = rng.standard_normal((B, T, D))
    np.testing.assert_array_equal(with_rate.forward(x)[0], without.forward(x)[0])
    np.testing.assert_array_equal(without.forward(x, dropout_key=(1, 2))[0], without.forward(x)[0])
    assert np.abs(with_rate.forward(x, dropout_key=(1, 2))[0] - without.forward(x)[0]).max() > 0.01


def test_it_acts_between_layers_alone(rng: np.random.Generator) -> None:
    stack = randomise(Recurrent("gru", D, H, num_layers=3, direction="bidirectional", dropout=0.5), rng)
    x = rng.standard_normal((B, T, D))
    h, _, tape = stack.forward(x, dropout_key=(1, 2))
    assert len(tape.masks) == 2
    assert tape.masks[0].shape == (T, B, 2 * H)
    assert (tape.masks[0] != tape.masks[1]).any()
    below = x
    for layer in range(3):
        one = Recurrent("gru", below.shape[2], H, direction="bidirectional")
        one.parameters.update(
            {n: stack.parameters[f"layers.{layer}." + n.removeprefix("layers.0.")] for n in one.parameters}
        )
        below = one.forward(below)[0]
        if layer < 2:
            below = below * tape.masks[layer].transpose(1, 0, 2)
    np.testing.assert_array_equal(h, below)


@pytest.mark.parametrize("feedback", [False, True], ids=["windowed", "feedback"])
def test_the_gradient_is_that_of_the_dropped_network(feedback: bool, rng: np.random.Generator) -> None:
    stack = Recurrent("lstm", D + (K if feedback else 0), H, num_layers=3, dropout=0.4)
    net = randomise(Network(stack, K, readout="every", feedback=feedback), rng)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    given: dict[str, Any] = {"dropout_key": (11, 4)}
    assert not wrong(slope_errors(net, x, y, lambda at: random_signs(at, rng), **given))
    small = randomise(
        Network(Recurrent("gru", D, 3, num_layers=2, dropout=0.4, direction="bidirectional"), K), rng
    )
    assert not wrong(slope_errors(small, x, y[:, 0], every_entry, **given), EXACT)


def test_a_key_repeats_a_loss_to_the_bit(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D, H, num_layers=2, dropout=0.5), K), rng)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    first = net.loss_and_gradients(x, y, dropout_key=(1, 7))
    again = net.loss_and_gradients(x, y, dropout_key=(1, 7))
    other = net.loss_and_gradients(x, y, dropout_key=(1, 8))
    assert first.loss == again.loss != other.loss
    for name, gradient in first.gradients.parameters.items():
        np.testing.assert_array_equal(again.gradients.parameters[name], gradient)
