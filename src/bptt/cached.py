"""A property that is reckoned once, without the lock that Python 3.11's has.

`functools.cached_property` holds one lock a class while any object's is reckoned, until Python 3.12 took it away: a
child that is forked off meanwhile by another thread waits for it for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class cached_property(Generic[Value]):  # noqa: N801  # used as functools' own
    """What a method returns, kept in the object under its name; threads that ask at once all get the first one kept."""

    def __init__(self, method: Callable[[Any], Value]) -> None:
        self.method = method
        self.__doc__ = method.__doc__
        self.name = method.__name__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type) -> Value: ...

    def __get__(self, owner: object, kind: type) -> Self | Value:
        """Return the value; the object's own entry goes before this from then on."""
        if owner is None:
            return self
        value = self.method(owner)
        # Asked by super() it is not what the object's name stands for.
        if getattr(type(owner), self.name) is self:
            value = owner.__dict__.setdefault(self.name, value)
        return value
