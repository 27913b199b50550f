"""Groups of series: found, solved apart, chosen by validation; the same forecasts by every way to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.errors import FileFormatError
from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.measuring import fit_encoding, with_lines
from bptt.forecast.fitting.choices import grouping
from bptt.forecast.fitting.choices.grouping import choose_groups, find_groups, in_groups, join_groups
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.readouts.heads import Penalty, encode_panel, make_head, normal_equations
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.panel import Line, Panel
from bptt.forecast.pieces import cut
from bptt.forecast.saving import container
from bptt.forecast.saving.facts import describe_model
from tests.forecast.panels import HOUR, NETWORK, START

KINDS = 3
# The window that is needed for both kinds, networks that are hardly trained.
RECIPE = replace(NETWORK, window=13, anchor="last", transform="none")


def two_kinds(rng: np.random.Generator, lines: int, rows: int = 150) -> tuple[Panel, np.ndarray]:
    """Return lines in which values come back after 6 rows, or come back with the other sign; and which are which."""
    kind = rng.permutation(np.arange(lines) % KINDS == 0)
    made = []
    for k in range(lines):
        y = np.zeros(rows + 60)
        y[:6] = rng.standard_normal(6)
        for t in range(6, len(y)):
            y[t] = (-0.9 if kind[k] else 0.9) * y[t - 6] + 0.4 * rng.standard_normal()
        times, nothing = START + np.arange(rows) * HOUR, np.zeros((rows, 0))
        made.append(Line(f"s{k:02d}", times, times, y[60:] * 10 + 5, nothing, nothing, np.zeros(0)))
    return Panel(tuple(made), "y", (), (), (), HOUR), kind


def encoding_of(panel: Panel):  # type: ignore[no-untyped-def]  # an Encoding
    return fit_encoding(
        panel, horizon=5, calendar=Calendar(()), transform=None, anchor="last", period=6, window=13, past_window=1
    )  # fmt: skip


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_TRIED", (2, 3))


def test_unlike_series_are_told_apart(rng: np.random.Generator) -> None:
    panel, kind = two_kinds(rng, 37)
    groups = np.array(find_groups(encoding_of(panel), encode_panel(encoding_of(panel), panel), 2, 0))
    assert set(groups) == {1, 2}
    assert len(set(groups[kind])) == len(set(groups[~kind])) == 1


def test_small_groups_are_dissolved(rng: np.random.Generator) -> None:
    panel, kind = two_kinds(rng, 37)
    few = replace(panel, lines=tuple(line for k, line in enumerate(panel) if not kind[k] or k < 9))
    encoding = encoding_of(few)
    groups = find_groups(encoding, encode_panel(encoding, few), 3, 1)
    sizes = np.bincount(groups)[1:]
    assert sizes.sum() == len(few)
    assert len(sizes) < 3


def test_each_group_is_solved_as_if_it_were_alone(rng: np.random.Generator) -> None:
    panel, kind = two_kinds(rng, 23)
    encoding = encoding_of(panel)
    lesson = encode_panel(encoding, panel)
    groups = [1 if each else 2 for each in kind]
    parted, taught = in_groups(encoding, lesson, groups, 3)
    penalty = Penalty(np.inf, 0.03)
    found = make_head(parted, normal_equations(parted, taught, None, 10**6), None, penalty).linear
    assert found.weights.shape == (13 + encoding.inputs - 1, 15)
    for number, members in enumerate((np.ones(23, bool), kind, ~kind)):
        own = replace(panel, lines=tuple(line for k, line in enumerate(panel) if members[k]))
        # Scales and units of all lines, those of others left out.
        alone = make_head(
            encoding, normal_equations(encoding, encode_panel(encoding, own), None, 10**6), None, penalty
        )
        part = found.part(number, 3)
        np.testing.assert_allclose(part.weights, alone.linear.weights, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(part.intercept, alone.linear.intercept, rtol=1e-7, atol=1e-9)


def test_validation_decides_whether_there_are_groups(rng: np.random.Generator, few_are_enough: None) -> None:
    panel, _ = two_kinds(rng, 37)
    encoding = encoding_of(panel)
    lesson = encode_panel(encoding, panel)

    def judged(by_parts: dict[int, float]) -> list[int]:
        def judge(groups: Sequence[int], parts: int) -> float:
            assert parts == 1 + max(groups, default=0)
            return by_parts.get(parts, 9.0)

        return choose_groups(encoding, lesson, judge, 0)

    assert judged({1: 1.0, 3: 0.985}) == []  # a gain of less than 2 % may be luck
    assert set(judged({1: 1.0, 3: 0.97})) == {1, 2}
    assert judged({1: np.nan, 3: 0.5}) == []
    few = replace(panel, lines=panel.lines[:19])
    assert choose_groups(encoding_of(few), encode_panel(encoding_of(few), few), lambda *_: 1 / 0, 0) == []


def test_from_fit_to_every_forecast(rng: np.random.Generator, few_are_enough: None, tmp_path: Path) -> None:
    panel, kind = two_kinds(rng, 37)
    early = replace(panel, lines=tuple(cut(line, 0, 130) for line in panel))
    model = Forecaster(horizon=5, recipe=RECIPE, calendar=None).fit(early, progress=False)
    trained = model.fitted.trained
    assert trained.kind == "network"
    groups = np.array(trained.encoding.groups)
    assert len(set(groups[kind])) == len(set(groups[~kind])) == 1
    assert trained.encoding.parts == 3

    # A value comes back after 6 rows with its own sign: what one closed form for all cannot say.
    rows = np.arange(135, 144)
    truth = np.stack([line.y[rows[:, None] + np.arange(1, 6)] for line in panel])
    own = np.stack([forecast_line(trained, line, rows) for line in panel])
    new = np.stack([forecast_line(trained, replace(line, id=f"new {line.id}"), rows) for line in panel])
    assert np.mean((own - truth) ** 2) < 0.75 * np.mean((new - truth) ** 2)

    # One row at a time, all at once, and read from a file.
    whole = np.asarray(model.predict(panel)["y_hat"]).reshape(37, 5)
    np.testing.assert_allclose(whole, np.stack([forecast_line(trained, line, np.array([149]))[0] for line in panel]),
                               rtol=1e-6, atol=1e-6)  # fmt: skip
    saved = bptt.load(model.save(tmp_path / "m.safetensors"))
    for each in (model, saved):
        for row in range(130, 150):
            each.update(replace(panel, lines=tuple(cut(line, row, row + 1) for line in panel)))
        np.testing.assert_allclose(
            np.asarray(each.predict()["y_hat"]).reshape(37, 5), whole, rtol=1e-6, atol=1e-6
        )
    assert saved.fitted.trained.encoding.groups == trained.encoding.groups
    sizes = sorted((int(kind.sum()), int((~kind).sum())), reverse=True)
    assert dict(describe_model(saved.fitted))["groups"].startswith(
        f"{sizes[0]}, {sizes[1]} series, each group"
    )
    assert model.check_alignment(panel).sound
    for groups in ((0,) * 36 + (3,), (1,) * 36, ()):
        broken = replace(trained, encoding=replace(trained.encoding, groups=groups))
        contents = container.Contents(model.asked, replace(model.fitted, trained=broken), model._source, {})
        with pytest.raises(FileFormatError, match="groups must be"):
            bptt.load(container.write(tmp_path / "broken.safetensors", contents))


def test_lines_that_were_not_drawn_join_the_group_that_suits_them(
    rng: np.random.Generator, few_are_enough: None
) -> None:
    panel, kind = two_kinds(rng, 45)
    some = replace(panel, lines=panel.lines[:37])
    found = fit_panel(some, horizon=5, recipe=RECIPE, calendar=None).trained
    later = replace(found, encoding=with_lines(found.encoding, panel))
    assert later.encoding.groups == (*found.encoding.groups, *[0] * 8)
    groups = np.array(join_groups(later, panel).groups)
    assert (groups[:37] == found.encoding.groups).all()
    assert len(set(groups[kind])) == len(set(groups[~kind])) == 1
