"""What a training run leaves behind, as a frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array, check_whole
from bptt.errors import InvalidInput
from bptt.training.watching.recorded import Recorded


@dataclass(frozen=True, eq=False)
class History:
    """A finished run, step by step.

    Attributes
    ----------
    losses : ndarray (steps,), float64
        Loss of each step's batch before its update, without penalties.
    gradient_norms : ndarray (steps,), float64
        Global norm of each step's gradient, penalties included, before clipping.
    learning_rates : ndarray (steps,), float64
    validation : tuple of (int, float)
        Updates made so far, and the loss on the validation data after them.
    best_step : int or None
        Updates made when the validation loss was lowest; None without validation.
    stopped_because : str
        "finished", "early stopping", "interrupted"; of a run that ended in an error "diverged" or "failed".
    seconds : float
        Wall time, validation and callbacks included.
    recorded : Recorded or None
        What `train(record=)` asked to be looked at.
    """

    losses: Array
    gradient_norms: Array
    learning_rates: Array
    validation: tuple[tuple[int, float], ...]
    best_step: int | None
    stopped_because: str
    seconds: float
    recorded: Recorded | None = None

    @property
    def steps(self) -> int:
        """Updates made."""
        return int(self.losses.size)

    def last_losses_mean(self, count: int = 25) -> float:
        """Return the mean of the last `count` losses, or of all where there are fewer.

        Raises
        ------
        InvalidInput
            A run that was stopped within its first step.
        """
        last = self.losses[-check_whole("count", count) :]
        if not last.size:
            raise InvalidInput("history must hold at least one step for a mean of losses. Got none")
        return float(np.mean(last))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values; of what was recorded all but the snapshots."""
        recorded = {} if self.recorded is None else {"recorded": self.recorded.to_dict()}
        return {
            "losses": self.losses.tolist(),
            "gradient_norms": self.gradient_norms.tolist(),
            "learning_rates": self.learning_rates.tolist(),
            "validation": [[step, loss] for step, loss in self.validation],
            "best_step": self.best_step,
            "stopped_because": self.stopped_because,
            "seconds": self.seconds,
            "steps": self.steps,
            **recorded,
        }

    def __repr__(self) -> str:
        last = f", last loss {self.losses[-1]:.4g}" if self.steps else ""
        return f"History({self.steps} steps{last}, {self.stopped_because}, {self.seconds:.1f} s)"


def make_history(
    rows: list[tuple[float, float, float]],
    validation: list[tuple[int, float]],
    stopped_because: str,
    seconds: float,
    best_step: int | None = None,
    recorded: Recorded | None = None,
) -> History:
    """Return the record of rows (loss, gradient norm, learning rate) and validation pairs.

    `best_step` is that of the weights put back; without early stopping it is the step of the lowest loss.
    """
    columns = np.array(rows, np.float64).reshape(-1, 3).T.copy()
    columns.flags.writeable = False
    losses, gradient_norms, learning_rates = columns
    best = best_step
    if best is None and validation:
        best = min(validation, key=lambda pair: pair[1])[0]
    return History(
        losses, gradient_norms, learning_rates, tuple(validation), best, stopped_because, seconds, recorded
    )
