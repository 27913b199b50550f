from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from bptt.errors import FileMissing, InvalidInput
from bptt.training import CSVLog, Event, train
from tests.training.setups import make_data, make_net


def test_every_step_is_a_line_that_reads_back_to_the_same_bits(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "run.csv"
    seen: list[int] = []

    def look(event: Event) -> None:
        seen.append(len(path.read_text().splitlines()))

    data = make_data(rng)
    log = CSVLog(path)
    history = train(
        make_net(), data, steps=7, validation=data, evaluate_every=3, callbacks=[log, look], progress=False
    )
    # Each line is in the file before the next step begins.
    assert seen == [2, 3, 4, 5, 6, 7, 8]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "loss", "gradient_norm", "learning_rate", "validation_loss"]
    assert [int(row["step"]) for row in rows] == list(range(7))
    for column, numbers in (
        ("loss", history.losses),
        ("gradient_norm", history.gradient_norms),
        ("learning_rate", history.learning_rates),
    ):
        assert [float(row[column]) for row in rows] == list(numbers)
    found = {int(row["step"]) + 1: float(row["validation_loss"]) for row in rows if row["validation_loss"]}
    assert found == dict(history.validation)


def test_a_new_run_starts_the_file_anew(rng: np.random.Generator, tmp_path: Path) -> None:
    log = CSVLog(str(tmp_path / "run.csv"))
    data = make_data(rng)
    for steps in (5, 2):
        train(make_net(), data, steps=steps, callbacks=[log], progress=False)
        assert len((tmp_path / "run.csv").read_text().splitlines()) == 1 + steps


def test_an_interrupted_run_leaves_its_lines(rng: np.random.Generator, tmp_path: Path) -> None:
    def interrupt(event: Event) -> None:
        if event.step == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run.csv"
    train(make_net(), make_data(rng), steps=9, callbacks=[CSVLog(path), interrupt], progress=False)
    assert len(path.read_text().splitlines()) == 1 + 3


def test_where_it_cannot_be_written(rng: np.random.Generator, tmp_path: Path) -> None:
    with pytest.raises(FileMissing) as caught:
        CSVLog(tmp_path / "none" / "run.csv")
    assert str(caught.value) == (
        f"path must lie in a folder that exists. Got '{tmp_path}/none/run.csv': make the folder '{tmp_path}/none' first"
    )
    with pytest.raises(InvalidInput) as refused:
        train(make_net(), make_data(rng), steps=2, callbacks=[CSVLog(tmp_path)], progress=False)
    assert str(refused.value) == f"path must be writable. Got '{tmp_path}': Is a directory"
