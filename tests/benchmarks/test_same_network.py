"""The library beside a script in PyTorch: the same weights, the same rows, and hence the same errors."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.forecasting import same_network
from bptt.training.steps.batches import index_blocks

N, FIRST = 431, 350


@pytest.fixture
def needs_pytorch() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    y = np.cumsum(rng.normal(size=N + 1)) / 4
    return np.column_stack([y[1:], rng.normal(size=(N, 2)), np.diff(y)])


@pytest.mark.usefixtures("needs_pytorch")
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_few_updates_leave_the_same_error(
    cell: str, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {}
    for updates in (1, 7):
        monkeypatch.setattr(same_network, "UPDATES", updates)
        ours, _ = same_network._ours(cell, values, FIRST, 3)
        script, _ = same_network._theirs(cell, values, FIRST, 3)
        assert ours == pytest.approx(script, rel=2e-5)
        errors[updates] = ours
    assert abs(errors[1] - errors[7]) > 2e-2 * errors[1]  # or nothing was trained


def test_the_script_reads_the_batches_that_train_draws(
    values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(same_network, "UPDATES", 5)
    _, source = same_network._make("gru", values, FIRST, 2)
    drawn = [source.starts[block] for block in index_blocks(len(source), same_network.BATCH, 5, "random", 2)]
    read = list(same_network._starts(source, 2))
    np.testing.assert_array_equal(np.concatenate(drawn), read)
    assert len(read) == 5
    assert max(map(max, read)) + same_network.LENGTH < FIRST  # the last target is a training row


def test_a_forecast_is_held_against_the_row_that_comes_next(values: np.ndarray) -> None:
    perfect = values[1:, -1].copy()  # after row t, the change to row t + 1
    assert same_network._error(perfect, values, FIRST) == 0
    perfect[FIRST - 1] += 3.0  # the last row that is trained on forecasts the first of the test
    assert same_network._error(perfect, values, FIRST) == pytest.approx(3.0 / np.sqrt(N - FIRST), rel=1e-12)
    perfect[: FIRST - 1] = 9.0
    assert same_network._error(perfect, values, FIRST) == pytest.approx(3.0 / np.sqrt(N - FIRST), rel=1e-12)
