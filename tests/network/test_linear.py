"""The linear path from the newest rows of the window to the output."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from tests.network.build import SAME, randomise

B, T, D, H, K = 4, 7, 3, 5, 2
LENGTHS = np.array([7, 2, 5, 1])
LAGS = [1, 2, T, T + 4]


def flattened(x: np.ndarray, lags: int) -> np.ndarray:
    """Return the newest `lags` rows of each sequence (T', D), oldest first, zeros before its start (lags * D,)."""
    padded = np.concatenate([np.zeros((lags, D)), x])
    return padded[len(padded) - lags :].reshape(-1)


def silent(rng: np.random.Generator, readout: str, lags: int, activation: str = "identity") -> Network:
    """Return a network whose linear path alone speaks."""
    net = Network(
        Recurrent("gru", D, H), K, readout=readout, linear_lags=lags, bias=False, output_activation=activation
    )
    net.parameters["linear.W_xy"][...] = rng.standard_normal((lags * D, K))
    net.parameters["readout.W_hy"][...] = 0.0
    return net


@pytest.mark.parametrize("lags", LAGS)
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_last_is_the_window_flattened_times_the_weights(
    lags: int, ragged: bool, rng: np.random.Generator
) -> None:
    net = silent(rng, "last", lags)
    x, ends = rng.standard_normal((B, T, D)), LENGTHS if ragged else np.full(B, T)
    wanted = [flattened(x[b, : ends[b]], lags) @ net.parameters["linear.W_xy"] for b in range(B)]
    found = net.forward(x, None, LENGTHS if ragged else None).y_hat
    np.testing.assert_allclose(found, wanted, rtol=0, atol=SAME * np.abs(wanted).max())


@pytest.mark.parametrize("lags", LAGS)
def test_every_step_sees_its_own_newest_rows(lags: int, rng: np.random.Generator) -> None:
    net = silent(rng, "every", lags)
    x = rng.standard_normal((B, T, D))
    W_xy = net.parameters["linear.W_xy"]
    wanted = np.array([[flattened(x[b, : t + 1], lags) @ W_xy for t in range(T)] for b in range(B)])
    np.testing.assert_allclose(net.forward(x).y_hat, wanted, rtol=0, atol=SAME * np.abs(wanted).max())
    ragged = net.forward(x, None, LENGTHS).y_hat
    inside = (np.arange(T) < LENGTHS[:, None])[:, :, None]
    np.testing.assert_allclose(
        ragged, np.where(inside, wanted, 0.0), rtol=0, atol=SAME * np.abs(wanted).max()
    )


def test_it_is_added_before_the_output_activation(rng: np.random.Generator) -> None:
    net = silent(rng, "last", 2, "tanh")
    x = rng.standard_normal((B, T, D))
    wanted = np.tanh(x[:, -2:].reshape(B, -1) @ net.parameters["linear.W_xy"])
    np.testing.assert_allclose(net.forward(x).y_hat, wanted, rtol=0, atol=SAME)


def test_it_is_added_to_the_recurrent_part(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("lstm", D, H), K, linear_lags=3), rng)
    x = rng.standard_normal((B, T, D))
    without = {**net.parameters, "linear.W_xy": np.zeros((3 * D, K))}
    linear = x[:, -3:].reshape(B, -1) @ net.parameters["linear.W_xy"]
    wanted = net.forward(x, parameters=without).y_hat + linear
    np.testing.assert_allclose(net.forward(x).y_hat, wanted, rtol=0, atol=SAME)


@pytest.mark.parametrize("readout", ["last", "every"])
def test_it_starts_at_zero(readout: str, rng: np.random.Generator) -> None:
    with_path = Network(Recurrent("gru", D, H), K, readout=readout, linear_lags=4)
    without = Network(Recurrent("gru", D, H), K, readout=readout)
    x = rng.standard_normal((B, T, D))
    np.testing.assert_array_equal(with_path.forward(x).y_hat, without.forward(x).y_hat)
    assert with_path.parameters["linear.W_xy"].shape == (4 * D, K)
    assert "linear.W_xy" not in without.parameters


def test_lags_past_the_first_step_have_no_gradient(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D, H), K, readout="every", linear_lags=T + 2), rng)
    found = net.loss_and_gradients(rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K)))
    gradient = found.gradients.parameters["linear.W_xy"].reshape(T + 2, D, K)
    assert not gradient[:2].any()
    assert (gradient[2:] != 0).all()
