"""The compiled engine against the reference engine, by design: per tensor, error over the largest entry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.cells import Cell, get_cell
from bptt.cells.registry import CELLS
from bptt.engine import compiled, reference
from tests.engine.own_cells import OWN, Leaky

pytestmark = pytest.mark.usefixtures("layout")

# Another order of summation, at recurrent gain <= 1 and T <= 200.
TOLERANCE = {"float64": 1e-12, "float32": 2e-6}
WANT = {"parameters", "x", "state0", "states"}
# T, B, D, H: odd sizes, one step, one row, no whole vector, several panels and tiles.
SIZES = ((7, 5, 3, 11), (1, 4, 2, 3), (6, 1, 5, 17), (4, 70, 1, 50), (3, 2, 19, 1))
# Rows that leave one lane of a vector empty, or fill one of the next, in either dtype; tiles that end so.
ROWS = ((5, 7, 2, 3), (3, 9, 1, 2), (4, 15, 3, 13), (2, 17, 1, 14), (3, 65, 5, 4), (2, 133, 18, 26))
CASES = [
    *(cls() for cls in (*CELLS.values(), *OWN)),
    *(get_cell("elman", {"activation": name}) for name in ("relu", "sigmoid", "softplus", "identity")),
    Leaky(activation="softplus"),
]


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


def draw(
    cell: Cell, sizes: tuple[int, int, int, int], dtype: str, rng: np.random.Generator
) -> dict[str, Any]:
    """Random weights, states and cotangents that both precisions can hold."""
    T, B, D, H = sizes
    plan = cell.plan

    def normal(*shape: int, scale: float = 1.0) -> Any:
        return (rng.standard_normal(shape) * scale).astype(np.float32).astype(dtype)

    parameters = {
        name: normal(
            D if rows == "x" else H, blocks * H, scale=0.7 / np.sqrt(H if rows == "h" else max(D, 1))
        )
        for name, (rows, blocks) in plan.weights.items()
    }
    parameters["b_h"] = normal(len(plan.gates) * H, scale=0.3)
    parameters.update({v: normal(H, scale=0.3) for v in plan.vectors})
    return {
        "parameters": parameters,
        "x": normal(T, B, D),
        "state0": {s: normal(B, H) for s in plan.states},
        "dh": normal(T, B, H),
        "dstate_T": {s: normal(B, H) for s in plan.states},
    }


def run(engine: Any, cell: Cell, drawn: dict[str, Any], lengths: Any = None) -> dict[str, Any]:
    h, final, tape = engine.forward(cell, drawn["parameters"], drawn["x"], drawn["state0"], lengths)
    sweep = engine.backward(tape, drawn["dh"], drawn["dstate_T"], want=WANT)
    found = {"h": h, "dx": sweep.x, **{f"final {s}": a for s, a in final.items()}}
    found.update({f"d{name}": d for name, d in sweep.parameters.items()})
    found.update({f"d{s} at the start": d for s, d in sweep.state0.items()})
    found.update({f"d{s} of all steps": d for s, d in sweep.states.items()})
    found.update({f"{s} of all steps": a for s, a in tape.states.items()})
    return found


def agree(found: dict[str, Any], expected: dict[str, Any], dtype: str) -> None:
    assert found.keys() == expected.keys()
    for name, b in expected.items():
        a = found[name]
        assert a.dtype == dtype, name
        assert a.shape == b.shape, name
        # States and dx one step at a time: they may differ in size by orders of magnitude. A step of a few numbers
        # has no entry of typical size, so there the whole tensor is the measure.
        stepwise = (name in ("h", "dx") or "all steps" in name) and b[0].size >= 32
        steps = zip(a, b, strict=True) if stepwise else [(a, b)]
        for found_t, b_t in steps:
            largest, error = np.abs(b_t).max(initial=1e-30), np.abs(found_t - b_t).max(initial=0)
            assert error <= TOLERANCE[dtype] * largest, f"{name}: {error / largest:.1e}"


def double(drawn: Any) -> Any:
    return {k: double(v) for k, v in drawn.items()} if isinstance(drawn, dict) else drawn.astype("float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CASES, ids=repr)
def test_every_cell_agrees_with_the_reference(cell: Cell, dtype: str, rng: np.random.Generator) -> None:
    for sizes in (*SIZES, *ROWS):
        if dtype == "float32" and sizes[3] == 1:
            continue  # a gradient of one number may be a difference of larger ones
        drawn = draw(cell, sizes, dtype, rng)
        agree(run(compiled, cell, drawn), run(reference, cell, double(drawn)), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", [cls() for cls in (*CELLS.values(), *OWN)], ids=repr)
def test_ragged_rows_agree(cell: Cell, dtype: str, rng: np.random.Generator) -> None:
    sizes = (9, 70, 3, 11)
    drawn = draw(cell, sizes, dtype, rng)
    lengths = rng.integers(1, 10, sizes[1])
    past = np.arange(sizes[0])[:, None] >= lengths
    drawn["x"][past] = np.nan  # padding is not read
    drawn["dh"][past] = np.nan
    agree(run(compiled, cell, drawn, lengths), run(reference, cell, double(drawn), lengths), dtype)


def test_a_long_run_agrees(rng: np.random.Generator) -> None:
    drawn = draw(get_cell("gru"), (200, 9, 4, 33), "float32", rng)
    agree(run(compiled, get_cell("gru"), drawn), run(reference, get_cell("gru"), double(drawn)), "float32")


@pytest.mark.parametrize("name", ["lstm_peephole", "gru_reset_before"])
def test_the_ways_to_ask_agree(name: str, rng: np.random.Generator) -> None:
    cell = get_cell(name)
    drawn = draw(cell, (6, 5, 3, 11), "float64", rng)
    p, x, s0 = drawn["parameters"], drawn["x"], drawn["state0"]
    h, final, tape = compiled.forward(cell, p, x, s0)
    for outputs in ("all", "last"):
        h2, final2, none = compiled.forward(cell, p, x, s0, outputs=outputs, tape=False)
        assert none is None
        assert (h2 is None) == (outputs == "last")
        if h2 is not None:
            np.testing.assert_array_equal(h2, h)
        for s in final:
            np.testing.assert_array_equal(final2[s], final[s])
    whole = compiled.backward(tape, drawn["dh"], drawn["dstate_T"], want=WANT)
    part = compiled.backward(tape, drawn["dh"], drawn["dstate_T"], want={"x"})
    np.testing.assert_array_equal(part.x, whole.x)
    assert part.parameters is None
    assert part.state0 is None
    assert part.states is None
    # No bias, no state, strided and read-only inputs.
    bare = {k: v for k, v in p.items() if not k.startswith("b_")}
    strided = np.repeat(np.asfortranarray(x), 2, axis=1)[::-1, ::2]
    strided.flags.writeable = False
    dh = np.repeat(drawn["dh"], 2, axis=2)[::-1, :, ::2]
    found, expected = [], []
    for engine, store in ((compiled, found), (reference, expected)):
        h, final, tape = engine.forward(cell, bare, strided, outputs="all")
        sweep = engine.backward(tape, dh)
        store += [h, sweep.x, *final.values(), *sweep.parameters.values(), *sweep.state0.values()]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


def test_inputs_stay_as_they_are_and_a_tape_can_be_swept_twice(rng: np.random.Generator) -> None:
    cell = get_cell("lstm")
    drawn = draw(cell, (5, 6, 3, 7), "float32", rng)
    copy = {k: double(v) for k, v in drawn.items()}
    _, _, tape = compiled.forward(cell, drawn["parameters"], drawn["x"], drawn["state0"])
    kept = tape.block.copy()
    first = compiled.backward(tape, drawn["dh"], drawn["dstate_T"])
    second = compiled.backward(tape, drawn["dh"], drawn["dstate_T"])
    for name in first.parameters:
        np.testing.assert_array_equal(first.parameters[name], second.parameters[name])
    np.testing.assert_array_equal(tape.block.view(np.int32), kept.view(np.int32))
    for k, v in drawn.items():
        for a, b in zip(
            v.values() if isinstance(v, dict) else [v],
            copy[k].values() if isinstance(copy[k], dict) else [copy[k]],
            strict=True,
        ):
            np.testing.assert_array_equal(a.astype("float64"), b)


@pytest.mark.parametrize("cell", [cls() for cls in (*CELLS.values(), *OWN)], ids=repr)
@pytest.mark.parametrize("ragged", [False, True])
def test_memory_is_neither_read_before_it_is_written_nor_overrun(
    cell: Cell, ragged: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    guards: list[Any] = []
    guard = 64

    def guarded(count: int, dtype: np.dtype[Any]) -> Any:
        block = np.full(count + 2 * guard, np.nan, dtype)
        block[:guard] = block[-guard:] = 12345
        guards.append(block)
        return block[guard:-guard]

    sizes = (4, 5, 3, 11)
    drawn = draw(cell, sizes, "float32", rng)
    lengths = np.array([1, 4, 2, 3, 3]) if ragged else None
    plain = run(compiled, cell, drawn, lengths)
    for name in ("new_block", "scratch"):
        monkeypatch.setattr(f"bptt.engine.compiled.passes.{name}", guarded)
    found = run(compiled, cell, drawn, lengths)
    assert len(guards) == 4  # tape, outputs, scratch of either pass
    for block in guards:
        assert (block[:guard] == 12345).all()
        assert (block[-guard:] == 12345).all()
    for name, value in plain.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_diverged_run_is_seen(rng: np.random.Generator) -> None:
    for name in CELLS:
        drawn = draw(get_cell(name), (4, 3, 2, 5), "float32", rng)
        drawn["x"][1, 0, 0] = np.nan
        h, _, _ = compiled.forward(get_cell(name), drawn["parameters"], drawn["x"])
        assert np.isnan(h[1:, 0]).all()
        assert not np.isnan(h[:, 1:]).any()


def test_complex_numbers_go_to_the_reference(rng: np.random.Generator) -> None:
    cell = get_cell("gru")
    drawn = draw(cell, (3, 2, 2, 4), "float64", rng)
    x = drawn["x"] + 1e-20j
    found, expected = (e.forward(cell, drawn["parameters"], x)[0] for e in (compiled, reference))
    np.testing.assert_array_equal(found, expected)


def test_float32_kernels_hold_no_double_precision() -> None:
    import re

    from bptt.engine.compiled.kernels import emit_module
    from bptt.engine.compiled.llvm.machine_code import optimise
    from bptt.engine.compiled.units.layout import Layout

    for cell in (get_cell("lstm_peephole"), *(cls() for cls in OWN)):
        text = str(optimise(emit_module(Layout.of(cell), "float", ragged=True)))
        assert not re.search(r"\bdouble\b", text)
        assert "<" in text
