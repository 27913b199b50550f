"""Reading a forecaster back: the configuration first, then the arrays that it asks for, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bptt.cells import get_cell
from bptt.checks import Array
from bptt.errors import FileFormatError, InvalidInput, InvalidType
from bptt.files.model import Header, read_arrays
from bptt.forecast.asking import Asked, check_calendar, check_coverage, check_quantiles
from bptt.forecast.features import window_path
from bptt.forecast.features.calendar import CYCLES, Calendar
from bptt.forecast.features.encoding import Encoding, Memory
from bptt.forecast.fitting.choosing import Choice
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.fitting.intervals import LEVELS, Intervals
from bptt.forecast.fitting.ridge_path import Linear
from bptt.forecast.fitting.trained import KINDS, Trained
from bptt.forecast.predicting.following import Followed
from bptt.forecast.recipe import READINGS, Recipe
from bptt.forecast.saving.container import Contents, Source
from bptt.forecast.tables.layout import Finding, Layout
from bptt.initializers import Constant
from bptt.network import Network, Recurrent


def read(path: str | os.PathLike[str], header: Header) -> Contents:
    """Return what `write` wrote, once format, version and kind were looked at.

    Raises
    ------
    FileFormatError
        Fields or arrays that are missing, unknown, or do not fit together.
    """
    config = header.description["config"]
    name = os.fspath(path)
    try:
        # Sizes first: a file must not make us allocate more than it holds.
        frame = _Frame.of(config)
        frame.check(header.arrays)
        return frame.build(read_arrays(path, header))
    except (InvalidInput, InvalidType, KeyError, TypeError, ValueError, AttributeError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise FileFormatError(f"{name} must hold a whole forecaster. Got: {told}") from error


@dataclass(frozen=True)
class _Frame:
    """The configuration of a file, checked, and the arrays that it asks for."""

    config: Mapping[str, Any]
    asked: Asked
    recipe: Recipe
    calendar: Calendar
    step: np.timedelta64

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> _Frame:
        names = (
            "asked",
            "recipe",
            "rows",
            "kind",
            "encoding",
            "intervals_rows",
            "choice",
            "source",
            "nets",
            "followed",
        )
        _check_names("config", config, names)
        asked = dict(config["asked"])
        _check_names("asked", asked, tuple(each.name for each in fields(Asked)))
        asked["recipe"] = Recipe.from_config(asked["recipe"])
        asked["calendar"] = check_calendar(asked["calendar"])
        asked["quantiles"] = check_quantiles(asked["quantiles"])
        asked["coverage"] = check_coverage(asked["coverage"])
        # Files of before the level could be read in two ways do not have it.
        encoding = {"level": "own", **config["encoding"]}
        config = {**config, "encoding": encoding}
        _check_names("encoding", encoding, _ENCODING)
        for name in ("past", "future", "static", "ids"):
            if not isinstance(encoding[name], list) or not all(
                isinstance(each, str) for each in encoding[name]
            ):
                raise InvalidInput(f"{name} must be a list of names. Got {encoding[name]!r:.60}")
        for name in ("horizon", "period", "window", "past_window"):
            if type(encoding[name]) is not int or encoding[name] < 1:
                raise InvalidInput(f"{name} must be a whole number of at least 1. Got {encoding[name]!r:.60}")
        if type(encoding["age"]) is not bool or not all(type(k) is int and k > 0 for k in encoding["ahead"]):
            raise InvalidInput(
                f"encoding must have valid settings. Got {encoding['age']!r}, {encoding['ahead']!r:.60}"
            )
        if config["kind"] not in KINDS or encoding["anchor"] not in ("last", "season"):
            raise InvalidInput(
                f"kind and anchor must be known. Got {config['kind']!r}, {encoding['anchor']!r}"
            )
        if encoding["level"] not in READINGS:
            raise InvalidInput(f"level must be known. Got {encoding['level']!r:.60}")
        if encoding["transform"] not in (None, "log1p") or set(encoding["calendar"]) - set(CYCLES):
            raise InvalidInput(
                f"transform and calendar must be known. Got {encoding['transform']!r}, {encoding['calendar']!r}"
            )
        if (config["kind"] == "network") != bool(config["nets"]):
            raise InvalidInput(f"nets must be there for kind 'network' alone. Got {len(config['nets'])}")
        return cls(
            config,
            Asked(**asked),
            Recipe.from_config(config["recipe"]),
            Calendar(tuple(encoding["calendar"])),
            _read_step(encoding["step"]),
        )

    def check(self, stored: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
        """Raise InvalidInput where the arrays are not those of the configuration."""
        left = dict(stored)
        # A network is built only once its sizes are known to be those of arrays that are there.
        for m, net in enumerate(self.config["nets"]):
            stack, K = net["recurrent"], self.config["encoding"]["horizon"]
            _, readout = stored.get(f"nets.{m}.readout.W_hy", (None, ()))
            if readout != (stack["hidden_size"], K) or not 0 < stack["num_layers"] <= len(stored):
                raise InvalidInput(
                    f"a readout {readout} of network {m} in the place of ({stack['hidden_size']}, {K})"
                )
        for name, shape in self.shapes().items():
            if name not in left:
                raise InvalidInput(f"no array {name} {shape}")
            dtype, found = left.pop(name)
            if (dtype, found) != (np.dtype(np.float64), shape):
                raise InvalidInput(f"{name} of {dtype.name} {found} in the place of float64 {shape}")
        if left:
            raise InvalidInput(f"an array {next(iter(left))}, which the configuration does not have")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name and shape of every array."""
        config, encoding = self.config, self.config["encoding"]
        K, P, S = encoding["horizon"], len(encoding["past"]), len(encoding["ids"])
        others = P + len(encoding["future"]) + len(encoding["static"])
        G = 3 + sum(self.calendar.slots)
        bare = self.encoding({})
        W = window_path.features(bare)
        found: dict[str, tuple[int, ...]] = {
            "encoding.centres": (S,),
            "encoding.scales": (S,),
            "encoding.means": (others,),
            "encoding.deviations": (others,),
            "encoding.change": (1 + P,),
            "encoding.target": (K,),
            "intervals.weights": (G, K),
            "intervals.quantiles": (len(LEVELS), K),
            "intervals.floor": (2,),
        }
        if config["kind"] in ("network", "ridge"):
            found |= {"linear.weights": (W, K), "linear.intercept": (K,)}
        n = len(config["followed"])
        if n:
            found |= {
                "followed.z": (n, K),
                "followed.moment": (n, G),
                "followed.static": (n, len(encoding["static"])),
                "followed.memory_z": (n, bare.reach),
                "followed.memory_p": (n, bare.reach, P),
                "followed.memory": (n, 3),
            }
        for m, net in enumerate(config["nets"]):
            made = _build_net(net, bare.inputs, K)
            found |= {f"nets.{m}.{name}": array.shape for name, array in made.parameters.items()}
            if n:
                found |= {
                    f"followed.state.{m}.{name}": made.recurrent.state_shape(n)
                    for name in made.recurrent.states
                }
        return found

    def encoding(self, arrays: Mapping[str, Array]) -> Encoding:
        """Return the encoding with its arrays, or with empty ones."""
        config = self.config["encoding"]
        nothing = np.zeros(0)
        names = ("centres", "scales", "means", "deviations", "change", "target")
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
        }
        settings |= {"calendar": self.calendar, "step": self.step}
        settings |= {name: arrays.get(f"encoding.{name}", nothing) for name in names}
        return Encoding(**settings)

    def build(self, arrays: Mapping[str, Array]) -> Contents:
        """Return the forecaster's parts."""
        config = self.config
        encoding = self.encoding(arrays)
        if not all(
            (each > 0).all()
            for each in (encoding.scales, encoding.deviations, encoding.change, encoding.target)
        ):
            raise InvalidInput("a scale that is not above 0")
        nets = []
        for m, settings in enumerate(config["nets"]):
            net = _build_net(settings, encoding.inputs, encoding.horizon)
            for name, array in net.parameters.items():
                array[...] = arrays[f"nets.{m}.{name}"]
            nets.append(net)
        linear = None
        if "linear.weights" in arrays:
            linear = Linear(arrays["linear.weights"], arrays["linear.intercept"])
        choice = config["choice"]
        intervals = Intervals(
            arrays["intervals.weights"],
            np.maximum.accumulate(arrays["intervals.quantiles"], axis=0),
            arrays["intervals.floor"],
            int(config["intervals_rows"]),
        )
        fitted = Fitted(
            trained=Trained(config["kind"], encoding, tuple(nets), linear),
            intervals=intervals,
            choice=Choice(
                choice["kind"],
                None,
                None,
                dict(choice["errors"]),
                int(choice["origins"]),
                str(choice["reason"]),
            ),
            recipe=self.recipe,
            rows=int(config["rows"]),
        )
        source = None if config["source"] is None else _read_source(config["source"], encoding)
        return Contents(self.asked, fitted, source, self._followed(arrays, nets))

    def _followed(self, arrays: Mapping[str, Array], nets: list[Network]) -> dict[str, Followed]:
        found = {}
        for k, each in enumerate(self.config["followed"]):
            age, centre, scale = map(float, arrays["followed.memory"][k])
            if not isinstance(each["id"], str) or scale <= 0:
                raise InvalidInput(f"a series {each['id']!r} of scale {scale:g}")
            states = tuple(
                {name: arrays[f"followed.state.{m}.{name}"][:, k : k + 1] for name in net.recurrent.states}
                for m, net in enumerate(nets)
            )
            memory = Memory(
                arrays["followed.memory_z"][k], arrays["followed.memory_p"][k], age, centre, scale
            )
            found[each["id"]] = Followed(
                each["id"],
                np.datetime64(each["time"], "s"),
                np.datetime64(each["local"], "s"),
                memory,
                states,
                arrays["followed.z"][k],
                arrays["followed.moment"][k],
                arrays["followed.static"][k],
                int(each["ahead"]),
            )
        return found


