"""``python -m benchmarks.torch_module``: training steps of a PyTorch model with its recurrent module and with ours.

Both models start from the same weights; nothing is timed before their gradients agree. On one thread the processor time
of the calling thread counts, so other programs on the machine do not; on several the time that passes. The two in turn,
some steps each, as a training has the caches to itself; the best of many. ``--sizes`` draws the whole picture of an
LSTM of 64 units: where it gains and where not.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import bptt.torch

# One after the other, each time that it is a model's turn.
STEPS = 5
# Two programs in float32 that add in another order; float64 is compared in the tests.
AGREES = {torch.float32: 1e-4, torch.float64: 1e-10}


@dataclass(frozen=True)
class Case:
    """One model: a recurrent module of 64 units unless `H` says otherwise, and a linear readout."""

    kind: str
    D: int = 16
    H: int = 64
    T: int = 96
    B: int = 64
    layers: int = 1
    every: bool = False
    ragged: bool = False
    dtype: Any = torch.float32

    def __str__(self) -> str:
        words = [self.kind, f"{self.D} in, {self.H} units, {self.T} steps, {self.B} rows"]
        words += [f"{self.layers} layers"] if self.layers > 1 else []
        words += ["every step" if self.every else "last step"]
        words += ["packed"] if self.ragged else []
        return ", ".join([*words, str(self.dtype).removeprefix("torch.")])


CASES = (
    Case("LSTM"),
    Case("LSTM", every=True),
    Case("LSTM", D=8, T=50, B=16),
    Case("LSTM", B=256),
    Case("LSTM", layers=2),
    Case("LSTM", ragged=True),
    Case("LSTM", dtype=torch.float64),
    Case("LSTM", D=64, H=256, T=50),
    Case("GRU"),
    Case("GRU", ragged=True),
    Case("RNN"),
)


SIZES = tuple(
    Case("LSTM", D=D, T=T, B=B, layers=layers)
    for layers in (1, 2)
    for B in (1, 4, 16, 64, 256)
    for T in (10, 50, 200)
    for D in (1, 16, 64)
)


class Model(nn.Module):
    """A recurrent module and a readout."""

    def __init__(self, home: Any, case: Case) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.case = case
        self.rnn = getattr(home, case.kind)(
            case.D, case.H, num_layers=case.layers, batch_first=True, dtype=case.dtype
        )
        self.head = nn.Linear(case.H, 1, dtype=case.dtype)

    def forward(self, x: Any, lengths: Any) -> Any:
        if self.case.ragged:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            _, final = self.rnn(packed)
            return self.head((final[0] if self.case.kind == "LSTM" else final)[-1])
        out, _ = self.rnn(x)
        return self.head(out if self.case.every else out[:, -1])


class Run:
    """A model in training on one batch."""

    def __init__(self, home: Any, case: Case) -> None:
        self.model = Model(home, case)
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(case.B, case.T, case.D, generator=generator, dtype=case.dtype)
        shape = (case.B, case.T, 1) if case.every else (case.B, 1)
        self.y = torch.randn(shape, generator=generator, dtype=case.dtype)
        self.lengths = torch.randint(case.T // 2, case.T + 1, (case.B,), generator=generator)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, fused=True)

    def backward(self) -> None:
        self.optimizer.zero_grad()
        nn.functional.mse_loss(self.model(self.x, self.lengths), self.y).backward()

    def step(self) -> float:
        """Make one training step and return its time."""
        clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
        begun = clock()
        self.backward()
        self.optimizer.step()
        return clock() - begun


def compare(theirs: Run, ours: Run) -> float:
    """Return the largest difference of a gradient, of its tensor's largest entry; raise where it is too large."""
    theirs.backward()
    ours.backward()
    worst = 0.0
    for (name, one), (_, other) in zip(
        theirs.model.named_parameters(), ours.model.named_parameters(), strict=True
    ):
        error = float((one.grad - other.grad).abs().max() / one.grad.abs().max())
        if not error <= AGREES[one.dtype]:
            raise AssertionError(f"{name} differs by {error:g}")
        worst = max(worst, error)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_module", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--sizes", action="store_true", help="an LSTM of 64 units over batches, lengths and inputs"
    )
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(
        f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {chosen.threads} threads, "
        f"{chosen.rounds} rounds"
    )
    for case in SIZES if chosen.sizes else CASES:
        theirs, ours = Run(nn, case), Run(bptt.torch, case)
        apart = compare(theirs, ours)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(chosen.rounds):
            for run, found in zip((theirs, ours), times, strict=True):
                found += [run.step() for _ in range(STEPS)]
        best = [min(each) for each in times]
        print(
            f"{case!s:<72} PyTorch {1e3 * best[0]:7.2f} ms   bptt.torch {1e3 * best[1]:7.2f} ms   "
            f"{best[0] / best[1]:5.2f}x   differs {apart:.0e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
