"""Exceptions. Every message reads: name, rule with symbols = numbers, got, reason or remedy, on one line."""

from __future__ import annotations

# Letters of a message, beyond which its middle is left out: the rule stands at its beginning, the remedy at its end.
_LONGEST, _END = 1200, 240


class BpttError(Exception):
    """Base of every error that bptt raises on purpose.

    Messages repeat names and values of files and tables, which may hold line breaks, what a terminal takes for
    commands, and any number of letters. As text a message is one line of printable letters all the same.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - _END]} ... {text[-_END:]}"
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class InvalidInput(BpttError, ValueError):
    """A value breaks a rule of the public interface."""


class InvalidType(BpttError, TypeError):
    """An object has a type that the public interface does not take."""


class NotFittedError(BpttError, ValueError):
    """Something was asked of a model that has not been trained yet."""


class FileMissing(BpttError, FileNotFoundError):
    """A named file or folder does not exist."""


class LibraryMissing(BpttError, ImportError):
    """A library of an extra is not installed."""


class DataError(InvalidInput):
    """A table or series cannot be used as it stands."""


class FileFormatError(InvalidInput):
    """A file is not what it should be, or does not fit what it is loaded into."""


class DivergedError(BpttError, RuntimeError):
    """Training met a loss or gradient that is not finite; the last good weights were kept."""


class WorkerLost(BpttError, RuntimeError):
    """A process that computes for this one ended, again and again, or cannot be reached."""


class GradientError(BpttError, AssertionError):
    """A gradient check found a derivative that disagrees with its reference."""
