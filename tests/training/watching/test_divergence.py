from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Batch
from bptt.errors import DivergedError
from bptt.initializers import Normal
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam
from bptt.training import TrainingDivergedError, train
from bptt.training.watching.divergence import first_not_finite, likeliest_cause
from tests.training.setups import D, K, N, Recording, T, Trail, assert_same_bits, copy_of, make_data, make_net


def fail(net: Network, data: Any, **settings: Any) -> tuple[TrainingDivergedError, Trail]:
    trail = Trail(net)
    with pytest.raises(DivergedError) as caught:
        train(net, data, progress=False, callbacks=[trail], **settings)
    error = caught.value
    assert isinstance(error, TrainingDivergedError)
    assert "\n" not in str(error)
    assert error.history.stopped_because == "diverged"
    for numbers in (error.history.losses, error.history.gradient_norms, error.history.learning_rates):
        assert np.isfinite(numbers).all()
    if error.updates_kept < len(trail.weights):
        assert_same_bits(net.parameters, trail.weights[error.updates_kept])
    return error, trail


@pytest.mark.parametrize(
    ("poison", "where"),
    [
        (("x", (20, 4, 1), math.nan), "x[20, 4, 1] of the data is nan"),
        (("x", (20, 0, 2), math.inf), "x[20, 0, 2] of the data is inf"),
        (("y", (20, 1), -math.inf), "y[20, 1] of the data is -inf"),
    ],
)
@pytest.mark.parametrize("cell", ["lstm", "elman"])
def test_bad_data_are_named_and_every_update_before_them_is_kept(
    rng: np.random.Generator, poison: Any, where: str, cell: str
) -> None:
    net = make_net(cell)
    source = Recording(*make_data(rng))
    source.poison = poison
    error, _ = fail(net, source, steps=60, batch_size=4, seed=1)
    step = next(k for k, rows in enumerate(source.drawn) if 20 in rows)
    assert len(source.drawn) == step + 1
    assert step > 2
    assert (error.step, error.updates_kept, error.history.steps) == (step, step, step)
    assert not math.isfinite(error.loss) or not math.isfinite(error.gradient_norm)
    assert str(error) == (
        f"loss and gradient must stay finite. Got loss {error.loss:.4g}, gradient norm {error.gradient_norm:.4g} "
        f"at step {step}: {where}: fill it, or leave example 20 out. "
        f"The network keeps its weights after {step} updates"
    )


def test_too_large_a_learning_rate_is_named_and_its_last_update_taken_back(rng: np.random.Generator) -> None:
    net = make_net("elman", linear_lags=2)
    error, trail = fail(net, make_data(rng), optimizer=SGD(50.0), steps=2000)
    assert error.step == error.history.steps > 3
    assert error.loss == math.inf
    # The update before made the loss infinite: it is the bad one.
    assert error.updates_kept == error.step - 1
    assert len(trail.weights) == error.step + 1
    assert str(error) == (
        f"loss and gradient must stay finite. Got loss inf, gradient norm {error.gradient_norm:.4g} at step "
        f"{error.step}: the learning rate 50 is too large: try 5 or less. "
        f"The network keeps its weights after {error.step - 1} updates"
    )


def test_the_first_update_can_be_the_bad_one(rng: np.random.Generator) -> None:
    error, _ = fail(make_net(linear_lags=2), make_data(rng), optimizer=SGD(1e300), steps=9)
    assert (error.step, error.updates_kept) == (1, 0)
    assert str(error).endswith(
        "the learning rate 1e+300 is too large: try 1e+299 or less. The network keeps its weights after 0 updates"
    )


def exploding(dtype: str = "float64", steps: int = 250) -> tuple[Network, Any]:
    """A linear network whose recurrent weights have a spectral radius of 6 or so: the gradient grows like 6^t."""
    rng = np.random.default_rng(0)
    stack = Recurrent(
        "elman",
        1,
        9,
        activation="identity",
        dtype=dtype,
        initializers={"W_hh": Normal(2.0), "W_xh": Normal(1e-3)},
    )
    x = rng.standard_normal((12, steps, 1))
    # Nothing goes in, so that the loss is small; the gradient of the bias explodes all the same.
    return Network(stack), (np.zeros_like(x), rng.standard_normal((12, 1)))


def test_an_exploding_gradient_is_named() -> None:
    net, data = exploding()
    error, _ = fail(net, data, optimizer=SGD(0.01), steps=5)
    assert (error.step, error.updates_kept) == (1, 0)
    assert error.history.losses[0] < 10
    size = error.history.gradient_norms[0]
    assert size > 1e100
    assert f": the gradient exploded, to a norm of {size:.3g} at step 0: clip it, clip=1.0 say. " in str(
        error
    )


def test_a_gradient_that_is_not_finite_is_not_applied() -> None:
    net, data = exploding("float32", 60)
    before = copy_of(net)
    error, _ = fail(net, data, optimizer=SGD(0.01), steps=5, batch_size=12)
    assert (error.step, error.updates_kept, error.history.steps) == (0, 0, 0)
    assert math.isfinite(error.loss)
    assert not math.isfinite(error.gradient_norm)
    assert_same_bits(net.parameters, before)
    assert ": the gradient exploded, to a norm of " in str(error)
    assert " at step 0: clip it, clip=1.0 say. The network keeps its weights after 0 updates" in str(error)


def test_where_clipping_does_not_help_another_remedy_is_named() -> None:
    net, data = exploding("float32", 60)
    error, _ = fail(net, data, optimizer=SGD(0.01), steps=5, clip=1.0)
    assert "before clipping: lower the learning rate 0.01 or the spectral radius of W_hh. " in str(error)


