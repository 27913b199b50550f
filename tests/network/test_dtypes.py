"""float32 in, float32 throughout, float32 out; and the same numbers as float64 up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from bptt.losses import Absolute, CrossEntropy, HalfSquared, Huber, Pinball, Squared
from bptt.network import Network, Recurrent
from tests.network.build import SAME32, randomise, targets

B, T, D, H, K = 4, 7, 3, 5, 2
LENGTHS = np.array([7, 2, 5, 1])
CELLS = ["elman", "gru", "gru_reset_before", "lstm", "lstm_peephole"]


def make(cell: str, dtype: str, feedback: bool = False, **settings: Any) -> Network:
    stack = Recurrent(
        cell,
        D + (K if feedback else 0),
        H,
        num_layers=2,
        direction="forward" if feedback else "bidirectional",
        dropout=0.3,
        dtype=dtype,
        mask=(np.arange(H * H).reshape(H, H) % 3 > 0).astype(int),
        signs=[1, -1, 1, 1, -1],
    )
    every: dict[str, Any] = {"output_activation": "tanh", "change_of": (1, 0), "change_scale": 0.3}
    if not feedback:
        every["linear_lags"] = 4
    return Network(
        stack, K, feedback=feedback, learned_initial_state=True, **{"readout": "every", **every, **settings}
    )


def arrays_within(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield every floating array inside records, mappings and tuples."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fc":
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from arrays_within(item, f"{path}.{key}")
    elif isinstance(value, (tuple, list)):
        for k, item in enumerate(value):
            yield from arrays_within(item, f"{path}[{k}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from arrays_within(getattr(value, field.name), f"{path}.{field.name}")


@pytest.mark.parametrize("feedback", [False, True], ids=["windowed", "feedback"])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("cell", CELLS)
def test_no_float64_leaks_in(cell: str, readout: str, feedback: bool, rng: np.random.Generator) -> None:
    net = randomise(make(cell, "float32", feedback, readout=readout), rng)
    given: dict[str, Any] = {"dropout_key": (3, 1)}
    if not feedback:
        given["lengths"] = LENGTHS
    # All that is handed in is float64, as data usually are.
    x, y = rng.standard_normal((B, T, D)), targets(net, rng, B, T)
    found = net.loss_and_gradients(x, y, weights=rng.random(B), want_x=True, **given)
    assert isinstance(found.loss, float)
    record = net.forward(x, state=net.recurrent.zero_state(B), **given)
    dstate = {name: rng.standard_normal(s.shape) for name, s in record.state.items()}
    swept = net.backward(record, rng.standard_normal(record.y_hat.shape), dstate)
    made = {
        "parameters": net.parameters,
        "result": found,
        "tape": record,
        "swept": swept,
        "predicted": net.predict(x),
    }
    checked = list(arrays_within(made))
    assert len(checked) > 60
    assert not [path for path, array in checked if array.dtype != np.float32]


@pytest.mark.parametrize(
    "loss",
    [
        Squared(),
        Squared(time="sum"),
        HalfSquared(),
        Absolute(),
        Huber(0.5),
        Pinball((0.3, 0.9)),
        CrossEntropy(),
    ],
    ids=lambda loss: f"{loss.kind}-{loss.time}",
)
def test_every_loss_keeps_float32(loss: Any, rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("gru", D, H, dtype="float32"), K, readout="every", loss=loss), rng)
    found = net.loss_and_gradients(
        rng.standard_normal((B, T, D)), targets(net, rng, B, T), weights=rng.random((B, T)), lengths=LENGTHS
    )
    assert found.y_hat.dtype == np.float32
    assert all(g.dtype == np.float32 for g in found.gradients.parameters.values())


@pytest.mark.parametrize("feedback", [False, True], ids=["windowed", "feedback"])
@pytest.mark.parametrize("cell", CELLS)
def test_float32_is_float64_up_to_rounding(cell: str, feedback: bool, rng: np.random.Generator) -> None:
    double = randomise(make(cell, "float64", feedback), rng)
    single = make(cell, "float32", feedback)
    for name, p in single.parameters.items():
        p[...] = double.parameters[name]
        double.parameters[name][...] = p
    x = rng.standard_normal((B, T, D)).astype("float32")
    y = rng.standard_normal((B, T, K)).astype("float32")
    wanted = double.loss_and_gradients(x, y, want_x=True)
    found = single.loss_and_gradients(x, y, want_x=True)
    assert found.loss == pytest.approx(wanted.loss, rel=SAME32, abs=0.0)
    gradients = {"x": wanted.gradients.x, **wanted.gradients.parameters}
    ours = {"x": found.gradients.x, **found.gradients.parameters}
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        # Where the terms of a sum cancel, its own size says nothing about its rounding.
        scale = max(np.abs(gradient).max(), 0.05 * largest)
        assert np.abs(ours[name] - gradient).max() <= SAME32 * scale, name


def test_generated_series_keep_float32(rng: np.random.Generator) -> None:
    for readout in ("last", "every"):
        net = randomise(
            Network(Recurrent("gru", D, H, dtype="float32"), D, readout=readout, linear_lags=2), rng
        )
        assert net.generate(rng.standard_normal((B, T, D)), 4).dtype == np.float32
    net = randomise(Network(Recurrent("gru", K, H, dtype="float32"), K, readout="every", feedback=True), rng)
    assert net.generate(rng.standard_normal((B, K)), 4).dtype == np.float32


def test_lists_and_whole_numbers_are_taken(rng: np.random.Generator) -> None:
    for dtype in ("float32", "float64"):
        net = randomise(Network(Recurrent("elman", 2, H, dtype=dtype), 1), rng)
        whole = net.predict([[[1, 2], [3, 4]], [[0, 1], [1, 0]]], [2, 1])
        floats = net.predict(np.array([[[1.0, 2], [3, 4]], [[0, 1], [1, 0]]]), np.array([2, 1], "int8"))
        assert whole.dtype == dtype
        np.testing.assert_array_equal(whole, floats)


def test_complex_input_stays_complex(rng: np.random.Generator) -> None:
    net = randomise(make("gru", "float64"), rng)
    found = net.forward(rng.standard_normal((B, T, D)) + 0.1j, tape=False)
    assert found.y_hat.dtype == np.complex128
    assert found.state["h"].dtype == np.complex128
