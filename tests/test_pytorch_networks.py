"""Agreement with PyTorch of whole networks: losses and their gradients, and ten updates of each optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt import optim
from bptt.losses import Absolute, CrossEntropy, HalfSquared, Huber, Loss, Pinball, Squared
from bptt.network import Network, Recurrent
from tests.pytorch_names import Array
from tests.torch_twin import Twin, compare, tensor, torch

pytestmark = pytest.mark.usefixtures("each_engine")

# As for the stacks: float64 that adds in another order.
AGREES = 1e-12
# Ten updates let the rounding of the gradients grow, most where Adam divides by a small root.
FOLLOWS = 1e-10

B, T, D, H = 5, 9, 3, 7
LENGTHS = np.array([9, 4, 1, 7, 6])
functional = torch.nn.functional


def pinball(y_hat: Any, y: Any, quantiles: tuple[float, ...]) -> Any:
    apart = y_hat.reshape(*y.shape, len(quantiles)) - y[..., None]
    q = torch.tensor(quantiles, dtype=torch.float64)
    return torch.maximum((1 - q) * apart, -q * apart).flatten(-2)


def cross_entropy(y_hat: Any, y: Any) -> Any:
    rows = functional.cross_entropy(y_hat.flatten(0, -2), y.flatten(), reduction="none")
    return rows.reshape(*y.shape, 1)


# Ours, and PyTorch's with one number an output.
LOSSES: dict[str, tuple[Loss, Callable[[Any, Any], Any]]] = {
    "mse": (Squared(), lambda a, y: functional.mse_loss(a, y, reduction="none")),
    "half_squared": (HalfSquared(), lambda a, y: 0.5 * functional.mse_loss(a, y, reduction="none")),
    "mae": (Absolute(), lambda a, y: functional.l1_loss(a, y, reduction="none")),
    "huber": (Huber(0.7), lambda a, y: functional.huber_loss(a, y, reduction="none", delta=0.7)),
    "pinball": (Pinball((0.15, 0.8)), lambda a, y: pinball(a, y, (0.15, 0.8))),
    "cross_entropy": (CrossEntropy(), cross_entropy),
}


def randomise(net: Network, rng: np.random.Generator) -> Network:
    """Give every parameter random numbers, the recurrent weights with gain 0.8."""
    for name, p in net.parameters.items():
        p[...] = rng.standard_normal(p.shape) * (0.8 / np.sqrt(H) if name.endswith("W_hh") else 0.5)
    return net


def make_targets(rng: np.random.Generator, loss: str, outputs: int, readout: str) -> Array:
    rows = (B, T) if readout == "every" else (B,)
    if loss == "cross_entropy":
        return rng.integers(outputs, size=rows)
    return rng.standard_normal((*rows, outputs // 2 if loss == "pinball" else outputs))


def check(
    net: Network, x: Array, y: Array, lengths: Array | None, of_outputs: Callable[[Any, Any], Any]
) -> None:
    """Compare predictions, loss and all gradients; the loss is the mean, or the sum over steps, of what counts."""
    twin, x_torch = Twin(net), tensor(x)
    y_hat = twin.forward(x_torch, lengths)
    rows = of_outputs(y_hat, torch.from_numpy(y)).mean(dim=-1)
    if net.readout == "every" and lengths is not None:
        inside = torch.from_numpy((np.arange(T) < lengths[:, None]).astype(float))
    else:
        inside = torch.ones_like(rows)
    counted = len(rows) if net.loss.time == "sum" else inside.sum()
    loss = (rows * inside).sum() / counted
    wanted = twin.gradients(loss)

    found = net.loss_and_gradients(x, y, lengths=lengths, want_x=True)
    assert found.loss == pytest.approx(loss.item(), rel=AGREES, abs=0.0)
    compare(found.gradients.parameters, wanted, AGREES)
    compare({"x": found.gradients.x}, {"x": x_torch.grad}, AGREES)
    kept = inside if net.readout == "every" else torch.ones(B, dtype=torch.float64)
    compare({"y_hat": found.y_hat}, {"y_hat": y_hat * kept[..., None]}, AGREES)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("time", ["mean", "sum"])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str, readout: str, time: str, ragged: bool, rng: np.random.Generator) -> None:
    outputs = 4
    ours, theirs = LOSSES[loss]
    stack = Recurrent("gru", D, H, num_layers=2)
    net = randomise(Network(stack, outputs, readout=readout, loss=replace(ours, time=time)), rng)
    y = make_targets(rng, loss, outputs, readout)
    check(net, rng.standard_normal((B, T, D)), y, LENGTHS if ragged else None, theirs)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("activation", ["identity", "tanh", "sigmoid", "relu", "softplus"])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_every_path(
    cell: str, direction: str, activation: str, readout: str, ragged: bool, rng: np.random.Generator
) -> None:
    # Learned initial state, linear path with more lags than the shortest row has steps, change target.
    stack = Recurrent(cell, D, H, num_layers=2, direction=direction)
    net = Network(
        stack,
        2,
        readout=readout,
        output_activation=activation,
        linear_lags=4,
        change_of=(2, 0),
        change_scale=0.3,
        learned_initial_state=True,
    )
    y = make_targets(rng, "mse", 2, readout)
    check(
        randomise(net, rng),
        rng.standard_normal((B, T, D)),
        y,
        LENGTHS if ragged else None,
        LOSSES["mse"][1],
    )


def test_without_any_bias(rng: np.random.Generator) -> None:
    net = randomise(Network(Recurrent("lstm", D, H, bias=False), 2, bias=False), rng)
    assert not [name for name in net.parameters if ".b_" in name]
    check(net, rng.standard_normal((B, T, D)), rng.standard_normal((B, 2)), None, LOSSES["mse"][1])


# Ours, and PyTorch's with the same settings. AdamW decays matrices only unless told otherwise, PyTorch's all.
OPTIMISERS: dict[str, tuple[optim.Optimizer, Callable[[Any], Any]]] = {
    "sgd": (optim.SGD(0.2), lambda p: torch.optim.SGD(p, lr=0.2)),
    "momentum": (optim.SGD(0.1, momentum=0.8), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8)),
    "nesterov": (
        optim.SGD(0.1, momentum=0.8, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
    ),
    "rmsprop": (
        optim.RMSProp(0.01, rho=0.9, epsilon=1e-6),
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-6),
    ),
    "adam": (
        optim.Adam(0.02, beta1=0.8, beta2=0.99),
        lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.99)),
    ),
    "adamw": (
        optim.AdamW(0.02, weight_decay=0.3, pattern="*"),
        lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3),
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_ten_updates(name: str, rng: np.random.Generator) -> None:
    optimiser, theirs = OPTIMISERS[name]
    stack = Recurrent("lstm", D, H, num_layers=2)
    net = randomise(Network(stack, 2, readout="every", linear_lags=2, learned_initial_state=True), rng)
    twin = Twin(net)
    start = {key: p.copy() for key, p in net.parameters.items()}
    torch_optimiser = theirs(twin.parameters.values())
    slots = optimiser.init(net.parameters)
    for step in range(10):
        x, y = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, 2))
        found = net.loss_and_gradients(x, y)
        optimiser.update(net.parameters, found.gradients.parameters, slots, step)
        twin.gradients(functional.mse_loss(twin.forward(torch.from_numpy(x)), torch.from_numpy(y)))
        torch_optimiser.step()
        compare(net.parameters, twin.parameters, FOLLOWS)
    assert all(np.abs(p - start[key]).max() > 1e-3 for key, p in net.parameters.items()), "something moved"
