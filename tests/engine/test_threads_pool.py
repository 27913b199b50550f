"""The team and its waiting workers: other threads, forks, interruptions, errors, the end of the process."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from bptt.cells import get_cell
from bptt.engine import compiled, set_threads, threads
from bptt.engine.compiled import route
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter, Lanes
from bptt.engine.compiled.llvm.machine_code import load_kernels, new_module
from bptt.engine.compiled.threads import team
from tests.engine.test_compiled import draw, run
from tests.engine.test_threads import same


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.fixture(autouse=True)
def _many_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (("WORTH", 0), ("LARGE", 0), ("FEWEST", 1)):
        monkeypatch.setattr(route, name, value)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    route.find_route.cache_clear()
    yield
    set_threads(None)
    route.find_route.cache_clear()


@pytest.fixture
def case(rng: np.random.Generator) -> Any:
    """A cell, its numbers, and what one thread makes of them."""
    cell = get_cell("lstm")
    drawn = draw(cell, (7, 70, 5, 33), "float32", rng)
    set_threads(1)
    return cell, drawn, run(compiled, cell, drawn)


# ---------------------------------------------------------------- the team itself, with a kernel of its own


def emit_marks(prefix: str) -> Any:
    """Emit ``marks(arguments)``: for i in [first, end) add 1 to marks[i]; slots: first, end, address of marks."""
    module = new_module("marks")
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}marks")
    e = Emitter(function, Lanes("float", 1))

    def word(k: int) -> Any:
        return e.b.load(e.b.gep(function.args[0], [e.integer(k)], source_etype=I64), typ=I64)

    marks = e.b.inttoptr(word(2), POINTER)
    with e.loop(word(0), word(1)) as i:
        place = e.b.gep(marks, [i], source_etype=I64)
        e.b.store(e.plus(e.b.load(place, typ=I64), e.integer(1)), place)
    e.b.ret_void()
    return module


@pytest.mark.parametrize("members", [1, 2, 3, 8])
def test_every_piece_is_done_once_and_phases_keep_their_order(members: int) -> None:
    kernel = load_kernels("marks", ("marks",), emit_marks)["marks"]
    at = ctypes.cast(kernel, ctypes.c_void_p).value
    assert at is not None
    for end, step in ((1000, 7), (1000, 1000), (3, 1), (64, 1)):
        marks = np.zeros(end, np.int64)
        arguments = np.zeros((members, 3), np.int64)
        arguments[:, 2] = marks.ctypes.data
        where, apart = arguments.ctypes.data, arguments.strides[0]
        # A phase that began before the one before it was done would lose counts of marks[0].
        phases = [team.Phase(at, where, apart, 0, step, end)] + [team.Phase(at, where, apart, 0, 2, 3)] * 50
        for again in range(20):
            team.run_together(team.Job(phases, members, repeats=3, kept=[marks, arguments]))
            expected = np.full(end, 3 * (again + 1))
            expected[:3] += 150 * (again + 1)
            np.testing.assert_array_equal(marks, expected)


# ---------------------------------------------------------------- who else is there


def test_several_python_threads_at_once(rng: np.random.Generator) -> None:
    cell = get_cell("gru")
    drawn = [draw(cell, (8, 40 + k, 3, 21), "float32", rng) for k in range(4)]
    set_threads(1)
    alone = [run(compiled, cell, d) for d in drawn]
    set_threads(3)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda d: [run(compiled, cell, d) for _ in range(20)], drawn))
    for expected, many in zip(alone, together, strict=True):
        for found in many:
            same(found, expected, "several at once")


def test_a_caller_that_nobody_helps_finishes_alone(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, drawn, alone = case
    monkeypatch.setattr(team._Pool, "post", lambda self, job: None)
    set_threads(4)
    same(run(compiled, cell, drawn), alone, "no workers")


def test_a_system_without_threads_is_no_error(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, drawn, alone = case

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(team, "_pool", team._Pool())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    set_threads(4)
    same(run(compiled, cell, drawn), alone, "no threads")
    assert not team._pool.workers


def test_workers_are_started_once_and_hold_no_arrays(case: Any) -> None:
    cell, drawn, _ = case
    set_threads(3)
    run(compiled, cell, drawn)

    def workers() -> set[threading.Thread]:
        # Threads of others, of a test before this one, may come to their end meanwhile.
        return {thread for thread in threading.enumerate() if thread.name.startswith("bptt-")}

    before = workers()
    assert before >= {worker.thread for worker in team._pool.workers}
    for _ in range(5):
        run(compiled, cell, drawn)
    assert workers() == before
    jobs: list[Any] = []
    init = team.Job.__init__

    def noted(self: team.Job, *given: Any, **more: Any) -> None:
        init(self, *given, **more)
        jobs.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team.Job, "__init__", noted)
        run(compiled, cell, drawn)
    for _ in range(200):
        gc.collect()
        if all(job() is None for job in jobs):
            return
        time.sleep(0.01)
    raise AssertionError("a job is still held")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_has_workers_of_its_own(case: Any) -> None:
    cell, drawn, alone = case
    set_threads(3)
    run(compiled, cell, drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            assert not team._pool.workers
            for _ in range(5):
                same(run(compiled, cell, drawn), alone, "child")
            code = 0 if len(team._pool.workers) == 2 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    same(run(compiled, cell, drawn), alone, "parent")


# ---------------------------------------------------------------- what goes wrong


def test_an_interrupted_caller_leaves_the_pool_usable(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, drawn, alone = case
    set_threads(3)
    post = team._Pool.post

    def interrupted(self: Any, job: team.Job) -> None:
        post(self, job)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(team._Pool, "post", interrupted)
        for _ in range(20):
            with pytest.raises(KeyboardInterrupt):
                run(compiled, cell, drawn)
    for _ in range(20):
        same(run(compiled, cell, drawn), alone, "after an interruption")


END = """
import numpy as np
from bptt.cells import get_cell
from bptt.engine import compiled_engine, set_threads, threads
from bptt.engine.compiled import route
threads.available_cpus = lambda: 16
route.WORTH = 0
set_threads(3)
cell = get_cell("elman")
rng = np.random.default_rng(0)
parameters = {"W_xh": rng.random((3, 9)), "W_hh": rng.random((9, 9))}
compiled_engine.forward(cell, parameters, rng.random((5, 40, 3)))
from bptt.engine.compiled.threads import team
assert len(team._pool.workers) == 2
print("done", flush=True)
""".replace("compiled_engine", "compiled")


@pytest.mark.parametrize("where", ["main", "thread"])
def test_the_process_ends_quietly(where: str) -> None:
    text = END
    if where == "thread":  # the last call comes from a thread that is still at it when the main one ends
        body = "".join(f"    {line}\n" for line in END.splitlines())
        text = f"import threading\ndef go():\n{body}threading.Thread(target=go).start()\n"
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "done\n", "")
