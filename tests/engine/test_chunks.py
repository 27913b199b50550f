"""The sweep back and the weight gradients in turns: the same numbers, whoever takes which turn, in less memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import Cell, get_cell
from bptt.engine import compiled, reference, set_threads, threads
from bptt.engine.compiled import route
from bptt.engine.compiled.chunks import choose_chunk
from bptt.engine.compiled.route import find_route
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import Event, train
from tests.engine.own_cells import Leaky
from tests.engine.test_compiled import WANT, agree, double, draw, run

# One stage and several, vectors' gradients, a derived backward.
CELLS = [get_cell("lstm_peephole"), get_cell("gru_reset_before"), Leaky()]
# T, B, D, H: a last chunk that is short, one that is whole; several tiles, blocks of a sum and panels.
SIZES = ((7, 70, 3, 19), (6, 5, 9, 50), (8, 133, 1, 11))


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Return a function that makes every pass of the test take chunks of so many steps."""

    def force(steps: int) -> None:
        monkeypatch.setattr(route, "choose_chunk", lambda _, sizes, __: min(steps, sizes.T))
        find_route.cache_clear()

    yield force
    find_route.cache_clear()


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(("ragged", "dtype"), [(False, "float32"), (True, "float64")])
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_chunks_agree_with_the_reference(
    cell: Cell, dtype: str, ragged: bool, cut: Callable[[int], None], rng: np.random.Generator
) -> None:
    for sizes in SIZES:
        drawn = draw(cell, sizes, dtype, rng)
        lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
        expected = run(reference, cell, double(drawn), lengths)
        for steps in (1, 2, 3):
            cut(steps)
            found = run(compiled, cell, drawn, lengths)
            assert find_route.cache_info().currsize == 1
            agree(found, expected, dtype)


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(("ragged", "dtype"), [(False, "float32"), (True, "float64")])
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_any_number_of_threads_gives_the_same_bits(
    cell: Cell,
    dtype: str,
    ragged: bool,
    cut: Callable[[int], None],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(route, "WORTH", 0)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    try:
        for sizes in SIZES:
            drawn = draw(cell, sizes, dtype, rng)
            lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
            cut(3)
            set_threads(1)
            alone = run(compiled, cell, drawn, lengths)
            for count in (2, 3, 4, 8):
                set_threads(count)
                for name, value in run(compiled, cell, drawn, lengths).items():
                    np.testing.assert_array_equal(value, alone[name], err_msg=f"{name}, {sizes}, {count}")
    finally:
        set_threads(None)


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("without", sorted(WANT))
def test_what_is_not_wanted_changes_no_bit_of_the_rest(
    without: str, cut: Callable[[int], None], rng: np.random.Generator
) -> None:
    cell = get_cell("gru_reset_before")
    drawn = draw(cell, (7, 70, 9, 37), "float32", rng)
    cut(2)
    _, _, tape = compiled.forward(cell, drawn["parameters"], drawn["x"], drawn["state0"])
    whole = compiled.backward(tape, drawn["dh"], drawn["dstate_T"], want=WANT)
    part = compiled.backward(tape, drawn["dh"], drawn["dstate_T"], want=WANT - {without})
    assert getattr(part, without) is None
    for name in WANT - {without}:
        a, b = getattr(part, name), getattr(whole, name)
        for key in b if isinstance(b, dict) else ("x",):
            pair = (a[key], b[key]) if isinstance(b, dict) else (a, b)
            np.testing.assert_array_equal(*pair, err_msg=f"{name} {key}")


@pytest.mark.usefixtures("layout")
def test_training_in_one_call_has_the_bits_of_steps_made_by_hand(
    cut: Callable[[int], None], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "WORTH", 0)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    cut(4)
    x = rng.standard_normal((50, 10, 3)).astype("float32")
    y = rng.standard_normal((50, 2)).astype("float32")

    def look(event: Event) -> None:
        assert np.isfinite(event.net.parameters["readout.W_hy"]).all()

    found = []
    try:
        for count, callbacks in ((1, []), (1, [look]), (3, [])):
            set_threads(count)
            stack = Recurrent("lstm", 3, 37, num_layers=2, dtype="float32", seed=4, engine="compiled")
            net = Network(stack, 2, seed=3)
            history = train(net, (x, y), optimizer=SGD(0.05, momentum=0.9), steps=7, batch_size=21, clip=1.0,
                            callbacks=callbacks, progress=False)  # fmt: skip
            found.append({"losses": history.losses, **{k: v.copy() for k, v in net.parameters.items()}})
    finally:
        set_threads(None)
    for each in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_array_equal(each[name], value, err_msg=name)


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(96, 64, 16, 64), (25, 175, 1, 100), (1000, 33, 3, 20), (60, 512, 8, 16)])
def test_chunks_are_chosen_where_they_pay(cell: str, dtype: str, shape: tuple[int, int, int, int]) -> None:
    T, B, D, H = shape
    found = find_route(get_cell(cell), np.dtype(dtype), (T, B, D), H, ragged=False, states=True, saved=True)
    sizes, whole = found.sizes, replace(found.sizes, chunk=T)
    assert found.chunks > 1
    # The ring is that much smaller, and no chunk is nearly empty but the last.
    held = found.layout.count("da:0", sizes)
    assert held * T == found.layout.count("da:0", whole) * sizes.chunk
    assert found.going_back(parameters=True, x=True) == ("backward_chunks", "collect")
    # By the sizes alone.
    assert choose_chunk(found.layout, whole, found.dtype.itemsize) == sizes.chunk


@pytest.mark.parametrize(
    ("cell", "shape"),
    [("lstm", (128, 64, 64, 256)), ("elman", (10, 32, 20, 100)), ("elman", (200, 1, 1, 500))],
)
def test_all_steps_are_one_chunk_elsewhere(cell: str, shape: tuple[int, int, int, int]) -> None:
    T, B, D, H = shape  # large weights; what fits; one sequence
    found = find_route(
        get_cell(cell), np.dtype("float32"), (T, B, D), H, ragged=False, states=True, saved=True
    )
    assert found.sizes.chunk == T
    assert found.going_back(parameters=False, x=True) == ("backward_rows", "input_gradient")
