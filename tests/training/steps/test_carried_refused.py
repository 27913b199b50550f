"""What carried state cannot be: networks, settings and sources that do not fit are refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.data import Arrays
from bptt.errors import InvalidInput, InvalidType
from bptt.training import evaluate, train
from tests.training.setups import Trail, assert_same_bits, copy_of
from tests.training.steps.carrying import Clicks, D, K, make_net, make_stretches

SERIES = np.random.default_rng(1).standard_normal((40, D))


@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        (
            {}, {"batch_size": 32},
            "batch_size must be left out with Stretches, which is read in order, streams = 2 examples a step. Got 32",
        ),
        (
            {}, {"sampling": "shuffled"},
            "sampling must be left out with Stretches, which is read in order, streams = 2 examples a step. "
            "Got 'shuffled'",
        ),
        (
            {"direction": "bidirectional"}, {},
            "net must run forward in time to carry its state through Stretches. Got direction 'bidirectional'",
        ),
        (
            {"linear_lags": 2}, {},
            "linear_lags must be at most 1 with Stretches: a chunk does not hold the rows before it. Got 2: train on "
            "Sequences, or add the path after training",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(options: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    net = make_net(**options)
    before = copy_of(net)
    source = make_stretches(SERIES, streams=2)
    with pytest.raises(InvalidInput) as caught:
        train(net, source, steps=2, progress=False, **settings)
    assert str(caught.value) == message
    if not settings:
        pair = np.zeros((5, 6, D)), np.zeros((5, 6, K))
        with pytest.raises(InvalidInput) as caught:
            train(net, pair, steps=2, validation=source, progress=False)
        assert str(caught.value) == message
        with pytest.raises(InvalidInput) as caught:
            evaluate(net, source)
        assert str(caught.value) == message
    assert_same_bits(net.parameters, before)


def test_a_readout_of_the_last_step_does_not_fit_targets_at_every_step() -> None:
    with pytest.raises(InvalidInput, match=r"^net must have readout='every' with Stretches, .* Got 'last'$"):
        train(make_net(readout="last"), make_stretches(SERIES, streams=2), steps=1, progress=False)


def test_feedback_and_lookback_do_not_go_together() -> None:
    with pytest.raises(InvalidInput) as caught:
        train(make_net(feedback=True), make_stretches(SERIES, lookback=2), steps=1, progress=False)
    assert str(caught.value) == (
        "onward must be left out for a network with feedback, whose outputs are part of its state. Got it: use chunks "
        "that do not overlap (lookback=0)"
    )


def test_what_a_source_of_ones_own_must_keep_to(rng: np.random.Generator) -> None:
    def said(kind: type[Exception], **changed: Any) -> str:
        source = Clicks(np.random.default_rng(0))
        for name, value in changed.items():
            setattr(source, name, value)
        with pytest.raises(kind) as caught:
            train(make_net("gru", readout="last", loss="cross_entropy"), source, epochs=1, progress=False)
        return str(caught.value)

    assert said(InvalidInput, streams=5) == (
        "Clicks: the number of examples must be a multiple of streams = 5. Got 12"
    )
    assert said(InvalidType, streams=2.0) == "Clicks.streams must be a whole number. Got 2.0"
    assert said(InvalidInput, carry=np.ones(12, bool)) == (
        "carry must be for rows of the batch before. Got 4 rows after no batch"
    )
    assert said(InvalidInput, carry=np.ones(12)) == (
        "carry must be booleans of shape (B,) = (4,). Got float64 of shape (4,)"
    )

    assert said(InvalidInput, onward=np.array([1.0, 2, 3, 4])) == (
        "onward must be whole numbers of at least 0, shape (B,) = (4,). Got float64 of shape (4,)"
    )

    class Unordered:
        def __len__(self) -> int:
            return 12

        batch = Clicks(rng).batch

    with pytest.raises(InvalidType) as caught:
        train(make_net("gru", readout="last", loss="cross_entropy"), Unordered(), steps=1, progress=False)
    assert str(caught.value) == (
        "carry must come from a source that is read in order. Got it from a source without streams: give the source "
        "that attribute (see bptt.data.Streams)"
    )


def test_a_batch_of_which_nothing_counts_is_named(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((40, 6, D)), rng.standard_normal((40, 6, K))
    weights = rng.uniform(1, 2, (40, 6))
    weights[5:] = 0
    net = make_net()
    trail = Trail(net)
    with pytest.raises(InvalidInput) as caught:
        train(net, Arrays(x, y, weights=weights), steps=99, batch_size=4, callbacks=[trail], progress=False)
    step = len(trail.weights) - 1
    assert str(caught.value).startswith(
        f"weights of each batch must hold at least one number above 0. Got only zeros at step {step}, examples "
    )
    assert str(caught.value).endswith(
        " and 1 more: leave out examples that do not count, or use a larger batch_size"
    )
    assert_same_bits(net.parameters, trail.weights[step])
    # Steps past a row's length do not count either.
    late = np.zeros((40, 6))
    late[:, 4:] = 1
    with pytest.raises(InvalidInput, match=r"Got only zeros at step 0, examples \d+, \d+: leave out"):
        train(
            net, Arrays(x, y, np.full(40, 3), late), steps=1, batch_size=2, progress=False
        )  # fmt: skip
