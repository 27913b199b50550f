"""Formulas in phases, and tiles that go through a step together: what comes out is what it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import sigmoid, tanh
from bptt.cells import Cell, get_cell
from bptt.engine import compiled, reference, use_threads
from bptt.engine.compiled import route
from bptt.engine.compiled.equations.phases import Phase, split
from bptt.engine.compiled.equations.programs import of_formula
from bptt.engine.compiled.route import find_route
from tests.engine.test_compiled import agree, double, draw, run


class Deep(Cell):
    """Three activations that wait for one another, whose results nobody keeps; no backward."""

    name = "deep"
    gates = ("a", "b", "c")

    @staticmethod
    def forward(a_a: Any, a_b: Any, a_c: Any, h_prev: Any) -> Any:
        u = sigmoid(a_a)
        v = tanh(a_b + u * h_prev)
        w = sigmoid(a_c + v * u)
        h = w * v + (1 - w) * h_prev
        return h  # noqa: RET504  # formulas return names


class Crowded(Cell):
    """A result between two activations that has no place: the one column is read again."""

    name = "crowded"
    gates = ("a",)

    @staticmethod
    def forward(a_a: Any, h_prev: Any) -> Any:
        u = sigmoid(a_a)
        v = tanh(u * a_a + h_prev)
        h = u * v
        return h  # noqa: RET504  # formulas return names


def phases_of(cell: Cell, stage: int = 0) -> tuple[Phase, ...]:
    plan = cell.plan
    here = plan.stages[stage]
    functions = {key: cell.options[key] for key in cell.functions}
    stored = frozenset({*plan.states, *plan.saved})
    return split(of_formula(here.forward), functions, list(here.columns), stored)


def names(phases: tuple[Phase, ...]) -> list[list[str]]:
    return [[name for name, _ in phase.program.statements] for phase in phases]


def test_what_waits_for_an_activation_comes_in_a_later_phase() -> None:
    assert names(phases_of(get_cell("gru"))) == [["r", "z"], ["q", "n", "h"]]
    assert names(phases_of(get_cell("lstm"))) == [["i", "f", "g", "o", "c"], ["s", "h"]]
    assert names(phases_of(get_cell("lstm_peephole"))) == [["i", "f", "g", "c"], ["o", "s", "h"]]
    assert names(phases_of(get_cell("gru_reset_before"))) == [["r", "z", "k"]]
    assert names(phases_of(get_cell("gru_reset_before"), 1)) == [["n", "h"]]
    assert names(phases_of(get_cell("elman"))) == [["h"]]
    candidate = phases_of(get_cell("gru"))[1]
    assert set(candidate.reads) == {"a_hn", "b_hn", "a_xn", "r", "z", "h_prev"}
    assert candidate.held == {}


def test_a_result_that_nobody_keeps_takes_the_place_of_a_column_that_has_been_read() -> None:
    phases = phases_of(Deep())
    assert names(phases) == [["u"], ["v"], ["w", "h"]]
    assert [dict(phase.held) for phase in phases] == [{"u": "a_a"}, {"v": "a_b"}, {}]
    assert [phase.program.results for phase in phases] == [("u",), ("v",), ("h",)]
    assert names(phases_of(Crowded())) == [["u", "v", "h"]]


def test_a_function_of_no_cost_is_nothing_to_wait_for() -> None:
    relu = get_cell("elman", {"activation": "relu"})
    (phase,) = phases_of(relu)
    assert phase.reads == ("a_h",)


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(
    ("cell", "dtype", "ragged"),
    [(Deep(), "float32", False), (Deep(), "float64", True), (Crowded(), "float32", True)],
    ids=repr,
)
def test_cells_in_phases_agree_with_the_reference(
    cell: Cell, dtype: str, ragged: bool, rng: np.random.Generator
) -> None:
    for sizes in ((5, 7, 2, 3), (4, 70, 3, 19)):
        drawn = draw(cell, sizes, dtype, rng)
        lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
        agree(run(compiled, cell, drawn, lengths), run(reference, cell, double(drawn), lengths), dtype)


@pytest.fixture
def fresh_routes() -> Iterator[None]:
    find_route.cache_clear()
    yield
    find_route.cache_clear()


@pytest.mark.usefixtures("layout", "fresh_routes")
@pytest.mark.parametrize(("name", "ragged"), [("gru_reset_before", False), ("lstm_peephole", True)])
def test_tiles_give_the_same_bits_together_and_one_by_one(
    name: str, ragged: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = get_cell(name)
    T, B, D, H = 6, 149, 3, 9
    drawn = draw(cell, (T, B, D, H), "float32", rng)
    lengths = rng.integers(1, T + 1, B) if ragged else None
    monkeypatch.setattr(route, "WORTH", 0)  # as where there is work for threads
    found = []
    for rows, size in ((1, 1), (100, 2**15)):
        monkeypatch.setattr(route, "TOGETHER", rows)
        monkeypatch.setattr(route, "TOGETHER_BYTES", size)
        find_route.cache_clear()
        with use_threads(1):  # several take one tile each
            found.append(run(compiled, cell, drawn, lengths))
        sizes = find_route(
            cell, np.dtype(np.float32), (T, B, D), H, ragged=ragged, states=True, saved=True
        ).sizes
        assert (sizes.together > sizes.tile) == (rows > 1)
        assert sizes.tiles > 2
        # The last ones that go together are fewer.
        assert rows == 1 or B % sizes.together
    for key, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][key], err_msg=key)
