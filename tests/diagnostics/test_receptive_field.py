"""What outputs see against derivatives by the complex step, and against what each architecture lets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import ReceptiveField, receptive_field
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from tests.engine.own_cells import OWN, Spiking

B, T, D, H, K = 2, 6, 3, 5, 4
RTOL = 1e-11
TINY = 1e-30


def make(
    rng: np.random.Generator, cell: Any = "lstm", *, stack: dict[str, Any] | None = None, **options: Any
) -> Network:
    net = Network(Recurrent(cell, D, H, **(stack or {})), K, **{"readout": "every", **options})
    for p in net.parameters.values():
        p[...] = 0.6 * rng.standard_normal(p.shape)
    return net


def sizes(net: Network, x: np.ndarray) -> np.ndarray:
    """Return `uses` (S, T, D) by the complex step."""
    squares: Any = 0.0
    for t, d in np.ndindex(x.shape[1:]):
        moved = x.astype(complex)
        moved[:, t, d] += 1j * TINY
        y_hat = net.forward(moved).y_hat.imag / TINY
        y_hat = y_hat if y_hat.ndim == 3 else y_hat[:, None]
        one = np.zeros((y_hat.shape[1], *x.shape[1:]))
        one[:, t, d] = (y_hat**2).sum(axis=2).mean(axis=0)
        squares = squares + one
    return np.sqrt(squares)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", ["elman", "gru_reset_before", "lstm"])
def test_uses_are_derivatives_and_sight_is_that_of_the_direction(
    cell: str, direction: str, readout: str, engine: str, rng: np.random.Generator
) -> None:
    net = make(rng, cell, stack={"num_layers": 2, "direction": direction, "engine": engine}, readout=readout)
    x = rng.standard_normal((B, T, D))
    found = receptive_field(net, x)
    np.testing.assert_allclose(found.uses, sizes(net, x), rtol=RTOL, atol=1e-15)
    s, t = found.outputs[:, None], np.arange(T)
    visible = {"forward": t <= s, "reverse": t >= s, "bidirectional": (t >= 0) | (s >= 0)}[direction]
    if readout == "last":  # of the reverse direction it is the state that has read everything
        visible = np.ones((1, T), bool)
    np.testing.assert_array_equal(found.sees, np.repeat(visible[:, :, None], D, axis=2))
    np.testing.assert_array_equal(found.cannot_see, ~found.sees)
    assert found.looks_ahead == (readout == "every" and direction != "forward")


@pytest.mark.parametrize("cell", OWN)
def test_in_the_users_cells_nothing_is_seen_before_it_comes(cell: Any, rng: np.random.Generator) -> None:
    net = make(rng, cell)
    for name, p in net.parameters.items():
        if name.endswith((".leak", ".s")):
            p[...] = rng.uniform(0.2, 0.9, p.shape)
    found = receptive_field(net, rng.standard_normal((B, T, D)))
    ahead = np.arange(T) > found.outputs[:, None]
    assert not found.sees[ahead].any()
    assert found.sees[~ahead].all()
    # What jumps hides a nan, so that nothing is claimed of it.
    assert found.cannot_see[ahead].all() == (cell is not Spiking)
    assert not found.cannot_see[~ahead].any()
    assert not found.looks_ahead


def test_every_way_to_a_prediction_counts(rng: np.random.Generator) -> None:
    """Recurrent weights of 0 leave the linear path's two rows, and of the column whose change is predicted the last."""
    net = make(rng, "elman", linear_lags=2, change_of=[1, 1, 0, 2])
    net.parameters["layers.0.W_hh"][...] = 0
    net.parameters["layers.0.W_xh"][...] = 0
    x = rng.standard_normal((B, T, D))
    found = receptive_field(net, x)
    np.testing.assert_allclose(found.uses, sizes(net, x), rtol=RTOL, atol=1e-15)
    s, t = found.outputs[:, None], np.arange(T)
    np.testing.assert_array_equal(found.sees.all(axis=2), (t <= s) & (t >= s - 1))
    # A weight of 0 is a way all the same: the rest of the past is not used, and not out of sight either.
    np.testing.assert_array_equal(found.cannot_see.all(axis=2), t > s)


