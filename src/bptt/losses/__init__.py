"""Losses: one number to make small, and its gradient with respect to the predictions."""

from bptt.losses.cross_entropy import CrossEntropy
from bptt.losses.gaussian import Gaussian
from bptt.losses.loss import Loss
from bptt.losses.pointwise import Absolute, HalfSquared, Huber, Pinball, Pointwise, Squared
from bptt.losses.registry import LOSSES, get_loss
from bptt.losses.soft_cross_entropy import SoftCrossEntropy

__all__ = [
    "LOSSES",
    "Absolute",
    "CrossEntropy",
    "Gaussian",
    "HalfSquared",
    "Huber",
    "Loss",
    "Pinball",
    "Pointwise",
    "SoftCrossEntropy",
    "Squared",
    "get_loss",
]
