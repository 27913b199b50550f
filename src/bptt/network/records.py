"""What passes and sweeps over a network return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.engine.tape import Tape

Array = npt.NDArray[Any]
State = dict[str, Array]


@dataclass(frozen=True)
class Gradients:
    """Gradients of one sweep.

    Attributes
    ----------
    parameters : name -> ndarray of the parameter's shape
    x : ndarray (B, T, D) or None
        None where it was not wanted.
    state : state name -> ndarray (L * directions, B, H), or None
        With respect to the initial state.
    y_start : ndarray (B, K) or None
        With respect to what the first step was fed; None without feedback.
    """

    parameters: dict[str, Array]
    x: Array | None
    state: State | None
    y_start: Array | None = None


@dataclass(frozen=True)
class StackTape:
    """The record of one pass over a stack of layers, for `Recurrent.backward`.

    `tapes` holds one tape a layer and direction, forward before reverse; `trained` the parameters before
    constraints; `masks` the dropout mask after each layer but the last.
    """

    tapes: tuple[Tape, ...]
    trained: Mapping[str, Array]
    masks: tuple[Array | None, ...]
    lengths: npt.NDArray[np.int64] | None
    steps: int


@dataclass(frozen=True)
class Pass:
    """What `Network.forward` returns.

    Attributes
    ----------
    y_hat : ndarray (B, K), or (B, T, K) with readout "every"
        0 past a row's length.
    state : state name -> ndarray (L * directions, B, H)
        After each row's last valid step.
    tape : record or None
        For `Network.backward`.
    """

    y_hat: Array
    state: State
    tape: Any


@dataclass(frozen=True)
class LossGradients:
    """What `Network.loss_and_gradients` returns: the loss, its gradients, and what the pass gave."""

    loss: float
    gradients: Gradients
    y_hat: Array
    state: State
