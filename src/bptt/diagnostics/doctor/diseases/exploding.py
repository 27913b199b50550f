"""Exploding gradients: recurrent Jacobians multiply the gradient on its way back, until it dwarfs everything."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.diagnostics.doctor.evidence.curve import usual
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import short
from bptt.losses import Squared
from bptt.losses.pointwise import HalfSquared

NAME = "exploding gradients"

# The norm of a gradient over that of the loss's own slope: sane networks stay below about 60, whatever the scale of the
# targets, since the readout's share is the size of the features and the recurrent share a few times as much.
INTENSITY = 150.0
# So many times the usual norm of the run up to there is a cliff, where the intensity is high too.
JUMP = 100.0
# A loss so many times both the first one and that of a constant is lost: the weights were thrown out before.
LOST = 1.5
_USUAL = 20  # steps that say what is usual


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    history = evidence.history
    norms, losses = history.gradient_norms, history.losses
    if history.stopped_because == "diverged":
        norms, losses = _with_the_last(evidence)
    if not norms.size:
        return None
    intensity = np.nan_to_num(norms / slopes(evidence, losses), nan=np.inf, posinf=np.inf)
    # From where the loss is lost on, large gradients are what comes of it.
    lost = ~(usual(losses) <= LOST * max(float(losses[0]), evidence.constant))
    sane = int(np.argmax(lost)) + 1 if lost.any() else norms.size
    over = ~(intensity[:sane] <= INTENSITY)
    first = int(np.argmax(over)) if over.any() else _cliff(norms[:sane], intensity)
    if first is None:
        return None
    parameter = _parameter(evidence, first)
    diverged = history.stopped_because == "diverged"
    severity = "severe" if diverged or evidence.explained < 0.5 else "mild"
    largest = float(norms.max())
    return Finding(
        NAME,
        severity,
        f"{parameter}, step {first}",
        f"the gradient's norm is {short(float(norms[first]))} at step {first}, "
        f"{short(float(intensity[first]))} times the slope of the loss, and {short(largest)} at most",
        {
            "step": float(first),
            "norm": float(norms[first]),
            "largest": largest,
            "median": float(np.median(norms)),
            "intensity": float(intensity[first]),
        },
        "clip it (clip=1.0) and start W_hh at a spectral radius of about 1",
    )


def _with_the_last(evidence: Evidence) -> tuple[Array, Array]:
    """Return norms and losses with those of the step that failed: the network still has its weights."""
    found, history = evidence.gradients, evidence.history
    with np.errstate(all="ignore"):
        norm = np.linalg.norm(
            [np.linalg.norm(np.asarray(d, np.float64)) for d in found.gradients.parameters.values()]
        )
    # What came out as no number was too large for one on the way.
    last = np.nan_to_num([float(norm), float(found.loss)], nan=np.inf, posinf=np.inf)
    return np.append(history.gradient_norms, last[0]), np.append(history.losses, last[1])


def slopes(evidence: Evidence, losses: Array) -> Array:
    """Return the size of dL/dy_hat at each step: what a gradient starts from."""
    loss = evidence.net.loss
    steps = evidence.answers.shape[0] / max(1, len(evidence.batch)) if loss.time == "sum" else 1.0
    if isinstance(loss, (Squared, HalfSquared)):
        # Of a squared error e^2 the slope is 2 e; at a loss of 0 nothing is to explode. A sum over steps has that many.
        floor = 1e-3 * np.sqrt(max(evidence.constant, 1e-300) * steps)
        return np.asarray(2.0 * np.sqrt(steps) * np.maximum(np.sqrt(losses), floor))
    # Others have slopes of 1 at most, in the unit that the targets are in.
    return np.full(losses.shape, float(steps))


def _cliff(norms: Array, intensity: Array) -> int | None:
    for step in range(_USUAL, norms.size):
        before = float(np.median(norms[step - _USUAL : step]))
        if norms[step] > JUMP * before and intensity[step] > INTENSITY / 10:
            return step
    return None


def _parameter(evidence: Evidence, step: int) -> str:
    """Return the parameter with the largest gradient: as it was recorded, or as it is now."""
    recorded = evidence.history.recorded
    if recorded is not None and recorded.gradient_norms:
        row = int(np.argmin(np.abs(recorded.steps - step)))
        norms = {name: float(series[row]) for name, series in recorded.gradient_norms.items()}
    else:
        norms = {
            name: float(np.linalg.norm(np.asarray(d, np.float64)))
            for name, d in evidence.gradients.gradients.parameters.items()
        }
    inside = {name: value for name, value in norms.items() if name.startswith("layers.")}
    return max(inside, key=lambda name: inside[name] if np.isfinite(inside[name]) else np.inf)
