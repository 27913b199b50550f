"""Frozen configuration objects to and from plain JSON dictionaries, for model files and checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from bptt.errors import InvalidInput, InvalidType


class Configured:
    """Mix-in for frozen dataclasses that can be written as ``{"kind": ..., field: value, ...}``."""

    kind: ClassVar[str]

    def to_config(self) -> dict[str, Any]:
        """Return the kind and every field as plain JSON values."""
        config: dict[str, Any] = {"kind": self.kind}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            config[field.name] = _plain(getattr(self, field.name))
        return config


def _plain(value: Any) -> Any:
    if isinstance(value, Configured):
        return value.to_config()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


Made = TypeVar("Made", bound=Configured)


def from_config(
    what: str,
    config: object,
    classes: Mapping[str, type[Made]],
    nested: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Made:
    """Return the object that `config` describes.

    Parameters
    ----------
    what : str
        What the error messages call it, e.g. ``"optimizer"``.
    config : dict
        As `Configured.to_config` wrote it; fields with a default may be absent.
    classes : dict of str to class
        The kinds that may be named; nothing else is ever built.
    nested : dict of str to function, optional
        For a field that may hold a configuration itself: what turns that dictionary into an object.

    Raises
    ------
    InvalidType
        Not a dictionary.
    InvalidInput
        An unknown kind or field, or a field that is missing; the class checks the values.
    """
    if not isinstance(config, Mapping):
        raise InvalidType(f"{what} configuration must be a dictionary. Got {config!r}")
    kind = config.get("kind")
    if not isinstance(kind, str) or kind not in classes:
        raise InvalidInput(f"{what} kind must be one of {', '.join(classes)}. Got {kind!r}")
    made = classes[kind]
    fields = {f.name: f for f in dataclasses.fields(made)}  # type: ignore[arg-type]  # as above
    given = {name: value for name, value in config.items() if name != "kind"}
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise InvalidInput(
            f"{what} {kind!r} must have only the fields {', '.join(fields)}. Got {unknown[0]!r}: "
            "written by another version?"
        )
    missing = [
        name
        for name, field in fields.items()
        if name not in given
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InvalidInput(
            f"{what} {kind!r} must have the field {missing[0]}. Got {', '.join(given) or 'none'}"
        )
    for name, build in (nested or {}).items():
        if isinstance(given.get(name), Mapping):
            given[name] = build(given[name])
    return made(**given)
