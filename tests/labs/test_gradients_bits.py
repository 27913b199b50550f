"""PyTorch's own test of its recurrent layers, given to ours: the sum of five random bits, by two layers of 32 units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from bptt.optim import Adam
from bptt.training import train

BITS, BATCH, STEPS, ENOUGH = 5, 16, 1500, 1e-2


def running_losses(cell: str, options: dict[str, Any], seed: int) -> np.ndarray:
    """Train, and return the running mean of the losses as PyTorch's test takes it: 0.99 of the old, from 1 on."""
    rng = np.random.default_rng([seed, 8])
    x = rng.integers(0, 2, (STEPS * BATCH, BITS, 1)).astype(np.float32)
    stack = Recurrent(cell, 1, 32, num_layers=2, dtype="float32", seed=seed, **options)
    net = Network(stack, 1, readout="last", loss="mse", seed=seed)
    history = train(
        net, (x, x.sum(axis=1)), optimizer=Adam(1e-2), steps=STEPS, batch_size=BATCH, sampling="shuffled", seed=seed,
        progress=False,
    )  # fmt: skip
    found = np.empty(STEPS)
    running = 1.0
    for step, loss in enumerate(history.losses):
        running = 0.99 * running + 0.01 * loss
        found[step] = running
    return found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("cell", "options"),
    [("elman", {"activation": "tanh"}), ("elman", {"activation": "relu"}), ("gru", {}), ("lstm", {})],
    ids=["tanh", "relu", "gru", "lstm"],
)
def test_five_bits_are_summed_within_1500_steps(cell: str, options: dict[str, Any], seed: int) -> None:
    losses = running_losses(cell, options, seed)
    assert losses[0] > 0.9  # the rule does not start below what it asks for
    assert losses.min() < ENOUGH
