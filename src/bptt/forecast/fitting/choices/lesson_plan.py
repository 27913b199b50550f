"""How rows become a lesson: what the recipe, and what was settled since, make of a panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bptt.forecast.features.calendar import Calendar, season
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.features.measuring import fit_encoding
from bptt.forecast.fitting.choices.settling import longest_window, read_level, weigh_lines, window_options
from bptt.forecast.fitting.networks.members import Lesson
from bptt.forecast.fitting.readouts.heads import encode_panel
from bptt.forecast.panel import Panel
from bptt.forecast.recipe import Recipe


@dataclass(frozen=True, eq=False)
class LessonPlan:
    """What is decided before networks are trained; it travels with a job.

    Attributes
    ----------
    horizon : int
        K, rows ahead.
    recipe : Recipe
    calendar : Calendar
    anchor : {"last", "season"}
    trust : mapping of series to float
        How much each one counts; all alike where it is empty.
    head : {"direct", "recursive", "segments"}
    groups : mapping of series to int
        Which group each one belongs to, from 1; none where it is empty.
    """

    horizon: int
    recipe: Recipe
    calendar: Calendar
    anchor: str
    trust: Mapping[str, float] = field(default_factory=dict)
    head: str = "direct"
    groups: Mapping[str, int] = field(default_factory=dict)

    def period(self, panel: Panel) -> int:
        """Return the rows of a season; 1 where no line has two of them."""
        period = season(panel.step) if self.recipe.period is None else self.recipe.period
        return 1 if 2 * period > max(map(len, panel)) else period

    def encoding(self, panel: Panel) -> Encoding:
        """Return the encoding of these training rows."""
        recipe = self.recipe
        period = self.period(panel)
        window = recipe.window
        if window is None:
            window = window_options(period, self.horizon)[0]
        window = max(1, min(window, longest_window(panel)))
        past_window = max(1, min(recipe.past_window, window, 1 + 240 // max(1, len(panel.past))))
        found = fit_encoding(
            panel,
            horizon=self.horizon,
            calendar=self.calendar,
            transform=None if recipe.transform == "none" else recipe.transform,
            anchor=self.anchor if period > 1 else "last",
            period=period,
            window=window,
            past_window=past_window,
            level=read_level(recipe, period, self.horizon),
            head=self.head,
        )
        if not self.groups:
            return found
        groups = tuple(self.groups.get(line.id, 0) for line in panel)
        return replace(found, groups=groups, parts=1 + max(self.groups.values()))

    def lesson(self, encoding: Encoding, panel: Panel) -> Lesson:
        """Return all lines encoded, each counted by how far it is trusted."""
        lesson = encode_panel(encoding, panel)
        if not self.trust:
            return lesson
        trust = [self.trust.get(line.id, 1.0) for line in panel]
        return replace(lesson, weights=[w * a for w, a in zip(lesson.weights, trust, strict=True)])

    def weigh(self, panel: Panel) -> dict[str, float]:
        """Return how far each line is to be trusted; nothing for one line."""
        encoding = self.encoding(panel)
        return weigh_lines(encoding, encode_panel(encoding, panel), panel)
