"""Times of a training step's sweeps: compiled engine, NumPy engine, PyTorch, one thread each, interleaved in one run.

A step is forward, a readout of the last (or every) state with a squared error, and backward to all parameters.
The share of the peak counts the products' multiply-adds only (forward, backward and weight gradient), against the
fused multiply-add peak of one core measured between the rounds.

    OMP_NUM_THREADS=1 python -m benchmarks.engine [rounds] [job ...]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
from llvmlite import ir

from bptt.cells import get_cell
from bptt.engine import get_engine
from bptt.engine.blas import one_blas_thread
from bptt.engine.compiled.emitter import I64, POINTER, VOID, Emitter
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.machine_code import load_kernels, new_module
from bptt.engine.compiled.target import host

# name: D, H, K, T, B, every step, cells
JOBS: dict[str, tuple[int, int, int, int, int, bool, tuple[str, ...]]] = {
    "weather": (6, 10, 1, 24, 32, False, ("elman", "lstm", "gru")),
    "sine": (1, 100, 1, 25, 175, False, ("elman", "lstm", "gru")),
    "noisy": (1, 500, 1, 200, 1, True, ("elman", "lstm")),
    "digits": (20, 100, 10, 10, 32, True, ("elman",)),
    "medium": (16, 64, 1, 96, 64, False, ("elman", "lstm", "gru")),
    "large": (64, 256, 64, 128, 64, True, ("elman", "lstm", "gru")),
}
AGREE = 5e-5  # of a gradient's largest entry, float32 sums in three different orders


def probe_peak() -> Callable[[], float]:
    """Return a function that measures the fused multiply-add peak of this core, GFLOP/s in float32."""
    lanes, chains, steps = lanes_of("float", host()), 12, 200_000

    def emit(prefix: str) -> Any:
        module = new_module("peak")
        e = Emitter(ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}peak"), lanes)
        place = e.b.inttoptr(e.b.load(e.function.args[0], typ=I64), POINTER)
        x = e.load(place)
        sums = [e.variable(e.load(place)) for _ in range(chains)]
        with e.loop(e.integer(0), e.integer(steps)):
            for s in sums:
                e.write(e.fma(e.read(s, lanes.vector), x, x), s)
        for s in sums:
            e.store(e.add(e.load(place), e.read(s, lanes.vector)), place)
        e.b.ret_void()
        return module

    kernel = load_kernels(f"peak {chains} {steps}", ("peak",), emit)["peak"]
    room = np.full(lanes.count, 0.5, np.float32)
    argument = np.array([room.ctypes.data], np.int64)

    def measure() -> float:
        start = time.perf_counter()
        kernel(argument.ctypes.data)
        return 2 * lanes.count * chains * steps / (time.perf_counter() - start) / 1e9

    return measure


def bptt_step(
    engine: Any, cell: Any, p: dict[str, Any], data: Any, every: bool
) -> Callable[[], dict[str, Any]]:
    x, y, W_hy, b_y = data
    scale = np.float32(2 / y.size)

    def step() -> dict[str, Any]:
        h, state, tape = engine.forward(cell, p, x, outputs="all" if every else "last")
        top = h if every else state["h"]
        dy = ((top @ W_hy + b_y) - y) * scale
        flat, dflat = top.reshape(-1, top.shape[-1]), dy.reshape(-1, dy.shape[-1])
        dtop = dy @ W_hy.T
        found = engine.backward(
            tape, dtop if every else None, None if every else {"h": dtop}, want={"parameters"}
        ).parameters
        return {**found, "W_hy": flat.T @ dflat, "b_y": dflat.sum(axis=0)}

    return step


def torch_step(name: str, p: dict[str, Any], data: Any, every: bool) -> Callable[[], dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    x, y, W_hy, b_y = data
    kinds = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    H, K = W_hy.shape
    rnn, head = kinds[name](x.shape[2], H), torch.nn.Linear(H, K)
    with torch.no_grad():
        for target, value in (
            (rnn.weight_ih_l0, p["W_xh"].T), (rnn.weight_hh_l0, p["W_hh"].T), (rnn.bias_ih_l0, p["b_h"]),
            (head.weight, W_hy.T), (head.bias, b_y),
        ):  # fmt: skip
            target.copy_(torch.tensor(np.ascontiguousarray(value)))
        rnn.bias_hh_l0.zero_()
        if "b_hn" in p:
            rnn.bias_hh_l0[2 * H :] = torch.tensor(p["b_hn"])
    x_t, y_t = torch.tensor(x), torch.tensor(y)

    def step() -> dict[str, Any]:
        rnn.zero_grad(set_to_none=True)
        head.zero_grad(set_to_none=True)
        h, _ = rnn(x_t)
        ((head(h if every else h[-1]) - y_t) ** 2).mean().backward()
        return {"W_xh": rnn.weight_ih_l0.grad.numpy().T, "W_hh": rnn.weight_hh_l0.grad.numpy().T}

    return step


def run_job(job: str, name: str, rounds: int, peak: Callable[[], float]) -> str:
    D, H, K, T, B, every, _ = JOBS[job]
    rng = np.random.default_rng(0)
    cell = get_cell(name)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    p = {
        w: draw(D if rows == "x" else H, n * H) * np.float32(0.9 / H**0.5)
        for w, (rows, n) in cell.plan.weights.items()
    }
    p["b_h"] = draw(len(cell.plan.gates) * H) * np.float32(0.1)
    p.update({v: draw(H) * np.float32(0.1) for v in cell.plan.vectors})
    data = (draw(T, B, D), draw(*((T, B, K) if every else (B, K))), draw(H, K) / np.float32(H**0.5), draw(K))
    steps = {
        "compiled": bptt_step(get_engine("compiled"), cell, p, data, every),
        "numpy": bptt_step(get_engine("numpy"), cell, p, data, every),
        "torch": torch_step(name, p, data, every),
    }
    found = {who: step() for who, step in steps.items()}
    worst = max(
        np.abs(found[a][k] - found[b][k]).max() / np.abs(found[b][k]).max()
        for a, b in (("compiled", "numpy"), ("compiled", "torch"))
        for k in ("W_xh", "W_hh")
    )
    if not worst < AGREE:
        return f"{job:8s} {name:6s} gradients differ by {worst:.1e} of their largest entry: no times"
    times: dict[str, list[float]] = {who: [] for who in steps}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for who, step in steps.items():
            # The fastest single step of a round: on a shared machine the others measure the neighbours.
            spent = 0.0
            while spent < 0.03:
                start = time.perf_counter()
                step()
                times[who].append(time.perf_counter() - start)
                spent += times[who][-1]
    best = {who: min(t) for who, t in times.items()}
    flops = 6 * T * B * len(cell.plan.gates) * H * (D + H) + 6 * (T if every else 1) * B * H * K
    share = flops / best["compiled"] / 1e9 / max(peaks)
    us = "  ".join(f"{who} {t * 1e6:9.1f}" for who, t in best.items())
    return (
        f"{job:8s} {name:6s} {us}  vs torch {best['torch'] / best['compiled']:5.1f}x  "
        f"vs numpy {best['numpy'] / best['compiled']:5.1f}x  {flops / best['compiled'] / 1e9:6.1f} GF/s "
        f"{100 * share:3.0f} % of {max(peaks):.0f}  differ {worst:.0e}"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    peak = probe_peak()
    with one_blas_thread():
        for job in sys.argv[2:] or JOBS:
            for name in JOBS[job][-1]:
                print(run_job(job, name, rounds, peak), flush=True)


if __name__ == "__main__":
    main()
