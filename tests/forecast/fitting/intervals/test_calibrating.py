"""From what was missed on held-out rows to the intervals of the forecaster that is trained on all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.forecast.features.calendar import Calendar
from bptt.forecast.fitting.choices.held_out import HeldOut, repeated
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.intervals.calibrating import calibrate
from bptt.forecast.fitting.trained import Trained
from tests.forecast.panels import TINY, make_panel

K = 3


def test_a_part_that_was_scaled_by_other_rows_counts_in_the_forecasters_units(
    rng: np.random.Generator,
) -> None:
    """The rows before a level moved have a small deviation: errors in its units are large, and mean the same."""
    panel = make_panel(rng, 260, 331, past=0)
    plan = LessonPlan(K, TINY, Calendar(()), "last")
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    trained = Trained("last", encoding, (), None)
    told = repeated(encoding, lesson)
    assert told is not None
    sizes = (0.23, 1.7)
    other = HeldOut(
        [
            replace(line, z=line.z / size, scale=line.scale * size)
            for line, size in zip(told.lines, sizes, strict=True)
        ],
        told.rows,
        [errors / size for errors, size in zip(told.errors, sizes, strict=True)],
    )
    for kind in ("conformal", "gaussian"):
        found, wanted = (calibrate(trained, panel, [each], kind) for each in (other, told))
        np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.quantiles, wanted.quantiles, rtol=1e-9, atol=1e-9)


def test_what_repeats_a_value_is_judged_after_every_row(rng: np.random.Generator) -> None:
    """Nothing was learnt from them; a season can be repeated once there is one."""
    panel = make_panel(rng, 200, past=0)
    y = panel.lines[0].y
    plan = LessonPlan(K, TINY, Calendar(()), "last")
    encoding = replace(plan.encoding(panel), period=7)
    for anchor, first in (("last", 0), ("season", 6)):
        told = repeated(replace(encoding, anchor=anchor), plan.lesson(encoding, panel))
        assert told is not None
        rows = np.arange(first, 200 - K)
        np.testing.assert_array_equal(told.rows[0], rows)
        back = np.zeros(K, int) if anchor == "last" else 7 - np.arange(1, K + 1)
        missed = y[rows[:, None] + np.arange(1, K + 1)] - y[rows[:, None] - back]
        np.testing.assert_allclose(told.errors[0] * encoding.scales[0], missed, rtol=0, atol=1e-9)


def test_intervals_of_a_walk_are_those_of_all_its_changes(rng: np.random.Generator) -> None:
    """One whose newest fifth moves four times less than the rest: its validation rows alone would say little."""
    steps = rng.standard_normal(900)
    steps[700:] /= 4
    panel = make_panel(rng, 900, past=0)
    panel = replace(panel, lines=(replace(panel.lines[0], y=np.cumsum(steps)),))
    fitted = fit_panel(panel, horizon=K, recipe=TINY, seed=1, threads=1)
    assert fitted.trained.kind == "last"
    assert fitted.intervals.rows == 900 - K
