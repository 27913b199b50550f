"""The likelihood of normal distributions: in networks on both engines, what it learns, what it refuses, the doctor."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bptt.data import Arrays
from bptt.diagnostics import diagnose
from bptt.diagnostics.doctor.evidence.constant import constant_loss
from bptt.diagnostics.doctor.evidence.likelihood import as_error, errors_of
from bptt.diagnostics.doctor.evidence.sample import Sample
from bptt.errors import InvalidInput
from bptt.losses import Gaussian, Squared, get_loss
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import History, train
from bptt.verify import gradient_check

B, T, D, H, M = 7, 5, 3, 6, 2
ENGINES_AGREE = 1e-9  # float64 rounding through thirty updates


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("readout", ["last", "every"])
def test_a_networks_gradients_pass_the_check(engine: str, readout: str) -> None:
    stack = Recurrent("lstm", D, H, engine=engine, seed=1)
    net = Network(stack, 2 * M, readout=readout, loss=Gaussian(time="sum"), seed=1)
    assert gradient_check(net, seed=3).passed


def test_both_engines_train_it_alike(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, M))
    nets = [
        Network(Recurrent("gru", D, H, engine=e, seed=2), 2 * M, loss="gaussian", seed=2)
        for e in ("numpy", "compiled")
    ]
    losses = [
        train(n, (x, y), optimizer=SGD(0.1), steps=30, batch_size=3, seed=4, progress=False).losses
        for n in nets
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=ENGINES_AGREE)
    for name, p in nets[0].parameters.items():
        np.testing.assert_allclose(nets[1].parameters[name], p, rtol=0, atol=ENGINES_AGREE * np.abs(p).max())


@pytest.fixture(scope="module")
def learnt() -> tuple[Network, Arrays, History]:
    """A series whose noise is four times as large where the first column was above 0 at the first step."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(2000, 3, 2))
    sd = np.where(x[:, 0, 0] > 0, 1.2, 0.3)
    y = (x[:, 1, 1] + sd * rng.normal(size=2000))[:, None]
    net = Network(Recurrent("gru", 2, 16, dtype="float32", seed=3), 2, loss="gaussian", seed=3)
    data = Arrays(x.astype(np.float32), y.astype(np.float32))
    history = train(net, data, steps=1500, batch_size=64, optimizer="adam", clip=1.0, seed=5, progress=False)
    return net, data, history


def test_it_learns_where_the_noise_is(learnt: tuple[Network, Arrays, History]) -> None:
    net, _, _ = learnt
    rng = np.random.default_rng(12)
    x = rng.normal(size=(4000, 3, 2)).astype(np.float32)
    said = net.predict(x)
    sd = np.exp(said[:, 1] / 2)
    loud = x[:, 0, 0] > 0.3
    calm = x[:, 0, 0] < -0.3
    assert np.median(sd[loud]) == pytest.approx(1.2, rel=0.15)
    assert np.median(sd[calm]) == pytest.approx(0.3, rel=0.15)
    assert np.corrcoef(said[:, 0], x[:, 1, 1])[0, 1] > 0.95


def test_the_doctor_reads_a_likelihood_as_a_variance(learnt: tuple[Network, Arrays, History]) -> None:
    net, data, history = learnt
    assert np.min(history.losses) < history.losses[0] - 0.5
    found = diagnose(history, net, data)
    # Half of the series is noise of sd 1.2 and 0.3: log-variances apart, what is left is 0.36 of 1.77 or so.
    assert 0.6 < found.explained < 0.95
    assert not any(finding.name in {"exploding", "rate_too_high"} for finding in found.findings)


def test_the_doctor_looks_at_the_history_and_at_the_means(learnt: tuple[Network, Arrays, History]) -> None:
    net, data, history = learnt
    seen = errors_of(replace(history, validation=((7, -0.3),)), net.loss)
    np.testing.assert_allclose(
        np.log(2 * np.pi * np.e * seen.losses) / 2, history.losses, rtol=1e-9, atol=1e-12
    )
    assert seen.validation == ((7, pytest.approx(np.exp(-0.6) / (2 * np.pi * np.e), rel=1e-12)),)
    assert errors_of(history, Squared()) is history
    sample = Sample(history, net, data)
    means = net.predict(sample.batch.x)[:, :1]
    np.testing.assert_allclose(sample.errors, sample.batch.y - means, rtol=0, atol=1e-6)


def test_the_best_constant_is_the_normal_distribution_of_the_targets(rng: np.random.Generator) -> None:
    y = rng.normal(2.0, 3.0, size=(501, M))
    least = constant_loss(Gaussian(), y, 2 * M)
    own = np.stack([y.mean(0), np.log(y.var(0))], axis=1).reshape(-1)
    for moved in np.concatenate([np.eye(2 * M), -np.eye(2 * M)]) * 0.05:
        assert Gaussian().value(np.tile(own + moved, (501, 1)), y) > least
    one = constant_loss(Gaussian(), y[:, :1], 2)
    assert as_error(Gaussian(), one) == pytest.approx(y[:, 0].var(), rel=1e-12)
    assert as_error(Squared(), 3.5) == 3.5


def test_by_name_and_configuration() -> None:
    loss = Gaussian(time="sum")
    assert get_loss("gaussian") == Gaussian()
    assert get_loss(loss.to_config()) == loss
    assert loss.target_shape((5, 7, 6)) == (5, 7, 3)


def test_very_small_variances_overflow_visibly() -> None:
    value, gradient = Gaussian().value_and_gradient([[1.0, -1000.0]], [[0.0]])
    assert value == np.inf
    assert not np.isfinite(gradient).all()


def test_what_is_no_prediction_is_not_activated_or_fed_back(rng: np.random.Generator) -> None:
    stack = Recurrent("elman", D, H, seed=0)
    with pytest.raises(InvalidInput, match="with gaussian, which takes means and log-variances"):
        Network(stack, 2, loss="gaussian", change_of=[0, 0])
    net = Network(Recurrent("elman", 2, H, seed=0), 2, loss="gaussian")
    with pytest.raises(InvalidInput, match="whose outputs are means and log-variances"):
        net.generate(rng.normal(size=(1, T, 2)), 3)


@pytest.mark.parametrize(
    ("y_hat", "y", "message"),
    [
        (np.zeros((5, 3)), np.zeros((5, 1)), "y_hat must have K = 2 M outputs, the mean and the log-variance of each "
         "target. Got K = 3"),
        (np.zeros((5, 4)), np.zeros((5, 4)), "y must have shape (B, M) = (5, 2). Got (5, 4): K = 4 outputs hold the "
         "mean and the log-variance of each target"),
    ],
)  # fmt: skip
def test_errors(y_hat: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        Gaussian().value(y_hat, y)
