"""The jobs of a fit: functions of what they are given alone, so that they may run in any process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding
from bptt.forecast.fitting.choices.choosing import Candidate, Choice, Trial
from bptt.forecast.fitting.choices.held_out import HeldOut, missed
from bptt.forecast.fitting.choices.in_turn import Block, without
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.ensemble import Member, make_member
from bptt.forecast.fitting.networks.learnt import Learnt, check_count
from bptt.forecast.fitting.networks.members import Lesson, Tick, planned_updates
from bptt.forecast.fitting.readouts.heads import Sums, normal_equations
from bptt.forecast.fitting.running.travelling import Job
from bptt.forecast.panel import Panel
from bptt.forecast.recipe import Recipe

# Multiplications and additions of a training step in a second, and its other costs in seconds: about one core's.
_PER_SECOND, _OVERHEAD = 2e10, 5e-5

# What the members of a fit share: the sums of the window too, where they are known; and what its blocks do.
Taught = tuple[Encoding, Lesson, Sums | None]
Whole = tuple[Panel, LessonPlan]


class Missed(NamedTuple):
    """What a held-out block was missed by, and the network that was trained for it, if one was."""

    held_out: HeldOut
    learnt: tuple[Learnt, ...]


def share_sums(encoding: Encoding, lesson: Lesson, recipe: Recipe) -> Taught:
    """Return what the members of an ensemble are taught, with the sums of the window where several can use them."""
    if recipe.ensemble == 1 or encoding.head == "segments":
        return encoding, lesson, None
    return encoding, lesson, normal_equations(encoding, lesson, None, recipe.most_rows)


def member_job(taught: Taught, candidate: Candidate, seed: int, *, examined: bool = False) -> Job[Member]:
    """Return the job that trains one network; `examined` keeps its run for the doctor."""
    lesson = taught[1]
    updates = planned_updates(candidate.recipe, lesson.rows, candidate.share)
    width = lesson.lines[0].x.shape[1]
    return Job(
        train_one, taught, (candidate, seed, examined, ()), updates, seconds(candidate.recipe, width, updates)
    )


def block_job(whole: Whole, block: Block, choice: Choice, seed: int, like: Job[Member]) -> Job[Missed]:
    """Return the job that forecasts a held-out block by a network of its own; `like` is the training of one.

    The errors of one network are wider than those of the ensemble by so little that no coverage shows it.
    """
    return Job(hold_out, whole, (block, choice, seed, ()), like.updates, like.seconds)


def seconds(recipe: Recipe, width: int, updates: int) -> float:
    """Return about how long a training takes on one core."""
    gates = {"lstm": 4, "elman": 1}.get(recipe.cell, 3)
    first = gates * recipe.hidden * (width + recipe.hidden)
    others = (recipe.layers - 1) * gates * recipe.hidden * 2 * recipe.hidden
    # Forward, and twice as much back.
    each = 3 * recipe.batch * recipe.length * (first + others) / _PER_SECOND
    return updates * (each + _OVERHEAD)


def learnt_of(result: Member | Missed) -> tuple[Learnt, ...]:
    """Return what is kept of the trainings of a job."""
    return (result.learnt,) if isinstance(result, Member) else result.learnt


def train_one(
    taught: Taught,
    candidate: Candidate,
    seed: int,
    examined: bool,
    known: tuple[Learnt, ...],
    tick: Tick,
) -> Member:
    """Return a network trained as the candidate says, or the one that is known."""
    encoding, lesson, window = taught
    check_count(known, 1)
    first = known[0] if known else None
    return make_member(encoding, lesson, candidate, seed, tick, examined=examined, known=first, window=window)


def hold_out(
    whole: Whole, block: Block, choice: Choice, seed: int, known: tuple[Learnt, ...], tick: Tick
) -> Missed:
    """Return what a model that has not seen a block misses in it; its network may be known."""
    panel, plan = whole
    part = without(panel, plan, block)
    encoding, lesson, origins = part.encoding, part.lesson, part.origins
    if choice.candidate is None:
        window = normal_equations(encoding, lesson, None, plan.recipe.most_rows)
        return Missed(_lighter(missed(encoding, origins, choice, (), window)), ())
    check_count(known, 1)
    before = known[0] if known else None
    member = make_member(encoding, lesson, choice.candidate, seed, tick, known=before)
    found = missed(encoding, origins, choice, [trial(choice.candidate, [member])], None)
    return Missed(_lighter(found), (member.learnt,))


def trial(candidate: Candidate, members: Sequence[Member]) -> Trial:
    """Return a candidate's networks as validation compares them."""
    return Trial(candidate, [each.net for each in members], [each.normal for each in members])


def _lighter(found: HeldOut) -> HeldOut:
    """Return what is missed without the inputs of networks and windows: intervals do not read them."""

    def nothing(columns: Array) -> Array:
        return columns[:, :0].copy()

    def lighter(line: Encoded) -> Encoded:
        return replace(line, x=nothing(line.x), p=nothing(line.p))

    return replace(found, lines=[lighter(line) for line in found.lines])
