from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.training.watching.history import make_history

ROWS = [(0.1 * k, 1.0 + k, 0.5 / (1 + k)) for k in range(30)]


def test_a_history_is_frozen() -> None:
    history = make_history(ROWS, [(10, 0.5), (20, 0.3), (30, 0.3)], "finished", 1.5)
    assert history.steps == 30
    assert history.best_step == 20  # the first of equals
    assert history.losses.dtype == np.float64
    np.testing.assert_array_equal(
        np.stack([history.losses, history.gradient_norms, history.learning_rates], axis=1), ROWS
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        history.seconds = 2.0  # type: ignore[misc]  # what is tested
    with pytest.raises(ValueError, match="read-only"):
        history.losses[0] = 2.0


def test_mean_of_the_last_losses() -> None:
    history = make_history(ROWS, [], "finished", 1.5)
    np.testing.assert_allclose(history.last_losses_mean(), 0.1 * np.arange(5, 30).mean(), rtol=1e-14, atol=0)
    np.testing.assert_allclose(history.last_losses_mean(3), 2.8, rtol=1e-14, atol=0)
    np.testing.assert_allclose(history.last_losses_mean(100), 1.45, rtol=1e-14, atol=0)
    with pytest.raises(InvalidInput, match=r"^count must be at least 1. Got 0$"):
        history.last_losses_mean(0)
    with pytest.raises(InvalidType, match=r"^count must be a whole number. Got 2.5$"):
        history.last_losses_mean(2.5)  # type: ignore[arg-type]  # what is tested


def test_a_run_without_a_step() -> None:
    history = make_history([], [], "interrupted", 0.1)
    assert (history.steps, history.losses.shape, history.best_step) == (0, (0,), None)
    assert repr(history) == "History(0 steps, interrupted, 0.1 s)"
    with pytest.raises(
        InvalidInput, match=r"^history must hold at least one step for a mean of losses. Got none$"
    ):
        history.last_losses_mean()


def test_to_dict_is_plain_json() -> None:
    history = make_history(ROWS[:2], [(2, 0.25)], "early stopping", 1.5)
    assert json.loads(json.dumps(history.to_dict())) == {
        "losses": [0.0, 0.1],
        "gradient_norms": [1.0, 2.0],
        "learning_rates": [0.5, 0.25],
        "validation": [[2, 0.25]],
        "best_step": 2,
        "stopped_because": "early stopping",
        "seconds": 1.5,
        "steps": 2,
    }
    assert repr(history) == "History(2 steps, last loss 0.1, early stopping, 1.5 s)"
