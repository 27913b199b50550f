"""Targets for hidden units and forecasts that are fed back: gradients by the complex step, and what is read when."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.labs.gradients.data import digit_echo, get_task
from bptt.labs.gradients.feedback import FREE, SHARES, mixed_inputs, run_feedback, train_fed, waves
from bptt.labs.gradients.forcing import JUDGED, TARGET, forced_gradients, hidden_targets, run_forcing
from bptt.labs.gradients.remedies import REMEDIES, make_network
from bptt.network import Network, Recurrent
from bptt.verify import check_gradients

B, T, F = 3, 5, 4


def small(rng: np.random.Generator) -> Network:
    net = Network(Recurrent("elman", 11, 6), 10, readout="last", loss="cross_entropy")
    for p in net.parameters.values():
        p[...] = 0.6 * rng.standard_normal(p.shape)
    return net


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_forced_gradients_are_those_of_the_complex_step(mix: float, rng: np.random.Generator) -> None:
    net = small(rng)
    x, y = digit_echo(rng, B, T - 1)
    targets = rng.uniform(-1, 1, (T, B, F))
    x = x.astype(float)
    _, gradients = forced_gradients(net.parameters, x, y, targets, mix=mix, weight=1.7)
    report = check_gradients(
        lambda p: forced_gradients(p, x, y, targets, mix=mix, weight=1.7)[0],
        net.parameters,
        gradients,
        methods=("complex", "central"),
    )
    assert report.passed


def test_without_mixture_and_weight_it_is_the_networks_own(rng: np.random.Generator) -> None:
    net = small(rng)
    x, y = digit_echo(rng, B, T - 1)
    found = net.loss_and_gradients(x, y)
    loss, gradients = forced_gradients(net.parameters, x, y, rng.random((T, B, F)), mix=0.0, weight=0.0)
    assert loss == pytest.approx(found.loss, rel=1e-12)
    for name, d in found.gradients.parameters.items():
        np.testing.assert_allclose(gradients[name], d, rtol=1e-9, atol=1e-14)


def test_with_all_units_forced_no_gradient_crosses_a_step(rng: np.random.Generator) -> None:
    net = small(rng)
    x, y = digit_echo(rng, B, T - 1)
    _, gradients = forced_gradients(net.parameters, x, y, rng.random((T, B, 6)), mix=1.0, weight=0.0)
    # The answer's gradient stays at the last step, and the mark is at the first.
    assert not np.any(gradients["layers.0.W_xh"][10])
    _, free = forced_gradients(net.parameters, x, y, rng.random((T, B, 6)), mix=0.0, weight=0.0)
    assert np.any(free["layers.0.W_xh"][10])


def test_targets_name_the_marked_digit() -> None:
    targets = hidden_targets(np.array([3, 0]), 4)
    assert targets.shape == (4, 2, 10)
    assert (targets[:, 0, 3] == TARGET).all()
    assert (targets[:, 1, 0] == TARGET).all()
    assert (targets == TARGET).sum() == 8
    assert (targets == -TARGET).sum() == 4 * 2 * 9


def test_forcing_is_trained_and_judged_at_every_lag() -> None:
    found = run_forcing(seed=2, steps=15)
    assert [(f.lag, f.mix) for f in found] == [
        (lag, mix) for lag in (10, 50) for mix in (None, 0.0, 0.5, 1.0)
    ]
    for each in found:
        assert list(each.right) == list(JUDGED)
        assert 0 <= min(each.right.values()) <= max(each.right.values()) <= 1
    # Targets in the loss bring the units nearer to them than none.
    assert found[1].distance < found[0].distance


@pytest.mark.slow
def test_forced_units_reach_a_lag_that_gradients_do_not() -> None:
    by_mix = {f.mix: f for f in run_forcing() if f.lag == 50}
    assert by_mix[None].right[50] < 0.3
    assert by_mix[1.0].right[50] > 0.8
    assert by_mix[1.0].right[200] > 0.8


def test_mixed_inputs_are_true_values_and_own_forecasts(rng: np.random.Generator) -> None:
    net = train_fed(0.0, seed=0, steps=5)
    y, clean = waves(rng, 40, 13)
    assert y.shape == clean.shape == (40, 13, 1)
    np.testing.assert_array_equal(mixed_inputs(net, y, 0.0, rng), y[:, :-1])
    own = net.predict(y[:, :-1])
    always = mixed_inputs(net, y, 1.0, rng)
    np.testing.assert_array_equal(always[:, 0], y[:, 0])
    np.testing.assert_array_equal(always[:, 1:], own[:, :-1])
    half = mixed_inputs(net, y, 0.5, rng)
    is_own = (half[:, 1:] == own[:, :-1]) & (half[:, 1:] != y[:, 1:-1])
    assert 0.3 < is_own.mean() < 0.7
    np.testing.assert_array_equal(half[:, 1:][~is_own], y[:, 1:-1][~is_own])


def test_each_share_is_run_freely() -> None:
    found = run_feedback(seeds=(1,), steps=10)
    assert [f.share for f in found] == list(SHARES)
    for each in found:
        assert each.free.shape == (FREE,)
        assert np.isfinite(each.free).all()
    assert found[0].one_step != found[2].one_step
    assert make_network(REMEDIES["clip"], get_task("echo"), 0).parameters["layers.0.W_hh"].shape == (32, 32)
