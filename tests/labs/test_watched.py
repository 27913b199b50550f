"""A lab's run that can be moved through: the same bits as without, and the profiles of its own weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.diagnostics import gradient_by_path_length
from bptt.labs.gradients.data import get_task
from bptt.labs.gradients.remedies import REMEDIES, train_and_keep, train_one
from bptt.labs.noisy_sine.data import make_series
from bptt.labs.noisy_sine.lab import LONGEST, SANE, run_rnn
from bptt.labs.sine.data import make_sine
from bptt.labs.sine.lab import Setting, make_network
from bptt.labs.sine.lab import train_one as train_sine
from bptt.labs.watched import LOOKS, RECORDED, look_every, watch, watched_section
from bptt.report import Chart


def test_looking_changes_no_bit_of_the_sine() -> None:
    data, setting = make_sine(), Setting("large", "per sample", "momentum", "identity", "norm")
    plain, history, _ = train_sine(setting, data, 3, 2)
    seen, recorded, _ = train_sine(setting, data, 3, 2, record=True)
    np.testing.assert_array_equal(history.losses, recorded.losses)
    for name, p in plain.parameters.items():
        np.testing.assert_array_equal(p, seen.parameters[name])
    assert history.recorded is None
    assert recorded.recorded.steps.tolist() == [*range(0, 350, 17), 350]
    found = watch("a run", seen, recorded, data.x[:9], data.y[:9], "9 windows")
    then = make_network("large", "identity", 3)
    for k in (0, -1):
        for name, p in recorded.recorded.snapshots[k].items():
            then.parameters[name][...] = p
        wanted = gradient_by_path_length(then, data.x[:9], data.y[:9]).mean_abs("layers.0.W_hh")
        np.testing.assert_array_equal(found.profiles[k], wanted)


def test_looking_changes_no_bit_of_the_echo() -> None:
    task = get_task("echo")
    plain, run = train_one(REMEDIES["none"], task, 3, 2, steps=110)
    seen, again, history = train_and_keep(
        REMEDIES["none"], task, 3, 2, steps=110, settings={"record": RECORDED, "every": 30}
    )
    assert run.steps == again.steps == 110
    assert history.recorded.steps.tolist() == [0, 30, 60, 90, 110]
    for name, p in plain.parameters.items():
        np.testing.assert_array_equal(p, seen.parameters[name])


def test_the_noisy_sine_is_recorded_where_it_is_asked_for() -> None:
    data, recipe = make_series(5), replace(SANE, neurons=7, epochs=11)
    plain = run_rnn(data.x, data.y, recipe, seed=5)
    found = run_rnn(data.x, data.y, recipe, seed=5, record="the sane recipe")
    assert plain.watched is None
    np.testing.assert_array_equal(plain.losses, found.losses)
    assert found.watched.profiles.shape == (7, LONGEST + 1)  # before, after 2, 4, ... 10, and the end
    section = watched_section(found.watched)
    assert section.blocks[0].text.startswith("The sane recipe: 11 updates, looked at 7 times.")
    assert [type(block) for block in section.blocks[1:]] == [Chart] * 5


def test_how_often_is_looked() -> None:
    assert look_every(3) == 1
    assert [100 * LOOKS // look_every(n) for n in (100 * LOOKS, 2000 * LOOKS)] == [LOOKS, 1]
