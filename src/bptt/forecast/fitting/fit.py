"""From a panel to a trained forecaster: trials on validation rows, held-out blocks for the intervals, the ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.engine.blas import one_blas_thread
from bptt.errors import DataError
from bptt.forecast.features.calendar import Calendar, choose_calendar, season
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.features.measuring import with_lines
from bptt.forecast.fitting.checkup import Checkup
from bptt.forecast.fitting.choices.choosing import Candidate, Choice, Trial, choose
from bptt.forecast.fitting.choices.few_rows import are_few, choose_by_cuts
from bptt.forecast.fitting.choices.grouping import choose_groups, in_groups, join_groups, with_groups
from bptt.forecast.fitting.choices.held_out import (
    HeldOut,
    changes,
    choose_origins,
    held_out_blocks,
    missed,
    repeated,
    validation_start,
)
from bptt.forecast.fitting.choices.in_turn import Turns, newest_error, turns_of
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.choices.settling import (
    Settled,
    first_head,
    longer_windows,
    square_error,
    stopped_at_zero,
    transform_options,
)
from bptt.forecast.fitting.choices.unvalidated import taken_unvalidated
from bptt.forecast.fitting.ensemble import Member, assemble
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.fitting.intervals.calibrating import calibrate
from bptt.forecast.fitting.jobs import Taught, block_job, hold_out, learnt_of, member_job, share_sums, trial
from bptt.forecast.fitting.networks.kept import Run
from bptt.forecast.fitting.networks.members import SHORTEST, Lesson, planned_updates, sequence_length
from bptt.forecast.fitting.readouts.heads import make_head, normal_equations
from bptt.forecast.fitting.running.executors import Threads, Workers
from bptt.forecast.fitting.running.side_by_side import Meter, Notify
from bptt.forecast.fitting.running.travelling import Job
from bptt.forecast.fitting.shelf import Shelf
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut, draw_lines
from bptt.forecast.recipe import Recipe


def fit_panel(
    panel: Panel,
    *,
    horizon: int,
    recipe: Recipe,
    calendar: str | Sequence[str] | None = "auto",
    seed: int = 0,
    search: Sequence[Recipe] = (),
    threads: int | None = None,
    workers: Workers | None = None,
    notify: Notify = lambda *_: None,
    doctor: bool = False,
    shelf: Shelf | None = None,
) -> Fitted:
    """Train, choose and calibrate.

    Parameters
    ----------
    panel : Panel
    horizon : int
        K, rows ahead.
    recipe : Recipe
    calendar : "auto", None or names of cycles
    seed : int
    search : sequence of Recipe
        Tried besides `recipe` on the same validation rows.
    threads : int, optional
        Networks that are trained at the same time.
    workers : Workers, optional
        Who trains them; so many threads of this process by default.
    notify : callable
        Called with updates made and updates to make; the total may shrink once validation has decided.
    doctor : bool
        Whether what the doctor looks at is kept.
    shelf : Shelf, optional
        Networks that need not be trained again, and where those that are trained are put.

    Raises
    ------
    DataError
        No row with a target.
    """
    if not any(np.isfinite(line.y).any() for line in panel):
        raise DataError(
            f"target {panel.target} must have at least one value. Got none in {len(panel)} series"
        )
    # Of very many rows a share is enough for every decision; each network sees only `most_rows` anyway.
    some = draw_lines(panel, 2 * recipe.most_rows, seed)
    with one_blas_thread():
        cycles = choose_calendar(calendar, some)
        run = _Run(
            some,
            horizon,
            recipe,
            cycles,
            seed,
            tuple(search),
            workers or Threads(threads),
            notify,
            doctor,
            shelf,
        )
        found = run.fit()
    if some is panel:
        return found
    trained = replace(found.trained, encoding=with_lines(found.trained.encoding, panel))
    trained = replace(trained, encoding=join_groups(trained, panel))
    return replace(found, trained=trained, rows=sum(map(len, panel)))


@dataclass
class _Run:
    panel: Panel
    horizon: int
    recipe: Recipe
    calendar: Calendar
    seed: int
    search: tuple[Recipe, ...]
    workers: Workers
    notify: Notify
    doctor: bool
    shelf: Shelf | None
    # The run that the doctor looks at: of the first trial, then of the ensemble's first network.
    run: Run | None = field(init=False, default=None)
    anchor: str = field(init=False)
    head: str = field(init=False, default="direct")
    trust: dict[str, float] = field(init=False, default_factory=dict)
    groups: dict[str, int] = field(init=False, default_factory=dict)
    turns: dict[object, Turns] = field(init=False, default_factory=dict)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(1, self.notify)
        self.anchor = "last" if self.recipe.anchor == "auto" else self.recipe.anchor

    def fit(self) -> Fitted:
        panel, recipe = self.panel, self.recipe
        if not any(np.ptp(line.y[np.isfinite(line.y)]) for line in panel if np.isfinite(line.y).any()):
            return self._step_back("the target never changes")
        if not recipe.validation:
            return self._unvalidated()
        cuts = [validation_start(len(line), recipe.validation, self.horizon) for line in panel]
        before = replace(
            panel, lines=tuple(cut(line, 0, c) for line, c in zip(panel, cuts, strict=True) if c)
        )
        lesson_rows = sum(max(0, c - self.horizon) for c in cuts)
        if not before.lines or lesson_rows < SHORTEST:
            return self._step_back("there are too few rows to learn from")
        self._settle(before, cuts)
        self.head = first_head(recipe, self.horizon)
        stage = self._choose(before, cuts, None)
        if stage is None:
            return self._step_back("there are too few rows to learn from")
        if recipe.anchor == "auto" and stage.choice.errors.get("season", np.inf) < 1.0:
            self.anchor = "season"
            other = self._choose(before, cuts, stage.encoding.target)
            if other is not None and _error(other.choice) < _error(stage.choice):
                stage = other
            else:
                self.anchor = "last"
        return self._ended(self._few_rows(stage.choice) or self._finish(stage.choice, [stage.held_out]))

    def _unvalidated(self) -> Fitted:
        """Return the forecaster that is trained on all rows at once; nothing is tried, nothing chosen."""
        self._settle(self.panel, [len(line) for line in self.panel])
        self.head = first_head(self.recipe, self.horizon)
        encoding = self.plan.encoding(self.panel)
        lesson = self.plan.lesson(encoding, self.panel)
        choice = taken_unvalidated(self.recipe, lesson)
        if choice is None:
            return self._step_back("there are too few rows to learn from")
        return self._ended(self._finish(choice, [], (encoding, lesson)))

    def _ended(self, found: Fitted) -> Fitted:
        self.meter.finish()
        nets, encoding = len(found.trained.nets), found.trained.encoding
        checkup = Checkup(self.run, encoding, found.choice, nets) if self.doctor else None
        return replace(found, checkup=checkup)

    def _few_rows(self, choice: Choice) -> Fitted | None:
        """Return what forecasts from several points of the history choose, where the validation rows are too few."""
        recipe = self.recipe
        if not recipe.step_back or not are_few(choice, self.horizon, sum(map(len, self.panel))):
            return None
        usual = self.anchor
        anchors = {name: recipe.anchor in ("auto", name) for name in ("last", "season")}

        def encode(panel: Panel, anchor: str) -> Encoding:
            self.anchor = anchor
            return self.plan.encoding(panel)

        units = encode(self.panel, "last").scales
        if encode(self.panel, "season").period == 1:
            anchors = {"last": True}
        found = choose_by_cuts(self.panel, encode, anchors, recipe.most_rows, units)
        self.anchor = usual
        if found is None:
            return None
        self.anchor, chosen, held_out = found
        return self._finish(chosen, held_out)

    # ---------------------------------------------------------------- the parts

    def _settle(self, before: Panel, cuts: list[int]) -> None:
        """Decide in closed form what the recipe leaves open: transform, window, and how far to trust each line."""
        for open_settings in (transform_options, longer_windows):
            options, errors = open_settings(self.recipe, before, self.plan.period(before), self.horizon), []
            for option in options if len(options) > 1 and self.recipe.validation else ():
                self.recipe, self.trust = option, {}
                self.trust = self.plan.weigh(before)
                if open_settings is longer_windows:
                    errors.append(turns_of(self.turns, self.panel, self.plan, cuts).error)
                else:
                    errors.append(newest_error(self.panel, self.plan, cuts))
            self.recipe = options[int(np.argmin(errors)) if np.isfinite(errors).all() and errors else 0]
        if len(before) > 1:
            self.trust = self.plan.weigh(before)
            if first_head(self.recipe, self.horizon) == "direct":
                self._group(before, self.plan.encoding(before), cuts)

    def _group(self, before: Panel, encoding: Encoding, cuts: list[int]) -> None:
        """Put series into groups, where the validation rows are forecast better then."""
        own = {line.id: k for k, line in enumerate(before)}
        lesson = self.plan.lesson(encoding, before)
        origins = choose_origins(
            self.plan.lesson(encoding, self.panel), self.horizon, cuts, [len(line) for line in self.panel]
        )
        if len(own) < len(before) or not lesson.rows or not sum(map(len, origins.rows)):
            return

        def judge(groups: Sequence[int], parts: int) -> float:
            there = [groups[own[line.id]] if line.id in own else 0 for line in self.panel] if groups else []
            taught = in_groups(encoding, lesson, groups, parts)
            return square_error(Settled(*taught, with_groups(origins, there)))

        found = choose_groups(encoding, lesson, judge, self.seed)
        self.groups = {line.id: group for line, group in zip(before, found, strict=False)}

    @property
    def plan(self) -> LessonPlan:
        """How rows are read as things stand."""
        return LessonPlan(
            self.horizon, self.recipe, self.calendar, self.anchor, self.trust, self.head, self.groups
        )

    def _choose(self, before: Panel, cuts: list[int], unit: Array | None) -> _Stage | None:
        """Return what the validation rows decide; None where there are none."""
        recipe = self.recipe
        encoding = self.plan.encoding(before)
        lesson = self.plan.lesson(encoding, before)
        origins = choose_origins(
            self.plan.lesson(encoding, self.panel), self.horizon, cuts, [len(line) for line in self.panel]
        )
        if not sum(map(len, origins.rows)) or not lesson.rows:
            return None
        candidates = self._candidates(lesson)
        self._expect(lesson, candidates)
        window = normal_equations(encoding, lesson, None, recipe.most_rows)
        trials = self._trials((encoding, lesson, window), candidates)
        # Each penalty of a recursive head takes walks along the horizon.
        penalized = self.head != "recursive"
        ridge = turns_of(self.turns, self.panel, self.plan, cuts).penalty if penalized else None
        choice = choose(encoding, origins, trials, window, step_back=recipe.step_back, unit=unit, ridge=ridge)
        return _Stage(encoding, choice, missed(encoding, origins, choice, trials, window))

    def _candidates(self, lesson: Lesson) -> list[Candidate]:
        if sequence_length(self.recipe, lesson) < SHORTEST:
            return []
        found = [Candidate(self.recipe, share) for share in (1.0, *self.recipe.shorter)]
        return found + [Candidate(each, 1.0) for each in self.search]

    def _expect(self, lesson: Lesson, candidates: list[Candidate]) -> None:
        """Tell the meter of the trials to come, and of what will follow at most."""
        if not candidates:
            return
        rows, recipe = lesson.rows, self.recipe
        most = max(planned_updates(c.recipe, rows, c.share) for c in candidates)
        total = sum(planned_updates(c.recipe, rows, c.share) * c.recipe.trial_members for c in candidates)
        total += most * (recipe.blocks - 1 + recipe.ensemble)
        self.meter.total = self.meter.done + total

    def _trials(self, taught: Taught, candidates: list[Candidate]) -> list[Trial]:
        # The longest first: what runs last should not keep one worker busy alone.
        jobs = [
            member_job(taught, c, self.seed + 1000 + k, examined=self.doctor and not (n or k))
            for n, c in enumerate(candidates)
            for k in range(c.recipe.trial_members)
        ]
        found = self._run(jobs)
        if found:
            self.run = found[0].run
        rest = iter(found)
        return [trial(c, [next(rest) for _ in range(c.recipe.trial_members)]) for c in candidates]

    def _run(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        """Return what the jobs return; each one's networks are taken from the shelf, or put there as it ends."""
        shelf = self.shelf
        if shelf is None:
            return self.workers.run(jobs, self.meter)
        named = [shelf.with_known(job, self.plan) for job in jobs]
        return self.workers.run(
            [job for _, job in named],
            self.meter,
            lambda k, result: shelf.put(named[k][0], learnt_of(result)),
        )

    def _finish(
        self, choice: Choice, held_out: list[HeldOut], read: tuple[Encoding, Lesson] | None = None
    ) -> Fitted:
        """Return the forecaster that a choice leads to; `read` is how all rows are read, where that is known."""
        panel, recipe, meter = self.panel, self.recipe, self.meter
        encoding = read[0] if read else self.plan.encoding(panel)
        if choice.kind in ("last", "season"):
            if encoding.period == 1 and choice.kind == "season":
                encoding = replace(encoding, period=season(panel.step))
            encoding = replace(encoding, anchor=choice.kind, head="direct", groups=(), parts=1)
            missed_ever = repeated(encoding, self.plan.lesson(encoding, panel))
            held_out = held_out if missed_ever is None else [missed_ever]
            return self._fitted(Trained(choice.kind, encoding, (), None), choice, held_out, ())
        assert choice.penalty is not None
        lesson = read[1] if read else self.plan.lesson(encoding, panel)
        whole, blocks = (panel, self.plan), held_out_blocks(panel, recipe, self.horizon)
        if choice.kind == "ridge":
            normal = normal_equations(encoding, lesson, None, recipe.most_rows)
            linear = make_head(encoding, normal, None, choice.penalty).linear
            held_out += [
                hold_out(whole, block, choice, self.seed, (), lambda *_: None).held_out for block in blocks
            ]
            return self._fitted(Trained("ridge", encoding, (), linear), choice, held_out, ())
        assert choice.candidate is not None
        chosen = choice.candidate.recipe
        taught = share_sums(encoding, lesson, chosen)
        training = [
            member_job(taught, choice.candidate, self.seed + k, examined=self.doctor and not k)
            for k in range(chosen.ensemble)
        ]
        judging: list[Job[Any]] = [
            block_job(whole, block, choice, self.seed + 2000, training[0]) for block in blocks
        ]
        meter.total = meter.done + sum(job.updates for job in [*judging, *training])
        # Blocks first: each is a little longer than a network.
        found = self._run([*judging, *training])
        held_out += [each.held_out for each in found[: len(blocks)]]
        members: list[Member] = found[len(blocks) :]
        self.run = members[0].run
        trained = assemble(encoding, members, choice.penalty)
        losses = tuple(each.losses for each in members)
        return self._fitted(trained, choice, held_out, losses, chosen)

    def _fitted(
        self,
        trained: Trained,
        choice: Choice,
        held_out: list[HeldOut],
        losses: tuple[Array, ...],
        recipe: Recipe | None = None,
    ) -> Fitted:
        rows = sum(map(len, self.panel))
        intervals = calibrate(trained, self.panel, held_out, self.recipe.intervals)
        return Fitted(trained, intervals, choice, recipe or self.recipe, rows, losses)

    def _step_back(self, reason: str) -> Fitted:
        """Return the forecaster for lines with nothing to learn: the last value, with its past changes around it."""
        self.recipe = stopped_at_zero(self.recipe, self.panel)
        encoding = replace(self.plan.encoding(self.panel), anchor="last")
        lesson = self.plan.lesson(encoding, self.panel)
        held_out = repeated(encoding, lesson) or changes(encoding, lesson.lines)
        choice = Choice("last", None, None, {}, 0, reason)
        return self._fitted(Trained("last", encoding, (), None), choice, [held_out], ())


@dataclass(frozen=True, eq=False)
class _Stage:
    """What the validation rows decided, the encoding of the rows before, the errors of the kind that was chosen."""

    encoding: Encoding
    choice: Choice
    held_out: HeldOut


def _error(choice: Choice) -> float:
    return choice.errors[choice.kind]
