"""Emitted functions against NumPy in more digits: dense grids, then the edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from bptt.activations import FUNCTIONS
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter
from bptt.engine.compiled.llvm.functions import EMITTED
from bptt.engine.compiled.llvm.machine_code import load_kernels, new_module
from bptt.engine.compiled.llvm.target import choose_tiles, host

KINDS = {"float": np.float32, "double": np.float64}
# Units in the last place of a normal result.
BOUNDS = {
    "tanh": 2.5,
    "sigmoid": 2.5,
    "exp": 2.5,
    "log": 3.0,
    "softplus": 3.0,
    "softplus_derivative": 2.5,
    "sqrt": 0.51,
}
# Twice the digits of a double are not at hand: 80-bit numbers are enough to see half a unit of one.
WIDE = {
    "tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)), "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "softplus": lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))),
    "softplus_derivative": lambda y: -np.expm1(-y),
}  # fmt: skip


@cache
def compiled(name: str, kind: str) -> Callable[[Any], Any]:
    lanes = lanes_of(kind, host())

    def emit(prefix: str) -> Any:
        module = new_module(name)
        e = Emitter(ir.Function(module, ir.FunctionType(VOID, [POINTER]), f"{prefix}run"), lanes)
        numbers = [
            e.b.load(e.b.gep(e.function.args[0], [e.integer(k)], source_etype=I64), typ=I64) for k in range(3)
        ]
        source, target = (e.b.inttoptr(n, POINTER) for n in numbers[:2])
        with e.loop(e.integer(0), numbers[2], e.integer(lanes.count)) as i:
            e.store(EMITTED[name](e, e.load(e.at(source, i))), e.at(target, i))
        e.b.ret_void()
        return module

    kernel = load_kernels(f"{name}, {kind}", ("run",), emit)["run"]

    def run(a: Any) -> Any:
        padded = np.zeros(-(-a.size // lanes.count) * lanes.count, KINDS[kind])
        padded[: a.size] = a
        out = np.empty_like(padded)
        arguments = np.array([padded.ctypes.data, out.ctypes.data, padded.size], np.int64)
        kernel(arguments.ctypes.data)
        return out[: a.size]

    return run


@pytest.fixture(autouse=True)
def _kernel_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path))


def grid(name: str, kind: str, rng: np.random.Generator) -> Any:
    span = {"float": 37, "double": 300}[kind]
    parts = [np.linspace(-s, s, 100_001) for s in (1e-3, 0.5, 1, 5, 30)]
    parts.append(10.0 ** rng.uniform(-span, 1.9, 100_000) * rng.choice([-1.0, 1.0], 100_000))
    if kind == "double":
        parts.append(np.linspace(-700, 700, 100_001))
    a = np.concatenate(parts).astype(KINDS[kind])
    return np.abs(a) if name in ("log", "sqrt", "softplus_derivative") else a


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs numbers wider than a double")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BOUNDS)
def test_within_a_few_units_in_the_last_place(name: str, kind: str, rng: np.random.Generator) -> None:
    a = grid(name, kind, rng)
    found = compiled(name, kind)(a).astype(np.longdouble)
    with np.errstate(all="ignore"):
        exact = WIDE[name](a.astype(np.longdouble))
        smallest, largest = np.finfo(KINDS[kind]).tiny, np.finfo(KINDS[kind]).max
        normal = (np.abs(exact) > 2 * smallest) & (np.abs(exact) < largest)
        unit = np.spacing(np.abs(exact[normal]).astype(KINDS[kind])).astype(np.longdouble)
        error = np.abs(found[normal] - exact[normal]) / unit
    assert error.max() <= BOUNDS[name], a[normal][error.argmax()]
    # Below the normal range a result may be flushed to 0, never more.
    if name != "log":
        assert (np.abs(found - exact)[np.abs(exact) <= 2 * smallest] <= 2 * smallest).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [n for n in EMITTED if n != "softplus_derivative"])
def test_edges_are_numpys(name: str, kind: str) -> None:
    info = np.finfo(KINDS[kind])
    edges = np.array(
        [
            np.nan,
            np.inf,
            -np.inf,
            0.0,
            -0.0,
            info.max,
            -info.max,
            info.tiny,
            -info.tiny,
            info.smallest_subnormal,
            1,
            -1,
        ],
        KINDS[kind],
    )
    with np.errstate(all="ignore"):
        expected = np.asarray(FUNCTIONS[name](edges))
    found = compiled(name, kind)(edges)
    np.testing.assert_allclose(found, expected, rtol=4 * info.eps, atol=2 * info.tiny)


@pytest.mark.parametrize("kind", KINDS)
def test_tanh_is_odd_and_never_above_one(kind: str, rng: np.random.Generator) -> None:
    a = grid("tanh", kind, rng)
    y = compiled("tanh", kind)(a)
    assert np.abs(y).max() == 1
    np.testing.assert_array_equal(compiled("tanh", kind)(-a), -y)
    assert np.signbit(compiled("tanh", kind)(np.array([-0.0], KINDS[kind])))[0]


def test_every_function_of_a_formula_is_emitted() -> None:
    assert EMITTED.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("machine", "features", "registers"),
    [("x86_64", {"avx512f": True, "avx": True, "fma": True}, 32), ("x86_64", {"avx": True, "fma": True}, 16),
     ("x86_64", {}, 16), ("aarch64", {}, 32)],
)  # fmt: skip
def test_register_tiles_fit(machine: str, features: dict[str, bool], registers: int) -> None:
    _, panel, heights = choose_tiles(machine, features)
    assert heights[0] * panel + panel + 1 <= registers
    assert heights[0] * panel >= 8
    assert list(heights) == sorted(heights, reverse=True)
    assert heights[-1] == 1
