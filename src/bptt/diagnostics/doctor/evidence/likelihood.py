"""A likelihood read as the error that it stands for: what is compared by ratios must be above 0 and be 0 at best."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.losses import Gaussian, Loss
from bptt.training.watching.history import History


def as_error(loss: Loss, value: Any) -> Any:
    """Return values of a loss as they are; those of `Gaussian` as the variance whose best normal distribution has them.

    Of errors with variance v the best normal distribution costs (1 + log 2 pi v) / 2.
    """
    return np.exp(2.0 * value - math.log(2 * math.pi * math.e)) if isinstance(loss, Gaussian) else value


def errors_of(history: History, loss: Loss) -> History:
    """Return the history of a run with its losses as errors."""
    if not isinstance(loss, Gaussian):
        return history
    validation = tuple((step, float(as_error(loss, value))) for step, value in history.validation)
    return replace(history, losses=as_error(loss, history.losses), validation=validation)
