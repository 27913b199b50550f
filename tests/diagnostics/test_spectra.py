"""Radii and singular values against matrices whose own are known, and Jacobians against the complex step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.cells import Cell
from bptt.diagnostics.gradient_flow import gradient_flow
from bptt.diagnostics.spectra import (
    JacobianSpectra,
    spectral_norm,
    spectral_radius,
    step_jacobians,
    weight_spectra,
)
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from tests.engine.own_cells import OWN

T, D, H, K = 5, 2, 4, 3
RTOL = 1e-11
TINY = 1e-30


class Bare(Cell):
    """A leak and no weight that leads from units to units."""

    name = "bare"
    gates = ("n",)
    products = {"W_xh": "x"}

    @staticmethod
    def forward(a_n: Any, h_prev: Any) -> Any:
        kept = 0.5 * h_prev
        h = kept + a_n
        return h, kept


def make(rng: np.random.Generator, cell: Any = "elman", layers: int = 1, **options: object) -> Network:
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


def by_complex_step(net: Network, x: np.ndarray, state: dict[str, np.ndarray], **options: Any) -> np.ndarray:
    """Return d(all states after one step) / d(all states before) of one row, layer by layer."""
    order = [(k, name) for k in range(net.recurrent.num_layers) for name in net.recurrent.states]
    n = H * len(order)
    found = np.empty((n, n))
    for j in range(n):
        moved = {name: s.astype(complex) for name, s in state.items()}
        k, name = order[j // H]
        moved[name][k, 0, j % H] += 1j * TINY
        after = net.forward(x[None, None], moved, **options).state
        found[:, j] = np.concatenate([after[name][k, 0].imag for k, name in order]) / TINY
    return found


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole", *OWN])
def test_a_whole_stacks_jacobians_are_those_of_the_complex_step(
    cell: Any, engine: str, rng: np.random.Generator
) -> None:
    net = make(rng, cell, layers=2, engine=engine)
    complex_backward = all(stage.backward for stage in net.recurrent.cell.plan.stages)
    x = 0.5 * rng.standard_normal((T, D))
    found = step_jacobians(net, x, layer=None)
    state = net.recurrent.zero_state(1)
    exact = Network(Recurrent(cell, D, H, num_layers=2, engine="numpy"), K)
    for t in range(T):
        wanted = by_complex_step(exact, x[t], state, parameters=net.parameters)
        assert complex_backward or np.isfinite(wanted).all()
        np.testing.assert_allclose(found.jacobians[t], wanted, rtol=RTOL, atol=1e-13)
        state = net.forward(x[None, t : t + 1], state).state
    assert not found.jacobians[:, : len(wanted) // 2, len(wanted) // 2 :].any()  # nothing leads down


def test_what_is_fed_back_is_part_of_the_jacobian(rng: np.random.Generator) -> None:
    """A loop of two steps by the complex step: the state after the first moved, the second reads it twice over."""
    net = Network(Recurrent("lstm", D + K, H), K, readout="every", feedback=True, output_activation="tanh")
    for p in net.parameters.values():
        p[...] = 0.7 * rng.standard_normal(p.shape)
    x = rng.standard_normal((3, D))
    found = step_jacobians(net, x, layer=None).jacobians
    state = net.recurrent.zero_state(1)
    for t in range(3):
        for j in range(2 * H):
            moved = {name: s.astype(complex) for name, s in state.items()}
            moved["hc"[j // H]][0, 0, j % H] += 1j * TINY
            y = moved["h"][0] @ net.parameters["readout.W_hy"] + net.parameters["readout.b_y"]
            fed = np.zeros((1, K)) if t == 0 else np.tanh(y)
            after = net.forward(x[None, t : t + 1], moved, y_start=fed).state
            wanted = np.concatenate([after[name][0, 0].imag / TINY for name in "hc"])
            np.testing.assert_allclose(found[t, :, j], wanted, rtol=RTOL, atol=1e-14)
        y = state["h"][0] @ net.parameters["readout.W_hy"] + net.parameters["readout.b_y"]
        state = net.forward(x[None, t : t + 1], state, y_start=np.tanh(y) if t else None).state


def test_the_reverse_direction_is_read_in_its_own_order(rng: np.random.Generator) -> None:
    both = make(rng, "gru", direction="bidirectional")
    alone = make(rng, "gru")
    for name in alone.recurrent.parameters:
        alone.parameters[name][...] = both.parameters[name.replace("layers.0.", "layers.0.reverse.")]
    x = rng.standard_normal((T, D))
    found = step_jacobians(both, x, direction="reverse")
    np.testing.assert_array_equal(found.jacobians, step_jacobians(alone, x[::-1]).jacobians)


def test_the_horizon_of_a_known_decay_and_products_beyond_the_range_of_numbers(
    rng: np.random.Generator,
) -> None:
    net = make(rng, activation="identity", bias=False)
    turned = np.linalg.qr(rng.standard_normal((H, H)))[0]
    net.parameters["layers.0.W_hh"][...] = 0.8 * turned
    found = step_jacobians(net, np.zeros((30, D)))
    assert found.horizon() == 21  # 0.8^21 = 0.0092
    assert found.horizon(level=0.9) == 1
    assert found.horizon(level=1e-9) is None
    net.parameters["layers.0.W_hh"][...] = 1e-9 * turned
    small = step_jacobians(net, np.zeros((40, D))).products
    np.testing.assert_allclose(small[30], 1e-279, rtol=1e-12)
    assert not small[39].any()  # 1e-360
    net.parameters["layers.0.W_hh"][...] = 1e9 * turned
    assert np.isinf(step_jacobians(net, np.zeros((40, D))).products[39]).all()


def test_weights_spectra_are_taken_gate_by_gate(rng: np.random.Generator) -> None:
    mask = rng.integers(0, 2, (H, H))
    for cell, names in (
        ("elman", ["W_hh"]),
        ("gru", ["W_hh[a_r]", "W_hh[a_z]", "W_hh[a_hn]"]),
        ("lstm", [f"W_hh[a_{g}]" for g in "ifgo"]),
    ):
        net = make(rng, cell, layers=2, mask=mask)
        found = weight_spectra(net)
        assert list(found.eigenvalues) == [f"layers.{k}.{name}" for k in range(2) for name in names]
        for k, name in enumerate(names):
            block = mask * net.parameters["layers.1.W_hh"][:, k * H : (k + 1) * H]
            assert found.radii[f"layers.1.{name}"] == pytest.approx(spectral_radius(block), rel=1e-12)
            assert found.norms[f"layers.1.{name}"] == pytest.approx(spectral_norm(block), rel=1e-12)
    ax = found.plot("layers.0.W_hh[a_f]", title="A title")
    drawn = ax.lines[-1]
    np.testing.assert_array_equal(drawn.get_xdata(), found.eigenvalues["layers.0.W_hh[a_f]"].real)
    assert len(found.plot().lines) == 1 + 8
    with pytest.raises(InvalidInput, match=r"^name must be one of"):
        found.plot("layers.9.W_hh")


def test_spectra_are_drawn(rng: np.random.Generator) -> None:
    found = step_jacobians(make(rng), rng.standard_normal((T, D)))
    lines = {line.get_label(): line for line in found.plot(title="A title").lines}
    np.testing.assert_array_equal(lines["spectral radius"].get_ydata(), found.radii)
    np.testing.assert_array_equal(lines["smallest"].get_ydata(), found.singular_values[:, -1])
    np.testing.assert_array_equal(lines["smallest"].get_xdata(), np.arange(1, T + 1))
    products = {line.get_label(): line for line in found.plot_products().lines}
    np.testing.assert_array_equal(products["largest"].get_ydata(), found.products[:, 0])
    assert isinstance(found, JacobianSpectra)


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
    with pytest.raises(InvalidInput, match=r"^net must run forward in time, so that a step is a map"):
        step_jacobians(both, x, layer=None)
    with pytest.raises(InvalidInput, match=r"^direction must be one of forward\. Got 'reverse'"):
        step_jacobians(net, x, direction="reverse")
    fed = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
    with pytest.raises(InvalidInput, match=r"^net must be without feedback where one layer is looked at"):
        step_jacobians(fed, x)
    bare = Network(Recurrent(Bare, D, H), K)
    with pytest.raises(InvalidInput, match=r"^net must have a weight that leads from units to units"):
        weight_spectra(bare)
    net.parameters["layers.0.W_hh"][0, 0] = np.inf
    with pytest.raises(InvalidInput, match=r"^layers\.0\.W_hh must be finite"):
        weight_spectra(net)
    with pytest.raises(InvalidInput, match="x must have shape"):
        step_jacobians(net, x[None])
    with pytest.raises(InvalidInput, match=r"^net must stay finite along the sequence"):
        step_jacobians(broken(rng), x)


def broken(rng: np.random.Generator) -> Network:
    net = make(rng)
    net.parameters["layers.0.W_hh"][0, 0] = np.nan
    return net
