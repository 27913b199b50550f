"""From a panel to a trained forecaster: trials on validation rows, held-out blocks for the intervals, the ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bptt.checks import Array
from bptt.diagnostics.doctor.finding import Diagnosis
from bptt.errors import DataError
from bptt.forecast.calendar import Calendar, choose_calendar, season
from bptt.forecast.checkup import examine
from bptt.forecast.choosing import Candidate, Choice, Trial, choose, mean_forecast
from bptt.forecast.encoding import Encoding
from bptt.forecast.few_rows import are_few, choose_by_cuts
from bptt.forecast.heads import (
    COLD,
    Origins,
    Penalty,
    encode_panel,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.held_out import HeldOut, changes, held_out_blocks, judge, validation_start
from bptt.forecast.intervals import Intervals, fit_intervals, moment, unrest_floor
from bptt.forecast.kept import Run
from bptt.forecast.measuring import fit_encoding, with_lines
from bptt.forecast.members import (
    SHORTEST,
    Lesson,
    Tick,
    in_double,
    planned_updates,
    sequence_length,
    train_member,
)
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut, draw_lines
from bptt.forecast.recipe import Recipe
from bptt.forecast.ridge_path import Linear, Normal
from bptt.forecast.settling import (
    Settled,
    best_option,
    longer_windows,
    longest_window,
    read_level,
    transform_options,
    weigh_lines,
    window_options,
)
from bptt.forecast.side_by_side import Meter, Notify, run_jobs
from bptt.forecast.trained import Trained
from bptt.network import Network

# Validation forecasts that are compared at most, and numbers in them.
_MOST_ORIGINS, _MOST_NUMBERS = 20_000, 4_000_000


@dataclass(frozen=True, eq=False)
class Fitted:
    """A forecaster after training.

    Attributes
    ----------
    trained : Trained
    intervals : Intervals
    choice : Choice
    losses : tuple of ndarray
        Of the updates of each network of the ensemble.
    recipe : Recipe
    rows : int
        Trained on.
    diagnosis : Diagnosis or None
        What the doctor says, where it was asked; a file does not hold it.
    """

    trained: Trained
    intervals: Intervals
    choice: Choice
    recipe: Recipe
    rows: int
    losses: tuple[Array, ...] = field(default=())
    diagnosis: Diagnosis | None = None


def fit_panel(
    panel: Panel,
    *,
    horizon: int,
    recipe: Recipe,
    calendar: str | Sequence[str] | None = "auto",
    seed: int = 0,
    search: Sequence[Recipe] = (),
    threads: int | None = None,
    notify: Notify = lambda *_: None,
    doctor: bool = False,
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
    notify : callable
        Called with updates made and updates to make; the total may shrink once validation has decided.
    doctor : bool
        Whether the training is examined; it takes a part of a second.

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
    run = _Run(
        some, horizon, recipe, choose_calendar(calendar, some), seed, tuple(search), threads, notify, doctor
    )
    found = run.fit()
    if some is panel:
        return found
    trained = replace(found.trained, encoding=with_lines(found.trained.encoding, panel))
    return replace(found, trained=trained, rows=sum(map(len, panel)))


@dataclass
class _Run:
    panel: Panel
    horizon: int
    recipe: Recipe
    calendar: Calendar
    seed: int
    search: tuple[Recipe, ...]
    threads: int | None
    notify: Notify
    doctor: bool
    # The run that the doctor looks at: of the first trial, then of the ensemble's first network.
    run: Run | None = field(init=False, default=None)
    anchor: str = field(init=False)
    trust: dict[str, float] = field(init=False, default_factory=dict)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(1, self.notify)
        self.anchor = "last" if self.recipe.anchor == "auto" else self.recipe.anchor

    def fit(self) -> Fitted:
        panel, recipe = self.panel, self.recipe
        if not any(np.ptp(line.y[np.isfinite(line.y)]) for line in panel if np.isfinite(line.y).any()):
            return self._step_back("the target never changes")
        cuts = [validation_start(len(line), recipe.validation, self.horizon) for line in panel]
        before = replace(
            panel, lines=tuple(cut(line, 0, c) for line, c in zip(panel, cuts, strict=True) if c)
        )
        lesson_rows = sum(max(0, c - self.horizon) for c in cuts)
        if not before.lines or lesson_rows < SHORTEST:
            return self._step_back("there are too few rows to learn from")
        self._settle(before, cuts)
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
        found = self._few_rows(stage.choice) or self._finish(stage.choice, [stage.held_out])
        self.meter.finish()
        if self.doctor:
            nets = len(found.trained.nets)
            found = replace(found, diagnosis=examine(self.run, found.trained.encoding, found.choice, nets))
        return found

    def _few_rows(self, choice: Choice) -> Fitted | None:
        """Return what forecasts from several points of the history choose, where the validation rows are too few."""
        recipe = self.recipe
        if not recipe.step_back or not are_few(choice, self.horizon, sum(map(len, self.panel))):
            return None
        usual = self.anchor
        anchors = {name: recipe.anchor in ("auto", name) for name in ("last", "season")}

        def encode(panel: Panel, anchor: str) -> Encoding:
            self.anchor = anchor
            return self.encoding(panel)

        units = encode(self.panel, "last").scales
        if encode(self.panel, "season").period == 1:
            anchors = {"last": True}
        found = choose_by_cuts(self.panel, encode, anchors, recipe.most_rows, units)
        self.anchor = usual
        if found is None:
            return None
        self.anchor, choice, held_out = found
        return self._finish(choice, held_out)

    # ---------------------------------------------------------------- the parts

    def _settle(self, before: Panel, cuts: list[int]) -> None:
        """Decide in closed form what the recipe leaves open: transform, window, and how far to trust each line."""
        stops = [len(line) for line in self.panel]
        for open_settings in (transform_options, longer_windows):
            options, tried = open_settings(self.recipe, before, self.period(before), self.horizon), []
            for option in options if len(options) > 1 else ():
                self.recipe, self.trust = option, {}
                encoding = self.encoding(before)
                self.trust = weigh_lines(encoding, encode_panel(encoding, before), before)
                lesson, origins = (
                    self._lesson(encoding, before),
                    self._origins(encoding, self.panel, cuts, stops),
                )
                if not lesson.rows or not sum(map(len, origins.rows)):
                    break
                tried.append((Settled(encoding, lesson, origins), option))
            self.recipe = best_option(tried) if tried else options[0]
        encoding = self.encoding(before)
        self.trust = weigh_lines(encoding, encode_panel(encoding, before), before)

    def _lesson(self, encoding: Encoding, panel: Panel) -> Lesson:
        lesson = encode_panel(encoding, panel)
        if not self.trust:
            return lesson
        trust = [self.trust.get(line.id, 1.0) for line in panel]
        return replace(lesson, weights=[w * a for w, a in zip(lesson.weights, trust, strict=True)])

    def period(self, panel: Panel) -> int:
        """Return the rows of a season; 1 where no line has two of them."""
        period = season(panel.step) if self.recipe.period is None else self.recipe.period
        return 1 if 2 * period > max(map(len, panel)) else period

    def _choose(self, before: Panel, cuts: list[int], unit: Array | None) -> _Stage | None:
        """Return what the validation rows decide; None where there are none."""
        recipe = self.recipe
        encoding = self.encoding(before)
        lesson = self._lesson(encoding, before)
        origins = self._origins(encoding, self.panel, cuts, [len(line) for line in self.panel])
        if not sum(map(len, origins.rows)) or not lesson.rows:
            return None
        candidates = self._candidates(lesson)
        self._expect(lesson, candidates)
        window = normal_equations(encoding, lesson, None, recipe.most_rows)
        trials = self._trials(encoding, lesson, candidates, self.meter)
        choice = choose(encoding, origins, trials, window, step_back=recipe.step_back, unit=unit)
        return _Stage(encoding, choice, self._errors(encoding, origins, choice, trials, window))

    def encoding(self, panel: Panel) -> Encoding:
        """Return the encoding of these training rows."""
        recipe = self.recipe
        period = self.period(panel)
        window = recipe.window
        if window is None:
            window = window_options(period, self.horizon)[0]
        window = max(1, min(window, longest_window(panel)))
        past_window = max(1, min(recipe.past_window, window, 1 + 240 // max(1, len(panel.past))))
        return fit_encoding(
            panel,
            horizon=self.horizon,
            calendar=self.calendar,
            transform=None if recipe.transform == "none" else recipe.transform,
            anchor=self.anchor if period > 1 else "last",
            period=period,
            window=window,
            past_window=past_window,
            level=read_level(recipe, period, self.horizon),
        )

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
        total += most * ((recipe.blocks - 1) * recipe.trial_members + recipe.ensemble)
        self.meter.total = self.meter.done + total

    def _trials(
        self, encoding: Encoding, lesson: Lesson, candidates: list[Candidate], meter: Meter
    ) -> list[Trial]:
        # The longest first: what runs last should not keep one thread busy alone.
        jobs = [
            partial(
                self._member,
                encoding,
                lesson,
                c,
                self.seed + 1000 + k,
                meter.tick(),
                c is candidates[0] and not k,
            )
            for c in candidates
            for k in range(c.recipe.trial_members)
        ]
        found = run_jobs(jobs, meter, self.threads)
        trials, first = [], 0
        for c in candidates:
            part = found[first : first + c.recipe.trial_members]
            trials.append(Trial(c, [net for net, _, _ in part], [normal for _, normal, _ in part]))
            first += len(part)
        return trials

    def _member(
        self,
        encoding: Encoding,
        lesson: Lesson,
        candidate: Candidate,
        seed: int,
        tick: Tick,
        first: bool = False,
    ) -> tuple[Network, Normal, Array]:
        recipe = candidate.recipe
        updates = planned_updates(recipe, lesson.rows, candidate.share)
        keep = self._keep if self.doctor and first else None
        net, losses = train_member(lesson, recipe, seed=seed, updates=updates, tick=tick, keep=keep)
        return net, normal_equations(encoding, lesson, net, recipe.most_rows), losses

    def _keep(self, run: Run) -> None:
        self.run = run

    def _origins(self, encoding: Encoding, panel: Panel, firsts: list[int], stops: list[int]) -> Origins:
        """Return all rows from which only rows firsts..stops-1 are forecast."""
        lesson = self._lesson(encoding, panel)
        rows = []
        for first, stop, weights in zip(firsts, stops, lesson.weights, strict=True):
            row = np.arange(max(0, first - 1), max(0, stop - self.horizon))
            row = row[row < len(weights)]
            rows.append(row[weights[row] > 0])
        most = min(_MOST_ORIGINS, max(500, _MOST_NUMBERS // self.horizon))
        stride = max(1, -(-sum(map(len, rows)) // most))
        return Origins(lesson, [row[::stride] for row in rows])

    def _errors(
        self, encoding: Encoding, origins: Origins, choice: Choice, trials: Sequence[Trial], window: Normal
    ) -> HeldOut:
        """Return what the chosen kind missed the origins by."""
        y, _ = origins.truth()
        if choice.kind == "network":
            trial = next(each for each in trials if each.candidate == choice.candidate)
            assert choice.penalty is not None
            heads = [
                make_head(encoding, n, net, choice.penalty)
                for n, net in zip(trial.normals, trial.nets, strict=True)
            ]
            y_hat = mean_forecast(heads, [origin_features(encoding, origins, net) for net in trial.nets])
        elif choice.kind == "ridge":
            assert choice.penalty is not None
            y_hat = mean_forecast(
                [make_head(encoding, window, None, choice.penalty)],
                [origin_features(encoding, origins, None)],
            )
        else:
            y_hat = np.zeros_like(y)
        if choice.kind in ("last", "season"):
            encoding = replace(encoding, anchor=choice.kind)
        return judge(encoding, origins, y_hat)

    def _finish(self, choice: Choice, held_out: list[HeldOut]) -> Fitted:
        panel, recipe, meter = self.panel, self.recipe, self.meter
        encoding = self.encoding(panel)
        if choice.kind in ("last", "season"):
            if encoding.period == 1 and choice.kind == "season":
                encoding = replace(encoding, period=season(panel.step))
            encoding = replace(encoding, anchor=choice.kind)
            return self._calibrated(Trained(choice.kind, encoding, (), None), choice, held_out, ())
        assert choice.penalty is not None
        lesson = self._lesson(encoding, panel)
        jobs: list[Callable[[], object]] = []
        blocks = held_out_blocks(panel, recipe, self.horizon)
        if choice.kind == "ridge":
            normal = normal_equations(encoding, lesson, None, recipe.most_rows)
            linear = make_head(encoding, normal, None, choice.penalty).linear
            held_out += [self._block(b, choice, None) for b in blocks]
            return self._calibrated(Trained("ridge", encoding, (), linear), choice, held_out, ())
        assert choice.candidate is not None
        chosen = choice.candidate.recipe
        updates = planned_updates(chosen, lesson.rows, choice.candidate.share)
        jobs = [partial(self._block, b, choice, meter) for b in blocks]
        jobs += [
            partial(self._member, encoding, lesson, choice.candidate, self.seed + k, meter.tick(), not k)
            for k in range(chosen.ensemble)
        ]
        meter.total = meter.done + updates * (len(blocks) * chosen.trial_members + chosen.ensemble)
        found = run_jobs(jobs, meter, self.threads)
        held_out += found[: len(blocks)]  # type: ignore[arg-type]  # jobs of two kinds in one list
        members: list[tuple[Network, Normal, Array]] = found[len(blocks) :]  # type: ignore[assignment]  # the others
        trained = assemble(encoding, members, choice.penalty)
        losses = tuple(each for _, _, each in members)
        return self._calibrated(trained, choice, held_out, losses, chosen)

    def _block(self, block: Sequence[tuple[int, int]], choice: Choice, meter: Meter | None) -> HeldOut:
        """Return what a model that has not seen a block misses in it."""
        pieces = []
        for line, (first, stop) in zip(self.panel, block, strict=True):
            pieces += [cut(line, 0, first), cut(line, stop, len(line))]
        rest = replace(self.panel, lines=tuple(piece for piece in pieces if len(piece)))
        encoding = self.encoding(rest)
        lesson = self._lesson(encoding, rest)
        origins = self._origins(
            encoding,
            self.panel,
            [first + COLD if first == 0 else first for first, _ in block],
            [s for _, s in block],
        )
        trials: list[Trial] = []
        window = normal_equations(encoding, lesson, None, self.recipe.most_rows) if meter is None else None
        if meter is not None:
            assert choice.candidate is not None
            members = [
                self._member(encoding, lesson, choice.candidate, self.seed + 2000 + k, meter.tick())
                for k in range(choice.candidate.recipe.trial_members)
            ]
            trials = [Trial(choice.candidate, [m[0] for m in members], [m[1] for m in members])]
        return self._errors(encoding, origins, choice, trials, window)  # type: ignore[arg-type]  # one of the two

    def _calibrated(
        self,
        trained: Trained,
        choice: Choice,
        held_out: list[HeldOut],
        losses: tuple[Array, ...],
        recipe: Recipe | None = None,
    ) -> Fitted:
        lines = encode_panel(trained.encoding, self.panel).lines
        floor = unrest_floor(lines)
        calendar = trained.encoding.calendar
        features = [
            moment(calendar, floor, line, rows)
            for each in held_out
            for line, rows in zip(each.lines, each.rows, strict=True)
        ]
        K = self.horizon
        errors = [e for each in held_out for e in each.errors]
        width = 3 + sum(calendar.slots)
        intervals = fit_intervals(
            np.concatenate([np.zeros((0, width)), *features]),
            np.concatenate([np.zeros((0, K)), *errors]),
            floor,
            calendar.slots,
        )
        rows = sum(map(len, self.panel))
        return Fitted(trained, intervals, choice, recipe or self.recipe, rows, losses)

    def _step_back(self, reason: str) -> Fitted:
        """Return the forecaster for lines with nothing to learn: the last value, with its past changes around it."""
        encoding = replace(self.encoding(self.panel), anchor="last")
        origins = self._origins(
            encoding, self.panel, [0] * len(self.panel), [len(line) for line in self.panel]
        )
        y, _ = origins.truth()
        choice = Choice("last", None, None, {}, 0, reason)
        full = any(map(len, origins.rows))  # some row is known to have been followed by a whole horizon
        held_out = [
            judge(encoding, origins, np.zeros_like(y)) if full else changes(encoding, origins.lesson.lines)
        ]
        return self._calibrated(Trained("last", encoding, (), None), choice, held_out, ())


@dataclass(frozen=True, eq=False)
class _Stage:
    """What the validation rows decided, the encoding of the rows before, and the errors of the kind that was chosen."""

    encoding: Encoding
    choice: Choice
    held_out: HeldOut


def _error(choice: Choice) -> float:
    return choice.errors[choice.kind]


def assemble(
    encoding: Encoding, members: Sequence[tuple[Network, Normal, Array]], penalty: Penalty
) -> Trained:
    """Return the ensemble: every network with its readout, the linear paths as their mean."""
    nets, linears = [], []
    for net, normal, _ in members:
        head_of = make_head(encoding, normal, net, penalty)
        double = in_double(net, encoding.horizon)
        assert head_of.readout is not None
        double.parameters["readout.W_hy"][...] = head_of.readout
        nets.append(double)
        linears.append(head_of.linear)
    linear = Linear(
        np.mean([each.weights for each in linears], axis=0),
        np.mean([each.intercept for each in linears], axis=0),
    )
    return Trained("network", encoding, tuple(nets), linear)
