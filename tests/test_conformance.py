"""Recurrent-operator test vectors of ONNX Runtime and Keras, which neither we nor PyTorch had a hand in.

They lie beside the project and are not part of it (BPTT_CONFORMANCE_DIR, or ../shared/conformance). Forward only.
"""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.network import Recurrent
from tests.conftest import _folder
from tests.pytorch_names import CELLS, Array, from_pytorch

pytestmark = pytest.mark.usefixtures("each_engine")

# Cases that our cells cannot express, and why. There are none: the set is kept so that a new one is a decision.
NOT_EXPRESSIBLE: dict[str, str] = {}

# How many cases noticed each damage when this was written. The others have constant weights, or saturate.
LEAST_SWAPPED = {"gru": 42, "lstm": 24}
LEAST_TRANSPOSED = 53

FOLDER, _ = _folder("BPTT_CONFORMANCE_DIR", "conformance")


def _index(folder: Path) -> list[tuple[str, str]]:
    """Return (library, case) of every case that the folder's index files list."""
    return [
        (index.parent.name, case["name"])
        for index in sorted(folder.glob("*/index.json"))
        for case in json.loads(index.read_text())["cases"]
    ]


CASES = _index(FOLDER) if FOLDER else []
# Without the folder one case stands for all of them, and is skipped with the reason.
PARAMETERS = [pytest.param(*case, id=case[1]) for case in CASES] or [pytest.param("", "", id="absent")]


def load(folder: Path, library: str, name: str) -> tuple[dict[str, Any], dict[str, Array]]:
    about = json.loads((folder / library / f"{name}.json").read_text())
    with np.load(folder / library / f"{name}.npz") as file:
        return about, {key: file[key] for key in file.files}


def expressible(about: dict[str, Any]) -> bool:
    return (about["cell"], about["reset_after"]) in CELLS and about["layout"] in ("TBI", "BTI", "TI")


def build(about: dict[str, Any], arrays: dict[str, Array], dtype: str) -> Recurrent:
    cell, options = CELLS[about["cell"], about["reset_after"]]
    one_way = "reverse" if about["reverse"] else "forward"
    direction = "bidirectional" if about["bidirectional"] else one_way
    stack = Recurrent(
        cell,
        arrays["weight_ih_l0"].shape[1],
        arrays["weight_hh_l0"].shape[1],
        num_layers=about["num_layers"],
        direction=direction,
        bias="bias_ih_l0" in arrays,
        dtype=dtype,
        **options,
    )
    stack.parameters.update(from_pytorch(stack, arrays))
    return stack


def run(stack: Recurrent, about: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Return y, hn and cn in the layout of the case."""
    x = arrays["x"]
    if about["layout"] == "TI":
        x = x[:, None]
    x = x if about["layout"] == "BTI" else x.transpose(1, 0, 2)
    given = {key: arrays[name] for key, name in (("h", "h0"), ("c", "c0")) if name in arrays}
    h, state, _ = stack.forward(x, given or None, arrays.get("lengths"))
    y = h if about["layout"] == "BTI" else h.transpose(1, 0, 2)
    found = {"y": y, "hn": state["h"], "cn": state.get("c")}
    if about["layout"] == "TI":
        found["y"] = y[:, 0]
    return {key: value for key, value in found.items() if value is not None}


def misses(found: dict[str, Array], about: dict[str, Any], arrays: dict[str, Array]) -> list[str]:
    """Return the names of the outputs that differ from the vectors by more than the case allows."""
    wanted = [key for key in ("y", "hn", "cn") if key in arrays]
    assert wanted, "the case states no output"
    return [
        key
        for key in wanted
        if not np.allclose(
            found[key].reshape(arrays[key].shape), arrays[key], rtol=about["rtol"], atol=about["atol"]
        )
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("library", "name"), PARAMETERS)
def test_vector(conformance_dir: Path, library: str, name: str, dtype: str) -> None:
    about, arrays = load(conformance_dir, library, name)
    if name in NOT_EXPRESSIBLE:
        pytest.skip(NOT_EXPRESSIBLE[name])
    stack = build(about, arrays, dtype)
    found = run(stack, about, arrays)
    assert all(value.dtype == dtype for value in found.values())
    for key in (key for key in ("y", "hn", "cn") if key in arrays):
        assert found[key].size == arrays[key].size
        np.testing.assert_allclose(
            found[key].reshape(arrays[key].shape),
            arrays[key],
            rtol=about["rtol"],
            atol=about["atol"],
            err_msg=key,
        )


def test_every_listed_case_is_run_or_named_as_not_expressible(conformance_dir: Path) -> None:
    index = [json.loads(file.read_text()) for file in sorted(conformance_dir.glob("*/index.json"))]
    files = sorted(path.stem for path in conformance_dir.glob("*/*.npz"))
    names = [name for _, name in CASES]
    assert sorted(names) == files, "the index lists every file"
    assert len(set(names)) == len(names)
    refused = {name for library, name in CASES if not expressible(load(conformance_dir, library, name)[0])}
    assert refused == set(NOT_EXPRESSIBLE)
    assert all(NOT_EXPRESSIBLE.values()), "each with its reason"
    assert len(names) - len(refused) == sum(part["count"] for part in index) - len(NOT_EXPRESSIBLE)
    assert len(names) >= 115, "the vectors that this test was written against"


def _swapped(arrays: dict[str, Array], gates: int, one: int, other: int) -> dict[str, Array]:
    """Return the weights with two gates' rows exchanged."""
    found = dict(arrays)
    order = list(range(gates))
    order[one], order[other] = other, one
    for name, value in arrays.items():
        if name.startswith(("weight_", "bias_")):
            H = len(value) // gates
            found[name] = value.reshape(gates, H, -1)[order].reshape(value.shape)
    return found


def test_vectors_notice_any_two_gates_swapped(conformance_dir: Path) -> None:
    # Most of Keras' cases have constant weights, where a swap changes nothing: without this count they would be
    # 115 green tests of very little.
    noticed = dict.fromkeys(LEAST_SWAPPED, 0)
    for library, name in CASES:
        about, arrays = load(conformance_dir, library, name)
        gates = {"gru": 3, "lstm": 4}.get(about["cell"])
        if gates is None or name in NOT_EXPRESSIBLE:
            continue
        damaged = [_swapped(arrays, gates, a, b) for a, b in combinations(range(gates), 2)]
        runs = [run(build(about, each, "float64"), about, each) for each in damaged]
        noticed[about["cell"]] += all(misses(found, about, arrays) for found in runs)
    for cell, least in LEAST_SWAPPED.items():
        assert noticed[cell] >= least, f"{cell}: {noticed[cell]} cases notice every swap, {least} did"


def test_vectors_notice_transposed_recurrent_weights(conformance_dir: Path) -> None:
    noticed = 0
    for library, name in CASES:
        about, arrays = load(conformance_dir, library, name)
        if name in NOT_EXPRESSIBLE:
            continue
        damaged = dict(arrays)
        for key, value in arrays.items():
            if key.startswith("weight_hh"):
                H = value.shape[1]
                damaged[key] = value.reshape(-1, H, H).transpose(0, 2, 1).reshape(value.shape)
        noticed += bool(misses(run(build(about, damaged, "float64"), about, damaged), about, arrays))
    assert noticed >= LEAST_TRANSPOSED
