"""A network that has learnt the Lorenz system: its Jacobians, exponents and fixed points, computed another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import fixed_points, lyapunov_exponents, step_jacobians
from bptt.network import Network, Recurrent
from bptt.optim import Adam, Cosine
from bptt.training import train

DT = 0.05
RTOL = 1e-9  # two ways of 40 steps of chaos


def lorenz(steps: int) -> np.ndarray:
    """Return the attractor's states (steps, 3), scaled to mean 0 and deviation 1, and both."""

    def slope(s: np.ndarray) -> np.ndarray:
        x, y, z = s
        return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    s, found, h = np.array([1.0, 1.0, 20.0]), [], DT / 5
    for _ in range(steps + 100):
        for _ in range(5):
            a = slope(s)
            b = slope(s + h / 2 * a)
            c = slope(s + h / 2 * b)
            s = s + h / 6 * (a + 2 * b + 2 * c + slope(s + h * c))
        found.append(s)
    return np.array(found[100:])


def learnt(cell: str, hidden: int, steps: int, series: np.ndarray) -> Network:
    T = 40
    starts = range(0, len(series) - T - 1, 7)
    x, y = (np.stack([series[k + ahead : k + ahead + T] for k in starts]) for ahead in (0, 1))
    net = Network(Recurrent(cell, 3, hidden), 3, readout="every")
    train(net, (x, y), optimizer=Adam(Cosine(0.01, steps)), steps=steps, progress=False)
    return net


def closed(net: Network, s: np.ndarray) -> np.ndarray:
    """Return the flat state (n,) after a free step from a flat state, real or complex, by `Network.forward`."""
    H, names = net.recurrent.hidden_size, net.recurrent.states
    state = {name: s[None, None, k * H : (k + 1) * H] for k, name in enumerate(names)}
    y = state["h"][0] @ net.parameters["readout.W_hy"] + net.parameters["readout.b_y"]
    after = net.forward(y[:, None], state).state
    return np.concatenate([after[name][0, 0] for name in names])


def by_qr(jacobians: list[np.ndarray]) -> np.ndarray:
    """Return the exponents, largest first, by Gram and Schmidt's orthogonalisation from the unit vectors on."""
    n = len(jacobians[0])
    Q, logs = np.eye(n), np.zeros(n)
    for J in jacobians:
        Z = J @ Q
        for k in range(n):
            for j in range(k):
                Z[:, k] -= (Z[:, j] @ Z[:, k]) * Z[:, j]
            for j in range(k):  # twice is enough
                Z[:, k] -= (Z[:, j] @ Z[:, k]) * Z[:, j]
            size = np.linalg.norm(Z[:, k])
            logs[k] += np.log(size)
            Z[:, k] /= size
        Q = Z
    return np.sort(logs / len(jacobians))[::-1]


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_exponents_are_those_of_the_networks_own_jacobians(cell: str) -> None:
    """Along a free run of a net trained on Lorenz; Jacobians by the complex step, Gram-Schmidt by hand."""
    series = lorenz(600)
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    net = learnt(cell, 9, 200, series)
    free, n = 40, 9 * len(net.recurrent.states)
    found = lyapunov_exponents(net, series[:50], free=free)
    state = net.forward(series[None, :50]).state
    s = np.concatenate([state[name][0, 0] for name in net.recurrent.states])
    jacobians = []
    for _ in range(free):
        J = np.stack([closed(net, s + 1e-30j * unit).imag / 1e-30 for unit in np.eye(n)], axis=1)
        jacobians.append(J)
        s = closed(net, s)
    # The sum, and the volumes, do not depend on the first directions; from identity or at random they begin apart.
    assert found.exponents.sum() == pytest.approx(by_qr(jacobians).sum(), rel=RTOL)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    wanted = by_qr([jacobians[0] @ Q, *jacobians[1:]])
    np.testing.assert_allclose(found.exponents, wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm"])
def test_jacobians_exponents_and_singular_values_are_those_of_autograd(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from tests.pytorch_names import CELLS, pytorch_weights

    series = lorenz(600)
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    net = learnt(CELLS[kind, None][0], 9, 200, series)
    H, n = 9, 9 * len(net.recurrent.states)
    module = torch.nn.LSTM(3, H).double() if kind == "lstm" else torch.nn.RNN(3, H).double()
    named = pytorch_weights(net.recurrent, net.parameters, np.concatenate, np.zeros)
    module.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in named.items()})
    found = step_jacobians(net, series[:40], layer=None)
    spectra, jacobians = [], []
    s = torch.zeros(n, dtype=torch.float64)
    for row, J in zip(torch.from_numpy(series[:40]), found.jacobians, strict=True):

        def step(s: Any, row: Any = row) -> Any:
            parts = tuple(part.reshape(1, H) for part in s.reshape(-1, H))
            _, after = module(row[None], parts if kind == "lstm" else parts[0])
            return torch.cat([a.reshape(-1) for a in after]) if kind == "lstm" else after.reshape(-1)

        wanted = torch.autograd.functional.jacobian(step, s).numpy()
        np.testing.assert_allclose(J, wanted, rtol=1e-11, atol=1e-13)
        jacobians.append(wanted)
        spectra.append(np.linalg.svd(wanted, compute_uv=False))
        s = step(s).detach()
    np.testing.assert_allclose(found.singular_values, spectra, rtol=1e-9, atol=1e-13)
    exponents = lyapunov_exponents(net, series[:40]).exponents
    # From the directions that the function begins with, Gram and Schmidt by hand on autograd's Jacobians.
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    np.testing.assert_allclose(exponents, by_qr([jacobians[0] @ Q, *jacobians[1:]]), rtol=1e-6)


@pytest.mark.slow
def test_a_network_that_learnt_lorenz_has_its_exponents_and_its_fixed_points() -> None:
    """Known of the system: exponents 0.906, 0, -14.57; rest at (+-8.485, +-8.485, 27), foci, and at 0, a saddle."""
    raw = lorenz(6000)
    scale = raw.std(axis=0)
    series = (raw - raw.mean(axis=0)) / scale
    net = learnt("elman", 48, 3000, series)
    found = lyapunov_exponents(net, series[:200], free=4000, settle=200)
    assert found.exponents[0] / DT == pytest.approx(0.906, abs=0.12)
    assert found.exponents[1] / DT == pytest.approx(0.0, abs=0.08)
    assert found.exponents[2] / DT < -3
    assert 2 < found.dimension < 2.3
    points = fixed_points(net, series[None, :100], free=1000, starts=100)
    seen = points.points @ net.parameters["readout.W_hy"] + net.parameters["readout.b_y"]
    seen = seen * scale + raw.mean(axis=0)
    r = np.sqrt(8 / 3 * 27)
    for wanted in ([r, r, 27], [-r, -r, 27]):
        at = np.argmin(np.linalg.norm(seen - wanted, axis=1))
        assert np.linalg.norm(seen[at] - wanted) < 0.5
        turning = np.log(points.eigenvalues[at][0]) / DT
        assert abs(turning.imag) == pytest.approx(10.19, abs=0.3)
