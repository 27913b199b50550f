"""A trial treatment: a few careful steps on a copy of the weights, and what they gain on other examples.

Where they gain much, the weights are not where this network and these data could have been taken: the steps that were
made were too large to settle, or too small to arrive. Neither the network nor its history is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.data.examples.batch import Batch
from bptt.diagnostics.doctor.evidence.likelihood import as_error
from bptt.diagnostics.doctor.evidence.sample import Sample
from bptt.engine.blas import one_blas_thread

# Those of Adam, the second shorter: there are few steps.
_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-10
# Rates tried, in units of a weight: one that settles, one that arrives.
RATES = (0.002, 0.015)
_STEPS = 40
# Multiplications that a treatment may take in all: half a second where gradients are slow.
_WORK = 4e9


@dataclass(frozen=True)
class Treatment:
    """What steps on a copy gained.

    Attributes
    ----------
    steps : int
        Of each rate.
    before : float
        Loss on the examples kept apart.
    after : dict of float to float
        By rate: the loss after the steps, on the examples kept apart.
    """

    steps: int
    before: float
    after: dict[float, float]

    @property
    def best(self) -> float:
        """The lowest loss reached."""
        return min([self.before, *self.after.values()])

    def gain(self, rate: float | None = None) -> float:
        """Return the share of the loss that was gained, by one rate or by the better one."""
        reached = self.best if rate is None else self.after[rate]
        return 1.0 - reached / self.before if self.before > 0 else 0.0


def treat(sample: Sample) -> Treatment | None:
    """Treat a copy; None where the loss is not finite, or a single gradient takes too long."""
    chosen = sample.some
    train, apart = (chosen[::2], chosen[1::2]) if len(chosen) > 1 else (chosen, chosen)
    work = 6.0 * len(train) * sample.work
    steps = int(min(_STEPS, _WORK // (len(RATES) * work)))
    if steps < 8:
        return None
    batch, other = sample.part(train), sample.part(apart)
    with one_blas_thread(), np.errstate(all="ignore"):
        before = _loss(sample, other, None)
        if not np.isfinite(before):
            return None
        after = {rate: _treat(sample, batch, other, rate, steps) for rate in RATES}
    return Treatment(steps, before, after)


def _loss(sample: Sample, batch: Batch, parameters: dict[str, np.ndarray] | None) -> float:
    found = sample.net.loss_value(
        batch.x, batch.y, weights=batch.weights, lengths=batch.lengths, parameters=parameters
    )
    return float(as_error(sample.net.loss, found))


def _treat(sample: Sample, batch: Batch, other: Batch, rate: float, steps: int) -> float:
    """Return the loss after `steps` steps whose size falls to nothing, infinite where it left the finite numbers."""
    net = sample.net
    weights = {name: p.copy() for name, p in net.parameters.items()}
    first = {name: np.zeros_like(p) for name, p in weights.items()}
    second = {name: np.zeros_like(p) for name, p in weights.items()}
    for step in range(steps):
        found = net.loss_and_gradients(
            batch.x, batch.y, weights=batch.weights, lengths=batch.lengths, parameters=weights
        ).gradients.parameters
        size = rate * (1.0 - step / steps)
        for name, p in weights.items():
            g = found[name]
            if not np.isfinite(g).all():
                return float("inf")
            scale = float(np.abs(g).max())
            if not scale:
                continue
            first[name] = _BETA1 * first[name] + (1 - _BETA1) * g
            second[name] = _BETA2 * second[name] + (1 - _BETA2) * np.square(g)
            root = np.sqrt(second[name] / (1 - _BETA2 ** (step + 1))) + _EPSILON * scale
            p -= p.dtype.type(size / (1 - _BETA1 ** (step + 1))) * first[name] / root
    loss = _loss(sample, other, weights)
    return loss if np.isfinite(loss) else float("inf")
