"""A pass shared by threads: the same bits for any number of them, and no harm to anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import Cell, get_cell
from bptt.cells.registry import CELLS
from bptt.engine import compiled, set_threads, threads, use_threads
from bptt.engine.compiled import chunks, passes, route
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.rows import gradients as rows_gradients
from bptt.engine.compiled.threads import team
from bptt.engine.compiled.training import call_list, dense_calls, training_steps
from bptt.engine.compiled.units import gradients as units_gradients
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import TrainingDivergedError, train
from tests.engine.own_cells import OWN
from tests.engine.test_compiled import draw, run

COUNTS = (1, 2, 3, 4, 8)
ALL = [cls() for cls in (*CELLS.values(), *OWN)]
# Partial tiles of rows, of units, of inputs; few rows, whose units are shared; fewer pieces than threads.
SIZES = ((5, 70, 19, 37), (9, 13, 3, 50), (6, 1, 5, 70), (4, 5, 1, 137), (1, 33, 2, 3))


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.fixture(autouse=True)
def _many_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every pass be shared, by more threads than there are cores."""
    for name, value in (("WORTH", 0), ("LARGE", 0), ("FEWEST", 1)):
        monkeypatch.setattr(route, name, value)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    route.find_route.cache_clear()
    yield
    set_threads(None)
    route.find_route.cache_clear()


def same(found: dict[str, Any], expected: dict[str, Any], what: object) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=f"{name}, {what}")


@pytest.mark.parametrize(("ragged", "dtype"), [(False, "float32"), (True, "float64")])
@pytest.mark.parametrize("cell", ALL, ids=repr)
def test_any_number_of_threads_gives_the_same_bits(
    cell: Cell, dtype: str, ragged: bool, rng: np.random.Generator
) -> None:
    for sizes in SIZES:
        drawn = draw(cell, sizes, dtype, rng)
        lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
        set_threads(1)
        alone = run(compiled, cell, drawn, lengths)
        for count in COUNTS[1:]:
            set_threads(count)
            same(run(compiled, cell, drawn, lengths), alone, (sizes, count))


