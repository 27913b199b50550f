"""What a forecaster is asked for, checked: names and numbers, before any data are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checks import check_choice, check_number, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.forecast.features.calendar import CYCLES
from bptt.forecast.recipe import Recipe

Names = str | Sequence[str] | None


@dataclass(frozen=True)
class Asked:
    """The settings of a `Forecaster`; see there."""

    target: str | None
    horizon: int
    time: Names
    group: Names
    inputs: Names
    future: Names
    static: Names
    missing: str | Mapping[str, str] | None
    step: str | None
    zone: str | None
    calendar: str | tuple[str, ...] | None
    quantiles: tuple[float, ...]
    coverage: float
    recipe: Recipe
    search: int
    seed: int
    threads: int | None
    # Files of before these could be asked for have neither.
    without: Names = None
    decimal: str = "."

    def columns(self) -> dict[str, Any]:
        """Return what the reader of tables is told."""
        names = (
            "target", "time", "group", "inputs", "future", "static", "without", "missing", "step", "zone", "decimal",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


def make_recipe(recipe: Recipe | None, settings: Mapping[str, object]) -> Recipe:
    """Return the recipe with the settings that are not None in the place of its own."""
    if recipe is not None and not isinstance(recipe, Recipe):
        raise InvalidType(f"recipe must be a bptt.forecast.Recipe. Got {type(recipe).__name__}")
    given: dict[str, Any] = {
        # Plain numbers: a model file is to hold them.
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in settings.items()
        if value is not None
    }
    if "updates" in given:
        # A number that is asked for is not tried out, nor fitted to the rows.
        given |= {"shorter": (), "scaled": False}
    return replace(recipe or Recipe(), **given)


def check_calendar(calendar: object) -> str | tuple[str, ...] | None:
    """Return "auto", None, or names of cycles."""
    if calendar is None or calendar == "auto":
        return None if calendar is None else "auto"
    names = (calendar,) if isinstance(calendar, str) else calendar
    if not isinstance(names, Sequence):
        raise InvalidType(f"calendar must be 'auto', None or names of cycles. Got {calendar!r}")
    return tuple(check_choice("calendar", name, CYCLES) for name in names)


def check_quantiles(quantiles: object) -> tuple[float, ...]:
    """Return probabilities between 0 and 1, increasing."""
    if quantiles is None:
        return ()
    if isinstance(quantiles, str) or not isinstance(quantiles, (Sequence, np.ndarray)):
        raise InvalidType(f"quantiles must be a sequence of probabilities. Got {quantiles!r}")
    found = tuple(_probability("quantiles", level) for level in quantiles)
    if list(found) != sorted(set(found)):
        raise InvalidInput(f"quantiles must increase. Got {list(found)}")
    return found


def check_together(asked: Asked) -> Asked:
    """Return what is asked for; raise InvalidInput where one setting leaves another without sense."""
    if asked.quantiles and asked.recipe.intervals == "none":
        raise InvalidInput(
            "quantiles must be left out where intervals = 'none'. "
            f"Got {list(asked.quantiles)}: they are calibrated as intervals are"
        )
    if asked.search and not asked.recipe.validation:
        raise InvalidInput(
            f"search must be 0 where validation = 0. Got {asked.search}: variations are compared on validation rows"
        )
    return asked


def check_coverage(coverage: object) -> float:
    """Return a probability between 0 and 1."""
    return _probability("coverage", coverage)


def _probability(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and 1 < value < 100:
        raise InvalidInput(f"{name} must be below 1. Got {value:g}: write {value / 100:g} for {value:g} %")
    return check_number(name, value, above=0.0, below=1.0)


def check_seed(seed: object) -> int:
    """Return a seed."""
    return check_whole("seed", seed, least=0)


def drawn_recipes(recipe: Recipe, count: int, seed: int) -> list[Recipe]:
    """Return so many variations of a recipe for a search: size, rate, decay and length of the training."""
    rng = np.random.default_rng([seed, 3])
    return [
        replace(
            recipe,
            hidden=int(rng.choice([16, 24, 32, 48, 64])),
            layers=int(rng.choice([1, 1, 2])),
            rate=float(recipe.rate * 2.0 ** rng.uniform(-1, 1)),
            decay=float(recipe.decay * 10.0 ** rng.uniform(-1, 0.5)),
            updates=_drawn_updates(recipe, 2.0 ** rng.uniform(-1.5, 1)),
        )
        for _ in range(count)
    ]


def _drawn_updates(recipe: Recipe, share: float) -> int:
    """Return so much of the recipe's updates, or all of them where their number was asked for."""
    return max(20, round(recipe.updates * share)) if recipe.scaled else recipe.updates
