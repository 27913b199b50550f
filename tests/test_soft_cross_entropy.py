"""Cross-entropy against probabilities: the one of class numbers on one-hot rows, in networks, on both engines."""

import re

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.losses import CrossEntropy, SoftCrossEntropy, get_loss
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import train
from bptt.verify import gradient_check

B, T, D, H, K = 5, 4, 3, 7, 6
EXACT = 1e-14
ENGINES_AGREE = 1e-12


def one_hot(classes):
    return np.eye(K)[classes]


@pytest.mark.parametrize("time", ["mean", "sum"])
def test_on_one_hot_rows_it_is_the_cross_entropy_of_their_classes(rng, time):
    y_hat, classes = rng.normal(size=(B, T, K)), rng.integers(K, size=(B, T))
    weights = rng.uniform(0.2, 3, (B, T))
    value, gradient = SoftCrossEntropy(time=time).value_and_gradient(y_hat, one_hot(classes), weights)
    right, slope = CrossEntropy(time=time).value_and_gradient(y_hat, classes, weights)
    np.testing.assert_allclose(value, right, rtol=EXACT, atol=0)
    np.testing.assert_allclose(gradient, slope, rtol=0, atol=EXACT)


def test_the_gradient_is_the_notes(rng):
    """Section 2.4: the gradient of o is softmax(o) - y, for targets that add up to 1."""
    o, y = rng.normal(size=(1, K)), rng.dirichlet(np.ones(K), 1)
    p = np.exp(o) / np.exp(o).sum()
    value, gradient = SoftCrossEntropy().value_and_gradient(o, y)
    assert value == pytest.approx(-(y * np.log(p)).sum(), rel=EXACT)
    np.testing.assert_allclose(gradient, p - y, rtol=0, atol=EXACT)


def test_a_row_of_zeros_has_no_loss_and_no_gradient(rng):
    y_hat, y = rng.normal(size=(B, T, K)), rng.dirichlet(np.ones(K), (B, T))
    y[:, 1] = 0
    value, gradient = SoftCrossEntropy(time="sum").value_and_gradient(y_hat, y)
    assert (gradient[:, 1] == 0).all()
    kept = [0, 2, 3]
    assert value == pytest.approx(SoftCrossEntropy(time="sum").value(y_hat[:, kept], y[:, kept]), rel=EXACT)


def test_what_cannot_be_is_no_loss_where_it_is_not_due():
    """A class with y = 0 adds nothing, though its logit be -inf; large logits do not overflow."""
    value, gradient = SoftCrossEntropy().value_and_gradient([[-np.inf, 0.0, 0.0]], [[0.0, 0.5, 0.5]])
    assert value == pytest.approx(np.log(2), rel=EXACT)
    np.testing.assert_allclose(gradient, [[0, 0, 0]], rtol=0, atol=EXACT)
    assert SoftCrossEntropy().value([[1e5, 0.0]], [[1.0, 0.0]]) == 0


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("readout", ["last", "every"])
def test_a_networks_gradients_pass_the_check(engine, readout):
    stack = Recurrent("elman", D, H, engine=engine, seed=1)
    net = Network(stack, K, readout=readout, loss=SoftCrossEntropy(time="sum"), seed=1)
    assert gradient_check(net, seed=3).passed


def test_both_engines_train_it_alike(rng):
    y = rng.dirichlet(np.ones(K), B)
    x = rng.normal(size=(B, T, D))
    nets = [
        Network(Recurrent("gru", D, H, engine=e, seed=2), K, loss="soft_cross_entropy", seed=2)
        for e in ("numpy", "compiled")
    ]
    losses = [
        train(n, (x, y), optimizer=SGD(0.5), steps=30, batch_size=3, seed=4, progress=False).losses
        for n in nets
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=ENGINES_AGREE, atol=0)
    for name, p in nets[0].parameters.items():
        np.testing.assert_allclose(nets[1].parameters[name], p, rtol=0, atol=ENGINES_AGREE * np.abs(p).max())
    # No lower than the entropy of the targets, and on the way there.
    entropy = -(y * np.log(y)).sum(axis=1).mean()
    value = nets[0].loss_value(x, y)
    assert entropy < value < nets[0].loss.value(np.zeros((B, K)), y)


def test_it_is_known_by_name_and_kept():
    loss = SoftCrossEntropy(time="sum")
    assert get_loss("soft_cross_entropy") == SoftCrossEntropy()
    assert get_loss(loss.to_config()) == loss


def test_a_network_of_scores_has_no_output_activation_and_does_not_feed_back(rng):
    stack = Recurrent("elman", D, H, seed=0)
    with pytest.raises(InvalidInput, match="with soft_cross_entropy, which takes plain scores"):
        Network(stack, K, loss="soft_cross_entropy", output_activation="tanh")
    net = Network(stack, D, loss="soft_cross_entropy")
    with pytest.raises(InvalidInput, match="whose outputs are plain scores"):
        net.generate(rng.normal(size=(1, T, D)), 3)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[0.5, 0.6]], "y must hold rows that add up to 1 (or are all 0: nothing due). Got 1.1 in row [0]"),
        ([[1.5, -0.5]], "y must hold probabilities of at least 0. Got -0.5 at [0, 1]: give the row weight 0 if it"),
        ([[np.nan, 1.0]], "y must hold probabilities of at least 0. Got nan at [0, 0]"),
        ([1], "for class numbers take CrossEntropy"),
        ([[1.0, 0.0, 0.0]], "y must have shape (B, K) = (1, 2). Got (1, 3)"),
    ],
)  # fmt: skip
def test_errors(y, message):
    with pytest.raises(InvalidInput, match=re.escape(message)) as caught:
        SoftCrossEntropy().value(np.zeros((1, 2)), np.asarray(y))
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidInput, match="at least 2 outputs for cross-entropy"):
        SoftCrossEntropy().value(np.zeros((1, 1)), np.ones((1, 1)))
