"""Which fields a model file's description and its configurations have, and of which types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bptt.errors import InvalidInput, InvalidType

Config = Mapping[str, Any]

_NUMBER = (int, float)
STACK: dict[str, tuple[type, ...]] = {
    "cell": (dict,),
    "input_size": (int,),
    "hidden_size": (int,),
    "num_layers": (int,),
    "direction": (str,),
    "bias": (bool,),
    "dropout": _NUMBER,
    "dtype": (str,),
}
STACK_OPTIONAL: dict[str, tuple[type, ...]] = {"mask": (list, type(None)), "signs": (list, type(None))}
NETWORK: dict[str, tuple[type, ...]] = {
    "recurrent": (dict,),
    "output_size": (int,),
    "readout": (str,),
    "loss": (dict,),
    "output_activation": (str,),
    "bias": (bool,),
    "linear_lags": (int,),
    "change_of": (list, type(None)),
    "change_scale": _NUMBER,
    "feedback": (bool,),
    "learned_initial_state": (bool,),
}
DESCRIPTION: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "version": (int,),
    "kind": (str,),
    "config": (dict,),
    "extra": (dict,),
}
DESCRIPTION_OPTIONAL: dict[str, tuple[type, ...]] = {"cell_digest": (str,)}


def check_fields(
    what: str,
    config: Config,
    fields: Mapping[str, tuple[type, ...]],
    optional: Mapping[str, tuple[type, ...]],
) -> None:
    """Refuse a field that is missing, unknown, or of another type than the file format gives it."""
    known = {**fields, **optional}
    for name in config:
        if name not in known:
            raise InvalidInput(f"{what} must have only the fields {', '.join(known)}. Got {name!r}")
    for name, types in known.items():
        if name not in config:
            if name in fields:
                raise InvalidInput(f"{what} must have the field {name}. Got {', '.join(config) or 'none'}")
            continue
        # Not isinstance: True is no size, and 1 is no yes.
        if type(config[name]) not in types:
            wanted = " or ".join("null" if each is type(None) else each.__name__ for each in types)
            raise InvalidType(f"{name} must be of type {wanted}. Got {config[name]!r:.60}")
