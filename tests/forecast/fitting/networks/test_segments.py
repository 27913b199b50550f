"""What a network with a head by segments is taught: after each row what follows that row, at its time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast.features.calendar import Calendar
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.networks import segments
from bptt.forecast.fitting.networks.decoder import loss_and_gradients, places
from tests.forecast.panels import NETWORK, make_panel

K = 7


def test_every_state_that_is_gone_on_from_has_its_own_targets_time_and_weight(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = make_panel(rng, 141, 67)
    panel.lines[0].y[rng.choice(141, 25, replace=False)] = np.nan
    recipe = replace(NETWORK, length=60, warmup=9, clip=0.01)
    plan = LessonPlan(K, recipe, Calendar(("day", "week")), "last", head="segments")
    encoding = plan.encoding(panel)
    lesson = plan.lesson(encoding, panel)
    # Which row of which line a row of inputs is: those of the window's end are all different.
    known = {
        line.x[t].astype(np.float32).tobytes(): (k, t)
        for k, line in enumerate(lesson.lines)
        for t in range(len(line))
    }
    seen: list[tuple[int, int, int]] = []
    moved: list[float] = []

    def spy(reader, x, picked, q, y, weights, loss):  # type: ignore[no-untyped-def]
        for n, (b, t) in enumerate(zip(*picked, strict=True)):
            line, row = known[x[b, t].tobytes()]
            assert known[x[b, 0].tobytes()] == (line, row - t)
            np.testing.assert_array_equal(y[n], lesson.y[line][[row]][0].astype(np.float32))
            local = lesson.lines[line].local[[row]]
            np.testing.assert_array_equal(q[:, n], places(encoding, local)[:, 0].astype(np.float32))
            assert weights[n] == lesson.weights[line][row]
            seen.append((line, row, int(t)))
        found = loss_and_gradients(reader, x, picked, q, y, weights, loss)
        gradients.append(found[1])
        return found

    gradients: list[dict[str, np.ndarray]] = []
    monkeypatch.setattr(segments, "loss_and_gradients", spy)
    reader, learnt = segments.train_segments(
        encoding, lesson, recipe, seed=3, updates=12, tick=lambda made, _: moved.append(made)
    )
    assert moved == list(range(1, 13))
    assert (learnt.losses > 0).all()
    assert {line for line, _, _ in seen} == {0, 1}
    # After the warm-up, and not always at the same rows of a stretch.
    steps = {t for _, _, t in seen}
    assert min(steps) >= 9
    assert len(steps) > 20
    for each in gradients:  # clipped, in place
        norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in each.values()))
        assert norm == pytest.approx(0.01, rel=1e-4, abs=0)
    first, _ = segments.train_segments(encoding, lesson, recipe, seed=3, updates=1, tick=lambda *_: None)
    assert all((a != first.parameters[name]).any() for name, a in reader.parameters.items())
