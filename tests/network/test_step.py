"""A compiled step of a whole network against engine="numpy" in float64, and what may happen to it between two calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.engine.compiled import CompiledStep
from bptt.losses import Absolute, CrossEntropy, Huber, Pinball
from bptt.network import Network, Recurrent
from tests.engine.own_cells import Leaky, Oscillator, Staged
from tests.network.build import randomise, targets

# Another order of summation, over the largest entry of each tensor; measured 4e-14 and 2e-6.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
B, T, D = 9, 7, 3


@pytest.fixture(autouse=True)
def _with_each_engine() -> None:
    """These networks name their engines: once is enough."""


def note_plays(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the steps that are played, in order: that a compiled step answered at all is part of each test."""
    found: list[Any] = []
    play = CompiledStep.play

    def noted(self: Any) -> float:
        found.append(self)
        return play(self)

    monkeypatch.setattr(CompiledStep, "play", noted)
    return found


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the steps that are played, in order."""
    return note_plays(monkeypatch)


def pair(
    cell: Any,
    K: int,
    dtype: str = "float64",
    *,
    hidden: int = 11,
    layers: int = 1,
    bias: bool = True,
    **options: Any,
) -> tuple[Network, Network]:
    """Return the same network compiled in `dtype` and on NumPy in float64."""
    made = []
    for engine, kind in (("compiled", dtype), ("numpy", "float64")):
        stack = Recurrent(cell, D, hidden, num_layers=layers, bias=bias, dtype=kind, engine=engine)
        made.append(Network(stack, K, bias=bias, **options))
    fast, slow = made
    randomise(slow, np.random.default_rng(8), gain=0.7)
    for name, p in slow.parameters.items():
        fast.parameters[name][...] = p
        # Both start from what float32 can hold.
        p[...] = fast.parameters[name]
    return fast, slow


def draw(net: Network, rng: np.random.Generator, rows: int = B, steps: int = T) -> tuple[Any, Any]:
    x = rng.standard_normal((rows, steps, D)).astype(np.float32).astype(np.float64)
    y = targets(net, rng, rows, steps)
    return x, y if net.loss.class_targets else y.astype(np.float32).astype(np.float64)


def everything(found: Any) -> dict[str, Any]:
    assert found.gradients.x is None
    return {
        "loss": np.asarray(found.loss), "y_hat": found.y_hat, **found.gradients.parameters,
        **{f"final {name}": s for name, s in found.state.items()},
        **{f"d initial {name}": s for name, s in found.gradients.state.items()},
    }  # fmt: skip


def agree(found: Any, expected: Any, dtype: str) -> None:
    assert isinstance(found.loss, float)
    a, b = everything(found), everything(expected)
    # In the same order too: a checkpoint has one.
    assert list(a) == list(b)
    for name, values in b.items():
        assert a[name].shape == values.shape, name
        assert name == "loss" or a[name].dtype == dtype, name
        size = float(np.abs(values).max())
        assert np.isfinite(size), name
        np.testing.assert_allclose(a[name], values, rtol=0, atol=TOLERANCE[dtype] * size, err_msg=name)


EVERY = {"readout": "every"}
# Cell, K, dtype, and the rest.
CASES: tuple[tuple[Any, int, str, dict[str, Any]], ...] = (
    ("elman", 1, "float32", {"loss": "mse"}),
    ("elman", 2, "float64", {"loss": "mae", **EVERY, "layers": 2, "hidden": 19, "output_activation": "tanh"}),
    ("elman", 5, "float64", {"loss": "cross_entropy", "bias": False, "linear_lags": 2}),
    ("gru", 4, "float32", {"loss": Pinball((0.2, 0.9)), "layers": 3, "hidden": 8, "linear_lags": T + 4}),
    ("gru", 3, "float64", {"loss": Huber(0.4, time="sum"), **EVERY, "change_of": (2, 0, 0), "change_scale": 0.3}),
    ("gru_reset_before", 2, "float64", {"loss": "mse", "layers": 2, "output_activation": "sigmoid", "linear_lags": 3}),
    ("lstm", 2, "float32", {"loss": "mse", "change_of": (1, 1), "change_scale": 2.5, "linear_lags": T, "layers": 2}),
    ("lstm", 6, "float64", {"loss": CrossEntropy(time="sum"), **EVERY, "linear_lags": 2}),
    ("lstm_peephole", 3, "float32", {"loss": "half_squared", **EVERY, "output_activation": "softplus", "hidden": 33}),
    (Leaky, 9, "float64", {"loss": "mse", **EVERY, "linear_lags": T + 1, "layers": 2, "output_activation": "relu"}),
    (Staged, 2, "float64", {"loss": Absolute(), "hidden": 5, "layers": 2}),
    (Oscillator, 17, "float32", {"loss": "mse", "readout": "every", "bias": False}),
)  # fmt: skip
IDS = [f"{cell if isinstance(cell, str) else cell.name}-{k}" for k, (cell, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("cell", "K", "dtype", "options"), CASES, ids=IDS)
def test_a_step_agrees_with_numpy(
    cell: Any, K: int, dtype: str, options: dict[str, Any], rng: np.random.Generator, played: list[Any]
) -> None:
    fast, slow = pair(cell, K, dtype, **options)
    x, y = draw(fast, rng)
    agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), dtype)
    # Each row's weight, and each step's; then none again: the step is the same one.
    weights = rng.uniform(0.2, 2.0, B)
    weights[4] = 0
    agree(
        fast.loss_and_gradients(x, y, weights=weights), slow.loss_and_gradients(x, y, weights=weights), dtype
    )
    if fast.readout == "every":
        weights = rng.uniform(0.2, 2.0, (B, T)) * (rng.random((B, T)) > 0.4)
        agree(
            fast.loss_and_gradients(x, y, weights=weights),
            slow.loss_and_gradients(x, y, weights=weights),
            dtype,
        )
    x, y = draw(fast, rng)
    agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), dtype)
    assert len(played) == 4 if fast.readout == "every" else 3
    assert len(set(map(id, played))) == 1


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize(("rows", "steps"), [(1, 1), (1, 5), (70, 2), (131, 3), (3, 40)])
def test_a_step_of_any_batch_agrees_with_numpy(
    rows: int, steps: int, readout: str, dtype: str, rng: np.random.Generator, played: list[Any]
) -> None:
    fast, slow = pair("gru", 2, dtype, layers=2, readout=readout, linear_lags=3, change_of=(2, 1))
    x, y = draw(fast, rng, rows, steps)
    agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), dtype)
    assert len(played) == 1


@pytest.mark.parametrize("loss", ["mse", Pinball((0.3, 0.6)), "cross_entropy"], ids=str)
@pytest.mark.parametrize("readout", ["last", "every"])
def test_targets_without_weight_may_be_anything(
    readout: str, loss: Any, rng: np.random.Generator, played: list[Any]
) -> None:
    fast, slow = pair("lstm", 4, readout=readout, loss=loss)
    x, y = draw(fast, rng)
    weights = rng.uniform(0.2, 2.0, (B, T) if readout == "every" else B)
    out = rng.random(weights.shape) > 0.6
    weights[out] = 0
    clean = fast.loss_and_gradients(x, y, weights=weights)
    y[out] = -100 if fast.loss.class_targets else np.nan
    dirty = fast.loss_and_gradients(x, y, weights=weights)
    for name, values in everything(clean).items():
        np.testing.assert_array_equal(everything(dirty)[name], values, err_msg=name)
    agree(dirty, slow.loss_and_gradients(x, y, weights=weights), "float64")
    assert len(played) == 2


@pytest.mark.parametrize("readout", ["last", "every"])
def test_inputs_that_are_nan_spread_no_further_than_on_numpy(
    readout: str, rng: np.random.Generator, played: list[Any]
) -> None:
    fast, slow = pair("gru", 2, readout=readout, layers=2, linear_lags=2, change_of=(0, 2))
    x, y = draw(fast, rng)
    weights = np.ones(B)
    weights[3] = 0
    clean = everything(fast.loss_and_gradients(x, y, weights=weights))
    x[3, 4, 1] = np.nan
    found = everything(fast.loss_and_gradients(x, y, weights=weights))
    expected = everything(slow.loss_and_gradients(x, y, weights=weights))
    for name, values in expected.items():
        # 0 times NaN is NaN where a product reads that row; on NumPy in the readout's bias and the linear path too.
        spoiled = np.isnan(found[name])
        assert not (spoiled & ~np.isnan(values)).any(), name
        np.testing.assert_array_equal(found[name][~spoiled], clean[name][~spoiled], err_msg=name)
    # The loss is that of the other rows, and so are their predictions.
    assert np.isfinite(found["loss"])
    assert np.isfinite(np.delete(found["y_hat"], 3, axis=0)).all()
    assert np.isnan(found["y_hat"][3]).any()
    assert np.isnan(fast.loss_and_gradients(x, y).loss)
    # Nothing of it stays.
    x = np.nan_to_num(x)
    agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), "float64")
    assert len(set(map(id, played))) == 1


def test_inputs_of_any_layout_and_dtype_give_the_same_bits(
    rng: np.random.Generator, played: list[Any]
) -> None:
    fast, _ = pair("gru", 2, "float32", readout="every")
    x, y = draw(fast, rng)
    expected = everything(fast.loss_and_gradients(x.astype("f"), y.astype("f")))
    big_x, big_y = np.zeros((B, 2 * T, D + 2)), np.zeros((2, T, B))
    big_x[:, ::2, 1:-1], big_y[...] = x, y.T
    for given_x, given_y in (
        (x, y), (np.asfortranarray(x), np.asfortranarray(y)), (big_x[:, ::2, 1:-1], big_y.T), (x.tolist(), y.tolist()),
        (x[::-1][::-1].astype(">f8"), y.astype(">f4")),
    ):  # fmt: skip
        found = everything(fast.loss_and_gradients(given_x, given_y))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert len(played) == 6


WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mse", {"x": (B, T, D + 1)}),
    ("mse", {"x": (B, D)}),
    ("mse", {"x": (0, T, D)}),
    ("mse", {"x": (B, 0, D)}),
    ("mse", {"y": (B, 3)}),
    ("mse", {"y": (B - 1, 2)}),
    ("mse", {"y": (B,)}),
    ("mse", {"y": (B, 1, 2)}),
    ("mse", {"y": (B, T, 2)}),
    ("mse", {"weights": np.ones((B, T))}),
    ("mse", {"weights": np.ones(B - 1)}),
    ("mse", {"weights": np.zeros(B)}),
    ("mse", {"weights": -np.ones(B)}),
    ("mse", {"weights": np.full(B, np.nan)}),
    ("mse", {"weights": ["a"] * B}),
    ("mse", {"dropout_key": (1, 2, 3)}),
    (Pinball((0.2, 0.8)), {"y": (B, 2)}),
    ("cross_entropy", {"y": np.full(B, 2)}),
    ("cross_entropy", {"y": np.full(B, -1)}),
    ("cross_entropy", {"y": np.full((B, 1), 1)}),
    ("cross_entropy", {"y": np.full(B, 0.5)}),
    ("cross_entropy", {"y": np.full(B, 2), "weights": np.arange(B)}),
)


@pytest.mark.parametrize(("loss", "wrong"), WRONG, ids=range(len(WRONG)))
def test_errors_are_those_of_the_other_engine(
    loss: Any, wrong: dict[str, Any], rng: np.random.Generator
) -> None:
    told = []
    fast, slow = pair("elman", 2, loss=loss)
    x, y = draw(fast, rng)
    before = everything(fast.loss_and_gradients(x, y))
    given = {name: rng.standard_normal(each) if isinstance(each, tuple) and name in "xy" else each
             for name, each in wrong.items()}  # fmt: skip
    for net in (fast, slow):
        with pytest.raises(Exception, match="Got") as caught:
            net.loss_and_gradients(**{"x": x, "y": y, **given})
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]
    for name, values in everything(fast.loss_and_gradients(x, y)).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)
