"""Stacks: directions, layers, states, ragged rows, and what they leave untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.cells import CELLS
from bptt.initializers import Normal
from bptt.network import Network, Recurrent
from tests.network.build import SAME, randomise

B, T, D, H, L = 4, 7, 3, 5, 2
LENGTHS = np.array([7, 2, 5, 1])
INSIDE = (np.arange(T) < LENGTHS[:, None])[:, :, None]


def make(
    rng: np.random.Generator, cell: str = "lstm", direction: str = "forward", layers: int = L
) -> Recurrent:
    return randomise(Recurrent(cell, D, H, num_layers=layers, direction=direction), rng)


def random_state(rng: np.random.Generator, stack: Recurrent, rows: int = B) -> dict[str, np.ndarray]:
    return {name: rng.standard_normal(stack.state_shape(rows)) for name in stack.states}


def assert_same(found: Any, wanted: Any) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=SAME * np.abs(wanted).max())


@pytest.mark.parametrize("cell", CELLS)
def test_shapes_names_and_order(cell: str, rng: np.random.Generator) -> None:
    stack = make(rng, cell, "bidirectional", layers=3)
    G = len(stack.cell.plan.gates)
    assert stack.output_size == 2 * H
    assert stack.prefixes == [f"layers.{k}.{d}" for k in range(3) for d in ("", "reverse.")]
    for k, prefix in enumerate(stack.prefixes):
        assert stack.parameters[prefix + "W_xh"].shape == (D if k < 2 else 2 * H, G * H)
        assert stack.parameters[prefix + "W_hh"].shape == (H, G * H)
        assert stack.parameters[prefix + "b_h"].shape == (G * H,)
        for vector in stack.cell.plan.vectors:
            assert stack.parameters[prefix + vector].shape == (H,)
    h, state, tape = stack.forward(rng.standard_normal((B, T, D)))
    assert h.shape == (B, T, 2 * H)
    assert set(state) == set(stack.states)
    assert all(value.shape == (6, B, H) == stack.state_shape(B) for value in state.values())
    found = stack.backward(tape, rng.standard_normal(h.shape), random_state(rng, stack))
    assert list(found.parameters) == list(stack.parameters)
    assert all(found.parameters[n].shape == p.shape for n, p in stack.parameters.items())
    assert found.x.shape == (B, T, D)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_reverse_is_forward_on_rows_turned_around(cell: str, ragged: bool, rng: np.random.Generator) -> None:
    ends = LENGTHS if ragged else np.full(B, T)
    t = np.arange(T)
    order = np.where(t < ends[:, None], ends[:, None] - 1 - t, t)
    rows = np.arange(B)[:, None]
    ahead, back = make(rng, cell), make(rng, cell, "reverse")
    back.parameters.update(ahead.parameters)
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, H))
    state, dstate = random_state(rng, ahead), random_state(rng, ahead)
    lengths = LENGTHS if ragged else None
    h, final, tape = ahead.forward(x, state, lengths)
    h_back, final_back, tape_back = back.forward(x[rows, order], state, lengths)
    np.testing.assert_array_equal(h_back, h[rows, order])
    for name, value in final.items():
        np.testing.assert_array_equal(final_back[name], value)
    found, turned = ahead.backward(tape, dh, dstate), back.backward(tape_back, dh[rows, order], dstate)
    np.testing.assert_array_equal(turned.x, found.x[rows, order])
    for name, gradient in found.parameters.items():
        assert_same(turned.parameters[name], gradient)


@pytest.mark.parametrize("cell", CELLS)
def test_bidirectional_is_the_two_directions_side_by_side(cell: str, rng: np.random.Generator) -> None:
    both = make(rng, cell, "bidirectional", layers=1)
    x, state = rng.standard_normal((B, T, D)), random_state(rng, both)
    h, final, _ = both.forward(x, state, LENGTHS)
    for k, (direction, prefix) in enumerate((("forward", "layers.0."), ("reverse", "layers.0.reverse."))):
        one = make(rng, cell, direction, layers=1)
        one.parameters.update(
            {n: both.parameters[prefix + n.removeprefix("layers.0.")] for n in one.parameters}
        )
        h_one, final_one, _ = one.forward(x, {n: s[k : k + 1] for n, s in state.items()}, LENGTHS)
        np.testing.assert_array_equal(h[:, :, k * H : (k + 1) * H], h_one)
        for name in final:
            np.testing.assert_array_equal(final[name][k : k + 1], final_one[name])


def test_a_stack_is_its_layers_one_after_another(rng: np.random.Generator) -> None:
    stack = make(rng, "gru", "bidirectional", layers=3)
    x = rng.standard_normal((B, T, D))
    h, final, _ = stack.forward(x, None, LENGTHS)
    below = x
    for layer in range(3):
        one = Recurrent("gru", below.shape[2], H, direction="bidirectional")
        prefix = f"layers.{layer}."
        one.parameters.update(
            {n: stack.parameters[prefix + n.removeprefix("layers.0.")] for n in one.parameters}
        )
        below, final_one, _ = one.forward(below, None, LENGTHS)
        np.testing.assert_array_equal(final["h"][2 * layer : 2 * layer + 2], final_one["h"])
    np.testing.assert_array_equal(h, below)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_ragged_row_is_the_row_alone(cell: str, direction: str, rng: np.random.Generator) -> None:
    stack = make(rng, cell, direction)
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, stack.output_size))
    state, dstate = random_state(rng, stack), random_state(rng, stack)
    h, final, tape = stack.forward(x, state, LENGTHS)
    found = stack.backward(tape, dh, dstate)
    summed = {name: np.zeros_like(p) for name, p in stack.parameters.items()}
    for b, n in enumerate(LENGTHS):
        own = {name: s[:, b : b + 1] for name, s in state.items()}
        h_b, final_b, tape_b = stack.forward(x[b : b + 1, :n], own)
        found_b = stack.backward(
            tape_b, dh[b : b + 1, :n], {name: s[:, b : b + 1] for name, s in dstate.items()}
        )
        assert_same(h[b : b + 1, :n], h_b)
        assert not h[b, n:].any(), "outputs past the end are zero"
        assert_same(found.x[b : b + 1, :n], found_b.x)
        assert not found.x[b, n:].any(), "and carry no gradient"
        for name in stack.states:
            assert_same(final[name][:, b : b + 1], final_b[name])
            assert_same(found.state[name][:, b : b + 1], found_b.state[name])
        for name, gradient in found_b.parameters.items():
            summed[name] += gradient
    for name, gradient in found.parameters.items():
        assert_same(gradient, summed[name])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("filler", [np.nan, np.inf, 1e300])
def test_nothing_in_the_padding_leaks(
    cell: str, direction: str, filler: float, rng: np.random.Generator
) -> None:
    stack = make(rng, cell, direction)
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, stack.output_size))
    h, final, tape = stack.forward(np.where(INSIDE, x, 0.0), None, LENGTHS)
    clean = stack.backward(tape, np.where(INSIDE, dh, 0.0))
    h_2, final_2, tape_2 = stack.forward(np.where(INSIDE, x, filler), None, LENGTHS)
    found = stack.backward(tape_2, np.where(INSIDE, dh, filler))
    np.testing.assert_array_equal(h_2, h)
    np.testing.assert_array_equal(found.x, clean.x)
    for name in stack.states:
        np.testing.assert_array_equal(final_2[name], final[name])
        np.testing.assert_array_equal(found.state[name], clean.state[name])
    for name, gradient in clean.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], gradient)


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_the_state_carried_are_the_whole(cell: str, rng: np.random.Generator) -> None:
    stack = make(rng, cell)
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, H))
    state, dstate = random_state(rng, stack), random_state(rng, stack)
    h, final, tape = stack.forward(x, state)
    whole = stack.backward(tape, dh, dstate)
    cuts = [(0, 1), (1, 5), (5, T)]
    tapes, outputs, carried = [], [], state
    for start, stop in cuts:
        h_k, carried, tape_k = stack.forward(x[:, start:stop], carried)
        outputs.append(h_k)
        tapes.append(tape_k)
    assert_same(np.concatenate(outputs, axis=1), h)
    for name, value in final.items():
        assert_same(carried[name], value)
    # And back: what a chunk's state is owed is what the chunk before must end with.
    owed: Any = dstate
    total = {name: np.zeros_like(p) for name, p in stack.parameters.items()}
    dx = []
    for (start, stop), tape_k in zip(reversed(cuts), reversed(tapes), strict=True):
        found = stack.backward(tape_k, dh[:, start:stop], owed)
        owed = found.state
        dx.append(found.x)
        for name, gradient in found.parameters.items():
            total[name] += gradient
    assert_same(np.concatenate(dx[::-1], axis=1), whole.x)
    for name, value in whole.state.items():
        assert_same(owed[name], value)
    for name, gradient in whole.parameters.items():
        assert_same(total[name], gradient)


def test_one_step_of_one_row(rng: np.random.Generator) -> None:
    stack = make(rng, "elman", "bidirectional", layers=1)
    x = rng.standard_normal((1, 1, D))
    h, final, tape = stack.forward(x, lengths=[1])
    p = stack.parameters
    wanted = [np.tanh(x[0, 0] @ p[f"layers.0.{d}W_xh"] + p[f"layers.0.{d}b_h"]) for d in ("", "reverse.")]
    np.testing.assert_allclose(h[0, 0], np.concatenate(wanted), rtol=SAME, atol=0.0)
    np.testing.assert_array_equal(final["h"][:, 0], h.reshape(2, H))
    assert not stack.backward(tape, np.ones_like(h)).parameters["layers.0.W_hh"].any(), "h_0 is zero"


def test_inputs_may_be_strided_or_read_only_and_stay_as_they_are(rng: np.random.Generator) -> None:
    stack = make(rng, "gru", "bidirectional")
    plain = [
        rng.standard_normal((B, T, D)),
        rng.standard_normal((B, T, 2 * H)),
        rng.standard_normal((4, B, H)),
    ]

    def strided(array: np.ndarray) -> np.ndarray:
        wide = np.full(tuple(2 * n for n in array.shape), np.nan)
        wide[tuple(slice(None, None, -2) for _ in array.shape)] = array
        view = wide[tuple(slice(None, None, -2) for _ in array.shape)]
        view.flags.writeable = False
        return view

    def run(x: np.ndarray, dh: np.ndarray, state: np.ndarray) -> tuple[Any, ...]:
        h, final, tape = stack.forward(x, {"h": state}, LENGTHS)
        found = stack.backward(tape, dh, {"h": state})
        return h, final["h"], found.x, found.state["h"], *found.parameters.values()

    before = [array.copy() for array in plain]
    weights = {name: p.copy() for name, p in stack.parameters.items()}
    for one, other in zip(run(*plain), run(*map(strided, plain)), strict=True):
        assert_same(one, other)
    for array, kept in zip(plain, before, strict=True):
        np.testing.assert_array_equal(array, kept)
    for name, p in stack.parameters.items():
        np.testing.assert_array_equal(p, weights[name])


def test_a_tape_can_be_swept_again(rng: np.random.Generator) -> None:
    stack = make(rng)
    h, _, tape = stack.forward(rng.standard_normal((B, T, D)), None, LENGTHS)
    dh = rng.standard_normal(h.shape)
    first, other, again = stack.backward(tape, dh), stack.backward(tape, 2 * dh), stack.backward(tape, dh)
    for name, gradient in first.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], gradient)
        assert_same(other.parameters[name], 2 * gradient)


def test_want_leaves_out_what_is_not_asked_for(rng: np.random.Generator) -> None:
    stack = make(rng)
    h, _, tape = stack.forward(rng.standard_normal((B, T, D)))
    dh = rng.standard_normal(h.shape)
    whole = stack.backward(tape, dh)
    weights = stack.backward(tape, dh, want={"parameters"})
    assert weights.x is None
    assert weights.state is None
    for name, gradient in whole.parameters.items():
        np.testing.assert_array_equal(weights.parameters[name], gradient)
    others = stack.backward(tape, dh, want={"x", "state0"})
    assert others.parameters == {}
    np.testing.assert_array_equal(others.x, whole.x)
    np.testing.assert_array_equal(others.state["c"], whole.state["c"])


def test_a_state_may_name_some_of_the_states(rng: np.random.Generator) -> None:
    stack = make(rng)
    x, state = rng.standard_normal((B, T, D)), random_state(rng, stack)
    part, _, _ = stack.forward(x, {"c": state["c"]})
    whole, _, _ = stack.forward(x, {"c": state["c"], "h": np.zeros_like(state["h"])})
    np.testing.assert_array_equal(part, whole)
    assert {n: s.shape for n, s in stack.zero_state(9).items()} == {"h": (L, 9, H), "c": (L, 9, H)}


def test_parameters_handed_in_take_the_place_of_the_stacks_own(rng: np.random.Generator) -> None:
    one, other = make(rng), make(rng)
    before = {name: p.copy() for name, p in one.parameters.items()}
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, H))
    h, _, tape = one.forward(x, parameters=other.parameters)
    h_other, _, tape_other = other.forward(x)
    np.testing.assert_array_equal(h, h_other)
    found, wanted = one.backward(tape, dh), other.backward(tape_other, dh)
    for name, gradient in wanted.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], gradient)
        np.testing.assert_array_equal(one.parameters[name], before[name])


def test_the_arrays_of_stack_and_network_are_one(rng: np.random.Generator) -> None:
    net = Network(make(rng))
    for name, p in net.recurrent.parameters.items():
        assert net.parameters[name] is p


def test_starting_weights_depend_on_the_seed_alone() -> None:
    def start(seed: int, **settings: Any) -> dict[str, np.ndarray]:
        return Recurrent("lstm", D, H, num_layers=2, seed=seed, **settings).parameters

    first, again, other, single = start(3), start(3), start(4), start(3, dtype="float32")
    for name, p in first.items():
        np.testing.assert_array_equal(again[name], p)
        np.testing.assert_array_equal(single[name], p.astype("float32"))
        if "W_" in name:
            assert not np.any(other[name] == p)
    forget = first["layers.1.b_h"].reshape(4, H)
    np.testing.assert_array_equal(forget, np.repeat([[0.0], [1.0], [0.0], [0.0]], H, axis=1))


def test_initialisers_are_taken_by_name() -> None:
    plain = Recurrent("gru", D, H)
    stack = Recurrent("gru", D, H, initializers={"W_hh": Normal(0.001), "b_h": Normal(2.0)})
    assert 0 < np.abs(stack.parameters["layers.0.W_hh"]).max() < 0.01
    assert np.abs(stack.parameters["layers.0.b_h"]).max() > 0.5
    assert not stack.parameters["layers.0.b_hn"].any()
    np.testing.assert_array_equal(stack.parameters["layers.0.W_xh"], plain.parameters["layers.0.W_xh"])


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias_there_is_none(cell: str, rng: np.random.Generator) -> None:
    stack = Recurrent(cell, D, H, bias=False)
    names = {name.rpartition(".")[2] for name in stack.parameters}
    assert names == {"W_xh", "W_hh"} | {v for v in stack.cell.plan.vectors if not v.startswith("b_")}
    biased = randomise(Recurrent(cell, D, H), rng)
    for name, p in biased.parameters.items():
        if ".b_" in name:
            p[...] = 0.0
    stack.parameters.update({name: biased.parameters[name] for name in stack.parameters})
    x = rng.standard_normal((B, T, D))
    np.testing.assert_array_equal(stack.forward(x)[0], biased.forward(x)[0])
