"""What the gradients lab's numbers mean, in sentences that hold for them."""

from __future__ import annotations

import numpy as np

from bptt.labs.gradients.cliff import LIMIT
from bptt.labs.gradients.lab import PROFILE_LAG, Gradients
from bptt.labs.rounding import two_digits


def verdicts(result: Gradients) -> list[str]:
    """Return what the numbers mean."""
    seeds = len(result.seeds)
    echo = result.ladders["echo"]
    reach = {name: row.reach(seeds) for name, row in echo.items()}
    none = reach["none"]
    lines = []
    better = [echo[name].title for name in echo if reach[name] > none and name != "none"]
    same = [echo[name].title for name in echo if reach[name] == none and name != "none"]
    worse = [echo[name].title for name in echo if reach[name] < none]
    lines.append(
        f"Digit echo without a remedy: the Elman network reaches {lag_or_none(none)}. Further: "
        f"{'; '.join(better) or 'none'}. As far: {'; '.join(same) or 'none'}. Less far: {'; '.join(worse) or 'none'}."
    )
    starts = result.starts
    lines.append(
        f"Before training, {PROFILE_LAG} steps back, {two_digits(starts['none'].flow[0])} of the gradient is left in "
        f"the Elman network with a uniform start, {two_digits(starts['orthogonal'].flow[0])} with an orthogonal one, "
        f"{two_digits(starts['lstm'].flow[0])} in the LSTM with forget bias 1 and "
        f"{two_digits(starts['lstm_keep'].flow[0])} with 4."
    )
    flows = np.log10([s.flow[0] for s in starts.values()])
    reached = [reach[name] for name in starts]
    order = _rank_correlation(flows, np.array(reached, float))
    lines.append(
        "Over the different starts, how much gradient is left and how far training reaches have a rank correlation of "
        f"{order:.2f}: {'' if order > 0.7 else 'a gradient that arrives is not all that it takes. '}"
        f"The pre-programmed network's gradient is {two_digits(starts['programmed'].flow[0])}, and it reaches "
        f"{lag_or_none(reach['programmed'])}, since nothing is left to learn but the readout."
    )
    latch = result.latch
    first, second = latch.resting
    lines.append(
        f"Bengio's neuron at w = {first:g} withstands inputs up to {latch.resting[first].threshold:.2f} and multiplies "
        f"a gradient by {latch.resting[first].slope:.2f} a step; at w = {second:g} up to "
        f"{latch.resting[second].threshold:.2f}, and by {latch.resting[second].slope:.2f}: the safer it holds, the "
        f"faster its gradient vanishes. Over {latch.lengths[-1]} steps {100 * latch.learnt[-1]:.0f} % of the neurons "
        f"learn to hold their bit, over {latch.lengths[0]} {100 * latch.learnt[0]:.0f} %."
    )
    cliff = result.cliff
    thrown = float(np.linalg.norm(np.diff(cliff.plain.points, axis=0), axis=1).max())
    lines.append(
        f"At the cliff plain descent makes a step of length {two_digits(thrown)} and ends at a loss of "
        f"{two_digits(float(cliff.plain.losses[-1]))}; clipped at norm {LIMIT:g}, which meets gradients of up to "
        f"{two_digits(float(cliff.clipped.norms.max()))}, it ends at {two_digits(float(cliff.clipped.losses[-1]))}."
    )
    return lines


def lag_or_none(lag: int) -> str:
    """Return a reach in words."""
    return f"lag {lag}" if lag else "no lag that was tried"


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's correlation; ties share their mean rank, and without any order at all it is 0."""
    ranks = [_ranks(values) for values in (one, other)]
    if any(np.ptp(r) == 0 for r in ranks):
        return 0.0
    return float(np.corrcoef(np.stack(ranks))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    below = (values[:, None] > values).sum(axis=1)
    equal = (values[:, None] == values).sum(axis=1)
    return np.asarray(below + (equal - 1) / 2)
