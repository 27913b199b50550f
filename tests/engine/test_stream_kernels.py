"""The kernels of streams: memory, precision, what is kept on disk, threads."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import ACTIVATIONS
from bptt.cells import Cell, get_cell
from bptt.cells.registry import CELLS
from bptt.engine.compiled.llvm.machine_code import optimise
from bptt.engine.compiled.streams import runner as stream_runner
from bptt.engine.compiled.streams.kernels import emit_stream_module
from bptt.engine.compiled.streams.layout import StreamLayout
from bptt.engine.compiled.units.layout import Layout
from tests.engine.own_cells import OWN
from tests.network.streams import agree, draw, make_pair

T, D, K = 7, 3, 2


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.mark.parametrize("streams", [1, 5])
@pytest.mark.parametrize("cell", [cls() for cls in (*CELLS.values(), *OWN)], ids=repr)
def test_memory_is_not_overrun(
    cell: Cell, streams: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    guards: list[Any] = []
    guard = 64

    def guarded(count: int, dtype: np.dtype[Any]) -> Any:
        block = np.full(count + 2 * guard, 12345, dtype)
        guards.append(block)
        return block[guard:-guard]

    monkeypatch.setattr(stream_runner, "new_block", guarded)
    for settings in ({"linear_lags": 5, "change_of": [2, 0]}, {"feedback": True, "inputs": D + K}):
        net, twin = make_pair(
            cell, rng, dtype="float32", stack={"num_layers": 2}, readout="every", **settings
        )
        x = draw(rng, streams, T, D)
        stream = net.stream(streams)
        (block,) = guards
        rows = x if streams > 1 else x[0]
        y = np.stack([stream.step(rows[..., t, :]) for t in range(T)], axis=-2)
        stream.push(rows)
        assert (block[:guard] == 12345).all()
        assert (block[-guard:] == 12345).all()
        agree(y.reshape(streams, T, K), twin.forward(x).y_hat, "float32")
        guards.clear()


def test_arrays_in_memory_keep_to_their_places(rng: np.random.Generator) -> None:
    # What lies behind an array is the next one's, or padding: padding that is never read may hold anything.
    for settings in ({"linear_lags": 5}, {"linear_lags": 2}, {"feedback": True, "inputs": D + K}):
        net, _ = make_pair("gru_reset_before", rng, stack={"num_layers": 2}, readout="every", **settings)
        plain, dirty = net.stream(5), net.stream(5)
        runner = dirty._runner
        used = np.zeros(len(runner._block), bool)
        for name, start in runner._offsets.items():
            used[start : start + runner._counts[name]] = True
        assert not used.all()
        runner._block[~used] = np.nan
        x = draw(rng, 5, T, D)
        np.testing.assert_array_equal(dirty.push(x), plain.push(x))
        assert np.isnan(runner._block[~used]).all()
        # Behind a stream's newest rows whole vectors are read: nothing may get there.
        rows = runner._part("rows").reshape(5, -1)
        assert (rows[:, runner.rows[0].size :] == 0).all()


def test_a_row_in_the_callers_memory_is_written_and_no_more(rng: np.random.Generator) -> None:
    # Predictions are padded to whole vectors inside, not in the array that is returned.
    for outputs in (1, 17):
        net, _ = make_pair("elman", rng, dtype="float32", outputs=outputs, readout="every")
        stream = net.stream(3)
        runner, x = stream._runner, draw(rng, 3, T, D).astype(np.float32)
        wanted = net.stream(3).push(x)
        room = np.full((3 * T * outputs + 64,), 12345, np.float32)
        y = room[: 3 * T * outputs].reshape(3, T, outputs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stream_runner.np, "empty", lambda *given, y=y: y)
            assert runner.push(x) is y
        np.testing.assert_array_equal(y, wanted)
        assert (room[3 * T * outputs :] == 12345).all()


def test_float32_kernels_hold_no_double_precision() -> None:
    cells = (get_cell("lstm_peephole"), *(cls() for cls in OWN))
    for cell, activation in zip(cells, cycle(ACTIVATIONS)):  # without end
        text = str(optimise(emit_stream_module(StreamLayout(Layout.of(cell)), "float", activation)))
        assert not re.search(r"\bdouble\b", text)
        assert "<" in text


PROGRAM = """
import logging, sys
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s", stream=sys.stdout)
from bptt.network import Network, Recurrent
net = Network(Recurrent("gru", 3, 5, dtype="float32", seed=3, engine="compiled"), 2, readout="every")
print(net.stream().push(np.ones((4, 3))).tobytes().hex())
"""


def test_kernels_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))

    def run() -> str:
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        return done.stdout

    first = run()
    assert "stream, float, identity" in first
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").iterdir()}
    second = run()
    assert "compiling" not in second
    assert second.strip() == first.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").iterdir()} == files


def test_kernels_differ_by_cell_activation_and_dtype() -> None:
    asked = (
        ("gru", "float", "tanh"),
        ("gru", "float", "relu"),
        ("gru", "double", "tanh"),
        ("elman", "float", "tanh"),
    )
    found = {
        id(stream_runner.find_functions(StreamLayout(Layout.of(get_cell(cell))), kind, activation)[1])
        for cell, kind, activation in asked
    }
    assert len(found) == len(asked)


@pytest.mark.parametrize("brief", [0, 10**9], ids=["lock given away", "lock kept"])
def test_streams_on_several_threads(
    brief: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_runner, "BRIEF", brief)
    net, twin = make_pair("lstm", rng, linear_lags=2, readout="every")
    x = draw(rng, 3, 400, D)
    wanted = twin.forward(x).y_hat
    found: list[Any] = [None] * 3

    def follow(s: int) -> None:
        stream = net.stream()
        y = [stream.step(x[s, t]) for t in range(200)]
        found[s] = np.concatenate([np.stack(y), stream.push(x[s, 200:])])

    threads = [threading.Thread(target=follow, args=(s,)) for s in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agree(np.stack(found), wanted, "float64")


def test_how_a_block_is_cut_does_not_change_a_bit(rng: np.random.Generator) -> None:
    for streams in (1, 66):
        net, _ = make_pair("gru", rng, dtype="float32", linear_lags=2, readout="every")
        x = draw(rng, streams, T, D)
        rows = x if streams > 1 else x[0]
        whole = net.stream(streams).push(rows)
        stream = net.stream(streams)
        parts = [
            stream.step(rows[..., 0, :])[..., None, :],
            stream.push(rows[..., 1:4, :]),
            stream.push(rows[..., 4:, :]),
        ]
        np.testing.assert_array_equal(np.concatenate(parts, axis=-2), whole)