@pytest.mark.parametrize(("name", "dtype"), [("gru", "float32"), ("elman", "float64")])
def test_weights_of_unlike_work_are_shared_to_the_same_bits(
    name: str, dtype: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Turns of sweep and weight gradients; one input beside many units, and the other way round.
    monkeypatch.setattr(chunks, "ROOM", 2**12)
    monkeypatch.setattr(chunks, "WHOLE", 2**13)
    cell = get_cell(name)
    for sizes in ((11, 175, 1, 37), (7, 41, 67, 5), (9, 40, 1, 49), (10, 33, 93, 20)):
        drawn = draw(cell, sizes, dtype, rng)
        set_threads(1)
        alone = run(compiled, cell, drawn)
        for count in COUNTS[1:]:
            set_threads(count)
            same(run(compiled, cell, drawn), alone, (sizes, count))


@pytest.mark.parametrize(("name", "dtype"), [("gru", "float32"), ("elman", "float64")])
@pytest.mark.parametrize(("B", "H"), [(175, 100), (64, 64)])
def test_weight_gradients_are_cut_by_work(name: str, dtype: str, B: int, H: int) -> None:
    # Few inputs count for little; what a sequence layout reads beside its multiply-adds is the difference.
    found = route.find_route(
        get_cell(name), np.dtype(dtype), (20, B, 3), H, ragged=False, states=True, saved=True
    )
    layout, target = found.layout, host()
    emitted = rows_gradients if layout.name == "rows" else units_gradients
    efforts = emitted.group_efforts(layout, found.sizes, target)
    runs = [each for stage in layout.runs for each in stage]
    products = [(3 if each.kind == "x" else H) * each.count * H for each in runs]
    total = sum(groups * effort for groups, effort in efforts)
    assert found.splits["weight_gradients"].end == total
    for (groups, effort), own in zip(efforts, products, strict=True):
        assert groups * effort / total == pytest.approx(own / sum(products), abs=0.04)


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_a_race_would_be_seen(name: str, rng: np.random.Generator) -> None:
    cell = get_cell(name)
    drawn = draw(cell, (12, 75, 9, 70), "float32", rng)
    set_threads(1)
    alone = run(compiled, cell, drawn)
    for count in (2, 3, 8):
        set_threads(count)
        for again in range(20):
            same(run(compiled, cell, drawn), alone, (count, again))


def test_workers_really_come(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    # All other tests would pass if the caller did everything alone.
    cell = get_cell("lstm")
    drawn = draw(cell, (60, 256, 8, 64), "float32", rng)
    joined = []
    lead = team.Job.lead

    def counting(job: team.Job) -> None:
        lead(job)
        joined.append(int(job.words[team.words.JOINED]))

    monkeypatch.setattr(team.Job, "lead", counting)
    set_threads(3)
    for _ in range(200):
        run(compiled, cell, drawn)
        if max(joined) == 2:
            return
    raise AssertionError("no worker ever joined")


@pytest.mark.parametrize("without", ["parameters", "x", "state0"])
def test_what_is_not_wanted_changes_no_bit_of_the_rest(without: str, rng: np.random.Generator) -> None:
    cell = get_cell("gru")
    drawn = draw(cell, (6, 70, 9, 37), "float32", rng)
    for count in COUNTS:
        set_threads(count)
        _, _, tape = compiled.forward(cell, drawn["parameters"], drawn["x"], drawn["state0"])
        whole = compiled.backward(tape, drawn["dh"], drawn["dstate_T"])
        part = compiled.backward(
            tape, drawn["dh"], drawn["dstate_T"], want={"parameters", "x", "state0"} - {without}
        )
        assert getattr(part, without) is None
        for name in {"parameters", "x", "state0"} - {without}:
            a, b = getattr(part, name), getattr(whole, name)
            same(a if isinstance(a, dict) else {"x": a}, b if isinstance(b, dict) else {"x": b}, count)


@pytest.mark.parametrize(
    ("more", "batch_size"),
    [
        ({"direction": "bidirectional", "dropout": 0.2}, 21),  # layer by layer
        ({}, 21),  # steps fused into one call
        ({}, 1),
    ],
)
def test_a_network_trains_to_the_same_weights(
    more: dict[str, Any], batch_size: int, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((50, 9, 3)).astype("float32")
    y = rng.standard_normal((50, 2)).astype("float32")
    found = []
    for count in COUNTS:
        stack = Recurrent("gru", 3, 37, num_layers=2, dtype="float32", seed=4, engine="compiled", **more)
        net = Network(stack, 2, seed=3)
        set_threads(count)
        history = train(
            net,
            (x, y),
            optimizer=SGD(0.05, momentum=0.9),
            steps=7,
            batch_size=batch_size,
            clip=1.0,
            progress=False,
        )
        found.append({"losses": history.losses, **{k: v.copy() for k, v in net.parameters.items()}})
    for count, each in zip(COUNTS, found, strict=True):
        same(each, found[0], count)


def test_a_wide_readout_and_long_batches_are_shared_to_the_same_bits(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense_calls, "WORTH", 0)
    monkeypatch.setattr(training_steps, "MANY_LINES", 0)
    x, y = rng.standard_normal((50, 9, 5)), rng.standard_normal((50, 9, 37))
    most = []
    play = call_list.CallList.play
    monkeypatch.setattr(
        call_list.CallList, "play",
        lambda calls, steps: (most.append([call.most for call in calls.calls]), play(calls, steps))[1],
    )  # fmt: skip
    found = []
    for count in COUNTS:
        net = Network(
            Recurrent("elman", 5, 21, dtype="float64", seed=4, engine="compiled"), 37, readout="every", seed=3
        )
        set_threads(count)
        train(net, (x, y), optimizer=SGD(0.1), steps=3, batch_size=43, progress=False)
        found.append({key: value.copy() for key, value in net.parameters.items()})
    for count, one in zip(COUNTS, found, strict=True):
        same(one, found[0], count)
    # Both arrays of a batch, and four products of the readout.
    assert sum(number > 1 for number in most[-1]) >= 6


def test_fused_steps_are_shared_in_one_job(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rng.standard_normal((50, 9, 3)).astype("float32")
    y = rng.standard_normal((50, 1)).astype("float32")
    repeats = []
    together = call_list.run_together
    monkeypatch.setattr(
        call_list, "run_together",
        lambda job: (repeats.append(int(job.words[team.words.REPEATS])), together(job)),
    )  # fmt: skip
    set_threads(3)
    net = Network(Recurrent("lstm", 3, 13, dtype="float32", engine="compiled"), 1)
    train(net, (x, y), optimizer=SGD(0.05), steps=300, batch_size=20, progress=False)
    assert sum(repeats) == 300
    assert max(repeats) > 5


@pytest.mark.parametrize("count", COUNTS)
def test_a_shared_run_stops_at_the_step_that_diverges(count: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((60, 9, 3)).astype("float32")
    y = rng.standard_normal((60, 1)).astype("float32")
    y[41] = 1e30  # its square is infinite
    net = Network(Recurrent("elman", 3, 13, dtype="float32", seed=1, engine="compiled"), 1)
    set_threads(count)
    with pytest.raises(TrainingDivergedError) as found:
        train(net, (x, y), optimizer=SGD(0.01), steps=500, batch_size=2, seed=5, progress=False)
    losses = found.value.history.losses
    set_threads(1)
    again = Network(Recurrent("elman", 3, 13, dtype="float32", seed=1, engine="compiled"), 1)
    with pytest.raises(TrainingDivergedError) as expected:
        train(again, (x, y), optimizer=SGD(0.01), steps=500, batch_size=2, seed=5, progress=False)
    np.testing.assert_array_equal(losses, expected.value.history.losses)
    same(net.parameters, again.parameters, count)


@pytest.mark.parametrize("rows_and_more", [(70, 3, 11), (3, 5, 137)])
def test_memory_of_a_shared_pass_is_neither_read_before_it_is_written_nor_overrun(
    rows_and_more: tuple[int, int, int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    guards: list[Any] = []

    def guarded(count: int, dtype: np.dtype[Any]) -> Any:
        block = np.full(count + 128, np.nan, dtype)
        block[:64] = block[-64:] = 12345
        guards.append(block)
        return block[64:-64]

    cell = get_cell("gru_reset_before")  # it has a value that passes from stage to stage
    drawn = draw(cell, (4, *rows_and_more), "float32", rng)
    set_threads(1)
    plain = run(compiled, cell, drawn)
    for name in ("new_block", "scratch"):
        monkeypatch.setattr(passes, name, guarded)
    set_threads(5)
    same(run(compiled, cell, drawn), plain, "guarded")
    assert len(guards) == 4
    for block in guards:
        assert (block[:64] == 12345).all()
        assert (block[-64:] == 12345).all()


def test_little_work_is_done_alone(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the rule as it is
    route.find_route.cache_clear()
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    shared = []
    monkeypatch.setattr(passes, "run_together", shared.append)
    for name, sizes in (("elman", (24, 32, 6, 10)), ("lstm", (24, 32, 6, 10)), ("elman", (200, 1, 1, 50))):
        cell = get_cell(name)
        with use_threads(16):
            run(compiled, cell, draw(cell, sizes, "float32", rng))
    assert not shared
    cell = get_cell("lstm")
    drawn = draw(cell, (96, 64, 16, 64), "float32", rng)
    with use_threads(16):
        compiled.forward(cell, drawn["parameters"], drawn["x"])
    assert len(shared) == 1
    with use_threads(1):
        compiled.forward(cell, drawn["parameters"], drawn["x"])
    assert len(shared) == 1
