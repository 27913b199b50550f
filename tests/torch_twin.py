"""What the tests against PyTorch share: its modules with our weights, ragged rows, and a network's twin in it.

Importing this skips the importing test module where PyTorch is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from bptt.network import Network
from tests.pytorch_names import Array, pytorch_weights, tensor_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
torch.set_num_threads(1)


def make_module(kind: str, inputs: int, hidden: int, layers: int, both: bool, bias: bool) -> Any:
    """Return ``rnn_tanh``, ``rnn_relu``, ``gru`` or ``lstm`` in float64."""
    settings: dict[str, Any] = {"num_layers": layers, "bidirectional": both, "bias": bias}
    made = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(kind, torch.nn.RNN)
    if made is torch.nn.RNN:
        settings["nonlinearity"] = kind.removeprefix("rnn_")
    return made(inputs, hidden, batch_first=True, dtype=torch.float64, **settings)


def tensor(array: Array) -> Any:
    """Return a leaf that autograd follows, with a copy of the array."""
    return torch.from_numpy(np.array(array)).requires_grad_()


def turn_around(x: Any, ends: Array) -> Any:
    """Reverse each row (B, T, ...) of a tensor within its own length."""
    t = np.arange(x.shape[1])
    order = np.where(t < ends[:, None], ends[:, None] - 1 - t, t)
    return x[torch.arange(len(x))[:, None], torch.from_numpy(order)]


def run_torch(
    module: Callable[..., Any], x: Any, state: tuple[Any, ...] | None, lengths: Array | None
) -> tuple[Any, list[Any]]:
    """Return the outputs and the final states of a module on ragged rows (B, T, D)."""
    given = state[0] if state is not None and len(state) == 1 else state
    if lengths is None:
        out, final = module(x, given)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
        )
        out, final = module(packed, given)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
    return out, list(final) if isinstance(final, tuple) else [final]


def compare(found: Mapping[str, Array], wanted: Mapping[str, Any], tolerance: float) -> None:
    """Raise unless every named tensor agrees to `tolerance` of its largest entry."""
    assert set(found) == set(wanted)
    errors = {name: tensor_error(found[name], wanted[name].detach().numpy()) for name in wanted}
    wrong = {name: error for name, error in errors.items() if error > tolerance}
    assert not wrong, f"these differ by more than {tolerance:g}: {wrong}"


class Twin:
    """A network written again in PyTorch over leaves with our names, so that autograd gives gradients by our names.

    Attributes
    ----------
    parameters : dict of str to tensor
        Copies of the network's parameters when the twin was made.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        stack = net.recurrent
        kind = f"rnn_{stack.cell.options['activation']}" if stack.cell.name == "elman" else stack.cell.name
        both = stack.direction == "bidirectional"
        self.module = make_module(
            kind, stack.input_size, stack.hidden_size, stack.num_layers, both, stack.bias
        )
        self.parameters = {name: tensor(p) for name, p in net.parameters.items()}

    def forward(self, x: Any, lengths: Array | None = None) -> Any:
        """Return predictions (B, K) or (B, T, K)."""
        net, p = self.net, self.parameters
        ends = np.full(len(x), x.shape[1]) if lengths is None else lengths
        out, final = run_torch(self._stack, x, self._initial(len(x)), lengths)
        newest, windows = x, self._windows(x)
        if net.readout == "last":
            out = torch.cat(list(final[0][-len(net.recurrent.directions) :]), dim=1)
            newest, windows = (each[np.arange(len(x)), ends - 1] for each in (newest, windows))
        a_y = out @ p["readout.W_hy"]
        if net.bias:
            a_y = a_y + p["readout.b_y"]
        if net.linear_lags:
            a_y = a_y + windows @ p["linear.W_xy"]
        y_hat = self._activate(a_y)
        if net.change_of is not None:
            y_hat = newest[..., list(net.change_of)] + y_hat * net.change_scale
        return y_hat

    def gradients(self, loss: Any) -> dict[str, Any]:
        """Sweep back from a loss and return the gradients by our names."""
        for p in self.parameters.values():
            p.grad = None
        loss.backward()
        return {name: p.grad for name, p in self.parameters.items()}

    def _stack(self, *given: Any) -> Any:
        weights = pytorch_weights(
            self.net.recurrent, self.parameters, torch.cat, lambda n: torch.zeros(n, dtype=torch.float64)
        )
        return torch.func.functional_call(self.module, weights, given)

    def _initial(self, batch: int) -> tuple[Any, ...] | None:
        if not self.net.learned_initial_state:
            return None
        names = [f"initial.{name}" for name in self.net.recurrent.states]
        return tuple(self.parameters[name][:, None].repeat(1, batch, 1) for name in names)

    def _windows(self, x: Any) -> Any:
        """Return the newest rows of every step, oldest first (B, T, lags * D), zeros before the first."""
        lags = max(self.net.linear_lags, 1)
        before = torch.zeros(len(x), lags - 1, x.shape[2], dtype=x.dtype)
        padded = torch.cat((before, x), dim=1)
        return torch.cat([padded[:, lag : lag + x.shape[1]] for lag in range(lags)], dim=2)

    def _activate(self, a_y: Any) -> Any:
        match self.net.output_activation:
            case "identity":
                return a_y
            case "softplus":
                return torch.nn.functional.softplus(a_y)
            case name:
                return getattr(torch, name)(a_y)
