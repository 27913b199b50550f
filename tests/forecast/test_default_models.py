"""The default models' training: what is chosen, what is refused, what the seed decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.data import Windows
from bptt.errors import DataError
from bptt.forecast import default_models
from bptt.forecast.default_models import (
    CARRIED,
    RIDGES,
    WINDOW,
    WINDOW_ROWS,
    choose_ridge,
    fit,
    updates_of_both,
)
from bptt.forecast.fitting.readouts.closed_form import predict_windows

ROWS = 24 * 20


def weather_like(rng: np.random.Generator) -> np.ndarray:
    hours = np.arange(ROWS)
    level = np.sin(2 * np.pi * hours / 24) + 0.3 * np.cumsum(rng.standard_normal(ROWS)) / np.sqrt(24)
    return np.stack([level, np.roll(level, 3) + 0.1 * rng.standard_normal(ROWS)], axis=1)


@pytest.mark.parametrize("recipe", [WINDOW, CARRIED], ids=["window", "carried"])
def test_same_seed_same_bits(recipe, rng: np.random.Generator) -> None:  # type: ignore[no-untyped-def]
    values = weather_like(rng)
    small = replace(recipe, hidden_size=5, length=min(recipe.length, 60))
    first, second, other = (fit(values, 0, small, seed=s, ridge_state=100.0).net for s in (1, 1, 2))
    for name, p in first.parameters.items():
        assert p.dtype == np.float32
        np.testing.assert_array_equal(p, second.parameters[name])
    assert not np.array_equal(first.parameters["layers.0.W_hh"], other.parameters["layers.0.W_hh"])


def test_the_ridge_with_the_smallest_held_out_error_is_chosen(rng: np.random.Generator) -> None:
    chosen, errors = choose_ridge(weather_like(rng), 0, replace(WINDOW, hidden_size=5), seed=0)
    assert tuple(errors) == RIDGES
    assert errors[chosen] == min(errors.values())


def test_held_out_rows_do_not_reach_the_training(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise in place of the last fifth leaves every solved network bit for bit as it was."""
    solved: list[dict[str, np.ndarray]] = []
    solve = default_models.solve_readout

    def spy(net, windows, **ridges):  # type: ignore[no-untyped-def]
        solve(net, windows, **ridges)
        solved.append({name: p.copy() for name, p in net.parameters.items()})

    monkeypatch.setattr(default_models, "solve_readout", spy)
    values = weather_like(rng)
    cut = int(0.8 * ROWS) // WINDOW_ROWS * WINDOW_ROWS
    spoiled = values.copy()
    spoiled[cut:] = 5.0 * rng.standard_normal((ROWS - cut, 2))
    recipe = replace(WINDOW, hidden_size=5)
    _, clean_errors = choose_ridge(values, 0, recipe, seed=0)
    _, spoiled_errors = choose_ridge(spoiled, 0, recipe, seed=0)
    assert len(solved) == 2 * len(RIDGES)
    for clean, other in zip(solved[: len(RIDGES)], solved[len(RIDGES) :], strict=True):
        for name, p in clean.items():
            np.testing.assert_array_equal(p, other[name])
    assert clean_errors != spoiled_errors


def test_it_beats_persistence_on_what_it_was_made_for(rng: np.random.Generator) -> None:
    values = weather_like(rng)
    cut = 24 * 16
    test = Windows(values, targets=[0], length=WINDOW_ROWS, starts=np.arange(cut, ROWS - WINDOW_ROWS))
    net = fit(values[:cut], 0, replace(WINDOW, hidden_size=8), seed=0, ridge_state=100.0).net
    ours = np.mean((predict_windows(net, test) - test.y) ** 2)
    assert ours < np.mean((test.before_target(1) - test.y) ** 2)


def test_updates_follow_the_rows() -> None:
    assert WINDOW.updates(6912) == 1080
    assert CARRIED.updates(6968) == 249
    assert updates_of_both(100 * 24, WINDOW) == (WINDOW.updates(80 * 24), WINDOW.updates(100 * 24))


def test_too_few_rows_are_named(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match=r"needs more than 216 training rows .* Got 200"):
        fit(weather_like(rng)[:200], 0, CARRIED, seed=0, ridge_state=1.0)
