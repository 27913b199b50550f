"""Every gradient of every kind of network against the complex step, over a broad grid."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from bptt.losses import Absolute, CrossEntropy, HalfSquared, Huber, Pinball, Squared
from bptt.network import Gradients, Network, Recurrent
from tests.network.build import EXACT, every_entry, random_signs, randomise, slope_errors, targets, wrong

B, T, D, H, K = 4, 6, 3, 5, 2

CELLS: list[tuple[str, dict[str, Any]]] = [
    ("elman", {}),
    ("elman", {"activation": "relu"}),
    ("elman", {"activation": "sigmoid"}),
    ("elman", {"activation": "identity"}),
    ("elman", {"activation": "softplus"}),
    ("gru", {}),
    ("gru_reset_before", {}),
    ("lstm", {}),
    ("lstm_peephole", {}),
]

LOSSES = [
    Squared(),
    Squared(time="sum"),
    HalfSquared(),
    HalfSquared(time="sum"),
    Absolute(),
    Huber(0.4),
    Pinball((0.2, 0.7)),
    CrossEntropy(),
    CrossEntropy(time="sum"),
]


def a_case(rng: np.random.Generator, cell: tuple[str, dict[str, Any]], **fixed: Any) -> tuple[Network, Any]:
    """Return a network whose other options are drawn, and what its loss is given; `fixed` is not drawn."""

    def draw(name: str, *choices: Any) -> Any:
        return fixed[name] if name in fixed else choices[rng.integers(len(choices))]

    layers = draw("num_layers", 1, 2)
    direction = draw("direction", "forward", "reverse", "bidirectional")
    feedback = fixed.get("feedback", False)
    columns = draw("columns", 0, D) if feedback else D
    stack = Recurrent(
        cell[0],
        columns + (K if feedback else 0),
        H,
        num_layers=layers,
        direction=direction,
        bias=draw("bias", True, True, False),
        dropout=draw("dropout", 0.0, 0.4) if layers > 1 else 0.0,
        mask=draw("mask", None, None, (rng.random((H, H)) < 0.6).astype(int)),
        signs=draw("signs", None, None, rng.choice([-1, 1], H)),
        **cell[1],
    )
    loss = LOSSES[rng.integers(len(LOSSES))]
    plain = loss.class_targets
    net = Network(
        stack,
        K,
        readout=draw("readout", "last", "every"),
        loss=loss,
        output_activation="identity" if plain else draw("activation", "identity", "tanh", "sigmoid"),
        bias=draw("readout_bias", True, True, False),
        linear_lags=0 if feedback else draw("linear_lags", 0, 1, 4, T + 3),
        change_of=None
        if plain or direction == "reverse"
        else draw("change_of", None, *([(columns, columns + 1)] if feedback else [(2, 0), (1, 1)])),
        change_scale=0.3,
        feedback=feedback,
        learned_initial_state=draw("learned", False, True),
    )
    given: dict[str, Any] = {"dropout_key": (7, 3)}
    if draw("ragged", False, True):
        given["lengths"] = np.array([6, 2, 5, 1])
    if draw("state", False, True):
        given["state"] = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states}
    if feedback and draw("y_start", False, True):
        given["y_start"] = rng.standard_normal((B, K))
    match draw("weights", None, "rows", "steps"):
        case "rows":
            given["weights"] = np.array([0.5, 2.0, 0.0, 1.0])
        case "steps" if net.readout == "every":
            given["weights"] = rng.choice([0.0, 1.0, 2.5], size=(B, T)) + (np.arange(T) == 0)
    return randomise(net, rng), given


def a_batch(net: Network, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((B, T, net.input_size)), targets(net, rng, B, T)


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c[1].get("activation", c[0]))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_windowed_network(cell: tuple[str, dict[str, Any]], direction: str, rng: np.random.Generator) -> None:
    for layers, ragged, readout in product([1, 2, 3], [False, True], ["last", "every"]):
        net, given = a_case(rng, cell, num_layers=layers, direction=direction, ragged=ragged, readout=readout)
        errors = slope_errors(net, *a_batch(net, rng), lambda at: random_signs(at, rng), **given)
        assert not wrong(errors), f"{net!r} {net.config()} {given}"


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c[1].get("activation", c[0]))
def test_feedback_network(cell: tuple[str, dict[str, Any]], rng: np.random.Generator) -> None:
    for layers, readout, columns in product([1, 2], ["last", "every"], [0, D]):
        net, given = a_case(
            rng,
            cell,
            num_layers=layers,
            direction="forward",
            ragged=False,
            readout=readout,
            feedback=True,
            columns=columns,
        )
        errors = slope_errors(net, *a_batch(net, rng), lambda at: random_signs(at, rng), **given)
        assert "y_start" in errors
        assert not wrong(errors), f"{net!r} {net.config()} {given}"


@pytest.mark.parametrize("feedback", [False, True], ids=["windowed", "feedback"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c[1].get("activation", c[0]))
def test_entry_by_entry(cell: tuple[str, dict[str, Any]], feedback: bool, rng: np.random.Generator) -> None:
    fixed: dict[str, Any] = {"direction": "forward", "ragged": False} if feedback else {"ragged": True}
    net, given = a_case(rng, cell, num_layers=1, feedback=feedback, columns=1, state=True, **fixed)
    assert not wrong(slope_errors(net, *a_batch(net, rng), every_entry, **given))


@pytest.mark.parametrize(
    "name", ["layers.0.W_hh", "layers.1.b_h", "readout.W_hy", "linear.W_xy", "initial.h"]
)
def test_the_check_notices_one_wrong_entry(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Recurrent("gru", D, H, num_layers=2)
    net = randomise(Network(stack, K, linear_lags=2, learned_initial_state=True), rng)
    x, y = a_batch(net, rng)
    true_backward = net.backward

    def damaged(*arguments: Any, **keywords: Any) -> Gradients:
        found = true_backward(*arguments, **keywords)
        gradient = found.parameters[name]
        gradient.flat[gradient.size // 2] += 1e-10 * np.abs(gradient).max()
        return found

    monkeypatch.setattr(net, "backward", damaged)
    for directions in (every_entry, lambda at: random_signs(at, rng)):
        assert list(wrong(slope_errors(net, x, y, directions), EXACT)) == [name]


def test_gradients_of_the_learned_state_are_zero_where_a_state_is_given(rng: np.random.Generator) -> None:
    for feedback in (False, True):
        stack = Recurrent("lstm", D + (K if feedback else 0), H)
        net = randomise(Network(stack, K, feedback=feedback, learned_initial_state=True), rng)
        x, y = a_batch(net, rng)
        state = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states}
        free = net.loss_and_gradients(x, y).gradients.parameters
        given = net.loss_and_gradients(x, y, state=state).gradients.parameters
        for name in ("initial.h", "initial.c"):
            assert np.abs(free[name]).max() > 0
            assert not given[name].any()


def test_a_given_state_stands_beside_the_learned_others(rng: np.random.Generator) -> None:
    for feedback in (False, True):
        stack = Recurrent("lstm", D + (K if feedback else 0), H)
        net = randomise(Network(stack, K, feedback=feedback, learned_initial_state=True), rng)
        x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, K))
        c = rng.standard_normal((1, B, H))
        learned = np.repeat(net.parameters["initial.h"][:, None], B, axis=1)
        one, both = (net.loss_and_gradients(x, y, state=s) for s in ({"c": c}, {"h": learned, "c": c}))
        np.testing.assert_array_equal(one.y_hat, both.y_hat)
        np.testing.assert_array_equal(one.gradients.parameters["initial.c"], np.zeros((1, H)))
        np.testing.assert_array_equal(
            one.gradients.parameters["initial.h"], both.gradients.state["h"].sum(axis=1)
        )
        assert np.abs(one.gradients.parameters["initial.h"]).max() > 0
