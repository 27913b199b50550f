"""Points of networks whose own are known: a latch, a linear map, a memory of two patterns, a ghost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import FixedPoints, StateSpace, fixed_points, state_space
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from tests.engine.own_cells import Oscillator, Staged

D, H, K = 2, 5, 3
RTOL = 1e-10
TINY = 1e-30


def one_unit(w: float, b: float = 0.0) -> Network:
    net = Network(Recurrent("elman", 1, 1), 1)
    for name, value in (("W_hh", w), ("W_xh", 1.0), ("b_h", b)):
        net.parameters[f"layers.0.{name}"][...] = value
    return net


def rooted(w: float, b: float, low: float, high: float) -> float:
    """Return the root of tanh(w h + b) - h between low and high by bisection."""
    for _ in range(200):
        middle = (low + high) / 2
        if (np.tanh(w * low + b) - low) * (np.tanh(w * middle + b) - middle) <= 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def test_a_latch_holds_two_values_and_tips_between_them(rng: np.random.Generator) -> None:
    w, b = 1.8, 0.1
    found = fixed_points(one_unit(w, b), rng.standard_normal((5, 20, 1)), starts=60)
    wanted = np.array([rooted(w, b, -1, -0.6), rooted(w, b, -0.6, 0.3), rooted(w, b, 0.3, 1)])
    order = np.argsort(found.points[:, 0])
    np.testing.assert_allclose(found.points[order, 0], wanted, rtol=1e-9)
    assert [found.kinds[k] for k in order] == ["attractor", "repeller", "attractor"]
    assert list(found.unstable[order]) == [0, 1, 0]
    np.testing.assert_allclose(found.eigenvalues[order, 0], w * (1 - wanted**2), rtol=1e-8)
    assert np.all(found.is_fixed)
    assert found.reached.sum() + found.lost == found.starts == 60


def test_a_drive_moves_the_points(rng: np.random.Generator) -> None:
    """Held at 0.4, the unit has no choice left."""
    found = fixed_points(one_unit(1.3), rng.standard_normal((5, 20, 1)), drive=[0.4])
    assert [found.kinds[k] for k in np.flatnonzero(found.is_fixed)] == ["attractor"]
    assert found.points[0, 0] == pytest.approx(rooted(1.3, 0.4, 0, 1), rel=1e-9)


def test_past_the_fold_a_slow_point_is_left(rng: np.random.Generator) -> None:
    """Where two fixed points have just met, q has a minimum where F' = 1: tanh = sqrt(1 - 1 / w)."""
    w = 2.0
    h = np.sqrt(1 - 1 / w)
    b = 1.01 * (np.arctanh(h) - w * h)  # 1 % beyond the fold
    found = fixed_points(one_unit(w, b), rng.standard_normal((5, 20, 1)))
    assert sorted(found.kinds) == ["attractor", "slow"]
    slow = found.points[list(found.kinds).index("slow"), 0]
    assert np.tanh(w * slow + b) == pytest.approx(h, abs=1e-6)
    assert found.q[list(found.kinds).index("slow")] == pytest.approx((np.tanh(w * slow + b) - slow) ** 2 / 2)
    strict = fixed_points(one_unit(w, b), rng.standard_normal((5, 20, 1)), slow=1e-9)
    assert strict.kinds == ("attractor",)
    assert strict.lost > 0


def test_at_the_fork_nothing_grows_and_nothing_decays(rng: np.random.Generator) -> None:
    assert fixed_points(one_unit(1.0), rng.standard_normal((3, 9, 1))).kinds == ("border",)


def test_a_linear_map_has_one_point_and_its_own_eigenvalues(rng: np.random.Generator) -> None:
    net = Network(Recurrent("elman", D, H, activation="identity"), K)
    W = 0.9 * rng.standard_normal((H, H))
    b, drive = rng.standard_normal(H), rng.standard_normal(D)
    net.parameters["layers.0.W_hh"][...], net.parameters["layers.0.b_h"][...] = W, b
    x = 0.1 * rng.standard_normal((4, 6, D))
    found = fixed_points(net, x, drive=drive)
    wanted = np.linalg.solve(np.eye(H) - W.T, b + drive @ net.parameters["layers.0.W_xh"])
    np.testing.assert_allclose(found.points, wanted[None], rtol=1e-8)
    values = np.linalg.eigvals(W)
    np.testing.assert_allclose(np.sort(np.abs(found.eigenvalues[0])), np.sort(np.abs(values)), rtol=1e-9)
    growing = int((np.abs(values) > 1).sum())
    assert found.unstable[0] == growing
    assert found.kinds == ("saddle" if growing else "attractor",)


