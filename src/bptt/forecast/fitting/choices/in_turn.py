"""Parts of the history held out in turn: least squares learnt from the rest forecast each of them.

The newest fifth is one season of the year, and which window or penalty is best on it is a matter of luck where settings
are nearly as good as each other. The closed form costs next to nothing, so that it is solved again without each block,
and forecasts of every season decide.

References
----------
Stone 1974, "Cross-validatory choice and assessment of statistical predictions", Journal of the Royal Statistical
Society B 36, 111-147. Whole blocks are left out, as by Burman, Chow and Nolan 1994, Biometrika 81, 351-358:
neighbouring rows tell of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checks import Array
from bptt.forecast.fitting.choices.choosing import are_few_forecasts
from bptt.forecast.fitting.choices.held_out import choose_origins, held_out_blocks
from bptt.forecast.fitting.choices.lesson_plan import LessonPlan
from bptt.forecast.fitting.choices.settling import (
    Settled,
    longest_window,
    penalty_errors,
    relative_error,
    window_options,
)
from bptt.forecast.fitting.readouts.heads import COLD, FEW_WITHOUT, WITHOUT_NETWORK, Penalty
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut

Block = Sequence[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Turns:
    """What least squares miss in the parts that were held out.

    Attributes
    ----------
    errors : ndarray float64 (N, P)
        Of each part, the mean squared error at each of `heads.WITHOUT_NETWORK`, divided by the usual size of each
        step's change.
    weights : ndarray float64 (N,)
        How much each part counts, with a sum of 1.
    few : bool
        Whether no part has forecasts enough to choose among many penalties by.
    """

    errors: Array
    weights: Array
    few: bool = False

    @property
    def error(self) -> float:
        """The smallest mean of all parts; NaN where nothing was forecast."""
        return float((self.weights @ self.errors).min()) if len(self.errors) else float("nan")

    @property
    def penalty(self) -> Penalty | None:
        """The best of the usual ones; of many forecasts one that gains more on it than a standard error over the parts.

        None of a single part, whose forecasts validation compares itself.
        """
        parts = len(self.errors)
        if parts < 2:
            return None
        means = self.weights @ self.errors
        best = min((WITHOUT_NETWORK.index(each) for each in FEW_WITHOUT), key=lambda k: means[k])
        other = best if self.few else int(np.argmin(means))
        gains = self.errors[:, best] - self.errors[:, other]
        spread = np.sqrt(self.weights @ (gains - self.weights @ gains) ** 2)
        return WITHOUT_NETWORK[other if self.weights @ gains > spread / np.sqrt(parts - 1) else best]


def newest(panel: Panel, plan: LessonPlan, cuts: Sequence[int]) -> Settled:
    """Return what is learnt from the rows before each line's cut, and where it is judged after it."""
    before = replace(panel, lines=tuple(cut(line, 0, c) for line, c in zip(panel, cuts, strict=True) if c))
    encoding = plan.encoding(before)
    stops = [len(line) for line in panel]
    origins = choose_origins(plan.lesson(encoding, panel), plan.horizon, cuts, stops)
    return Settled(encoding, plan.lesson(encoding, before), origins)


def without(panel: Panel, plan: LessonPlan, block: Block) -> Settled:
    """Return what is learnt from the rows around a block of each line, and where it is judged in the block."""
    pieces = []
    for line, (first, stop) in zip(panel, block, strict=True):
        pieces += [cut(line, 0, first), cut(line, stop, len(line))]
    rest = replace(panel, lines=tuple(piece for piece in pieces if len(piece)))
    encoding = plan.encoding(rest)
    origins = choose_origins(
        plan.lesson(encoding, panel),
        plan.horizon,
        [first + COLD if first == 0 else first for first, _ in block],
        [stop for _, stop in block],
    )
    return Settled(encoding, plan.lesson(encoding, rest), origins)


def in_turn(panel: Panel, plan: LessonPlan, cuts: Sequence[int]) -> Iterator[Settled]:
    """Yield the newest rows held out, then each block of those before them; blocks only where they are long enough."""
    yield newest(panel, plan, cuts)
    # Whether intervals are asked for must not change a forecast.
    recipe = replace(plan.recipe, intervals="conformal")
    for block in held_out_blocks(panel, recipe, plan.horizon):
        yield _warm(panel, plan, without(panel, plan, block))


def newest_error(panel: Panel, plan: LessonPlan, cuts: Sequence[int]) -> float:
    """Return the least error on the newest rows in which lines of any unit count alike; NaN where there are none."""
    part = newest(panel, plan, cuts)
    return relative_error(part) if part.lesson.rows and sum(map(len, part.origins.rows)) else float("nan")


def miss(parts: Iterable[Settled]) -> Turns:
    """Return what least squares miss in parts that are held out in turn."""
    errors, weights, few = [], [], True
    for part in parts:
        there = sum(map(len, part.origins.rows))
        if part.lesson.rows and there:
            few &= are_few_forecasts(there, part.encoding.horizon)
            each, weight = penalty_errors(part)
            errors.append(each)
            weights.append(weight)
    found = np.array(errors).reshape(-1, len(WITHOUT_NETWORK))
    return Turns(found, np.array(weights) / max(1e-300, sum(weights)), few)


def turns_of(known: dict[object, Turns], panel: Panel, plan: LessonPlan, cuts: Sequence[int]) -> Turns:
    """Return what least squares miss in all parts, as things stand; what is known is not worked out again."""
    key = (plan.recipe, plan.anchor, plan.head, tuple(plan.groups.items()))
    if key not in known:
        known[key] = miss(in_turn(panel, plan, cuts))
    return known[key]


def _warm(panel: Panel, plan: LessonPlan, part: Settled) -> Settled:
    """Return a part without the rows after which the longest window that may be tried has not filled up.

    A forecast from half a window says nothing of one from a whole one, and most against the longest.
    """
    first = plan.recipe.window or window_options(part.encoding.period, plan.horizon)[-1]
    first = min(first, longest_window(panel)) - 1
    origins = replace(part.origins, rows=[rows[rows >= first] for rows in part.origins.rows])
    return replace(part, origins=origins)
