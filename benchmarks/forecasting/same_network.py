"""One network, one order of batches, one number of updates: trained by the library, and by a script in PyTorch.

Beijing's next hour by the lab's split, from all six columns and the calendar's waves: sequences of 192 hours that begin
anywhere, a loss at every hour after the first 24, Adam, gradients clipped at norm 1. Both begin at the same weights, in
float32, on one thread, and take turns. PyTorch's second bias, which is added to the first, is held at 0. What is left
to differ is rounding.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.forecasting.next_hour import lab_panel
from benchmarks.forecasting.series import Absent, data_file
from benchmarks.forecasting.table import Measured
from bptt import Network, Recurrent
from bptt.checks import Array
from bptt.data import Sequences
from bptt.data.weather.beijing import load_beijing
from bptt.engine import use_threads
from bptt.interop.pytorch import to_pytorch
from bptt.optim import Adam
from bptt.training import train
from bptt.training.steps.batches import index_blocks

HIDDEN, LENGTH, WARMUP, BATCH, RATE, UPDATES, SEEDS = 32, 192, 24, 32, 0.003, 900, 3
# Errors of seeds differ by about one per cent; two ways to make the same updates should differ by no more.
NOISE = 1.01
# The engine's ratios at sizes between "sine" and "medium", each against the same layer in PyTorch.
BARS = {"lstm": 1.4, "gru": 1.7}


def run(seed: int, threads: int | None) -> list[Measured]:
    """Return both errors and the ratio of the times, a median over three seeds."""
    del threads  # One against one.
    try:
        import torch
    except ImportError:
        raise Absent("PyTorch is not installed: pip install torch") from None
    torch.set_num_threads(1)
    values, scale, first = _values()
    found = []
    for cell in BARS:
        errors, ratios = [], []
        for each in range(seed, seed + SEEDS):
            ours, theirs = _ours(cell, values, first, each), _theirs(cell, values, first, each)
            errors.append((scale * ours[0], scale * theirs[0]))
            ratios.append(theirs[1] / ours[1])
        own, script = np.mean(errors, axis=0)
        each_seed = "; ".join(f"{a:.4f} and {b:.4f}" for a, b in errors)
        verdict = f"RMSE of the library and of the script, seed by seed: {each_seed}"
        name = f"{cell.upper()} as a PyTorch script"
        found += [
            Measured(name, "error / script's", float(own / script), NOISE, verdict=verdict),
            Measured(name, "time / script's", float(1 / np.median(ratios)), 1 / BARS[cell]),
        ]
    return found


def _values() -> tuple[Array, float, int]:
    """Return columns scaled by training rows, the change to this hour last; its scale; the first test row."""
    table = load_beijing(data_file("beijing_pm25.csv"))
    line, _, train_rows = lab_panel(table, "TEMP")
    hours = (line.times - line.times[0]) / np.timedelta64(1, "h")
    waves = [f(2 * np.pi * hours / period) for period in (24.0, 8766.0) for f in (np.sin, np.cos)]
    columns = np.column_stack([line.y, line.past, *waves, np.diff(line.y, prepend=line.y[0])])
    known = columns[:train_rows]
    scaled = (columns - known.mean(0)) / known.std(0)
    return scaled, float(known[:, -1].std()), train_rows


def _make(cell: str, values: Array, first: int, seed: int) -> tuple[Network, Sequences]:
    D = values.shape[1] - 1
    layer = Recurrent(cell, D, HIDDEN, dtype="float32", seed=seed)
    source = Sequences(
        values[:first],
        inputs=range(D),
        targets=[D],
        length=LENGTH,
        warmup=WARMUP,
        dtype="float32",
    )
    return Network(layer, 1, readout="every", seed=seed), source


def _ours(cell: str, values: Array, first: int, seed: int) -> tuple[float, float]:
    """Return the error over the test rows, the state carried from the first row, and the processor's seconds."""
    net, source = _make(cell, values, first, seed)
    with use_threads(1):
        train(net, source, optimizer=Adam(RATE), steps=1, batch_size=BATCH, seed=seed, clip=1.0)  # compiles
        net, source = _make(cell, values, first, seed)
        began = time.process_time()
        train(net, source, optimizer=Adam(RATE), steps=UPDATES, batch_size=BATCH, seed=seed, clip=1.0)
        taken = time.process_time() - began
        y_hat = net.predict(values[None, :-1, :-1].astype(np.float32))[0, :, 0]
    return _error(y_hat, values, first), taken


def _theirs(cell: str, values: Array, first: int, seed: int) -> tuple[float, float]:
    """Return the same of a script in PyTorch, which begins at the same weights and draws the same batches."""
    import torch
    from torch import nn

    net, source = _make(cell, values, first, seed)
    D = values.shape[1] - 1
    layer: Any = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](D, HIDDEN, batch_first=True)
    head = nn.Linear(HIDDEN, 1)
    layer.load_state_dict({name: torch.from_numpy(a) for name, a in to_pytorch(net.recurrent).items()})
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(net.parameters["readout.W_hy"].T.copy()))
        head.bias.copy_(torch.from_numpy(net.parameters["readout.b_y"]))
    learnt = torch.zeros_like(layer.bias_hh_l0)
    learnt[-HIDDEN:] = float(
        cell == "gru"
    )  # a candidate's second bias stands inside its reset gate's product
    layer.bias_hh_l0.register_hook(lambda gradient: gradient * learnt)
    series = torch.from_numpy(values.astype(np.float32))
    steps = torch.arange(LENGTH)
    weights = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, lr=RATE)
    began = time.process_time()
    for starts in _starts(source, seed):
        rows = torch.from_numpy(starts)[:, None] + steps
        h, _ = layer(series[rows, :-1])
        loss = nn.functional.mse_loss(head(h[:, WARMUP:])[..., 0], series[rows[:, WARMUP:] + 1, -1])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    taken = time.process_time() - began
    with torch.no_grad():
        y_hat = head(layer(series[None, :-1, :-1])[0])[0, :, 0].numpy()
    return _error(y_hat, values, first), taken


def _starts(source: Sequences, seed: int) -> Iterable[Array]:
    for block in index_blocks(len(source), BATCH, UPDATES, "random", seed):
        yield from source.starts[block]


def _error(y_hat: Array, values: Array, first: int) -> float:
    """Return the root mean square over all rows whose next row is in the test part."""
    return float(np.sqrt(np.mean((y_hat[first - 1 :] - values[first:, -1]) ** 2)))
