"""Recurrent weights with missing connections, and with units of one sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from bptt.optim import SGD
from tests.network.build import every_entry, randomise, slope_errors, wrong

B, T, D, H, K = 4, 6, 3, 5, 2
SIGNS = np.array([1, -1, 1, 1, -1])
CELLS = ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"]


def a_mask(rng: np.random.Generator) -> np.ndarray:
    mask = (rng.random((H, H)) < 0.5).astype(int)
    assert 0 < mask.sum() < H * H
    return mask


def every_gate(mask: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.tile(mask, (1, weight.shape[1] // H))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("signed", [False, True], ids=["any_sign", "dale"])
@pytest.mark.parametrize("masked", [False, True], ids=["dense", "sparse"])
def test_the_equations_use_the_effective_weights(
    cell: str, signed: bool, masked: bool, rng: np.random.Generator
) -> None:
    mask, signs = a_mask(rng) if masked else None, SIGNS if signed else None
    stack = randomise(Recurrent(cell, D, H, num_layers=2, mask=mask, signs=signs), rng)
    plain = Recurrent(cell, D, H, num_layers=2)
    for name, p in stack.parameters.items():
        effective = p
        if name.endswith("W_hh"):
            if signed:
                effective = SIGNS[:, None] * np.maximum(p, 0)
            if masked:
                effective = effective * every_gate(mask, p)
        plain.parameters[name] = effective
    x = rng.standard_normal((B, T, D))
    h, _, tape = stack.forward(x)
    h_plain, _, tape_plain = plain.forward(x)
    np.testing.assert_array_equal(h, h_plain)
    dh = rng.standard_normal(h.shape)
    found, wanted = stack.backward(tape, dh).parameters, plain.backward(tape_plain, dh).parameters
    for name, gradient in wanted.items():  # and the chain rule by hand
        if name.endswith("W_hh"):
            if masked:
                gradient = gradient * every_gate(mask, gradient)
            if signed:
                gradient = gradient * SIGNS[:, None] * (stack.parameters[name] > 0)
        np.testing.assert_array_equal(found[name], gradient)


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_exact_and_zero_where_nothing_connects(cell: str, rng: np.random.Generator) -> None:
    mask = a_mask(rng)
    stack = Recurrent(cell, D, H, direction="bidirectional", mask=mask, signs=SIGNS)
    net = randomise(Network(stack, K), rng)
    x, y = rng.standard_normal((2, 3, D)), rng.standard_normal((2, K))
    assert not wrong(slope_errors(net, x, y, every_entry))
    gradients = net.loss_and_gradients(x, y).gradients.parameters
    for name in ("layers.0.W_hh", "layers.0.reverse.W_hh"):
        p, gradient = net.parameters[name], gradients[name]
        silent = (every_gate(mask, p) == 0) | (p <= 0)
        assert not gradient[silent].any()
        # A reset gate before the product has no effect where the unit it gates connects to nothing.
        alive = gradient[~silent] != 0
        assert alive.any() if cell == "gru_reset_before" else alive.all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_training_keeps_the_structure(dtype: str, rng: np.random.Generator) -> None:
    mask = a_mask(rng)
    stack = Recurrent("gru", D, H, mask=mask, signs=SIGNS, dtype=dtype)
    net = Network(stack, K)
    start = stack.parameters["layers.0.W_hh"].copy()
    optimiser = SGD(0.5, momentum=0.9)
    slots = optimiser.init(net.parameters)
    for step in range(5):
        found = net.loss_and_gradients(rng.standard_normal((B, T, D)), rng.standard_normal((B, K)))
        optimiser.update(net.parameters, found.gradients.parameters, slots, step)
    trained = stack.parameters["layers.0.W_hh"]
    effective = stack.constraint.effective(trained)
    assert effective.dtype == trained.dtype == dtype
    everywhere = every_gate(mask, trained)
    assert not effective[everywhere == 0].any()
    assert (effective * SIGNS[:, None] >= 0).all()
    np.testing.assert_array_equal(trained[everywhere == 0], start[everywhere == 0])
    assert (trained[everywhere == 1] != start[everywhere == 1]).any()


def test_signed_units_start_with_connections() -> None:
    # Half of freely drawn weights would have the wrong sign, be silenced by relu, and never get a gradient.
    stack = Recurrent("lstm", D, H, signs=SIGNS)
    weight = stack.parameters["layers.0.W_hh"]
    assert (weight >= 0).all()
    assert (stack.constraint.effective(weight) != 0).mean() > 0.95


def test_without_constraints_there_is_none() -> None:
    assert Recurrent("gru", D, H).constraint is None


@pytest.mark.parametrize("given", [{"mask": [[1, 0], [1, 1]]}, {"signs": [1, -1]}])
def test_lists_are_taken(given: dict[str, Any]) -> None:
    assert Recurrent("elman", D, 2, **given).constraint.config() == {"mask": None, "signs": None, **given}
