"""Steps whose loss does not count are not read out where many steps are one call; steps by hand give the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.data import Sequences
from bptt.data.examples.arrays import Arrays
from bptt.engine.compiled.training.step import CompiledStep, steps_to_skip
from bptt.losses import Huber, Pinball, get_loss
from bptt.network import Network, Recurrent
from bptt.network.steps import step_design
from bptt.optim import Adam, ClipNorm
from bptt.training import train
from tests.network.build import randomise
from tests.training.setups import assert_same_bits
from tests.training.steps.test_fused import by_hand, rows_of

N, T, D, K = 41, 11, 3, 4
STEPS = 7


def made(
    loss: Any, hidden: int, dtype: str = "float32", readout: str = "every", layers: int = 1, **rest: Any
) -> Network:
    stack = Recurrent("lstm", D, hidden, num_layers=layers, dtype=dtype, engine="compiled")
    net = Network(stack, K, readout=readout, loss=loss, **rest)
    return randomise(net, np.random.default_rng(3), gain=0.6)


def examples(rng: np.random.Generator, warmup: int, *, classes: bool = False, targets: int = K) -> Arrays:
    y = rng.integers(K, size=(N, T)) if classes else rng.standard_normal((N, T, targets))
    weights = rng.uniform(0.5, 2.0, T)
    weights[:warmup] = 0
    # One more, between steps that count.
    weights[-2] = 0
    return Arrays(rng.standard_normal((N, T, D)), y, weights=np.tile(weights, (N, 1)))


# Sequences in the lanes, then units; a batch of 32 leaves out four steps of 6, one of 96 too.
@pytest.mark.parametrize(("hidden", "rows"), [(5, 32), (16, 96)])
@pytest.mark.parametrize(
    ("loss", "dtype", "layers"),
    [
        (Huber(0.3), "float32", 1),
        (Pinball((0.2, 0.9)), "float64", 2),
        (get_loss({"kind": "cross_entropy", "time": "sum"}), "float32", 1),
    ],
    ids=["huber", "pinball", "cross-entropy"],
)
def test_the_bits_of_steps_made_by_hand(
    loss: Any,
    dtype: str,
    layers: int,
    hidden: int,
    rows: int,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skipped: list[int] = []
    begin = CompiledStep.__init__

    def noted(self: Any, *given: Any, **rest: Any) -> None:
        skipped.append(rest.get("skipped", 0))
        begin(self, *given, **rest)

    monkeypatch.setattr(CompiledStep, "__init__", noted)
    classes = not isinstance(loss, (Huber, Pinball))
    source = examples(rng, 6, classes=classes, targets=2 if isinstance(loss, Pinball) else K)
    whole, hand = (made(loss, hidden, dtype, layers=layers) for _ in range(2))
    optimizer, clip = Adam(0.02), ClipNorm(0.4)
    history = train(
        whole, source, optimizer=optimizer, steps=STEPS, batch_size=rows, clip=clip, seed=5, progress=False
    )
    assert skipped == [4]
    assert rows_of(history) == by_hand(hand, source, optimizer, STEPS, rows, seed=5, clip=clip)
    assert skipped[1:] == [0]
    assert_same_bits(whole.parameters, hand.parameters)


def test_what_is_skipped_may_be_anything(rng: np.random.Generator) -> None:
    values = rng.standard_normal((N + T, D + K)).astype(np.float32)
    columns: dict[str, Any] = {"inputs": range(D), "targets": range(D, D + K), "length": T, "horizon": 1}
    columns |= {"warmup": 8, "dtype": "float32"}
    nets = []
    for size in (0.0, 1e30):  # its square is no float32
        # The second row's targets are only ever the first step's.
        values[1, D:] = size
        nets.append(made(Huber(0.3), 16))
        train(
            nets[-1], Sequences(values, **columns), optimizer=Adam(0.02), steps=STEPS, batch_size=32,
            progress=False,
        )  # fmt: skip
    assert_same_bits(nets[1].parameters, nets[0].parameters)


def test_how_many_steps_are_skipped() -> None:
    """So many that the readout's sums have the same blocks, of 128 rows, and none where something else reads them."""
    net = made(Huber(0.3), 5)
    weights = np.array([0, 0, 0, 0, 0, 0, 1.0, 0, 2.0])
    for B, count in ((32, 4), (128, 6), (96, 4), (20, 0), (7, 0), (1, 0)):
        assert steps_to_skip(step_design(net), weights, B) == count
    assert steps_to_skip(step_design(net), np.repeat(weights, 16), 20) == 96
    assert steps_to_skip(step_design(net), None, 32) == 0
    assert steps_to_skip(step_design(net), np.ones(9), 32) == 0
    others: list[dict[str, Any]] = [{"linear_lags": 2}, {"change_of": (2, 0, 2, 1)}, {"readout": "last"}]
    for given in others:
        assert steps_to_skip(step_design(made(Huber(0.3), 5, **given)), weights, 32) == 0
