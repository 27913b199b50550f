"""Losses by name."""

from __future__ import annotations

from collections.abc import Mapping

from bptt.configs import from_config
from bptt.errors import InvalidInput, InvalidType
from bptt.losses.cross_entropy import CrossEntropy
from bptt.losses.gaussian import Gaussian
from bptt.losses.loss import Loss
from bptt.losses.pointwise import Absolute, HalfSquared, Huber, Pinball, Squared
from bptt.losses.soft_cross_entropy import SoftCrossEntropy

LOSSES: dict[str, type[Loss]] = {
    made.kind: made
    for made in (Squared, HalfSquared, Absolute, Huber, Pinball, Gaussian, CrossEntropy, SoftCrossEntropy)
}

ALIASES = {"mse": "squared", "mae": "absolute", "softmax_cross_entropy": "cross_entropy"}


def get_loss(loss: str | Loss | Mapping[str, object]) -> Loss:
    """Return a loss by name, from its configuration, or as it is.

    Parameters
    ----------
    loss : str, dict or Loss
        ``"mse"``, ``Huber(2.0, time="sum")``, or what `Loss.to_config` wrote:
        ``{"kind": "huber", "delta": 2.0}``.
        A name alone takes the defaults, the mean over time among them.

    Raises
    ------
    InvalidInput
        An unknown name or field.
    InvalidType
        Something else.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        kind = ALIASES.get(loss, loss)
        if kind not in LOSSES:
            raise InvalidInput(f"loss must be one of {', '.join((*LOSSES, *ALIASES))}. Got {loss!r}")
        return LOSSES[kind]()
    if isinstance(loss, Mapping):
        return from_config("loss", loss, LOSSES)
    raise InvalidType(f"loss must be a name or a Loss such as Huber(1.0). Got {loss!r}")
