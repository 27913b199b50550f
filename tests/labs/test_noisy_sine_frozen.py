"""Keeping states that have stopped: the numbers of the whole run, and no shortcut where nothing has stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.labs.noisy_sine import frozen as noisy_sine_frozen
from bptt.labs.noisy_sine.data import make_series
from bptt.labs.noisy_sine.frozen import run_until_frozen
from bptt.labs.noisy_sine.lab import LECTURE, Recipe, run_rnn

SINGLE = 1e-4  # float32: sums of 200 products in another order, through tens of updates


@pytest.mark.parametrize(("neurons", "seed"), [(500, 3), (800, 3), (800, 4), (800, 5)])
def test_a_frozen_run_is_the_whole_run(neurons: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data, recipe = make_series(seed), replace(LECTURE, neurons=neurons, epochs=40, decay=0.01)
    whole = run_rnn(data.x, data.y, recipe, seed=seed, keep=(0, 1, 25, 40))
    passes = []
    one_pass = noisy_sine_frozen._pass
    monkeypatch.setattr(noisy_sine_frozen, "_pass", lambda *a: passes.append(0) or one_pass(*a))
    told: list[tuple[int, int]] = []
    short = run_until_frozen(
        data.x, data.y, recipe, seed=seed, keep=(0, 1, 25, 40), tell=lambda *n: told.append(n)
    )
    # Before and after the first update, and where momentum takes a state from its -1 or +1 for an update or two.
    assert 2 <= len(passes) <= 20
    np.testing.assert_allclose(short.losses, whole.losses, rtol=SINGLE, atol=0)
    np.testing.assert_allclose(short.gradient_norms, whole.gradient_norms, rtol=SINGLE, atol=0)
    for name, p in whole.net.parameters.items():
        np.testing.assert_allclose(
            short.net.parameters[name], p, rtol=0, atol=SINGLE * np.abs(p).max(), err_msg=name
        )
    assert list(short.snapshots) == list(whole.snapshots)
    for n, snapshot in whole.snapshots.items():
        np.testing.assert_array_equal(short.snapshots[n].states, snapshot.states)
        assert short.snapshots[n].norms == pytest.approx(snapshot.norms, rel=SINGLE)
    assert told[-1] == (40, 40)
    assert short.diverged is None


def test_a_run_that_goes_on_learning_is_the_same() -> None:
    data, recipe = make_series(2), Recipe(epochs=9, neurons=23, learning_rate=1e-4, radius=0.8)
    whole, same = (run(data.x, data.y, recipe, seed=5, keep=(9,)) for run in (run_rnn, run_until_frozen))
    np.testing.assert_allclose(same.losses, whole.losses, rtol=SINGLE, atol=0)
    assert same.snapshots[9].hidden_norm == pytest.approx(whole.snapshots[9].hidden_norm, rel=SINGLE)
    assert same.snapshots[9].hidden_norm > 0


def test_a_run_that_diverges_is_left_to_the_plain_one() -> None:
    data = make_series(2)
    recipe = Recipe(epochs=30, neurons=23, learning_rate=1e6, radius=0.8, activation="relu")
    whole, same = (run(data.x, data.y, recipe, seed=5) for run in (run_rnn, run_until_frozen))
    assert same.diverged == whole.diverged
    assert same.diverged is not None


def test_states_that_momentum_moves_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data, recipe = make_series(3), replace(LECTURE, neurons=500, epochs=6)
    passes, looks = [], []
    one_pass, states = noisy_sine_frozen._pass, noisy_sine_frozen._states

    def moved(*arguments: object) -> object:
        looks.append(0)
        h = states(*arguments)
        return h if len(looks) != 4 else -h

    monkeypatch.setattr(noisy_sine_frozen, "_pass", lambda *a: passes.append(0) or one_pass(*a))
    monkeypatch.setattr(noisy_sine_frozen, "_states", moved)
    run_until_frozen(data.x, data.y, recipe, seed=3)
    assert len(passes) == 3  # before and after the first update, and after the look that saw other states