_ENCODING = (
    "horizon", "calendar", "step", "transform", "anchor", "period", "window", "past_window", "age", "past", "future",
    "static", "ahead", "ids", "level",
)  # fmt: skip
_SOURCE = ("layout", "kind", "findings", "target")


def _read_source(config: Mapping[str, Any], encoding: Encoding) -> Source:
    _check_names("source", config, _SOURCE)
    return Source(
        None if config["layout"] is None else Layout.from_config(config["layout"]),
        str(config["kind"]),
        tuple(Finding(**each) for each in config["findings"]),
        str(config["target"]),
        encoding.past,
        encoding.future,
        encoding.static,
        encoding.step,
    )


def _build_net(settings: Mapping[str, Any], inputs: int, outputs: int) -> Network:
    """Return a network as `in_double` makes it; raises where the settings are of another one."""
    stack = settings["recurrent"]
    cell = dict(stack["cell"])
    name = cell.pop("name")
    recurrent = Recurrent(
        name,
        inputs,
        stack["hidden_size"],
        num_layers=stack["num_layers"],
        dtype="float64",
        initializers=dict.fromkeys(get_cell(name, cell).plan.weights, Constant(0.0)),
        **cell,
    )
    net = Network(
        recurrent, outputs, readout="every", loss="mse", bias=False, readout_initializer=Constant(0.0)
    )
    if net.config() != settings:
        raise InvalidInput(f"a network that no forecaster has: {settings!r:.60}")
    return net


def _read_step(text: object) -> np.timedelta64:
    if (
        not isinstance(text, str)
        or text[-1:] not in ("s", "M")
        or not text[:-1].isdecimal()
        or not int(text[:-1])
    ):
        raise InvalidInput(f"step must be a number and s or M. Got {text!r}")
    count = int(text[:-1])
    return np.timedelta64(count, "M") if text[-1] == "M" else np.timedelta64(count, "s")


def _check_names(what: str, config: object, names: Sequence[str]) -> None:
    if not isinstance(config, Mapping) or sorted(config) != sorted(names):
        raise InvalidInput(f"{what} must have the fields {', '.join(names)}. Got {config!r:.60}")
