from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import EarlyStopping, train
from bptt.training.watching.early_stopping import BestWeights, get_early_stopping
from tests.training.setups import Trail, assert_same_bits, copy_of, make_data, make_net

ONES = np.ones((4, 2, 1))


def biased(target: float) -> tuple[Any, Any]:
    return ONES, np.full((4, 1), target)


def bias_only() -> Network:
    """A network whose prediction is ``readout.b_y`` alone: every gradient but that one is 0."""
    net = Network(Recurrent("elman", 1, 3), 1)
    for p in net.parameters.values():
        p[...] = 0.0
    return net


def test_the_weights_of_the_lowest_validation_loss_come_back() -> None:
    # The bias goes 0, 0.2, 0.36, ..., 1 - 0.8^k towards 1. Validation wants 0.65: nearest at k = 5, where it is 0.672.
    net = bias_only()
    trail = Trail(net)
    history = train(
        net, biased(1.0), optimizer=SGD(0.1), steps=100, batch_size=2, validation=biased(0.65), evaluate_every=1,
        early_stopping=7, callbacks=[trail], progress=False,
    )  # fmt: skip
    values = 1 - 0.8 ** np.arange(1, 13)
    assert history.stopped_because == "early stopping"
    assert (history.best_step, history.steps) == (5, 5 + 7)
    np.testing.assert_allclose(
        [loss for _, loss in history.validation], (values - 0.65) ** 2, rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(net.parameters["readout.b_y"], values[4], rtol=1e-14, atol=0)
    assert_same_bits(net.parameters, trail.weights[5])
    assert trail.weights[12]["readout.b_y"] > 0.9


def test_patience_counts_evaluations_not_steps() -> None:
    net = bias_only()
    history = train(
        net, biased(1.0), optimizer=SGD(0.1), steps=100, validation=biased(0.65), evaluate_every=3, early_stopping=2,
        progress=False,
    )  # fmt: skip
    # 0.488 at step 3, 0.738 at 6, 0.866 at 9: of these 6 is the nearest.
    assert (history.best_step, history.steps, history.stopped_because) == (6, 12, "early stopping")


def test_the_best_weights_come_back_though_patience_lasted() -> None:
    net = bias_only()
    trail = Trail(net)
    history = train(
        net, biased(1.0), optimizer=SGD(0.1), steps=9, validation=biased(0.65), evaluate_every=1,
        early_stopping=EarlyStopping(50), callbacks=[trail], progress=False,
    )  # fmt: skip
    assert (history.stopped_because, history.steps, history.best_step) == ("finished", 9, 5)
    assert_same_bits(net.parameters, trail.weights[5])


def test_a_random_net_gets_the_weights_of_the_best_step(rng: np.random.Generator) -> None:
    net = make_net("lstm", dtype="float32")
    trail = Trail(net)
    history = train(
        net, make_data(rng), steps=60, validation=make_data(rng, count=9), early_stopping=EarlyStopping(3, 0.0),
        callbacks=[trail], progress=False,
    )  # fmt: skip
    assert history.best_step is not None
    assert_same_bits(net.parameters, trail.weights[history.best_step])


def test_a_change_must_be_large_enough_to_count() -> None:
    net = make_net()
    best = BestWeights(EarlyStopping(patience=2, min_change=0.1))
    seen = []
    for k, loss in enumerate([1.0, 0.95, 0.89, 0.80, 0.79, 0.3]):
        net.parameters["readout.b_y"][...] = k
        seen.append(best.see(loss, net.parameters, len(seen) + 1))
    # 0.95 is no better than 1.0 by 0.1; 0.89 is. 0.80 and 0.79 are within 0.1 of 0.89 (and 0.80 + 0.1 > 0.89).
    assert seen == [False, False, False, False, True, False]
    assert best.found.lowest == 0.3
    assert best.found.weights is not None
    assert best.found.weights["readout.b_y"][0] == 5


def test_the_kept_weights_are_copies() -> None:
    net = make_net()
    best = BestWeights(EarlyStopping())
    best.see(1.0, net.parameters, 1)
    before = copy_of(net)
    for p in net.parameters.values():
        p += 1
    assert best.found.weights is not None
    assert_same_bits(best.found.weights, before)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: get_early_stopping("5"),
            InvalidType,
            "early_stopping must be a patience (evaluations) or an EarlyStopping. Got '5'",
        ),
        (
            lambda: get_early_stopping(True),
            InvalidType,
            "early_stopping must be a patience (evaluations) or an EarlyStopping. Got True",
        ),
        (lambda: get_early_stopping(0), InvalidInput, "patience must be at least 1. Got 0"),
        (lambda: EarlyStopping(2.0), InvalidType, "patience must be a whole number. Got 2.0"),  # type: ignore[arg-type]  # what is tested
        (lambda: EarlyStopping(2, -0.1), InvalidInput, "min_change must be at least 0. Got -0.1"),
    ],
)
def test_what_does_not_fit_is_said(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message
