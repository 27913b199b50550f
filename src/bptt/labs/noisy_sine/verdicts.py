"""The noisy-sine lab's answers, in sentences that hold for the numbers at hand."""

from __future__ import annotations

import numpy as np

from bptt.labs.noisy_sine.data import FLOOR, msse, new_series
from bptt.labs.noisy_sine.printed import SWEEP
from bptt.labs.noisy_sine.study import BAR, PRINTED_END, PRINTED_LOSSES, Configuration, Study
from bptt.labs.rounding import two_digits as short


def verdicts(study: Study) -> list[str]:
    """Return what the runs mean."""
    return [
        _letter(study),
        _printed(study),
        _corrected(study),
        _sane(study),
        _plain(study),
        _momentum(study),
        _applied(study),
        _activations(study),
        _mistakes(study),
        _label(study),
    ]


def _span(values: list[float]) -> str:
    low, high = short(min(values)), short(max(values))
    return low if low == high else f"{low} to {high}"


def _letter(study: Study) -> str:
    row = study.configurations["letter"]
    moved = any(not np.all(losses == losses[0]) for losses in row.losses)
    word = "the weights move" if moved else "no weight ever moves"
    return (
        f"As printed, to the letter: {word}. The lines that add the updates stand in the branch without "
        "momentum, and the "
        f"run function has momentum 0.95. MSSE stays at its start: {_span(row.ends)}."
    )


def _printed(study: Study) -> str:
    row, epochs = study.configurations["printed"], study.sizes.lecture.epochs
    froze = sum(row.frozen)
    after = (
        f"one step of it freezes the recurrent part for good in {froze} of {len(row.frozen)} runs"
        if froze
        else "the recurrent part survives it"
    )
    return (
        f"As printed, with those lines outside the branch: MSSE {_span(row.ends)} after {epochs:,} epochs "
        f"({len(row.ends)} seed{'' if len(row.ends) == 1 else 's'}); the lecture ends at {PRINTED_END:.3f}. Its "
        "gradient is wrong in all but the "
        f"readout; the first one has a norm of {_span(row.first_norm)}, and {after}."
    )


def _corrected(study: Study) -> str:
    row, fitted = study.configurations["corrected"], study.details["corrected"]
    start, after = fitted.snapshots[0], fitted.snapshots.get(1)
    text = (
        f"Corrected, that is with the right gradient, working momentum, and the lecture's start and rate: MSSE "
        f"{_span(row.ends)}. The first gradient has a norm of {_span(row.first_norm)}. "
    )
    if after is None:
        return f"{text}The run did not survive its first update."
    if after.hidden_norm:
        return (
            f"{text}After one update {after.saturated:.0%} of the states lie beyond 0.9 (before: "
            f"{start.saturated:.0%}), and the gradient of the recurrent part is {short(after.hidden_norm)}."
        )
    return (
        f"{text}One update, even at a rate of {study.sizes.lecture.learning_rate:g}, throws the recurrent weights so "
        f"far out that {after.saturated:.0%} of the states lie beyond 0.9 (before: {start.saturated:.0%}) and the "
        f"gradient of W_hh, W_xh and b_h is exactly 0, in {sum(row.frozen)} of {len(row.frozen)} runs. From then on "
        "only the readout learns: what is trained is a linear fit on frozen states of -1 and +1."
    )


def _sane(study: Study) -> str:
    row, recipe = study.configurations["sane"], study.sizes.sane
    verdict = "within" if max(row.ends) <= BAR else "above"
    return (
        f"Sane, that is a spectral radius of {recipe.radius:g} at the start, the gradient clipped at norm "
        f"{recipe.clip:g}, "
        f"rate {recipe.learning_rate:g} with decay {recipe.decay:g}: MSSE {_span(row.ends)} after "
        f"{recipe.epochs:,} epochs, "
        f"{verdict} the bar of {BAR:g}. The noise alone is {FLOOR:g} on average; below it the network has begun "
        "to learn "
        f"the noise by heart. Against the sine without noise: {_span(row.clean)}; corrected "
        f"{_span(study.configurations['corrected'].clean)}."
    )


