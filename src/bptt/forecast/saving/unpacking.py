"""Reading a forecaster back: the configuration first, then the arrays that it asks for, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import numpy as np

from bptt.cells import CELLS, Cell, get_cell
from bptt.checks import Array, check_choice, check_whole
from bptt.errors import FileFormatError, InvalidInput, InvalidType
from bptt.files.model import Header, read_arrays
from bptt.forecast.asking import Asked, check_calendar, check_coverage, check_quantiles
from bptt.forecast.features import window_path
from bptt.forecast.features.calendar import CYCLES, Calendar
from bptt.forecast.features.encoding import Encoding, Memory
from bptt.forecast.fitting.choices.choosing import Choice
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.fitting.intervals.bounds import LEVELS, Intervals
from bptt.forecast.fitting.networks.decoder import decoder_shapes, make_decoder
from bptt.forecast.fitting.readouts.ridge_path import Linear
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.predicting.following import Followed
from bptt.forecast.recipe import HEADS, READINGS, TRANSFORMS, Recipe
from bptt.forecast.saving.container import Contents, Source
from bptt.forecast.saving.fields import check_fields, read_time, same_values
from bptt.forecast.scoring.scorecard import Scorecard
from bptt.forecast.tables.assembling import static_names
from bptt.forecast.tables.filling import spread
from bptt.forecast.tables.layout import Finding, Layout
from bptt.initializers import Constant
from bptt.network import Network, Recurrent
from bptt.network.parameters import cell_shapes, prefixes

# Of what a message repeats from a file.
_LONGEST_WORDS = 240


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
        tested = header.description["extra"].get("tested")
        contents = frame.build(read_arrays(path, header))
        return contents if tested is None else replace(contents, tested=Scorecard.from_config(tested))
    except (
        InvalidInput,
        InvalidType,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
    ) as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        told = told if told.isprintable() else ascii(told)
        told = told if len(told) <= _LONGEST_WORDS else f"{told[:_LONGEST_WORDS]}..."
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
        check_fields(config)
        # What could not be asked for when a file was written was not.
        asked = {each.name: each.default for each in fields(Asked) if each.default is not MISSING}
        asked |= config["asked"]
        _check_names("asked", asked, tuple(each.name for each in fields(Asked)))
        asked["recipe"] = Recipe.from_config(asked["recipe"])
        asked["calendar"] = check_calendar(asked["calendar"])
        asked["quantiles"] = check_quantiles(asked["quantiles"])
        asked["coverage"] = check_coverage(asked["coverage"])
        # Files of before there were two levels, heads and groups of series do not have them.
        encoding = {"level": "own", "head": "direct", "groups": [], "parts": 1, **config["encoding"]}
        config = {**config, "encoding": encoding}
        _check_names("encoding", encoding, _ENCODING)
        ahead = encoding["ahead"]
        if not isinstance(ahead, list) or not all(
            type(k) is int and 0 < k <= encoding["horizon"] for k in ahead
        ):
            raise InvalidInput(f"ahead must be a list of rows within the horizon. Got {ahead!r:.60}")
        if encoding["anchor"] not in ("last", "season"):
            raise InvalidInput(f"anchor must be known. Got {encoding['anchor']!r:.60}")
        if encoding["level"] not in READINGS:
            raise InvalidInput(f"level must be known. Got {encoding['level']!r:.60}")
        if encoding["head"] not in HEADS:
            raise InvalidInput(f"head must be known. Got {encoding['head']!r:.60}")
        if encoding["head"] == "recursive" and encoding["future"] and ahead != [1]:
            raise InvalidInput(
                f"ahead must be [1] for a recursive head, which reads row by row. Got {ahead!r:.60}"
            )
        groups, parts = encoding["groups"], check_whole("parts", encoding["parts"])
        if not isinstance(groups, list) or not all(type(g) is int and 0 <= g < parts for g in groups):
            raise InvalidInput(
                f"groups must be a list of whole numbers below parts = {parts}. Got {groups!r:.60}"
            )
        if len(groups) != (len(encoding["ids"]) if parts > 1 else 0) or (
            parts > 1 and encoding["head"] != "direct"
        ):
            raise InvalidInput(
                f"groups must be there for each series, of a direct head with parts above 1 alone. Got {len(groups)}"
            )
        if encoding["transform"] not in (None, *TRANSFORMS[1:]) or set(encoding["calendar"]) - set(CYCLES):
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
        for name, shape in self.shapes(len(stored)):
            if name not in left:
                raise InvalidInput(f"no array {name} {shape}")
            dtype, found = left.pop(name)
            if (dtype, found) != (np.dtype(np.float64), shape):
                raise InvalidInput(f"{name} of {dtype.name} {found} in the place of float64 {shape}")
        if left:
            raise InvalidInput(f"an array {next(iter(left))}, which the configuration does not have")

    def shapes(self, most: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every array; where there are more than `most`, enough of them."""
        config, encoding = self.config, self.config["encoding"]
        K, P, S = encoding["horizon"], len(encoding["past"]), len(encoding["ids"])
        others = P + len(encoding["future"]) + len(encoding["static"])
        G = 3 + sum(self.calendar.slots)
        bare = self.encoding({})
        W = window_path.features(bare)
        yield "encoding.centres", (S,)
        yield "encoding.scales", (S,)
        yield "encoding.means", (others,)
        yield "encoding.deviations", (others,)
        yield "encoding.change", (1 + P,)
        yield "encoding.target", (K,)
        yield "intervals.weights", (G, K)
        yield "intervals.quantiles", (len(LEVELS), K)
        yield "intervals.floor", (2,)
        if config["kind"] in ("network", "ridge"):
            said = (1 if bare.head == "recursive" else K) * bare.parts
            yield "linear.weights", (W, said)
            yield "linear.intercept", (said,)
        n = len(config["followed"])
        if n:
            yield "followed.z", (n, K)
            yield "followed.moment", (n, G)
            yield "followed.static", (n, len(encoding["static"]))
            yield "followed.memory_z", (n, bare.reach)
            yield "followed.memory_p", (n, bare.reach, P)
            yield "followed.memory", (n, 3)
        for m, net in enumerate(config["nets"]):
            yield from _net_shapes(m, net, bare.inputs, bare.outputs * bare.parts, n, most)
            if bare.head == "segments":
                H = net["recurrent"]["hidden_size"]
                for name, shape in decoder_shapes(bare, H).items():
                    yield f"decoders.{m}.{name}", shape

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
        if self.asked.horizon != encoding.horizon:
            raise InvalidInput(
                f"a horizon of {self.asked.horizon} beside arrays for one of {encoding.horizon}"
            )
        if not all(
            (each > 0).all()
            for each in (encoding.scales, encoding.deviations, encoding.change, encoding.target)
        ):
            raise InvalidInput("a scale that is not above 0")
        nets, decoders = [], []
        for m, settings in enumerate(config["nets"]):
            net = _build_net(settings, encoding.inputs, encoding.outputs * encoding.parts)
            if encoding.head == "segments":
                decoder = make_decoder(encoding, net.recurrent.hidden_size, "float64", empty=True)
                for name, array in decoder.parameters.items():
                    array[...] = arrays[f"decoders.{m}.{name}"]
                decoders.append(decoder)
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
            config["intervals_rows"],
            there=self.recipe.intervals != "none",
        )
        fitted = Fitted(
            trained=Trained(config["kind"], encoding, tuple(nets), linear, tuple(decoders)),
            intervals=intervals,
            choice=Choice(
                choice["kind"],
                None,
                None,
                dict(choice["errors"]),
                choice["origins"],
                choice["reason"],
            ),
            recipe=self.recipe,
            rows=config["rows"],
        )
        source = _read_source(config["source"], encoding)
        return Contents(self.asked, fitted, source, self._followed(arrays, nets))

    def _followed(self, arrays: Mapping[str, Array], nets: list[Network]) -> dict[str, Followed]:
        found = {}
        for k, each in enumerate(self.config["followed"]):
            age, centre, scale = map(float, arrays["followed.memory"][k])
            if scale <= 0:
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
                read_time("time", each["time"]),
                read_time("local", each["local"]),
                memory,
                states,
                arrays["followed.z"][k],
                arrays["followed.moment"][k],
                arrays["followed.static"][k],
                each["ahead"],
            )
        return found