def test_an_update_that_overflows_is_not_applied() -> None:
    net, data = exploding("float32", 30)
    error, _ = fail(net, data, optimizer=Adam(0.01), steps=5)
    assert (error.step, error.updates_kept) == (0, 0)
    assert error.gradient_norm > 1e19  # its square is beyond float32
    assert math.isfinite(error.gradient_norm)
    assert "Got an update beyond float32, from loss " in str(error)
    assert ": the gradient exploded, to a norm of " in str(error)


def test_starting_weights_that_overflow() -> None:
    net = make_net(loss="mse", linear_lags=2)
    x = np.full((N, T, D), 1e200)
    net.parameters["linear.W_xy"][...] = 1.0
    error, _ = fail(net, (x, np.zeros((N, K))), steps=5)
    assert (error.step, error.updates_kept) == (0, 0)
    assert (
        ": the starting weights already give it: scale inputs and targets, or start from smaller weights. "
        in str(error)
    )


def test_a_validation_loss_that_is_not_finite_stops_the_run(rng: np.random.Generator) -> None:
    held_out = Recording(*make_data(rng, count=11))
    held_out.poison = ("y", (7, 0), math.nan)
    data = make_data(rng)
    net, by_hand = make_net(), make_net()
    error, trail = fail(net, data, steps=20, validation=held_out, evaluate_every=5)
    train(by_hand, data, steps=5, progress=False)
    assert_same_bits(net.parameters, by_hand.parameters)
    assert (error.step, error.updates_kept, error.history.validation) == (4, 5, ())
    assert (
        "Got validation loss nan, gradient norm "
        f"{error.gradient_norm:.4g}, at step 4: in validation, y[7, 0] of the data is nan: fill it, or leave "
        "example 7 out. The network keeps its weights after 5 updates"
    ) in str(error)
    assert len(trail.weights) == 5  # the callback was not told of step 4, which ended in the error


def test_weights_that_only_validation_shows_to_be_lost_are_taken_back(rng: np.random.Generator) -> None:
    error, _ = fail(
        make_net(linear_lags=2), make_data(rng), optimizer=SGD(1e300), steps=1, validation=make_data(rng)
    )
    assert (error.step, error.updates_kept, error.loss) == (0, 0, math.inf)
    assert "the learning rate 1e+300 is too large" in str(error)


def test_what_does_not_count_may_be_nan(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    lengths = np.full(N, T)
    lengths[20] = 3
    weights = np.ones(N)
    weights[30] = 0
    batch = Batch(x, y, lengths, weights)
    everything = np.arange(N)
    assert first_not_finite(batch, everything) is None
    x[20, 3, 1] = y[30, 0] = math.nan
    assert first_not_finite(batch, everything) is None
    x[20, 2, 1] = math.nan
    assert str(first_not_finite(batch, everything + 100)).startswith("x[120, 2, 1] of the data is nan")

    x, y = np.zeros((4, T, D)), np.zeros((4, T, K))
    batch = Batch(x, y, np.array([6, 2, 6, 6]), np.array([1.0, 1.0, 0.0, 1.0]))
    y[1, 2, 0] = y[2, 0, 0] = math.inf
    assert first_not_finite(batch, np.arange(4)) is None
    y[1, 1, 1] = math.inf
    assert str(first_not_finite(batch, np.arange(4))).startswith("y[1, 1, 1] of the data is inf")

    per_step = np.ones((4, T))
    per_step[1, 1] = 0
    assert first_not_finite(Batch(x, y, np.array([6, 2, 6, 6]), per_step), np.arange(4)) is not None
    per_step[2, 0] = 0
    assert first_not_finite(Batch(x, y, np.array([6, 2, 6, 6]), per_step), np.arange(4)) is None
    assert first_not_finite(Batch(x, np.zeros((4, T), int)), np.arange(4)) is None


@pytest.mark.parametrize(
    ("losses", "norms", "expected"),
    [
        # The loss rises step by step, as do the gradients.
        (
            [1.0, 0.9, 3.0, 20.0, 900.0, math.inf],
            [1.0, 1.1, 2.0, 5.0, 30.0, math.nan],
            "the learning rate 0.5",
        ),
        # One gradient far beyond the usual, then the loss is lost.
        (
            [1.0, 0.9, 0.8, 500.0, 1e9, math.inf],
            [1.0, 1.1, 140.0, 1e4, 1e9, math.nan],
            "the gradient exploded, to a norm of 140 at step 2",
        ),
        ([1.0, 0.9, 0.8, math.nan], [1.0, 1.1, 90.0, math.nan], "the learning rate 0.5"),
        # Large losses have large gradients.
        ([1e6, 1e6, math.inf], [1e5, 1e5, math.nan], "the learning rate 0.5"),
        ([1.0, 1.0], [1.0, math.inf], "the gradient exploded, to a norm of inf at step 1"),
        ([math.nan], [math.nan], "the starting weights already give it"),
    ],
)
def test_likeliest_cause(losses: list[float], norms: list[float], expected: str) -> None:
    assert likeliest_cause(losses, norms, 0.5, clipped=False).startswith(expected)


def test_the_error_survives_pickling(rng: np.random.Generator) -> None:
    error, _ = fail(make_net(linear_lags=2), make_data(rng), optimizer=SGD(1e300), steps=9)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.step, again.updates_kept) == (str(error), 1, 0)
    np.testing.assert_array_equal(again.history.losses, error.history.losses)


def test_no_warning_and_no_changed_error_state(rng: np.random.Generator) -> None:
    before = np.geterr()
    fail(make_net("elman", linear_lags=2), Arrays(*make_data(rng)), optimizer=SGD(50.0), steps=2000)
    assert np.geterr() == before
