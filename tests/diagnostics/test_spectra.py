"""Radii and singular values against matrices whose own are known, and Jacobians against the complex step."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.diagnostics.gradient_flow import gradient_flow
from bptt.diagnostics.spectra import spectral_norm, spectral_radius, step_jacobians
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent

T, D, H, K = 5, 2, 4, 3
RTOL = 1e-11
TINY = 1e-30


def make(rng: np.random.Generator, cell: str = "elman", layers: int = 1, **options: object) -> Network:
    net = Network(Recurrent(cell, D, H, num_layers=layers, **options), K, readout="last")  # type: ignore[arg-type]
    for p in net.parameters.values():
        p[...] = 0.7 * rng.standard_normal(p.shape)
    return net


def test_radius_and_norm_part_where_a_matrix_is_not_normal() -> None:
    rotation = 0.9 * np.array([[0.6, -0.8], [0.8, 0.6]])
    assert spectral_radius(rotation) == pytest.approx(0.9, rel=1e-14)
    assert spectral_norm(rotation) == pytest.approx(0.9, rel=1e-14)
    sheared = np.array([[0.5, 10.0], [0.0, 0.5]])  # every power goes to 0, but not at once
    assert spectral_radius(sheared) == pytest.approx(0.5, rel=1e-12)
    assert spectral_norm(sheared) > 10


def test_powers_grow_by_the_radius_in_the_long_run(rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((7, 7))
    power = np.linalg.matrix_power(matrix / spectral_radius(matrix), 400)
    assert np.linalg.norm(power, 2) ** (1 / 400) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"])
def test_jacobians_are_those_of_the_complex_step(cell: str, rng: np.random.Generator) -> None:
    net = make(rng, cell)
    x = rng.standard_normal((T, D))
    start = {name: 0.3 * rng.standard_normal((1, 1, H)) for name in net.recurrent.states}
    found = step_jacobians(net, x, state=start)
    names = net.recurrent.states
    n = H * len(names)
    assert found.jacobians.shape == (T, n, n)
    state = {name: s.astype(complex) for name, s in start.items()}
    for t in range(T):
        for j in range(n):
            moved = {name: s.copy() for name, s in state.items()}
            moved[names[j // H]][0, 0, j % H] += 1j * TINY
            after = net.forward(x[None, t : t + 1], moved).state
            wanted = np.concatenate([after[name][0, 0].imag / TINY for name in names])
            np.testing.assert_allclose(found.jacobians[t, :, j], wanted, rtol=RTOL, atol=1e-14)
        state = {
            name: s.real.astype(complex) for name, s in net.forward(x[None, t : t + 1], state).state.items()
        }


def test_singular_values_bound_each_step_of_the_gradients_way_back(rng: np.random.Generator) -> None:
    net = make(rng)
    x, y = rng.standard_normal((T, D)), rng.standard_normal((1, K))
    found = step_jacobians(net, x)
    norms = gradient_flow(net, x[None], y).norms["layers.0.h"][:, 0]
    ratios = norms[:-1] / norms[1:]
    assert np.all(ratios <= found.singular_values[:, 0] * (1 + 1e-12))
    assert np.all(ratios >= found.singular_values[:, -1] * (1 - 1e-12))
    # Many steps at once are bounded more tightly than by the product of the bounds.
    assert norms[0] / norms[-1] <= found.products[-1, 0] * (1 + 1e-12)
    assert np.all(found.products[:, 0] <= np.cumprod(found.singular_values[::-1, 0]) * (1 + 1e-12))
    product = np.linalg.multi_dot(list(found.jacobians[::-1]))
    np.testing.assert_allclose(
        found.products[-1], np.linalg.svd(product, compute_uv=False), rtol=1e-9, atol=1e-12
    )
    assert np.all(found.radii <= found.singular_values[:, 0] * (1 + 1e-12))


def test_a_linear_networks_jacobian_is_its_weight_transposed(rng: np.random.Generator) -> None:
    net = make(rng, activation="identity")
    W_hh = net.parameters["layers.0.W_hh"]
    found = step_jacobians(net, rng.standard_normal((T, D)))
    for t in range(T):
        np.testing.assert_allclose(found.jacobians[t], W_hh.T, rtol=1e-15)
    np.testing.assert_allclose(found.radii, spectral_radius(W_hh), rtol=1e-12)
    np.testing.assert_allclose(found.singular_values[:, 0], spectral_norm(W_hh), rtol=1e-12)


def test_an_upper_layer_reads_what_the_lower_one_gives(rng: np.random.Generator) -> None:
    net = make(rng, layers=2)
    x = rng.standard_normal((T, D))
    _, _, tape = net.recurrent.forward(x[None])
    h = tape.tapes[1].states["h"][1:, 0]
    wanted = (1 - h * h)[:, :, None] * net.parameters["layers.1.W_hh"].T
    np.testing.assert_allclose(step_jacobians(net, x, layer=1).jacobians, wanted, rtol=1e-12, atol=1e-14)


def test_wrong_input_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InvalidInput, match=r"^matrix must be square, of shape \(n, n\)"):
        spectral_radius(np.zeros((2, 3)))
    with pytest.raises(InvalidInput, match=r"^matrix must be finite\. Got nan or inf"):
        spectral_norm([[np.nan]])
    net, x = make(rng), np.zeros((T, D))
    with pytest.raises(InvalidType, match=r"^net must be a Network"):
        step_jacobians("net", x)  # type: ignore[arg-type]  # the point of it
    with pytest.raises(InvalidInput, match=r"^layer must be below num_layers = 1\. Got 1"):
        step_jacobians(net, x, layer=1)
    both = Network(Recurrent("elman", D, H, direction="bidirectional"), K)
    with pytest.raises(InvalidInput, match=r"^net must run forward and be without feedback"):
        step_jacobians(both, x)
    with pytest.raises(InvalidInput, match="x must have shape"):
        step_jacobians(net, x[None])
