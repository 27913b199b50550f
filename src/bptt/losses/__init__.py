"""Losses: one number to make small, and its gradient with respect to the predictions."""

from bptt.losses.cross_entropy import CrossEntropy
from bptt.losses.loss import Loss
from bptt.losses.pointwise import Absolute, HalfSquared, Huber, Pinball, Pointwise, Squared
from bptt.losses.registry import LOSSES, get_loss

__all__ = [
    "LOSSES",
    "Absolute",
    "CrossEntropy",
    "HalfSquared",
    "Huber",
    "Loss",
    "Pinball",
    "Pointwise",
    "Squared",
    "get_loss",
]
