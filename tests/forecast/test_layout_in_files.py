"""A forecaster's file whose layout is of other columns than its arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.errors import FileFormatError
from bptt.files.model import read_arrays, read_header, write_model
from bptt.forecast import Forecaster


def test_a_layout_beside_arrays_of_other_columns_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    table = {
        "v": rng.normal(size=90),
        "sky": ["sun", "rain", "fog"] * 30,
        "y": rng.normal(size=90),
        "plan": [1, 0.5] * 45,
    }
    model = Forecaster("y", 2, future="plan", updates=2, ensemble=1, hidden=3, validation=0, intervals="none")
    path = model.fit(table).save(tmp_path / "m")
    header = read_header(path)
    arrays, config = read_arrays(path, header), header.description["config"]
    source = config["source"]
    for change, told in (
        ({"target": "other"}, "target 'y' beside 'other'"),
        ({"layout": {**source["layout"], "past": ["other", "sky"]}}, "past columns other, sky=fog"),
        ({"layout": {**source["layout"], "levels": {"sky": ["sun", "rain"]}}}, "past columns v, sky=sun, sky=rain b"),
        ({"layout": {**source["layout"], "missing": {"v": "mask"}}}, "past columns v, v missing"),
        ({"layout": {**source["layout"], "future": []}}, "future columns  beside"),
        ({"layout": {**source["layout"], "static": ["other"]}}, "static columns other"),
        ({"layout": {**source["layout"], "step": "7s"}}, "step 7s"),
    ):  # fmt: skip
        description = {**header.description, "config": {**config, "source": {**source, **change}}}
        with pytest.raises(FileFormatError, match=f"must hold a whole forecaster. Got: a layout of {told}"):
            bptt.load(write_model(tmp_path / "broken", arrays, description))
