"""What may happen to a network between two compiled steps, and which networks have one."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import get_cell
from bptt.losses import Huber, Squared
from bptt.network import Network, Recurrent
from bptt.network.steps import find_step_engine
from tests.network.test_step import agree, draw, everything, note_plays, pair

D = 3


@pytest.fixture(autouse=True)
def _with_each_engine() -> None:
    """These networks name their engines: once is enough."""


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the steps that are played, in order."""
    return note_plays(monkeypatch)


def replace_parameters(net: Network, rng: np.random.Generator) -> None:
    for name, p in net.parameters.items():
        net.parameters[name] = (0.3 * rng.standard_normal(p.shape)).astype(p.dtype)


def replace_one(net: Network, rng: np.random.Generator) -> None:
    net.parameters["readout.b_y"] = rng.standard_normal(2)


def fortran(net: Network, rng: np.random.Generator) -> None:
    W = rng.standard_normal(net.parameters["layers.0.W_hh"].shape)
    net.parameters["layers.0.W_hh"] = np.asfortranarray(W)


def in_place(net: Network, rng: np.random.Generator) -> None:
    for p in net.parameters.values():
        p[...] = 0.3 * rng.standard_normal(p.shape)


def set_loss(net: Network, _: Any) -> None:
    net.loss = Huber(0.1)


def set_huber(net: Network, _: Any) -> None:
    net.loss = Huber(0.2)


def set_activation(net: Network, _: Any) -> None:
    net.output_activation = "tanh"


def set_change(net: Network, _: Any) -> None:
    net.change_of, net.change_scale = (2, 1), 0.4


def set_cell(net: Network, _: Any) -> None:
    net.recurrent.cell = get_cell("elman", {"activation": "relu"})


CHANGES = (
    replace_parameters, replace_one, fortran, in_place, set_loss, set_huber, set_activation, set_change, set_cell
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_between_two_calls_is_seen(change: Any, rng: np.random.Generator) -> None:
    fast, slow = pair("elman", 2, loss=Huber(0.1) if change is set_huber else "mse")
    x, y = draw(fast, rng)
    first = fast.loss_and_gradients(x, y)
    for net in (fast, slow):
        change(net, np.random.default_rng(2))
    found = fast.loss_and_gradients(x, y)
    agree(found, slow.loss_and_gradients(x, y), "float64")
    assert found.loss != first.loss


def test_what_was_returned_is_not_touched_by_the_next_call(
    rng: np.random.Generator, played: list[Any]
) -> None:
    fast, _ = pair("lstm", 2, readout="every", layers=2)
    first = everything(fast.loss_and_gradients(*draw(fast, rng)))
    kept = copy.deepcopy(first)
    second = everything(fast.loss_and_gradients(*draw(fast, rng)))
    assert played[0] is played[1]
    for name, values in kept.items():
        np.testing.assert_array_equal(first[name], values, err_msg=name)
        assert not np.array_equal(second[name], values), name
    # Nor is the next call touched by what a caller does with it.
    x, y = draw(fast, rng)
    expected = everything(fast.loss_and_gradients(x, y))
    for values in everything(fast.loss_and_gradients(x, y)).values():
        values[...] = np.nan
    for name, values in everything(fast.loss_and_gradients(x, y)).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("twin", [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_of_a_network_with_idle_steps(twin: Any, rng: np.random.Generator, played: list[Any]) -> None:
    fast, slow = pair("gru", 2)
    x, y = draw(fast, rng)
    expected = everything(fast.loss_and_gradients(x, y))
    other = twin(fast)
    if twin is not copy.copy:
        for p in fast.parameters.values():
            p *= 2
    for name, values in everything(other.loss_and_gradients(x, y)).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    for p in fast.parameters.values() if twin is copy.copy else ():
        p *= 2
    for p in slow.parameters.values():
        p *= 2
    agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), "float64")
    assert len(played) == 3


def test_batches_of_many_sizes_keep_few_steps(rng: np.random.Generator, played: list[Any]) -> None:
    fast, slow = pair("elman", 2)
    for rows, steps in ((3, 4), (5, 4), (3, 6), (3, 4), (8, 2), (5, 4), (5, 4)):
        x, y = draw(fast, rng, rows, steps)
        agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), "float64")
        assert len(fast._idle_steps.steps) <= 2
    assert played[-1] is played[-2]
    assert len(set(map(id, played))) == 6


def test_threads_share_a_network_but_never_a_step(rng: np.random.Generator, played: list[Any]) -> None:
    fast, _ = pair("gru", 2, readout="every", layers=2, hidden=19)
    batches = [draw(fast, rng) for _ in range(6)]
    expected = [everything(fast.loss_and_gradients(*batch)) for batch in batches]
    start, wrong = threading.Barrier(3), []

    def work(first: int) -> None:
        start.wait()
        for k in range(first, first + 60):
            found = everything(fast.loss_and_gradients(*batches[k % 6]))
            wrong.extend(
                name for name, values in expected[k % 6].items() if not np.array_equal(found[name], values)
            )

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 2, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(played) == 6 + 180


# ---------------------------------------------------------------- who has one


def test_who_has_a_compiled_step() -> None:
    def has(engine: str = "compiled", stack: dict[str, Any] | None = None, **options: Any) -> bool:
        made = Recurrent("elman", D, 4, engine=engine, **(stack or {}))
        net = Network(made, 1, **options)
        return find_step_engine(net, net.parameters) is not None

    assert has()
    assert has(loss=Huber(2.0), readout="every", linear_lags=2)
    assert not has(engine="numpy")
    assert not has(stack={"direction": "reverse"})
    assert not has(stack={"direction": "bidirectional"})
    assert not has(stack={"num_layers": 2, "dropout": 0.1})
    assert not has(stack={"mask": np.eye(4)})
    assert not has(learned_initial_state=True)


class Twice(Squared):
    """A loss of a user's: the whole of it is another."""

    def value_and_gradient(self, y_hat: Any, y: Any, weights: Any = None) -> tuple[Any, Any]:
        value, gradient = super().value_and_gradient(y_hat, y, weights)
        return 2 * value, 2 * gradient


class Cubed(Squared):
    """Another way to add rows."""

    def _rows(self, y_hat: Any, y: Any) -> tuple[Any, Any]:
        losses, slopes = super()._rows(y_hat, y)
        return 3 * losses, 3 * slopes


class Scaled(Squared):
    """Other weights."""

    def scales(self, shape: Any, weights: Any = None) -> Any:
        return 5 * super().scales(shape, weights)


class Wide(Huber):
    """Other constants."""

    def constants(self) -> tuple[float, ...]:
        return (3 * self.delta,)


@pytest.mark.parametrize(
    "loss", [Twice(), Cubed(), Scaled(), Wide(0.1)], ids=lambda loss: type(loss).__name__
)
def test_losses_of_a_user_mean_what_they_say(loss: Any, rng: np.random.Generator) -> None:
    fast, slow = pair("elman", 2, loss=loss)
    x, y = draw(fast, rng)
    agree(fast.loss_and_gradients(x, y), slow.loss_and_gradients(x, y), "float64")
