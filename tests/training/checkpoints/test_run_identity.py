"""What a run is known by: every setting that decides a bit, as plain JSON; and when a checkpoint is a new one."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bptt.activations import sigmoid, tanh
from bptt.cells import Cell
from bptt.errors import InvalidInput
from bptt.network import Network, Recurrent
from bptt.optim import L2, SGD, Schedule
from bptt.training import read_checkpoint
from bptt.training.checkpoints.run_identity import describe_network, differences, plain, versions
from bptt.training.checkpoints.saving import Saver, _mark, find_checkpoints
from tests.golden.cases import FOLDER

KEPT = read_checkpoint(FOLDER / "checkpoint.ckpt")


@pytest.mark.parametrize(
    "change",
    [
        {"step": KEPT.step + 1},
        {"told": KEPT.told - 1},
        {"validation": (*KEPT.validation, (9, 0.5))},
        {"best": dataclasses.replace(KEPT.best, seen=KEPT.best.seen + 1)},
        {"ended": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_with_anything_new_is_written(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(
        "bptt.training.checkpoints.saving.write_checkpoint", lambda path, kept: written.append(kept)
    )
    saver, later = Saver(str(tmp_path / "run.ckpt"), 1), dataclasses.replace(KEPT, **change)
    assert _mark(later) != _mark(KEPT)
    saver.skip(KEPT)  # the file holds this one
    saver.save(KEPT)
    assert written == []
    saver.save(later)
    saver.save(later)
    assert written == [later]


def test_a_run_of_which_no_step_was_made_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "run.ckpt", SimpleNamespace(step=0, ended=False)
    path.touch()
    monkeypatch.setattr("bptt.training.checkpoints.saving.open_checkpoint", lambda name: kept)
    assert find_checkpoints(path, None, False) == (str(path), None)
    kept.step = 1
    with pytest.raises(InvalidInput, match="a run stopped at step 1"):
        find_checkpoints(path, None, False)
    kept.ended = True
    assert find_checkpoints(path, None, False) == (str(path), None)


def test_numbers_that_json_has_no_word_for_stay_apart() -> None:
    found = [
        plain(value)
        for value in (math.inf, -math.inf, math.nan, 1.5, np.float32(0.5), np.int16(3), np.bool_(1))
    ]
    assert found == ["inf", "-inf", "nan", 1.5, 0.5, 3, True]
    assert type(found[5]) is int
    assert found[6] is True
    json.dumps(found, allow_nan=False)


def test_short_lists_are_shown_and_long_ones_known_by_their_digest() -> None:
    assert plain((1, [2.5, "a"], None)) == [1, [2.5, "a"], None]
    assert plain(list(range(16))) == list(range(16))
    long, other = plain(list(range(40))), plain([*range(39), 40])
    assert long.startswith("sha256 ")
    assert len(long) == 7 + 64
    assert long != other
    first, second = plain(np.arange(6.0)), plain(np.arange(6.0) + 1e-9)
    assert first.startswith("sha256 ")
    assert first != second
    assert first != plain(np.arange(6.0).reshape(2, 3))


def test_functions_classes_and_objects_are_named_with_their_fields() -> None:
    class Mine(Schedule):
        def __init__(self, high: float) -> None:
            object.__setattr__(self, "rate", 0.1)
            object.__setattr__(self, "high", high)
            object.__setattr__(self, "_own", object())
            object.__setattr__(self, "me", self)

        def _at(self, step: int) -> float:
            return self.high

    name = f"{test_functions_classes_and_objects_are_named_with_their_fields.__name__}.<locals>.Mine"
    assert plain(len) == {"class": "len"}
    assert plain(Mine) == {"class": name}
    assert plain(Mine(0.5)) == {"class": name, "rate": 0.1, "high": 0.5}


@pytest.mark.parametrize("setting", [SGD(0.1), L2(0.1)], ids=["optimizer", "penalty"])
def test_the_formula_of_a_users_own_optimiser_or_penalty_counts(setting: Any) -> None:
    found = plain(setting)
    assert found["formula"] == setting.formula.digest
    assert found["class"] == type(setting).__qualname__


def test_differences_are_found_on_either_side_and_types_count() -> None:
    def names(kept: Any, now: Any) -> list[str]:
        return [name for name, _, _ in differences(kept, now)]

    same = {"a": 1, "b": {"c": [1, 2], "d": None}}
    assert names(same, {"a": 1.0, "b": {"c": [1, 2], "d": None}}) == []
    assert names({**same, "old": 3}, same) == ["old"]
    assert names(same, {**same, "new": 3}) == ["new"]
    assert names({"a": True}, {"a": 1}) == ["a"]
    assert names({"a": 0}, {"a": False}) == ["a"]
    assert names(same, {"b": {"c": [2, 1], "d": 0}, "a": 2}) == ["b.c", "b.d", "a"]
    # Of two classes only that is told, and not how their fields differ.
    assert list(differences({"k": {"class": "A", "x": 1}}, {"k": {"class": "B", "x": 2}})) == [
        ("k", "A", "B")
    ]


class Plain(Cell):
    """A cell whose declarations the test changes one by one."""

    name = "plain"
    gates = ("f", "n")
    products = {"W_xh": "x", "W_hh": "h"}
    vectors = {"p_f": 0.5, "q_f": 0.25}

    @staticmethod
    def forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, q_f: Any) -> Any:
        f = sigmoid(a_f + p_f * h_prev + q_f)
        h = f * h_prev + tanh(a_n)
        return h, f


def other_forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, q_f: Any) -> Any:
    f = sigmoid(a_f + q_f * h_prev + p_f)
    h = f * h_prev + tanh(a_n)
    return h, f


@pytest.mark.parametrize(
    "changes",
    [
        {"forward": staticmethod(other_forward)},
        {"gates": ("n", "f")},
        {"vectors": {"q_f": 0.25, "p_f": 0.5}},
        {"products": {"W_hh": "h", "W_xh": "x"}},
    ],
    ids=["forward", "gates", "vectors", "products"],
)
def test_the_equations_of_a_cell_count(changes: dict[str, Any]) -> None:
    def described(cell: type[Cell]) -> dict[str, Any]:
        return describe_network(Network(Recurrent(cell, 3, 5, engine="numpy"), 2))

    mine, other = described(Plain), described(type("Plain", (Plain,), changes))
    assert mine["equations"] != other["equations"]
    assert described(type("Plain", (Plain,), {}))["equations"] == mine["equations"]
    assert mine["weights"]["readout.W_hy"] == ["float64", 5, 2]
    assert mine["engine"] == "numpy"
    assert mine["class"] == "Network"


def test_the_versions_are_those_of_this_machine() -> None:
    found = versions()
    assert found.keys() == {"bptt", "numpy", "machine"}
    assert found["numpy"] == np.__version__
    assert all(found.values())
