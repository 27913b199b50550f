"""What the plain JSON values of a forecaster's file must be: looked at one by one, before anything is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bptt.data.tables.parsing import DECIMALS
from bptt.errors import InvalidInput
from bptt.forecast.fitting.trained import KINDS
from bptt.forecast.tables.layout import POLICIES
from bptt.losses import get_loss

# Of a whole number: no count, size or seed of ours is larger, and NumPy's own numbers hold it.
_LARGEST = 2**62
# Of rows: of a season, of a window.
_MOST_ROWS = 2**31
# What a table may have come as: a file, plain Python, or a library of data frames.
_TABLES = ("csv", "parquet", "dict", "array", "pandas", "polars", "pyarrow", "modin", "cudf")
_CLOCKS = ("utc", "local", "count")

Rule = tuple[str, Callable[[Any], bool]]


def _whole(least: int, most: int = _LARGEST) -> Rule:
    return f"a whole number of at least {least}", lambda v: type(v) is int and least <= v <= most


def _or_none(rule: Rule) -> Rule:
    words, holds = rule
    return f"{words}, or null", lambda v: v is None or holds(v)


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(type(each) is str for each in value)


def _is_errors(value: Any) -> bool:
    return (
        type(value) is dict
        and set(value) <= set(KINDS)
        and all(type(each) in (int, float) and each >= 0 for each in value.values())
    )


def _is_mapping_of_texts(value: Any) -> bool:
    return type(value) is dict and all(type(each) is str for each in value.values())


_TEXT: Rule = ("text", lambda v: type(v) is str)
_YES: Rule = ("true or false", lambda v: type(v) is bool)
_MAPPING: Rule = ("a mapping", lambda v: type(v) is dict)
_LIST: Rule = ("a list", lambda v: type(v) is list)
_NAMES: Rule = ("a name, names or null", lambda v: v is None or type(v) is str or _is_texts(v))

_ASKED: dict[str, Rule] = {
    "target": _or_none(_TEXT),
    "horizon": _whole(1),
    "time": _NAMES,
    "group": _NAMES,
    "inputs": _NAMES,
    "future": _NAMES,
    "static": _NAMES,
    "missing": ("text, texts by name, or null", lambda v: v is None or type(v) is str or _is_mapping_of_texts(v)),
    "step": _or_none(_TEXT),
    "zone": _or_none(_TEXT),
    "calendar": _NAMES,
    "quantiles": _LIST,
    "coverage": ("a number", lambda v: type(v) in (int, float)),
    "recipe": _MAPPING,
    "search": _whole(0),
    "seed": _whole(0),
    "threads": _or_none(_whole(1)),
    "without": _NAMES,
    "decimal": ("a decimal mark", lambda v: v in DECIMALS),
}  # fmt: skip
# Files of before these could be asked for do not have them.
_LATER: dict[str, Any] = {"without": None, "decimal": "."}
_CONFIG: dict[str, Rule] = {
    "asked": _MAPPING,
    "recipe": _MAPPING,
    "rows": _whole(0),
    "kind": ("a kind of forecaster", lambda v: v in KINDS),
    "encoding": _MAPPING,
    "intervals_rows": _whole(0),
    "choice": _MAPPING,
    "source": _MAPPING,
    "nets": _LIST,
    "followed": _LIST,
}
_ENCODING: dict[str, Rule] = {
    "horizon": _whole(1),
    "calendar": _LIST,
    "period": _whole(1, _MOST_ROWS),
    "window": _whole(1, _MOST_ROWS),
    "past_window": _whole(1, _MOST_ROWS),
    "age": _YES,
    "past": ("a list of names", _is_texts),
    "future": ("a list of names", _is_texts),
    "static": ("a list of names", _is_texts),
    "ids": ("a list of different names", lambda v: _is_texts(v) and len(set(v)) == len(v)),
}
_CHOICE: dict[str, Rule] = {
    "kind": ("a kind of forecaster", lambda v: v in KINDS),
    "errors": ("numbers of at least 0 by kind of forecaster", _is_errors),
    "origins": _whole(0),
    "reason": _TEXT,
}
_SOURCE: dict[str, Rule] = {
    "layout": _or_none(_MAPPING),
    "kind": ("a kind of table", lambda v: v in _TABLES),
    "findings": _LIST,
    "target": _TEXT,
}
_FINDING: dict[str, Rule] = {
    "kind": _TEXT,
    "text": _TEXT,
    "column": _TEXT,
    "count": _whole(0),
    "warning": _YES,
}
_LAYOUT: dict[str, Rule] = {
    "clock": ("a kind of clock", lambda v: v in _CLOCKS),
    "missing": (
        "policies by column",
        lambda v: _is_mapping_of_texts(v) and all(each in POLICIES for each in v.values()),
    ),
    "step": ("a step", lambda v: type(v) is str and len(v) < 14),
}
_FOLLOWED: dict[str, Rule] = {"id": _TEXT, "time": _TEXT, "local": _TEXT, "ahead": _whole(0)}


def check_fields(config: Mapping[str, Any]) -> None:
    """Raise InvalidInput at the first value that no file of ours has.

    Fields that are named here must be there. Others are none of this function's business.
    """
    _check("", config, _CONFIG)
    asked = config["asked"]
    _check("asked", {**_LATER, **asked} if type(asked) is dict else asked, _ASKED)
    _check_recipe("asked.recipe", config["asked"]["recipe"])
    _check_recipe("recipe", config["recipe"])
    _check("encoding", config["encoding"], _ENCODING)
    choice, source = config["choice"], config["source"]
    _check("choice", choice, _CHOICE, alone=True)
    if not choice["reason"] and choice["kind"] not in choice["errors"]:
        raise InvalidInput(f"choice.errors must have that of kind {choice['kind']!r}. Got none")
    _check("source", source, _SOURCE)
    for finding in source["findings"]:
        _check("finding", finding, _FINDING, alone=True)
    if source["layout"] is not None:
        _check("layout", source["layout"], _LAYOUT)
    for each in config["followed"]:
        _check("followed", each, _FOLLOWED, alone=True)
    ids = [each["id"] for each in config["followed"]]
    if len(set(ids)) < len(ids):
        raise InvalidInput("followed must have each series once. Got one twice")
    for name in ("time", "local"):
        for each in config["followed"]:
            read_time(name, each[name])


def read_time(name: str, text: str) -> np.datetime64:
    """Return a time of a file, in seconds."""
    try:
        found = np.datetime64(text, "s")
    except ValueError:
        found = None
    # Beyond its years NumPy's clock goes round and reads anything.
    if found is None or not text or not str(found).startswith(text.removesuffix("Z")):
        raise InvalidInput(f"{name} must be a time. Got {text!r:.40}")
    return found


def _check(what: str, values: Any, rules: Mapping[str, Rule], *, alone: bool = False) -> None:
    if type(values) is not dict or not rules.keys() <= values.keys() or (alone and len(values) > len(rules)):
        raise InvalidInput(f"{what or 'config'} must have the fields {', '.join(rules)}. Got {values!r:.60}")
    for name, (words, holds) in rules.items():
        if not holds(values[name]):
            raise InvalidInput(f"{what}{'.' * bool(what)}{name} must be {words}. Got {values[name]!r:.60}")


def _check_recipe(what: str, recipe: Mapping[str, Any]) -> None:
    """Raise for what `Recipe` itself takes in another type, or leaves to the training."""
    shorter = recipe.get("shorter", [])
    if type(shorter) is not list:
        raise InvalidInput(f"{what}.shorter must be a list. Got {shorter!r:.60}")
    loss = recipe.get("loss", "huber")
    if type(loss) is not str:
        raise InvalidInput(f"{what}.loss must be text. Got {loss!r:.60}")
    get_loss(loss)
    numbers = [value for value in recipe.values() if type(value) in (int, float)]
    large = next((value for value in numbers if abs(value) > _MOST_ROWS), None)
    if large is not None:
        raise InvalidInput(f"{what} must have numbers of at most {_MOST_ROWS}. Got {large}")


def same_values(found: Any, wanted: Any) -> bool:
    """Return whether two plain JSON values are the same, types too: True is no 1."""
    if type(found) is not type(wanted):
        return False
    if isinstance(found, dict):
        return found.keys() == wanted.keys() and all(same_values(v, wanted[k]) for k, v in found.items())
    if isinstance(found, Sequence) and not isinstance(found, str):
        return len(found) == len(wanted) and all(map(same_values, found, wanted))
    return bool(found == wanted)
