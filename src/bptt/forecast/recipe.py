"""Everything that a forecaster's training depends on, but the data and the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from bptt.cells import CELLS
from bptt.checks import check_choice, check_number, check_whole
from bptt.errors import FileFormatError, InvalidInput, InvalidType

ANCHORS = ("auto", "last", "season")
TRANSFORMS = ("none", "log1p", "nonnegative")
READINGS = ("own", "window")
INTERVALS = ("conformal", "gaussian", "none")
HEADS = ("direct", "recursive", "segments")


@dataclass(frozen=True)
class Recipe:
    """How a forecaster is built and trained; the defaults were chosen on the last 20 % of Beijing's training rows.

    Attributes
    ----------
    cell : {"gru", "lstm", "elman"}
    hidden, layers : int
        Size and number of recurrent layers.
    ensemble : int
        Networks that are trained from different seeds; their forecasts are averaged.
    length, warmup : int
        Steps of a training sequence, and those at its start whose errors do not count.
    batch : int
        Sequences an update.
    updates : int
        Of the longest training that is tried.
    scaled : bool
        Whether `updates` is meant for 30,000 rows, and other numbers of rows have fewer or more, by their root; else
        just so many are made.
    shorter : tuple of float
        Shares of `updates` that are tried on the validation rows, besides all of them.
    rate, decay, clip : float
        AdamW's largest learning rate (half a cosine leads down to 0), its weight decay, and the largest norm of the
        gradient.
    loss : str
        Of the gradient steps, on targets of unit variance.
    window : int or None
        Newest values of the target that the linear path reads; None: by the step (a week of hours).
    past_window : int
        The same for the other columns.
    anchor : {"auto", "last", "season"}
        What the change is predicted from: the newest value, or the newest one of the same season. "auto" tries the
        season too, where repeating it is better than repeating the last value.
    period : int or None
        Rows of a season; None: by the step (24 of an hour).
    transform : {None, "none", "log1p", "nonnegative"}
        What the target is seen through; with "log1p" forecasts and intervals never fall below 0, with "nonnegative"
        it is seen as it is, and they stop at 0. None: "nonnegative" for a target that is never below 0 and in some
        series in 5 % of the rows exactly there, else "none"; for twenty series and more that are never negative, that
        or "log1p" by validation.
    level : {None, "own", "window"}
        Whether networks and linear path read how high the newest value is, or its distance from the mean of the linear
        path's window, without a drift beside it; None: the distance for horizons of two seasons and more.
    head : {"auto", "direct", "recursive", "segments"}
        How a state becomes K forecasts: all from it at once; one row, which is fed back for the next; or segment by
        segment, a decoder going on from the state. "auto" is direct: nothing else paid where it was measured.
    intervals : {"conformal", "gaussian", "none"}
        Made of the quantiles of held-out errors divided by their usual size; or of a normal distribution of that size;
        with "none" there are none, and no block is held out.
    validation : float
        Share of the rows, the newest ones, on which choices are made. 0: nothing is tried or chosen; the networks are
        taken as they are, with the usual penalties.
    blocks : int
        Blocks that are held out in turn, the validation rows among them, so that intervals are calibrated on every
        season. Each is forecast by a network that has not seen it.
    trial_members : int
        Networks of the trials; the final ensemble is larger.
    step_back : bool
        Whether a simpler method may take the network's place where it does better on the validation rows.
    most_rows : int
        Rows that one network trains on, and the linear path is solved from, at most.
    """

    cell: str = "gru"
    hidden: int = 32
    layers: int = 1
    ensemble: int = 5
    length: int = 192
    warmup: int = 24
    batch: int = 32
    updates: int = 900
    scaled: bool = True
    shorter: tuple[float, ...] = (0.4,)
    rate: float = 0.007
    decay: float = 0.3
    clip: float = 1.0
    loss: str = "huber"
    window: int | None = None
    past_window: int = 24
    anchor: str = "auto"
    period: int | None = None
    transform: str | None = None
    level: str | None = None
    head: str = "auto"
    intervals: str = "conformal"
    validation: float = 0.2
    blocks: int = 4
    trial_members: int = 2
    step_back: bool = True
    most_rows: int = 200_000

    def __post_init__(self) -> None:
        check_choice("cell", self.cell, tuple(CELLS))
        for name in (
            "hidden",
            "layers",
            "ensemble",
            "length",
            "batch",
            "updates",
            "past_window",
            "trial_members",
        ):
            check_whole(name, getattr(self, name))
        check_whole("warmup", self.warmup, least=0)
        check_whole("blocks", self.blocks, least=2)
        check_whole("most_rows", self.most_rows, least=1000)
        if self.warmup >= self.length:
            raise InvalidInput(
                f"warmup must be below length = {self.length}. Got {self.warmup}: no step would count"
            )
        for name in ("window", "period"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))
        for name in ("rate", "clip"):
            check_number(name, getattr(self, name), above=0.0)
        check_number("decay", self.decay, least=0.0)
        check_number("validation", self.validation, least=0.0, below=0.5)
        for share in self.shorter:
            check_number("shorter", share, above=0.0, below=1.0)
        for name in ("step_back", "scaled"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidType(f"{name} must be True or False. Got {getattr(self, name)!r}")
        check_choice("anchor", self.anchor, ANCHORS)
        check_choice("head", self.head, ("auto", *HEADS))
        check_choice("intervals", self.intervals, INTERVALS)
        if self.transform is not None:
            check_choice("transform", self.transform, TRANSFORMS)
        if self.level is not None:
            check_choice("level", self.level, READINGS)

    def to_config(self) -> dict[str, Any]:
        """Return plain JSON values; what older versions do not know is there only where it was asked for."""
        found = {**asdict(self), "shorter": list(self.shorter)}
        return {name: value for name, value in found.items() if name != "scaled" or not value}

    @classmethod
    def from_config(cls, config: object) -> Self:
        """Return the recipe that `to_config` wrote; what an older version did not have takes its default.

        Raises
        ------
        FileFormatError
            Fields that are unknown or out of range.
        """
        names = sorted(each.name for each in fields(cls))
        if not isinstance(config, Mapping) or not set(config) <= set(names):
            raise FileFormatError(f"recipe must have only the fields {', '.join(names)}. Got {config!r:.60}")
        given = {**config, "shorter": tuple(config.get("shorter", cls.shorter))}
        try:
            return cls(**given)
        except (InvalidInput, InvalidType) as error:
            raise FileFormatError(f"recipe must hold valid settings. Got: {error}") from error