_ENCODING = (
    "horizon", "calendar", "step", "transform", "anchor", "period", "window", "past_window", "age", "past", "future",
    "static", "ahead", "ids", "level", "head", "groups", "parts",
)  # fmt: skip
_SOURCE = ("layout", "kind", "findings", "target")
# Digits and unit: a hundred billion of either.
_LONGEST_STEP = 12


def _read_source(config: Mapping[str, Any], encoding: Encoding) -> Source:
    _check_names("source", config, _SOURCE)
    layout = None if config["layout"] is None else Layout.from_config(config["layout"])
    if layout is not None:
        _check_layout(layout, config["target"], encoding)
    return Source(
        layout,
        config["kind"],
        tuple(Finding(**each) for each in config["findings"]),
        config["target"],
        encoding.past,
        encoding.future,
        encoding.static,
        encoding.step,
    )


def _check_layout(layout: Layout, target: str, encoding: Encoding) -> None:
    """Raise InvalidInput where a table read by the layout would not have the columns that the arrays are for."""
    nothing = np.full(1, np.nan)
    for role in ("past", "future"):
        told = tuple(
            part
            for name in getattr(layout, role)
            for part, _ in spread(name, nothing, layout.levels.get(name), layout.missing.get(name))
        )
        if told != getattr(encoding, role):
            raise InvalidInput(f"a layout of {role} columns {', '.join(told)} beside arrays for others")
    fixed = tuple(part for name in layout.static for part in static_names(layout, name))
    if fixed != encoding.static:
        raise InvalidInput(f"a layout of static columns {', '.join(fixed)} beside arrays for others")
    if layout.target != target:
        raise InvalidInput(f"a layout of target {layout.target!r} beside {target!r}")
    if layout.timedelta != encoding.step:
        raise InvalidInput(f"a layout of step {layout.step} beside {encoding.step}")


