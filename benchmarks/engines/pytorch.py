"""PyTorch: `nn.RNN`, `nn.LSTM`, `nn.GRU`; the same cells as a loop over steps; single steps by its cell modules."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.jobs import RATE, Array, Arrays, Problem

MODULES = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
STEP_MODULES = {"elman": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def version() -> str:
    return str(torch.__version__)


def tensor(array: Array) -> Any:
    return torch.from_numpy(np.array(array, order="C"))


def fill(module: Any, p: Arrays, suffix: str) -> None:
    """Set a recurrent module's weights from ours: transposed, the gates in the same order, two biases for one."""
    with torch.no_grad():
        getattr(module, "weight_ih" + suffix).copy_(tensor(p["layers.0.W_xh"].T))
        getattr(module, "weight_hh" + suffix).copy_(tensor(p["layers.0.W_hh"].T))
        getattr(module, "bias_ih" + suffix).copy_(tensor(p["layers.0.b_h"]))
        second = getattr(module, "bias_hh" + suffix)
        second.zero_()
        if "layers.0.b_hn" in p:
            second[-len(p["layers.0.b_hn"]) :] = tensor(p["layers.0.b_hn"])


class Model(nn.Module):
    """A recurrent layer and a readout, time first."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        job, p = problem.job, problem.parameters
        dtype = getattr(torch, problem.dtype.name)
        self.rnn = MODULES[problem.cell](job.D, job.H, dtype=dtype)
        self.head = nn.Linear(job.H, job.K, dtype=dtype)
        self.every = job.every
        fill(self.rnn, p, "_l0")
        with torch.no_grad():
            self.head.weight.copy_(tensor(p["readout.W_hy"].T))
            self.head.bias.copy_(tensor(p["readout.b_y"]))

    def forward(self, x: Any) -> Any:
        h, _ = self.rnn(x)
        return self.head(h if self.every else h[-1])

    def gradients(self) -> Arrays:
        """Return the gradients under our names."""
        rnn, head = self.rnn, self.head
        found = {
            "layers.0.W_xh": rnn.weight_ih_l0.grad.numpy().T,
            "layers.0.W_hh": rnn.weight_hh_l0.grad.numpy().T,
            "layers.0.b_h": rnn.bias_ih_l0.grad.numpy(),
            "readout.W_hy": head.weight.grad.numpy().T,
            "readout.b_y": head.bias.grad.numpy(),
        }
        if isinstance(rnn, nn.GRU):
            found["layers.0.b_hn"] = rnn.bias_hh_l0.grad.numpy()[-rnn.hidden_size :]
        return found


class Training:
    """Forward, backward, SGD on one batch; the gradients are let go, not filled with zeros, as it advises."""

    def __init__(self, problem: Problem, threads: int) -> None:
        job = problem.job
        self.threads = threads
        self.model: Any = self.make_model(problem)
        self.x = tensor(problem.x.transpose(1, 0, 2))
        y = problem.y.transpose(1, 0, *range(2, problem.y.ndim)) if job.every else problem.y
        self.y = tensor(y)
        self.classes = job.K if job.classes else 0
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE, fused=True)

    def make_model(self, problem: Problem) -> Any:
        return Model(problem)

    def loss(self) -> Any:
        y_hat = self.model(self.x)
        if self.classes:
            return nn.functional.cross_entropy(y_hat.reshape(-1, self.classes), self.y.reshape(-1))
        return nn.functional.mse_loss(y_hat, self.y)

    def found(self) -> Arrays:
        torch.set_num_threads(self.threads)
        loss = self.loss()
        loss.backward()
        found = {"loss": loss.detach().numpy().copy(), **self.model.gradients()}
        self.optimizer.zero_grad(set_to_none=True)
        return found

    def run(self, steps: int) -> None:
        torch.set_num_threads(self.threads)
        for _ in range(steps):
            self.loss().backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)


class Loop(Model):
    """The same cell as a user writes it in PyTorch: a Python loop over the steps, autograd for the backward."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.cell = problem.cell

    def forward(self, x: Any) -> Any:
        rnn, H = self.rnn, self.rnn.hidden_size
        W_hh, b_hh = rnn.weight_hh_l0.t(), rnn.bias_hh_l0
        # The input's products of all steps at once: what a careful user does.
        a_x = x @ rnn.weight_ih_l0.t() + rnn.bias_ih_l0
        h = x.new_zeros(x.shape[1], H)
        c = h
        outputs = []
        for a_t in a_x.unbind(0):
            a_h = torch.addmm(b_hh, h, W_hh)
            if self.cell == "elman":
                h = torch.tanh(a_t + a_h)
            elif self.cell == "lstm":
                i, f, g, o = (a_t + a_h).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            else:
                (x_r, x_z, x_n), (h_r, h_z, h_n) = a_t.chunk(3, 1), a_h.chunk(3, 1)
                z = torch.sigmoid(x_z + h_z)
                n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
                h = (1 - z) * n + z * h
            outputs.append(h)
        return self.head(torch.stack(outputs) if self.every else h)


class LoopTraining(Training):
    """`Training` of `Loop`."""

    def make_model(self, problem: Problem) -> Any:
        return Loop(problem)


class Inference:
    """Predictions of many windows, without autograd."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.threads = threads
        self.model = Model(problem).eval()
        self.x = tensor(problem.x.transpose(1, 0, 2))

    def found(self) -> Arrays:
        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            return {"y_hat": self.model(self.x).numpy()}

    def run(self, steps: int) -> None:
        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            for _ in range(steps):
                self.model(self.x)


class Stream:
    """One step from a resident state; the median step counts."""

    def __init__(self, problem: Problem, threads: int) -> None:  # noqa: ARG002  # one sequence
        job, p = problem.job, problem.parameters
        dtype = getattr(torch, problem.dtype.name)
        self.cell = STEP_MODULES[problem.cell](job.D, job.H, dtype=dtype)
        fill(self.cell, p, "")
        self.head = Model(problem).head
        self.x = [tensor(x_t[None]) for x_t in problem.x[0]]
        self.is_lstm = problem.cell == "lstm"

    def step(self, x_t: Any, state: Any) -> tuple[Any, Any]:
        state = self.cell(x_t, state)
        return self.head(state[0] if self.is_lstm else state), state

    def found(self) -> Arrays:
        torch.set_num_threads(1)
        rows, state = [], None
        with torch.inference_mode():
            for x_t in self.x:
                y_hat, state = self.step(x_t, state)
                rows.append(y_hat.numpy()[0])
        return {"y_hat": np.stack(rows)}

    def run(self, steps: int) -> float:
        torch.set_num_threads(1)
        spent, state, clock = np.empty(steps, np.int64), None, time.perf_counter_ns
        with torch.inference_mode():
            for k in range(steps):
                x_t = self.x[k % len(self.x)]
                begun = clock()
                _, state = self.step(x_t, state)
                spent[k] = clock() - begun
        return float(np.median(spent)) * 1e-9 * steps


KINDS = {"training": Training, "loop": LoopTraining, "inference": Inference, "stream": Stream}
