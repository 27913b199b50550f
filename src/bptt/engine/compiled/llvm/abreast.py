"""Several vectors through the same instructions, side by side: each instruction for all of them before the next.

An activation is a chain of some twenty instructions of which each waits four cycles for the one before. A core looks
for work among the hundred or so instructions that come next: one vector after the other that is the chains of five of
them, of which most links wait. Side by side what comes next can run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bptt.engine.compiled.llvm.emitter import Emitter, Value


class Several(tuple[Any, ...]):
    """What stands for one value: that of each vector."""

    __slots__ = ()


class Abreast(Emitter):
    """An emitter into the same place as another, whose values may be `Several`."""

    def __init__(self, e: Emitter) -> None:
        self.function, self.lanes, self.flags = e.function, e.lanes, e.flags
        self.b: Any = _Builder(e.b)

    def _intrinsic(self, name: str, *values: Value) -> Value:
        return _each(super()._intrinsic, (name, *values))


class _Builder:
    """A builder that does for each of several what it is told to do for one."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> Callable[..., Value]:
        one = getattr(self._builder, name)
        return lambda *arguments, **more: _each(one, arguments, **more)


def _each(one: Callable[..., Value], arguments: tuple[Any, ...], **more: Any) -> Value:
    counts = {len(a) for a in arguments if isinstance(a, Several)}
    if not counts:
        return one(*arguments, **more)
    (count,) = counts
    return Several(
        one(*(a[k] if isinstance(a, Several) else a for a in arguments), **more) for k in range(count)
    )
