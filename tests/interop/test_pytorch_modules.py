"""PyTorch's modules in and out: outputs, final states and every gradient by name equal theirs."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from bptt.interop import from_pytorch, gradients_to_pytorch, to_pytorch_module
from bptt.network import Network
from tests.interop.test_pytorch_weights import random_stack
from tests.pytorch_names import Array
from tests.torch_twin import compare, make_module, run_torch, tensor, torch

# Two float64 engines that add in another order agree to 5e-15 while the recurrent gain is at most 1.
AGREES = 1e-12
# Measured at 8e-7 for such sizes.
AGREES_FLOAT32 = 5e-6

# (B, T, D, H): all different, and the edges: one row, one step, one input, one unit.
SIZES = [(4, 9, 3, 5), (1, 6, 2, 3), (3, 1, 2, 4), (2, 5, 1, 1), (1, 1, 1, 1), (17, 4, 5, 2)]


def randomise(module: Any, rng: np.random.Generator) -> None:
    for name, p in module.named_parameters():
        scale = 0.8 / np.sqrt(p.shape[1]) if "weight_hh" in name else 0.5
        p.data.copy_(torch.from_numpy(rng.standard_normal(tuple(p.shape)) * scale))


def check(
    module: Any, sizes: tuple[int, int, int, int], ragged: bool, given: bool, rng: np.random.Generator
) -> None:
    """Compare one module, by way of the import, in everything that it returns and every gradient."""
    B, T, D, _ = sizes
    stack = from_pytorch(module)
    assert stack.dtype == np.float64
    lengths: Array | None = None
    if ragged:
        lengths = rng.permutation(np.r_[T, rng.integers(1, T + 1, B - 1)])
    inside = (np.arange(T) < (np.full(B, T) if lengths is None else lengths)[:, None])[:, :, None]
    x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, stack.output_size))
    state0 = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states}
    dstate = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states}

    x_torch = tensor(x)
    state_torch = {name: tensor(value) for name, value in state0.items()}
    out, final = run_torch(module, x_torch, tuple(state_torch.values()) if given else None, lengths)
    total = (out * torch.from_numpy(np.where(inside, dh, 0.0))).sum()
    for value, name in zip(final, stack.states, strict=True):
        total = total + (value * torch.from_numpy(dstate[name])).sum()
    module.zero_grad()
    total.backward()

    h, state, tape = stack.forward(x, state0 if given else None, lengths)
    found = stack.backward(tape, dh, dstate)
    compare({"h": h, "dx": found.x}, {"h": out, "dx": x_torch.grad}, AGREES)
    compare(state, dict(zip(stack.states, final, strict=True)), AGREES)
    if given:
        compare(found.state, {name: value.grad for name, value in state_torch.items()}, AGREES)
    compare(
        gradients_to_pytorch(stack, found.parameters),
        {name: p.grad for name, p in module.named_parameters()},
        AGREES,
    )


@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_modules(kind: str, rng: np.random.Generator) -> None:
    # 6 sizes x 2 depths x directions x ragged x given states: 96 cases a kind, each with every gradient.
    for sizes, layers, both, ragged, given in product(SIZES, (1, 3), *[(False, True)] * 3):
        _, _, D, H = sizes
        module = make_module(kind, D, H, layers, both, bias=not (ragged and given))
        randomise(module, rng)
        check(module, sizes, ragged, given, rng)


@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_float32(kind: str, rng: np.random.Generator) -> None:
    wide = make_module(kind, 4, 9, 2, True, True)
    randomise(wide, rng)
    x, dh = rng.standard_normal((5, 30, 4)), rng.standard_normal((5, 30, 18))
    out, _ = wide(torch.from_numpy(x))
    (out * torch.from_numpy(dh)).sum().backward()
    wanted = {name: p.grad for name, p in wide.named_parameters()}
    stack = from_pytorch(wide.float())
    assert stack.dtype == np.float32
    h, _, tape = stack.forward(x)
    compare({"h": h}, {"h": out}, AGREES_FLOAT32)
    compare(gradients_to_pytorch(stack, stack.backward(tape, dh).parameters), wanted, AGREES_FLOAT32)


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_modules_made_of_stacks_and_networks(cell: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 6, 3))
    stack = random_stack(cell, rng, 2, "bidirectional", dropout=0.5)
    module = to_pytorch_module(stack)
    assert module.batch_first
    assert module.dropout == 0.5
    out, _ = module(torch.from_numpy(x))
    compare({"h": stack.forward(x)[0]}, {"h": out}, AGREES)
    again = from_pytorch(module)
    assert again.config() == stack.config()
    net = Network(stack, 2, readout="every", bias=cell != "gru")
    parts = to_pytorch_module(net)
    y_hat = parts["readout"](parts["recurrent"](torch.from_numpy(x))[0])
    compare({"y": net.predict(x)}, {"y": y_hat}, AGREES)
    back = from_pytorch(parts, recurrent="recurrent", linear="readout", readout="every")
    assert back.config() == net.config()


def test_a_model_that_holds_a_relu_rnn(rng: np.random.Generator) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.RNN(3, 4, 2, nonlinearity="relu", dropout=0.1)
            self.head = torch.nn.Linear(4, 2)

    model = Model()
    net = from_pytorch(model, recurrent="rnn", linear="head")
    assert net.recurrent.cell.options == {"activation": "relu"}
    assert net.recurrent.dropout == 0.1
    assert net.dtype == np.float32
    x = rng.standard_normal((5, 7, 3)).astype(np.float32)
    wanted = model.head(model.eval().rnn(torch.from_numpy(x).transpose(0, 1))[0][-1])
    compare({"y": net.predict(x)}, {"y": wanted}, AGREES_FLOAT32)


def test_half_precision_weights() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        module = torch.nn.LSTM(2, 3).to(dtype)
        stack = from_pytorch(module)
        assert stack.dtype == np.float32
        np.testing.assert_array_equal(
            stack.parameters["layers.0.W_hh"], module.weight_hh_l0.detach().float().numpy().T
        )