def _net_shapes(
    m: int, settings: Mapping[str, Any], inputs: int, outputs: int, n: int, most: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of a network's arrays, without making any."""
    stack = settings["recurrent"]
    H, layers = (
        check_whole("hidden_size", stack["hidden_size"]),
        check_whole("num_layers", stack["num_layers"]),
    )
    cell = _cell_of(stack)
    for k, prefix in enumerate(prefixes(min(layers, most + 1), ("forward",))):
        for name, shape in cell_shapes(cell, H if k else inputs, H, True):
            yield f"nets.{m}.{prefix}{name}", shape
    yield f"nets.{m}.readout.W_hy", (H, outputs)
    if n:
        for name in cell.plan.states:
            yield f"followed.state.{m}.{name}", (layers, n, H)


def _cell_of(stack: Mapping[str, Any]) -> Cell:
    options = dict(stack["cell"])
    return get_cell(check_choice("cell", options.pop("name"), CELLS), options)


def _build_net(settings: Mapping[str, Any], inputs: int, outputs: int) -> Network:
    """Return a network as `in_double` makes it; raises where the settings are of another one."""
    stack = settings["recurrent"]
    cell = _cell_of(stack)
    recurrent = Recurrent(
        cell,
        inputs,
        stack["hidden_size"],
        num_layers=stack["num_layers"],
        dtype="float64",
        initializers=dict.fromkeys(cell.plan.weights, Constant(0.0)),
    )
    net = Network(
        recurrent, outputs, readout="every", loss="mse", bias=False, readout_initializer=Constant(0.0)
    )
    if not same_values(json.loads(json.dumps(net.config())), settings):
        raise InvalidInput(f"a network that no forecaster has: {settings!r:.60}")
    return net


def _read_step(text: object) -> np.timedelta64:
    if (
        not isinstance(text, str)
        or text[-1:] not in ("s", "M")
        or not text[:-1].isascii()
        or not text[:-1].isdecimal()
        or len(text) > _LONGEST_STEP
    ):
        raise InvalidInput(f"step must be a number and s or M. Got {text!r:.60}")
    count = int(text[:-1])
    if not count:
        raise InvalidInput(f"step must be above 0. Got {text!r:.60}")
    return np.timedelta64(count, "M") if text[-1] == "M" else np.timedelta64(count, "s")


def _check_names(what: str, config: object, names: Sequence[str]) -> None:
    if not isinstance(config, Mapping) or sorted(config) != sorted(names):
        raise InvalidInput(f"{what} must have the fields {', '.join(names)}. Got {config!r:.60}")
