"""What a network is made of, without its numbers: the settings, checked, that every part of a pass reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bptt.activations import ACTIVATIONS
from bptt.checks import check_choice, check_number, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.losses import Loss, get_loss
from bptt.network.recurrent import Recurrent

READOUTS = ("last", "every")


class Design:
    """The settings of a `Network`; see there for each."""

    def __init__(
        self,
        recurrent: Recurrent,
        output_size: int,
        *,
        readout: str,
        loss: str | Loss,
        output_activation: str,
        bias: bool,
        linear_lags: int,
        change_of: Sequence[int] | None,
        change_scale: float,
        feedback: bool,
        learned_initial_state: bool,
    ) -> None:
        if not isinstance(recurrent, Recurrent):
            raise InvalidType(f"recurrent must be a Recurrent stack. Got {type(recurrent).__name__}")
        self.recurrent = recurrent
        self.output_size = check_whole("output_size", output_size)
        self.readout = check_choice("readout", readout, READOUTS)
        self.loss = get_loss(loss)
        self.output_activation = check_choice("output_activation", output_activation, ACTIVATIONS)
        self.bias = bool(bias)
        self.linear_lags = check_whole("linear_lags", linear_lags, least=0)
        self.change_of = None if change_of is None else _columns(change_of)
        self.change_scale = check_number("change_scale", change_scale, above=0.0)
        self.feedback = bool(feedback)
        self.learned_initial_state = bool(learned_initial_state)
        self._check_settings()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of parameters and predictions."""
        return self.recurrent.dtype

    @property
    def input_size(self) -> int:
        """Columns of x: the stack's, less the K fed back."""
        return self.recurrent.input_size - (self.output_size if self.feedback else 0)

    def config(self) -> dict[str, Any]:
        """Return what a model file keeps beside the arrays."""
        return {
            "recurrent": self.recurrent.config(),
            "output_size": self.output_size,
            "readout": self.readout,
            "loss": self.loss.to_config(),
            "output_activation": self.output_activation,
            "bias": self.bias,
            "linear_lags": self.linear_lags,
            "change_of": None if self.change_of is None else list(self.change_of),
            "change_scale": self.change_scale,
            "feedback": self.feedback,
            "learned_initial_state": self.learned_initial_state,
        }

    def _check_settings(self) -> None:
        D, K = self.input_size, self.output_size
        if self.feedback and D < 0:
            raise InvalidInput(
                "feedback: the stack's input_size must be the columns of x plus K = output_size. "
                f"Got input_size {self.recurrent.input_size} with K = {K}"
            )
        if self.feedback and self.recurrent.direction != "forward":
            raise InvalidInput(
                f"feedback must run forward in time: an output can only be fed on. Got {self.recurrent.direction!r}"
            )
        if self.feedback and self.linear_lags:
            raise InvalidInput(
                "linear_lags must be 0 with feedback: there is no window. Got " + str(self.linear_lags)
            )
        if self.change_of is not None:
            size = self.recurrent.input_size
            if len(self.change_of) != K or not all(0 <= c < size for c in self.change_of):
                raise InvalidInput(
                    f"change_of must name K = {K} columns of 0..{size - 1}. Got {list(self.change_of)}"
                )
            if self.recurrent.direction == "reverse":
                raise InvalidInput(
                    "change_of needs a stack that ends at the last value. Got direction 'reverse'"
                )
        if self.loss.outputs_are and (self.change_of is not None or self.output_activation != "identity"):
            change = None if self.change_of is None else list(self.change_of)
            raise InvalidInput(
                f"change_of and output_activation must be left out with {self.loss.kind}, which takes "
                f"{self.loss.outputs_are}. Got {change} and {self.output_activation!r}"
            )


def _columns(change_of: object) -> tuple[int, ...]:
    if isinstance(change_of, str) or not isinstance(change_of, Iterable):
        raise InvalidType(f"change_of must be a sequence of column numbers, such as [0]. Got {change_of!r}")
    return tuple(check_whole("change_of", column, least=0) for column in change_of)
