"""Which parameters a rule holds for, by a pattern on their names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from bptt.errors import InvalidInput, InvalidType

# Matrices of every layer, the readout and the linear path; not biases, peepholes or a learned initial state.
WEIGHTS = "W_*"


def check_pattern(pattern: object) -> str:
    """Return `pattern` if it is text."""
    if not isinstance(pattern, str):
        raise InvalidType(f'pattern must be text such as "W_*" or "layers.0.*". Got {pattern!r}')
    return pattern


@lru_cache(maxsize=1024)  # AdamW asks at every step
def selects(pattern: str, name: str) -> bool:
    """Return whether `pattern` fits a parameter's whole name or its last part, with * and ? as in file names."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(".")[2], pattern)


def selected(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that `pattern` fits; none is an error, as the rule would silently do nothing."""
    known = list(names)
    found = [name for name in known if selects(pattern, name)]
    if not found:
        raise InvalidInput(
            f"pattern must fit a parameter: {', '.join(known) or 'none given'}. Got {pattern!r}"
        )
    return found