def test_a_memory_of_two_patterns(rng: np.random.Generator) -> None:
    """W = g (p p^T + q q^T) / N with p, q orthogonal: attractors at +-m p and +-m q with m = tanh(g m)."""
    N, g = 8, 1.7
    p, q = np.ones(N), np.tile([1.0, -1.0], N // 2)
    net = Network(Recurrent("elman", N, N, bias=False), 1)
    net.parameters["layers.0.W_hh"][...] = g * (np.outer(p, p) + np.outer(q, q)) / N
    net.parameters["layers.0.W_xh"][...] = np.eye(N)
    found = fixed_points(net, rng.standard_normal((20, 6, N)), starts=120)
    attractors = found.points[[kind == "attractor" for kind in found.kinds]]
    m = rooted(g, 0.0, 0.1, 1.0)
    wanted = np.array([m * p, -m * p, m * q, -m * q])
    assert len(attractors) == 4
    for one in wanted:
        assert np.abs(attractors - one).max(axis=1).min() < 1e-8
    # At +-m p the derivative is g (1 - m^2) on the plane of the two patterns and 0 across it.
    at = np.argmin(np.abs(found.points - wanted[0]).max(axis=1))
    slope = g * (1 - m * m)
    np.testing.assert_allclose(found.eigenvalues[at].real, [slope, slope] + [0] * (N - 2), rtol=0, atol=1e-8)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "lstm", "lstm_peephole", Oscillator, Staged])
