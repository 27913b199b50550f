"""Gradients cut at the borders of chunks: a loop written out, and the full gradient at the ends."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.diagnostics import chunked_gradient, gradient_by_path_length, sliding_gradient
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent

B, T, D, H, K = 3, 7, 2, 4, 5
RTOL = 1e-12


def make(rng: np.random.Generator, cell: str = "elman", **options: object) -> Network:
    net = Network(Recurrent(cell, D, H, num_layers=2), K, **{"readout": "every", **options})  # type: ignore[arg-type]
    for p in net.parameters.values():
        p[...] = 0.7 * rng.standard_normal(p.shape)
    return net


def worst(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    assert set(found) == set(wanted)
    return max(float(np.abs(found[n] - d).max() / np.abs(d).max()) for n, d in wanted.items())


@pytest.mark.parametrize("cell", ["elman", "lstm"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 50])
def test_each_chunk_is_a_pass_of_its_own_from_the_state_before(
    cell: str, chunk: int, rng: np.random.Generator
) -> None:
    net = make(rng, cell)
    x, y, weights = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K)), rng.random((B, T))
    loss, found = chunked_gradient(net, x, y, chunk=chunk, weights=weights)
    assert loss == pytest.approx(float(net.loss_value(x, y, weights=weights)), rel=1e-13)
    wanted = {name: np.zeros_like(p) for name, p in net.parameters.items()}
    state = None
    for first in range(0, T, chunk):
        part = slice(first, first + chunk)
        one = net.loss_and_gradients(x[:, part], y[:, part], weights=weights[:, part], state=state)
        share = weights[:, part].sum() / weights.sum()  # each chunk's loss is a mean over its own weights
        for name, d in one.gradients.parameters.items():
            wanted[name] += share * d
        state = one.state
    assert worst(found, wanted) <= RTOL


def test_one_chunk_is_the_full_gradient_and_chunks_of_one_step_are_paths_of_no_length(
    rng: np.random.Generator,
) -> None:
    net = make(rng, "gru")
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    full = net.loss_and_gradients(x, y).gradients.parameters
    assert worst(chunked_gradient(net, x, y, chunk=T)[1], full) <= RTOL
    short = gradient_by_path_length(net, x, y, longest=0).total()
    assert worst(chunked_gradient(net, x, y, chunk=1)[1], short) <= RTOL


def test_chunks_see_less_than_outputs_that_slide(rng: np.random.Generator) -> None:
    net = make(rng)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    chunked = chunked_gradient(net, x, y, chunk=3)[1]["layers.0.W_hh"]
    sliding = sliding_gradient(net, x, y, truncate=2)[1]["layers.0.W_hh"]
    assert np.abs(chunked - sliding).max() > 0.01 * np.abs(sliding).max()


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Network(Recurrent("elman", D, H), K), "readout 'every'"),
        (Network(Recurrent("elman", D, H, direction="reverse"), K, readout="every"), "forward in time"),
        (Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True), "without feedback"),
        (Network(Recurrent("elman", D, H), K, readout="every", linear_lags=1), "without a linear path"),
    ],
)
def test_networks_that_need_more_than_the_state_are_refused(net: Network, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"^net must .*{words}.* to be cut into chunks. Got "):
        chunked_gradient(net, np.zeros((B, T, D)), np.zeros((B, T, K)), chunk=2)


def test_a_chunk_has_a_step_and_a_net_is_a_network(rng: np.random.Generator) -> None:
    with pytest.raises(InvalidInput, match="chunk must be"):
        chunked_gradient(make(rng), np.zeros((B, T, D)), np.zeros((B, T, K)), chunk=0)
    with pytest.raises(InvalidType, match=r"^net must be a Network"):
        chunked_gradient("net", np.zeros((B, T, D)), np.zeros((B, T, K)), chunk=2)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="x must have shape"):
        chunked_gradient(make(rng), np.zeros((B, T)), np.zeros((B, T, K)), chunk=2)
