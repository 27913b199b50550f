"""A gradient check of any function: what has to be given together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from bptt.errors import InvalidInput
from bptt.network import Network, Recurrent


def function_arguments(
    model: Any, parameters: Any, gradients: Any, alone: bool
) -> tuple[
    Callable[[dict[str, npt.NDArray[Any]]], Any], Mapping[str, npt.ArrayLike], Mapping[str, npt.ArrayLike]
]:
    """Return the three, or raise; `alone` says that nothing else was given that only a model has."""
    if isinstance(model, (Network, Recurrent)) or not callable(model) or not alone:
        raise InvalidInput(
            "x and y may be mappings, of parameters and of gradients, with a function and nothing else about the "
            f"model. Got {type(model).__name__}"
        )
    if not (isinstance(parameters, Mapping) and isinstance(gradients, Mapping)):
        raise InvalidInput(
            "x and y must both be mappings with a function. Got "
            f"{type(parameters).__name__} and {type(gradients).__name__}"
        )
    return model, parameters, gradients
