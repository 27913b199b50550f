"""Appendix A to C of the notes, and the cell state's own path: what the page derives, against the complex step."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.activations import tanh, tanh_derivative
from bptt.diagnostics.spectra import step_jacobians
from bptt.losses import CrossEntropy
from bptt.network import Network, Recurrent

K = 5
TINY = 1e-30
RTOL = 1e-12


def slopes(f: object, point: np.ndarray) -> np.ndarray:
    """Return d f / d point, one column an entry of the point, by the complex step."""
    columns = []
    for k in range(len(point)):
        moved = point.astype(complex)
        moved[k] += 1j * TINY
        columns.append(np.imag(f(moved)) / TINY)  # type: ignore[operator]  # any callable
    return np.stack(columns, axis=-1)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z)
    return np.asarray(e / e.sum())


def test_a_the_cross_entropy(rng: np.random.Generator) -> None:
    y, p = rng.random(K), softmax(rng.standard_normal(K))
    np.testing.assert_allclose(slopes(lambda q: -(y * np.log(q)).sum(), p), -y / p, rtol=RTOL)


def test_b_the_softmax(rng: np.random.Generator) -> None:
    z = rng.standard_normal(K)
    p = softmax(z)
    jacobian = np.diag(p) - np.outer(p, p)
    np.testing.assert_allclose(slopes(softmax, z), jacobian, rtol=1e-10, atol=1e-16)
    np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-15)
    np.testing.assert_array_equal(jacobian, jacobian.T)


def test_a_and_b_together_are_the_librarys_loss(rng: np.random.Generator) -> None:
    z, target = rng.standard_normal((1, K)), np.array([3])
    loss, dz = CrossEntropy().value_and_gradient(z.copy(), target, None)
    p = softmax(z[0])
    y = np.eye(K)[3]
    assert loss == pytest.approx(-np.log(p[3]), rel=RTOL)
    np.testing.assert_allclose(dz[0], p - y, rtol=1e-11)
    chained = (-y / p) @ (np.diag(p) - np.outer(p, p))
    np.testing.assert_allclose(dz[0], chained, rtol=1e-10)


def test_b_targets_that_do_not_add_up_to_one(rng: np.random.Generator) -> None:
    z, y = rng.standard_normal(K), 2 * rng.random(K)
    p = softmax(z)
    found = slopes(lambda q: -(y * np.log(softmax(q))).sum(), z)
    np.testing.assert_allclose(found, p * y.sum() - y, rtol=1e-10)
    assert np.abs(found - (p - y)).max() > 0.01


def test_c_the_hyperbolic_tangent(rng: np.random.Generator) -> None:
    x = np.append(3 * rng.standard_normal(K), 0.0)
    np.testing.assert_allclose(np.diagonal(slopes(tanh, x)), tanh_derivative(np.tanh(x)), rtol=1e-10)
    assert tanh_derivative(np.tanh(0.0)) == 1
    assert tanh_derivative(np.tanh(2.0)) == pytest.approx(0.07, abs=0.001)


def test_the_cell_states_own_path_is_its_forget_gate(rng: np.random.Generator) -> None:
    """Without the way through h, d c_t / d c_(t-1) is diag(f_t): no weight and no slope stands in it."""
    T, D, H = 6, 3, 4
    net = Network(Recurrent("lstm", D, H), 1)
    for p in net.parameters.values():
        p[...] = rng.standard_normal(p.shape)
    net.parameters["layers.0.W_hh"][...] = 0
    x = rng.standard_normal((T, D))
    a_f = x @ net.parameters["layers.0.W_xh"][:, H : 2 * H] + net.parameters["layers.0.b_h"][H : 2 * H]
    f = 1 / (1 + np.exp(-a_f))
    cc = step_jacobians(net, x).jacobians[:, H:, H:]
    for t in range(T):
        np.testing.assert_allclose(cc[t], np.diag(f[t]), rtol=1e-12, atol=1e-15)
    for bias, left in ((0.0, 7.9e-31), (1.0, 2.5e-14), (4.0, 0.16)):
        assert (1 / (1 + np.exp(-bias))) ** 100 == pytest.approx(left, rel=0.03)