def test_with_feedback_the_past_is_seen_through_predictions(rng: np.random.Generator) -> None:
    net = Network(Recurrent("elman", D + K, H), K, readout="every", feedback=True)
    for p in net.parameters.values():
        p[...] = 0.6 * rng.standard_normal(p.shape)
    x = rng.standard_normal((B, T, D))
    found = receptive_field(net, x, outputs=[1, 4])
    np.testing.assert_allclose(found.uses, sizes(net, x)[[1, 4]], rtol=RTOL, atol=1e-15)
    np.testing.assert_array_equal(found.outputs, [1, 4])


def test_some_outputs_are_those_of_all(rng: np.random.Generator) -> None:
    net, x = make(rng, "gru"), rng.standard_normal((B, T, D))
    net.parameters["readout.W_hy"][...] = 0  # nothing is used, but a path is there: only nan tells which
    whole, some = receptive_field(net, x), receptive_field(net, x, outputs=[4, 1])
    assert list(some.outputs) == [4, 1]
    np.testing.assert_allclose(some.uses, whole.uses[[4, 1]], rtol=RTOL)
    np.testing.assert_array_equal(some.sees, whole.sees[[4, 1]])
    np.testing.assert_array_equal(some.cannot_see, whole.cannot_see[[4, 1]])
    assert list(some.cannot_see.all(axis=2).sum(axis=1)) == [T - 5, T - 2]


def test_dead_units_use_nothing_and_are_no_proof(rng: np.random.Generator) -> None:
    net = make(rng, "elman", stack={"activation": "relu"}, readout="last")
    net.parameters["layers.0.b_h"][...] = -100
    found = receptive_field(net, rng.standard_normal((B, T, D)), state={"h": np.zeros((1, B, H))})
    assert not found.sees.any()
    assert not found.cannot_see.any()
    assert list(found.span()) == [-1]


def test_small_derivatives_are_seen(rng: np.random.Generator) -> None:
    net = make(rng, "elman", readout="last")
    net.parameters["layers.0.W_hh"] *= 1e-50
    found = receptive_field(net, rng.standard_normal((B, T, D)))
    assert found.sees.all()
    assert 0 < found.uses[0, 0].max() < 1e-240


def test_the_span_of_a_known_decay() -> None:
    uses = (0.5 ** np.arange(8)[::-1])[None, :, None]  # squares fall by 4 a step
    everything = np.ones((1, 8, 1), bool)
    found = ReceptiveField(np.array([7]), uses, everything, ~everything)
    assert list(found.span(level=0.7)) == [0]  # 3 / 4 of all is the newest
    assert list(found.span(level=0.9)) == [1]
    assert list(found.span(level=0.99)) == [3]


def test_it_is_drawn(rng: np.random.Generator) -> None:
    net = make(rng, "gru")
    x = rng.standard_normal((B, T, D))
    ax = receptive_field(net, x).plot(title="A title")
    assert ax.images[0].get_array().shape == (T, T, 4)
    lines = receptive_field(make(rng, "gru", readout="last"), x).plot(names=["a", "b", "c"]).lines
    assert [line.get_label() for line in lines] == ["a", "b", "c"]
    for names, told in ((3, "3"), ("abc", "'abc'")):
        with pytest.raises(InvalidType, match=rf"^names must be a sequence of D = 3 names.* Got {told}$"):
            receptive_field(net, x).plot(names=names)
    with pytest.raises(InvalidInput, match=r"^names must be D = 3, one a column of x\. Got 1"):
        receptive_field(net, x).plot(names=["a"])


def test_what_is_not_there_is_refused(rng: np.random.Generator) -> None:
    net, x = make(rng), np.zeros((B, T, D))
    with pytest.raises(InvalidType, match=r"^net must be a Network"):
        receptive_field("net", x)  # type: ignore[arg-type]  # the point of it
    with pytest.raises(InvalidInput, match=r"^x must have shape"):
        receptive_field(net, x[0])
    with pytest.raises(InvalidInput, match=r"^x must hold finite numbers, at least one row"):
        receptive_field(net, x + np.nan)
    with pytest.raises(InvalidInput, match=r"^outputs must be steps below T = 6, at least one\. Got \[6\]"):
        receptive_field(net, x, outputs=[6])
    with pytest.raises(InvalidInput, match=r"^outputs must be left out with readout 'last'"):
        receptive_field(make(rng, readout="last"), x, outputs=[0])
    with pytest.raises(InvalidInput, match=r"^level must be"):
        receptive_field(net, x).span(level=1.0)
    net.parameters["layers.0.W_hh"][0, 0] = np.nan
    with pytest.raises(InvalidInput, match=r"^net must predict finite numbers from x"):
        receptive_field(net, x)
