"""The diseases, causes before their consequences: the order in which they are looked for and told."""

from __future__ import annotations

from collections.abc import Callable

from bptt.diagnostics.doctor.diseases import (
    dead_units,
    exploding,
    leakage,
    overfitting,
    rate_too_high,
    rate_too_low,
    readout_only,
    repeats_last,
    saturation,
    unscaled_inputs,
    unscaled_targets,
    vanishing,
)
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding

Look = Callable[[Evidence], Finding | None]

DISEASES: dict[str, Look] = {
    module.NAME: module.look
    for module in (
        readout_only,
        unscaled_inputs,
        unscaled_targets,
        leakage,
        exploding,
        rate_too_high,
        dead_units,
        saturation,
        vanishing,
        rate_too_low,
        overfitting,
        repeats_last,
    )
}
NAMES = tuple(DISEASES)

# What is not told of where one of these was found: it is what the other looks like from this side.
EXPLAINED_BY: dict[str, frozenset[str]] = {
    exploding.NAME: frozenset({unscaled_inputs.NAME}),
    vanishing.NAME: frozenset(
        {readout_only.NAME, exploding.NAME, saturation.NAME, dead_units.NAME, rate_too_high.NAME}
    ),
    rate_too_high.NAME: frozenset({exploding.NAME, unscaled_inputs.NAME, unscaled_targets.NAME}),
    rate_too_low.NAME: frozenset(DISEASES)
    - {rate_too_low.NAME, leakage.NAME, overfitting.NAME, repeats_last.NAME, vanishing.NAME},
}
