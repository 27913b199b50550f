"""What the addition lab's numbers mean, in sentences that hold for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.labs.addition import limits as addition_limits
from bptt.labs.addition import truncation
from bptt.labs.addition.data import best_without_the_carry
from bptt.labs.addition.lab import BAR, SCORED, TRAIN_DIGITS
from bptt.labs.addition.limits import Limits
from bptt.labs.addition.result import AdditionResult
from bptt.labs.addition.truncation import DIGITS, Truncation, cosine


def verdicts(result: AdditionResult) -> list[str]:
    """Return what the numbers mean, in sentences that hold for them."""
    adding = result.adding
    lines = []
    for name in ("default", "sgd"):
        row = adding.recipes[name]
        worst = {n: min(row.exact[str(n)]) for n in SCORED}
        passed = all(share >= BAR for share in worst.values())
        lines.append(
            f"{_capital(row.title)}: exact sums, {_worst(result)}, {_each(worst)}; at least "
            f"{percent(BAR)} of both is asked for: {'passed' if passed else 'missed'}."
        )
    carry = min(adding.recipes["default"].exact["carry"])
    lines.append(
        f"Random pairs seldom carry far. Of sums that carry through all {max(SCORED)} digits the worst seed of the "
        f"default training adds {percent(carry)}"
        + (": trained on five digits, it has not learnt the rule for good." if carry < BAR else ".")
    )
    digits, whole = best_without_the_carry(TRAIN_DIGITS)
    row = adding.encodings["most_significant"]
    lines.append(
        f"Highest digit first, no network can know the carry: at best {percent(digits)} of the digits and "
        f"{percent(whole)} of the sums of {TRAIN_DIGITS} digits. This one has {percent(np.mean(row.digits))} and "
        f"{percent(np.mean(row.exact['trained']))}."
    )
    check = adding.check
    lines.append(
        f"Gradient check of W_xh, W_hh and W_hy: {'passed' if check.passed else 'FAILED'}, worst error "
        f"{check.worst('central'):.0e} against central differences, {check.worst('complex'):.0e} against the complex "
        f"step. The parts by path length add up to the full gradient to {adding.parts_error:.0e}, and those of at most "
        f"k Jacobians to the gradient with bptt_truncate = k to {result.truncated.sliding_error:.0e}."
    )
    lines += [_truncation_line(result.truncated), *_limit_lines(result.limits)]
    return lines


def paths_line(result: AdditionResult) -> str:
    """Return how fast the parts of dL/dW shrink, and how much of the gradient the short paths are."""
    name, short, long = "layers.0.W_hh", 3, 20
    start, end = result.adding.profiles[0], result.adding.profiles[result.steps]
    series = start.mean_abs(name)
    shrink = float((series[long] / series[0]) ** (1 / long))
    cosines = [cosine(parts.up_to(short)[name], parts.total()[name]) for parts in (start, end)]
    return (
        f"At the start the part of k = {long} is {series[long] / series[0]:.2g} of that of k = 0, a factor of "
        f"{shrink:.2f} a step. The paths of at most {short} Jacobians, which reach the carry's digits, make a dL/dW_hh "
        f"with a cosine of {cosines[0]:.3f} to the full one at the start and {cosines[1]:.3f} at the end."
    )


def _truncation_line(found: Truncation) -> str:
    exact = {(cut.way, cut.longest): cut.exact for cut in found.cuts}
    pairs = ", ".join(
        f"k = {k}: {percent(exact['sliding', k])} per output, {percent(exact['chunked', k])} in chunks"
        for k in truncation.TRUNCATED
    )
    return (
        f"One number after the other, {DIGITS} digits each, every digit needs the one of {DIGITS} steps before. Exact "
        f"sums after {len(found.cuts[0].losses)} steps with paths of at most k: {pairs}; full gradient: "
        f"{percent(exact['full', -1])}."
    )


def _limit_lines(limits: Limits) -> list[str]:
    lines = []
    for length in addition_limits.LENGTHS:
        right = ", ".join(
            f"{row.title} {percent(np.mean(row.right))}" for row in limits.rows if row.steps == length
        )
        lines.append(
            f"The first and the last of {length} digits added, right answers: {right} (guessing: 10 %)."
        )
    each = "; ".join(
        f"{title}: {percent(share[0])} of answers change with the first digit, {percent(share[1:-1].mean())} with one "
        "between"
        for title, share in limits.swayed.items()
    )
    lines.append(f"Of {max(addition_limits.LENGTHS)} digits one is replaced, after training: {each}.")
    each = ", ".join(f"{title} {percent(share)}" for title, share in limits.held.items())
    lines.append(f"Of the state's variance before the last digit, so much is due to the first one: {each}.")
    return lines


def percent(share: Any) -> str:
    """Return a share in per cent, never rounded up to all nor down to none."""
    value = 100 * float(share)
    if 99.995 <= value < 100:
        return "> 99.99 %"
    if 0 < value < 0.005:
        return "< 0.01 %"
    return f"{value:.2f} %" if value > 99 or value < 1 else f"{value:.1f} %"


def _each(shares: Mapping[int, float]) -> str:
    return " and ".join(f"{percent(share)} of {n} digits" for n, share in shares.items())


def _worst(result: AdditionResult) -> str:
    return "one seed" if len(result.seeds) == 1 else f"the worst of {len(result.seeds)} seeds"


def seeds_of(result: AdditionResult) -> str:
    """Return how many seeds, in words."""
    return "one seed" if len(result.seeds) == 1 else f"{len(result.seeds)} seeds"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