def test_in_every_cell_a_point_stands_still_and_its_eigenvalues_are_the_steps(
    cell: Any, engine: str, rng: np.random.Generator
) -> None:
    """One step of `Network.forward` from each point ends there; its Jacobian by central differences of that."""
    net = Network(Recurrent(cell, D, H, num_layers=2, engine=engine, dtype="float64"), K)
    for name, p in net.parameters.items():
        p += 0.3 * rng.standard_normal(p.shape)
        if name.endswith("p_f"):  # a cell that opens its own forget gate may grow for ever
            p *= 0.1
        if name.endswith("b_h") and "lstm" in net.recurrent.cell.name:
            p[H : 2 * H] -= 2
    drive = rng.standard_normal(D)
    x = drive + 0.1 * rng.standard_normal((6, 600, D))
    found = fixed_points(net, x, drive=drive, starts=60, spread=0.1)
    assert found.is_fixed.any()
    states = net.recurrent.states

    def step(s: np.ndarray) -> np.ndarray:
        by_layer = s.reshape(len(s), 2, len(states), H)
        state = {name: by_layer[:, :, k].transpose(1, 0, 2) for k, name in enumerate(states)}
        after = net.forward(np.tile(drive, (len(s), 1, 1)), state).state
        return np.stack([after[name][k] for k in range(2) for name in states], axis=1).reshape(len(s), -1)

    for k in np.flatnonzero(found.is_fixed)[:3]:
        s = found.points[k]
        np.testing.assert_allclose(step(s[None])[0], s, rtol=1e-8, atol=1e-8)
        moves = 1e-6 * np.eye(s.size)
        J = ((step(s + moves) - step(s - moves)) / 2e-6).T
        np.testing.assert_allclose(
            np.poly(J)[: s.size // 2], np.poly(found.eigenvalues[k])[: s.size // 2], rtol=1e-4, atol=1e-5
        )


def test_what_runs_freely_has_points_of_the_closed_loop(rng: np.random.Generator) -> None:
    net = Network(Recurrent("gru", K, H), K, readout="every")
    for p in net.parameters.values():
        p[...] = 0.9 * rng.standard_normal(p.shape)
    found = fixed_points(net, rng.standard_normal((4, 6, K)), free=30, starts=40)
    assert found.space.states.shape == (4, 31, H)
    s = found.points[found.is_fixed]
    y = s @ net.parameters["readout.W_hy"] + net.parameters["readout.b_y"]
    after = net.forward(y[:, None], {"h": s[None]}).state["h"][0]
    np.testing.assert_allclose(after, s, rtol=0, atol=1e-8)
    assert len(s)


def test_the_state_spaces_components_are_those_of_the_covariance(rng: np.random.Generator) -> None:
    net = Network(Recurrent("lstm", D, H), K)
    x = rng.standard_normal((4, 9, D))
    space = state_space(net, x)
    _, _, tape = net.recurrent.forward(x)
    states = np.concatenate([tape.tapes[0].states[name] for name in "hc"], axis=2).transpose(1, 0, 2)
    np.testing.assert_allclose(space.states, states, rtol=1e-12, atol=1e-15)
    flat = states.reshape(-1, 2 * H)
    values, vectors = np.linalg.eigh(np.cov(flat.T, bias=True))
    np.testing.assert_allclose(space.shares, values[::-1] / values.sum(), rtol=1e-8, atol=1e-14)
    assert abs(space.components[0] @ vectors[:, -1]) == pytest.approx(1, rel=1e-9)
    np.testing.assert_allclose(space.project(flat).var(axis=0), values[::-1], rtol=1e-8, atol=1e-14)
    assert 1 <= space.participation <= 2 * H
    assert StateSpace(states, flat[0], np.eye(2 * H), np.full(4, 0.25)).participation == pytest.approx(4)


def test_the_largest_entry_of_each_component_is_positive(rng: np.random.Generator) -> None:
    for seed in range(6):
        net = Network(Recurrent("gru", D, H, seed=seed), K)
        found = state_space(net, rng.standard_normal((4, 9, D)))
        largest = np.abs(found.components).argmax(axis=1)
        assert (found.components[np.arange(H), largest] > 0).all()


def test_a_search_that_was_cut_short_has_found_nothing(rng: np.random.Generator) -> None:
    """However slow the map is there: a slow point is a minimum."""
    net, x = one_unit(1.8, 0.1), rng.standard_normal((3, 9, 1))
    short = fixed_points(net, x, starts=12, iterations=1, slow=10.0)
    assert (len(short.points), short.lost) == (0, 12)


def test_far_from_0_standing_still_is_relative(rng: np.random.Generator) -> None:
    """h = h W + b far out, where a step rounds by 1e-6."""
    W, b = 0.2 * rng.standard_normal((H, H)), 1e10 * rng.standard_normal(H)
    net = Network(Recurrent("elman", 1, H, activation="identity"), 1)
    net.parameters["layers.0.W_hh"][...] = W
    net.parameters["layers.0.b_h"][...] = b
    found = fixed_points(net, np.zeros((2, 5, 1)), merge=1.0)
    assert found.kinds == ("attractor",)
    np.testing.assert_allclose(found.points[0], np.linalg.solve((np.eye(H) - W).T, b), rtol=1e-11)
    assert (np.sqrt(2 * found.q) > 1e-9).all()


def test_points_are_drawn_by_kind(rng: np.random.Generator) -> None:
    net = Network(Recurrent("elman", D, 2, bias=False), K)
    net.parameters["layers.0.W_hh"][...] = np.diag([1.5, 0.5])
    found = fixed_points(net, rng.standard_normal((7, 9, D)), starts=40)
    ax = found.plot(title="A title")
    drawn = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert sorted(drawn) == ["attractor (2)", "saddle (1)"]
    saddle = found.points[[kind == "saddle" for kind in found.kinds]]
    np.testing.assert_allclose(np.array(drawn["saddle (1)"].get_xydata()), found.space.project(saddle))
    assert len(found.plot_eigenvalues(shown=2).lines) == 3
    assert found.space.plot(axes=(1, 0)).get_xlabel().startswith("component 2")
    with pytest.raises(InvalidInput, match=r"^axes must be below 2, the number of components"):
        found.space.plot(axes=(0, 2))
    with pytest.raises(InvalidInput, match=r"^axes must be two numbers of components"):
        found.space.plot(axes=(0,))  # type: ignore[arg-type]  # the point of it
    moving = Network(Recurrent("elman", D, 2, activation="identity"), K)
    moving.parameters["layers.0.W_hh"][...], moving.parameters["layers.0.b_h"][...] = np.eye(2), 1.0
    none = fixed_points(moving, rng.standard_normal((7, 9, D)), starts=3)
    assert isinstance(none, FixedPoints)
    assert none.kinds == ()
    assert none.lost == 3
    assert none.plot().get_legend() is None
    with pytest.raises(InvalidInput, match=r"^points must hold at least 1 point to be drawn"):
        none.plot_eigenvalues()


def test_what_has_no_points_is_refused(rng: np.random.Generator) -> None:
    net, x = Network(Recurrent("elman", D, H), K), np.zeros((2, 4, D))
    for function in (fixed_points, state_space):
        with pytest.raises(InvalidType, match=r"^net must be a Network"):
            function("net", x)
        with pytest.raises(InvalidInput, match=r"^x must have shape"):
            function(net, x[0])
        with pytest.raises(InvalidInput, match=r"^x must hold at least one row"):
            function(net, x[:0])
        with pytest.raises(InvalidInput, match=r"^net must predict its own input"):
            function(net, x, free=3)
        fed = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
        with pytest.raises(InvalidInput, match=r"^free must be 0 for a network with feedback"):
            function(fed, x, free=3)
        both = Network(Recurrent("elman", D, H, direction="bidirectional"), K)
        with pytest.raises(InvalidInput, match=r"^net must run forward in time"):
            function(both, x)
        wild = Network(Recurrent("elman", D, H, activation="identity"), K)
        wild.parameters["layers.0.W_hh"][...] = 1e200
        with pytest.raises(InvalidInput, match=r"^net must stay finite along the trajectories"):
            function(wild, x, state={"h": np.ones((1, 2, H))})
    looped = Network(Recurrent("elman", D, H), D, readout="every")
    with pytest.raises(InvalidInput, match=r"^drive must be left out where the network runs freely"):
        fixed_points(looped, x, free=3, drive=[0, 0])
    with pytest.raises(InvalidInput, match=r"^drive must have shape"):
        fixed_points(net, x, drive=[0, 0, 0])
