"""Agreement with PyTorch's recurrent layers in float64: outputs, final states and every gradient, by name.

PyTorch is not a dependency: without it these tests are skipped, and one step of the CI installs it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bptt.network import Recurrent
from tests.pytorch_names import CELLS, from_pytorch, gradients_to_pytorch
from tests.torch_twin import compare, make_module, run_torch, tensor, torch, turn_around

pytestmark = pytest.mark.usefixtures("each_engine")

# Two float64 engines that add in another order agree to 5e-15 while the recurrent gain is at most 1.
AGREES = 1e-12

B, T, D, H = 5, 11, 3, 7
LENGTHS = np.array([11, 4, 1, 9, 6])


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_stack(kind: str, layers: int, direction: str, bias: bool, rng: np.random.Generator) -> None:
    cell, options = CELLS[kind, True if kind == "gru" else None]
    reverse = direction == "reverse"
    module = make_module(kind, D, H, layers, direction == "bidirectional", bias)
    stack = Recurrent(cell, D, H, num_layers=layers, direction=direction, bias=bias, **options)
    weights = {
        name: rng.standard_normal(tuple(p.shape)) * (0.8 / np.sqrt(H) if "weight_hh" in name else 0.5)
        for name, p in module.named_parameters()
    }
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    stack.parameters.update(from_pytorch(stack, weights))

    for ragged, with_state in product([False, True], [False, True]):
        lengths = LENGTHS if ragged else None
        ends = LENGTHS if ragged else np.full(B, T)
        inside = (np.arange(T) < ends[:, None])[:, :, None]
        x, dh = rng.standard_normal((B, T, D)), rng.standard_normal((B, T, stack.output_size))
        state0 = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states}
        dstate = {name: rng.standard_normal(stack.state_shape(B)) for name in stack.states}

        # PyTorch has no reverse stack: it is the forward one on rows turned around, and turned back.
        x_torch = tensor(x)
        state_torch = {name: tensor(value) for name, value in state0.items()}
        given = tuple(state_torch.values()) if with_state else None
        out, final = run_torch(module, turn_around(x_torch, ends) if reverse else x_torch, given, lengths)
        out = turn_around(out, ends) if reverse else out
        total = (out * torch.from_numpy(np.where(inside, dh, 0.0))).sum()
        for value, name in zip(final, stack.states, strict=True):
            total = total + (value * torch.from_numpy(dstate[name])).sum()
        module.zero_grad()
        total.backward()

        # What lies past a row's end is NaN on our side: neither values nor gradients may depend on it.
        h, state, tape = stack.forward(np.where(inside, x, np.nan), state0 if with_state else None, lengths)
        found = stack.backward(tape, np.where(inside, dh, np.nan), dstate)

        compare({"h": h, "dx": found.x}, {"h": out, "dx": x_torch.grad}, AGREES)
        compare(state, dict(zip(stack.states, final, strict=True)), AGREES)
        if with_state:
            compare(found.state, {name: value.grad for name, value in state_torch.items()}, AGREES)
        compare(
            gradients_to_pytorch(stack, found.parameters),
            {name: p.grad for name, p in module.named_parameters()},
            AGREES,
        )
