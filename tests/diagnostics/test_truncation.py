"""Gradients cut at the borders of chunks: a loop written out, and the full gradient at the ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import (
    chunked_gradient,
    gradient_by_path_length,
    sliding_gradient,
    tbptt_gradient,
    truncation_bias,
)
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from tests.engine.own_cells import Oscillator, Staged

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


def by_hand(
    net: Network, x: np.ndarray, y: np.ndarray, weights: np.ndarray, k1: int, k2: int
) -> dict[str, np.ndarray]:
    """TBPTT(k1, k2) as it is run: for each block a pass of its own over the last k2 steps, from the carried state."""
    total = {name: np.zeros_like(p) for name, p in net.parameters.items()}
    for first in range(0, T, k1):
        begin, last = max(0, first + k1 - k2), min(T, first + k1)
        state = net.forward(x[:, :begin]).state if begin else None
        part = weights.copy()
        part[:, :first] = 0
        part = part[:, begin:last]
        if not part.any():
            continue
        share = part.sum() / weights.sum()
        one = net.loss_and_gradients(x[:, begin:last], y[:, begin:last], weights=part, state=state)
        for name, d in one.gradients.parameters.items():
            total[name] += share * d
    return total


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize(
    "cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole", Oscillator, Staged]
)
def test_blocks_are_passes_over_the_last_k2_steps(cell: Any, engine: str, rng: np.random.Generator) -> None:
    net = Network(
        Recurrent(cell, D, H, num_layers=2, engine=engine), K, readout="every", learned_initial_state=True
    )
    for p in net.parameters.values():
        p[...] = 0.6 * rng.standard_normal(p.shape)
    x, y, weights = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K)), rng.random((B, T))
    for k1, k2 in ((1, 1), (1, 3), (2, 3), (3, 3), (3, 5), (4, T), (T, T), (2, 50)):
        loss, found = tbptt_gradient(net, x, y, k1=k1, k2=k2, weights=weights)
        assert loss == pytest.approx(float(net.loss_value(x, y, weights=weights)), rel=1e-13)
        wanted = by_hand(net, x, y, weights, k1, k2)
        for name, d in wanted.items():
            assert np.abs(found[name] - d).max() <= RTOL * max(np.abs(d).max(), 1e-3), (k1, k2, name)


def test_both_ends_of_blocks_are_the_sliding_and_the_chunked_gradient(rng: np.random.Generator) -> None:
    net = make(rng, "gru", linear_lags=2)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    lengths = [T, 2, 5]
    for k2 in (1, 3, T):
        sliding = sliding_gradient(net, x, y, truncate=k2 - 1, lengths=lengths)[1]
        assert worst(tbptt_gradient(net, x, y, k1=1, k2=k2, lengths=lengths)[1], sliding) <= RTOL
    full = net.loss_and_gradients(x, y, lengths=lengths).gradients.parameters
    assert worst(tbptt_gradient(net, x, y, k1=T, k2=T, lengths=lengths)[1], full) <= RTOL
    plain = make(rng, "gru")
    chunks = chunked_gradient(plain, x, y, chunk=3)[1]
    assert worst(tbptt_gradient(plain, x, y, k1=3, k2=3)[1], chunks) <= RTOL


def test_a_loss_at_the_last_step_is_looked_back_from(rng: np.random.Generator) -> None:
    net = Network(Recurrent("lstm", D, H), K)
    for p in net.parameters.values():
        p[...] = 0.7 * rng.standard_normal(p.shape)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
    state = net.forward(x[:, : T - 3]).state
    wanted = net.loss_and_gradients(x[:, T - 3 :], y, state=state).gradients.parameters
    assert worst(tbptt_gradient(net, x, y, k1=1, k2=3)[1], wanted) <= RTOL


@pytest.mark.parametrize("learned", [False, True])
def test_the_bias_of_each_scheme(learned: bool, rng: np.random.Generator) -> None:
    net = make(rng, "lstm", learned_initial_state=learned)
    x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    full = net.loss_and_gradients(x, y).gradients.parameters
    found = truncation_bias(net, x, y, k1=2)
    assert list(found.steps) == [1, 2, 4, 7]
    assert worst(found.full, full) <= RTOL
    assert list(found.cosines) == ["sliding", "chunked", "k1 = 2"]
    for place, k2 in enumerate(found.steps):
        for scheme, k1 in (("sliding", 1), ("chunked", k2), ("k1 = 2", 2)):
            if k1 > k2:
                assert np.isnan(found.biases[scheme]["all"][place])
                continue
            gradient = tbptt_gradient(net, x, y, k1=int(k1), k2=int(k2))[1]
            for name in ("layers.0.W_hh", "all"):
                names = [n for n in full if not n.startswith("readout.")] if name == "all" else [name]
                a = np.concatenate([gradient[n].ravel() for n in names])
                b = np.concatenate([full[n].ravel() for n in names])
                size = np.linalg.norm
                cosine = a @ b / size(a) / size(b)
                assert found.cosines[scheme][name][place] == pytest.approx(cosine, rel=1e-11)
                assert found.norms[scheme][name][place] == pytest.approx(size(a) / size(b), rel=1e-11)
                assert found.biases[scheme][name][place] == pytest.approx(size(a - b) / size(b), abs=1e-11)
                angle = np.degrees(np.arccos(min(1.0, cosine)))
                assert found.angles(scheme, name)[place] == pytest.approx(angle, abs=1e-5)
    assert found.biases["sliding"]["all"][-1] <= RTOL
    ax = found.plot("angle", "layers.0.W_hh")
    drawn = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(drawn["sliding"].get_xdata(), found.steps)
    np.testing.assert_array_equal(drawn["sliding"].get_ydata(), found.angles(name="layers.0.W_hh"))
    np.testing.assert_array_equal(
        {line.get_label(): line for line in found.plot().lines}["chunked"].get_ydata(),
        found.biases["chunked"]["all"],
    )
    for wrong, words in (({"measure": "size"}, "measure"), ({"name": "layers.9.W_hh"}, "name")):
        with pytest.raises(InvalidInput, match=f"^{words} must be one of"):
            found.plot(**wrong)  # type: ignore[arg-type]  # the point of it


def test_what_cannot_be_truncated_is_refused(rng: np.random.Generator) -> None:
    net, x, y = make(rng), np.zeros((B, T, D)), np.zeros((B, T, K))
    both = Network(Recurrent("elman", D, H, direction="bidirectional"), K, readout="every")
    fed = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
    for options, function in (({"k1": 2, "k2": 3}, tbptt_gradient), ({}, truncation_bias)):
        with pytest.raises(InvalidInput, match=r"^net must run forward in time to be truncated"):
            function(both, x, y, **options)
        with pytest.raises(InvalidInput, match=r"^net must be without feedback"):
            function(fed, x, y, **options)
        with pytest.raises(InvalidType, match=r"^net must be a Network"):
            function("net", x, y, **options)
    with pytest.raises(
        InvalidInput, match=r"^k2 must be at least k1 = 4, or losses would be left out\. Got 3"
    ):
        tbptt_gradient(net, x, y, k1=4, k2=3)
    with pytest.raises(InvalidInput, match=r"^kept must hold at least 1 number"):
        truncation_bias(net, x, y, kept=[])
    with pytest.raises(InvalidType, match=r"^kept must be a sequence"):
        truncation_bias(net, x, y, kept=3)  # type: ignore[arg-type]  # the point of it
    with pytest.raises(InvalidInput, match=r"^kept must be at least 1"):
        truncation_bias(net, x, y, kept=[0])
