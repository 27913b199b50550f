"""Engines by name, and BLAS held to one thread."""

from __future__ import annotations

import sys
import threading
import types

import pytest
from threadpoolctl import threadpool_info

from bptt.engine import ENGINES, get_engine, reference
from bptt.engine.availability import find_obstacle
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput


def test_engines_by_name() -> None:
    assert get_engine("numpy") is reference
    assert get_engine("numpy").NAME == "numpy"
    assert list(ENGINES) == ["auto", "numpy", "compiled"]
    for name in ENGINES:
        if name == "compiled" and find_obstacle() is not None:
            continue
        engine = get_engine(name)
        assert callable(engine.forward)
        assert callable(engine.backward)


def test_an_engine_is_loaded_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = types.ModuleType("an_engine")
    monkeypatch.setitem(sys.modules, "an_engine", made)
    monkeypatch.setitem(ENGINES, "mine", "an_engine")
    assert get_engine("mine") is made


def test_unknown_engine() -> None:
    with pytest.raises(InvalidInput) as caught:
        get_engine("cuda")
    assert str(caught.value) == f"engine must be one of {', '.join(ENGINES)}. Got 'cuda'"


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blas_is_held_to_one_thread_and_let_go() -> None:
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() <= {1}
        with one_blas_thread():
            assert blas_threads() <= {1}
        assert blas_threads() <= {1}
    assert blas_threads() == before


def test_blas_is_let_go_after_an_error() -> None:
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        _ = 1 / 0
    assert blas_threads() == before
    with one_blas_thread():
        assert blas_threads() <= {1}


def test_another_thread_can_hold_it_too() -> None:
    seen = []

    def inside() -> None:
        with one_blas_thread():
            seen.append(blas_threads())

    with one_blas_thread():
        other = threading.Thread(target=inside)
        other.start()
        other.join()
    assert len(seen) == 1
    assert seen[0] <= {1}


def test_it_is_held_until_the_last_thread_has_left() -> None:
    before = blas_threads()
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = {}

    def first() -> None:
        with one_blas_thread():
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()

    def second() -> None:
        first_is_in.wait(10)
        with one_blas_thread():
            second_is_in.set()
            first_is_out.wait(10)
            seen["after the first left"] = blas_threads()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not any(pool.get("threading_layer") == "openmp" for pool in threadpool_info()):
        assert seen["after the first left"] <= {1}
    assert blas_threads() == before
