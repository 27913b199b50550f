"""Mistakes on the command line in the one line that every other mistake is told in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_usage_error(error: BaseException) -> bool:
    """Return whether the parser refused the command line.

    Typer has a parser of its own since 0.26 and took click's before: the class is known by its name.
    """
    return any(each.__name__ == "ClickException" for each in type(error).__mro__)


def is_bare(error: BaseException) -> bool:
    """Return whether a group was called without a command, which shows its help and is no mistake to be told."""
    return type(error).__name__ == "NoArgsIsHelpError"


def in_one_line(error: Any, words: Sequence[str]) -> str:
    """Return "name, rule. Got this: remedy" for a command line that was refused.

    Parameters
    ----------
    error : exception
        The parser's.
    words : sequence of str
        Of the command line: what was given is read from them, which the parser does not always tell.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "bptt"
    lists = f"{command} -h lists them"
    kind, param = type(error).__name__, getattr(error, "param", None)
    if kind == "NoSuchOption":
        like = sorted(getattr(error, "possibilities", None) or ())
        remedy = f"perhaps {' or '.join(like)} is meant" if like else lists
        return f"option must be one that {command} has. Got {error.option_name}: {remedy}"
    if kind == "MissingParameter" and param is not None:
        return f"{_title(param)} must be given. Got none: {command} -h shows how"
    if param is not None:
        given = _given(param.opts, words)
        shown = f"Got: {error.message.rstrip('.')}" if given is None else f"Got {_plain(given)}"
        return f"{_title(param)} must be {_rule(param, error.message)}. {shown}: {command} -h says what it is for"
    if kind == "BadOptionUsage":
        if "requires" in error.message:
            return f"{error.option_name} must come with a value. Got none: {command} -h says what it is for"
        given = _given([error.option_name], words) or "one"
        return (
            f"{error.option_name} must stand alone, without a value. Got {_plain(given)}: leave the value out"
        )
    commands = getattr(getattr(context, "command", None), "commands", None)
    if commands and "command" in error.message.lower():
        wrong = error.message.partition("'")[2].partition("'")[0]
        return f"command must be one of {', '.join(commands)}. Got {wrong!r}: {lists}"
    if "extra argument" in error.message:
        wrong = error.message.partition("(")[2].rpartition(")")[0].removeprefix("s) (")
        return f"{command} must have no further arguments. Got {wrong}: quote a name with blanks, or leave it out"
    return " ".join(error.format_message().split())


def _title(param: Any) -> str:
    if param.opts and param.opts[0].startswith("-"):
        return str(max(param.opts, key=len))
    return str(getattr(param, "metavar", None) or param.name).strip("[]")


def _rule(param: Any, message: str) -> str:
    """Return what a value must be, from the range that the option states."""
    bounds = next((each for each in (param, getattr(param, "type", None)) if hasattr(each, "min")), None)
    low, high = (bounds.min, bounds.max) if bounds is not None else (None, None)
    described = getattr(param, "type_descriptor", None)
    kind = str(getattr(described, "annotation", "") or getattr(getattr(param, "type", None), "name", ""))
    if "int" in kind:
        what = "a whole number"
    elif "float" in kind:
        what = "a number"
    else:
        return "valid (" + " ".join(message.rstrip(".").split()) + ")"
    if low is not None and high is not None:
        return f"{what} from {low:g} to {high:g}"
    if low is not None:
        return f"{what} of at least {low:g}"
    return what if high is None else f"{what} of at most {high:g}"


def _plain(value: str) -> str:
    """Return a number as it was written, anything else in quotes."""
    try:
        float(value)
    except ValueError:
        return repr(value)
    return value


def _given(names: Sequence[str], words: Sequence[str]) -> str | None:
    """Return the value that an option was last given, None where it cannot be told."""
    found = None
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            found = value if equals else words[place + 1] if place + 1 < len(words) else found
    return found