def _plain(study: Study) -> str:
    """Set the lecture's twenty losses, which rise once, fall once and then creep, beside those of its script."""
    ours, right, theirs = study.plain_printed.losses, study.plain.losses, PRINTED_LOSSES
    last = min(len(theirs), len(ours)) - 1

    def told(losses: object) -> str:
        return ", ".join(short(float(value)) for value in np.asarray(losses)[[0, 1, 2, last]])

    frozen = not study.plain_printed.hidden_gradients[1:].any()
    why = (
        "In our run of it the gradient of the recurrent part is exactly 0 from the second epoch on: what falls "
        "after the jump "
        "is the readout's doing"
        if frozen
        else "In our run of it the recurrent part goes on learning"
    )
    return (
        f"Plain run, {study.sizes.plain.neurons} neurons, epochs 1, 2, 3 and {last + 1}: the lecture prints "
        f"{told(theirs)}; "
        f"its script, run again, {told(ours)}; with the right gradient {told(right)}. {why}."
    )


def _momentum(study: Study) -> str:
    losses, recipe = study.momentum.losses, study.sizes.momentum
    return (
        f"With momentum {recipe.momentum:g}, corrected, {recipe.neurons} neurons: MSSE "
        f"{short(float(losses[-1]))} after "
        f"{recipe.epochs} epochs, from {short(float(losses[0]))}."
    )


def _applied(study: Study) -> str:
    zero = msse(np.zeros(1), np.sin(new_series()["lecture"]))

    def of(row: Configuration, name: str) -> str:
        return _span([each[name] for each in row.applied])

    sane = study.configurations["sane"]
    others = ("printed", "corrected", "sane")
    every = [each["lecture"] for name in others for each in study.configurations[name].applied]
    failed = sum(value >= 0.8 * zero for value in every)
    return (
        f"Applied to 0..20 in steps of 0.3, {failed} of {len(every)} networks are near or above the "
        f"{short(zero)} of always "
        "saying 0: "
        + ", ".join(
            f"{study.configurations[name].title} {of(study.configurations[name], 'lecture')}"
            for name in others
        )
        + ". Taking the sane ones' change of series apart: the old spacing but a start at 0, "
        f"{of(sane, 'start')}; the old "
        f"range in steps of 0.3, {of(sane, 'spacing')}; the old spacing on to 20, {of(sane, 'range')}. A state "
        "is reached over "
        "the steps before it, so another spacing is another trajectory; and beyond 10 the input drives the units "
        "where "
        "they have never been."
    )


def _activations(study: Study) -> str:
    told = []
    for name, fitted in study.activations.items():
        end = short(float(fitted.losses[-1]))
        told.append(
            f"{name} {end}"
            + ("" if fitted.diverged is None else f" (diverged after {fitted.diverged} updates)")
        )
    recipe = study.sizes.activations
    text = (
        f"The sane recipe with other activations ({recipe.neurons} neurons, {recipe.epochs} epochs, nothing else "
        "changed): "
        f"{', '.join(told)}."
    )
    if study.activations["identity"].losses[-1] <= BAR:
        text += " The identity's network is a linear rule; it does as well, because a sine obeys one."
    return text


def _mistakes(study: Study) -> str:
    cosines = {name: f"{round(found['Wh'], 2) + 0.0:.2f}" for name, found in study.alignment.items()}
    parts = [f"{number} ({name.replace('_', ' ')}) {cosines[name]}" for number, name in SWEEP.items()]
    return (
        "The mistakes of the backward pass, one at a time, from the sane start. Cosine between their gradient "
        "of W_hh and the "
        f"right one: {'; '.join(parts)}; all four {cosines['all four']}. That of the readout "
        "is right "
        "with all of them, which is why the loss falls."
    )


def _label(study: Study) -> str:
    T = len(study.data.x)
    return (
        f"MSSE here is 1/(2T) sum of squares, divided by T = {T} once. The lecture's printed numbers are that "
        "too; the curve "
        f"that it plots under the name MSSE is divided by T once more, so it lies {T} times lower. What it "
        "descends is the "
        "sum, not divided at all."
    )
