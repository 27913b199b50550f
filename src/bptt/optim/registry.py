"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Mapping

from bptt.configs import from_config
from bptt.errors import InvalidInput, InvalidType
from bptt.optim.adam import Adam, AdamW
from bptt.optim.optimizer import Optimizer
from bptt.optim.rmsprop import RMSProp
from bptt.optim.schedules import schedule_from_config
from bptt.optim.sgd import SGD

OPTIMIZERS: dict[str, type[Optimizer]] = {made.kind: made for made in (SGD, RMSProp, Adam, AdamW)}


def get_optimizer(optimizer: str | Optimizer | Mapping[str, object]) -> Optimizer:
    """Return an optimiser by name with its defaults, from its configuration, or as it is.

    Parameters
    ----------
    optimizer : str, dict or Optimizer
        ``"adam"``, ``SGD(0.01, momentum=0.9)``, or what `Optimizer.to_config` wrote.

    Raises
    ------
    InvalidInput
        An unknown name or field.
    InvalidType
        Something else.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise InvalidInput(f"optimizer must be one of {', '.join(OPTIMIZERS)}. Got {optimizer!r}")
        return OPTIMIZERS[optimizer]()  # type: ignore[call-arg]  # every registered class has defaults
    if isinstance(optimizer, Mapping):
        return from_config("optimizer", optimizer, OPTIMIZERS, {"learning_rate": schedule_from_config})
    raise InvalidType(f"optimizer must be a name or an Optimizer such as Adam(0.001). Got {optimizer!r}")
