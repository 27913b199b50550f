"""Save and load: a fixed map from kind to class. Names in a file never resolve to code."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt.cells import CELLS, Cell, get_cell
from bptt.checks import Array, check_choice, check_dtype, check_whole
from bptt.errors import FileFormatError, InvalidInput, InvalidType
from bptt.files.model import FORECASTER, Header, read_arrays, read_header, write_model
from bptt.initializers import Constant
from bptt.losses import get_loss
from bptt.network import Network, Recurrent
from bptt.network.layers import DIRECTIONS
from bptt.network.parameters import cell_shapes, prefixes

if TYPE_CHECKING:
    from bptt.forecast.forecaster import Forecaster

FORMAT, VERSION = "bptt", 1

Model = Network | Recurrent
Config = Mapping[str, Any]
Shapes = Iterator[tuple[str, tuple[int, ...]]]

_NUMBER = (int, float)
_STACK_FIELDS: dict[str, tuple[type, ...]] = {
    "cell": (dict,),
    "input_size": (int,),
    "hidden_size": (int,),
    "num_layers": (int,),
    "direction": (str,),
    "bias": (bool,),
    "dropout": _NUMBER,
    "dtype": (str,),
}
_STACK_OPTIONAL: dict[str, tuple[type, ...]] = {"mask": (list, type(None)), "signs": (list, type(None))}
_NETWORK_FIELDS: dict[str, tuple[type, ...]] = {
    "recurrent": (dict,),
    "output_size": (int,),
    "readout": (str,),
    "loss": (dict,),
    "output_activation": (str,),
    "bias": (bool,),
    "linear_lags": (int,),
    "change_of": (list, type(None)),
    "change_scale": _NUMBER,
    "feedback": (bool,),
    "learned_initial_state": (bool,),
}
_DESCRIPTION_FIELDS: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "version": (int,),
    "kind": (str,),
    "config": (dict,),
    "extra": (dict,),
}
_DESCRIPTION_OPTIONAL: dict[str, tuple[type, ...]] = {"cell_digest": (str,)}


def save(
    model: Model | Forecaster, path: str | os.PathLike[str], *, extra: Mapping[str, Any] | None = None
) -> Path:
    """Write a model to one file: safetensors with the configuration inside.

    Parameters
    ----------
    model : Network, Recurrent or Forecaster
        Its weights must be finite. Of a forecaster the same as its method `save`.
    path : str or path
        Written whole or not at all; an old file there is replaced.
    extra : mapping, optional
        Plain JSON values kept beside the model: a scaler, the data's sha256. `read_extra` returns them, tuples as
        lists. A forecaster's file has no room for it.

    Returns
    -------
    Path

    Raises
    ------
    InvalidType, InvalidInput
        Something that is not a model, or one that could not be loaded again; the file cannot be written.
    FileMissing
        The folder is missing.
    NotFittedError
        A forecaster that was not trained.

    Notes
    -----
    The same model gives the same bytes. Starting seeds, engine and optimiser are not kept.
    """
    if not isinstance(model, (Network, Recurrent)):
        # Here and in `load` alone: labs save networks, and the forecaster's modules take a while to import.
        from bptt.forecast.forecaster import Forecaster

        if not isinstance(model, Forecaster):
            raise _no_model(model)
        if extra is not None:
            raise InvalidInput(
                "extra must be left out with a Forecaster. Got it: keep it in a file of its own"
            )
        return model.save(path)
    kind = next((name for name, made in _KINDS.items() if type(model) is made.model), None)
    if kind is None:
        raise _no_model(model)
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidType(f"extra must be a mapping of names to plain JSON values. Got {extra!r}")
    cell = (model.recurrent if isinstance(model, Network) else model).cell
    description: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "config": model.config(),
        "extra": dict(extra or {}),
    }
    if type(cell) not in CELLS.values():
        # A cell of the user's own: its equations must be the same when it is loaded.
        description["cell_digest"] = cell_digest(cell)
    _check_loadable(description, model, cell)
    return write_model(path, model.parameters, description)


def _no_model(model: object) -> InvalidType:
    return InvalidType(f"model must be a Network, a Recurrent or a Forecaster. Got {type(model).__name__}")


def load(path: str | os.PathLike[str], *, cells: Iterable[type[Cell]] = ()) -> Any:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path
    cells : iterable of Cell subclasses
        The user's own cells; no code is ever taken from the file.

    Returns
    -------
    Network, Recurrent or Forecaster
        Its predictions are bit for bit those of the saved one.

    Raises
    ------
    FileMissing
        No such file.
    FileFormatError
        Not a model, a damaged one, one of a newer version, or one that does not fit together; the message says how.
    InvalidType, InvalidInput
        `cells` does not hold cell classes of different names.
    """
    own = _own_cells(cells)
    header = _read(path)
    description = header.description
    if description["kind"] == FORECASTER:
        from bptt.forecast.forecaster import Forecaster
        from bptt.forecast.saving import unpacking

        return Forecaster._from_contents(unpacking.read(path, header))
    made, name = _KINDS[description["kind"]], os.fsdecode(path)
    try:
        cell = made.cell(description["config"], own, description.get("cell_digest"))
        # Before anything is read or built: a file must not make us allocate more than it holds.
        _check_arrays(header.arrays, *made.expected(description["config"], cell, len(header.arrays)))
        arrays = read_arrays(path, header)
        model = made.build(description["config"], cell)
    except FileFormatError:
        raise
    except (InvalidInput, InvalidType, OverflowError) as error:
        raise FileFormatError(f"{name}: {error}") from error
    except MemoryError:
        raise FileFormatError(f"{name} must fit into memory. Got a model that does not") from None
    for parameter, array in arrays.items():
        model.parameters[parameter][...] = array
    return model


def read_extra(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `save` was given as `extra`, without reading the arrays; raises as `load` does."""
    extra: dict[str, Any] = _read(path).description["extra"]
    return extra


def cell_digest(cell: Cell) -> str:
    """Return what a cell's equations are known by: the text of its formulas, and which array feeds which argument."""
    plan = cell.plan
    stages = [
        [
            [[p.weight, p.operand, p.first_block, p.columns] for p in stage.products],
            [stage.columns, stage.bias_columns],
        ]
        for stage in plan.stages
    ]
    parts = [plan.digest, plan.states, plan.gates, plan.vectors, stages]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


# ---------------------------------------------------------------- the description


def _read(path: str | os.PathLike[str]) -> Header:
    """Return the header of a file of a version and kind that we know."""
    header = read_header(path)
    try:
        _check_description(header.description)
    except (InvalidInput, InvalidType) as error:
        raise FileFormatError(f"{os.fspath(path)}: {error}") from error
    return header


def _check_description(description: Config) -> None:
    if description.get("format") != FORMAT:
        raise InvalidInput(f"format must be {FORMAT!r}. Got {description.get('format')!r}")
    version = description.get("version")
    if type(version) is int and version > VERSION:
        raise InvalidInput(
            f"version of the format must be at most {VERSION}. Got {version}: written by a newer bptt, update yours"
        )
    if type(version) is not int or version != VERSION:
        raise InvalidInput(f"version of the format must be {VERSION}. Got {version!r}")
    _check_fields("description", description, _DESCRIPTION_FIELDS, _DESCRIPTION_OPTIONAL)
    check_choice("kind", description["kind"], (*_KINDS, FORECASTER))


def _check_fields(
    what: str,
    config: Config,
    fields: Mapping[str, tuple[type, ...]],
    optional: Mapping[str, tuple[type, ...]],
) -> None:
    known = {**fields, **optional}
    for name in config:
        if name not in known:
            raise InvalidInput(f"{what} must have only the fields {', '.join(known)}. Got {name!r}")
    for name, types in known.items():
        if name not in config:
            if name in fields:
                raise InvalidInput(f"{what} must have the field {name}. Got {', '.join(config) or 'none'}")
            continue
        # Not isinstance: True is no size, and 1 is no yes.
        if type(config[name]) not in types:
            wanted = " or ".join("null" if each is type(None) else each.__name__ for each in types)
            raise InvalidType(f"{name} must be of type {wanted}. Got {config[name]!r:.60}")


# ---------------------------------------------------------------- cells


def _own_cells(cells: object) -> dict[str, type[Cell]]:
    """Return the user's cells by name."""
    if not isinstance(cells, Iterable):
        raise InvalidType(f"cells must be a sequence of Cell classes. Got {cells!r}")
    found: dict[str, type[Cell]] = {}
    for each in cells:
        if not (isinstance(each, type) and issubclass(each, Cell)):
            raise InvalidType(f"cells must hold Cell classes. Got {each!r}")
        if found.setdefault(each.name, each) is not each:
            raise InvalidInput(f"cells must have different names. Got {each.name!r} twice")
    return found


def _stack_cell(config: Config, own: Mapping[str, type[Cell]], digest: str | None) -> Cell:
    """Return the cell of a stack's configuration: one of ours, or with a digest one of the user's."""
    _check_fields("recurrent", config, _STACK_FIELDS, _STACK_OPTIONAL)
    options = dict(config["cell"])
    name = options.pop("name", None)
    known = CELLS if digest is None else own
    if not isinstance(name, str) or name not in known:
        if digest is None:
            raise InvalidInput(f"cell must be one of {', '.join(CELLS)}. Got {name!r}")
        raise InvalidInput(
            f"cell {name!r} must be handed in, as it is none of ours: load(path, cells=[...]) with its class. "
            f"Got {', '.join(own) or 'none'}"
        )
    made = known[name]
    for option in options:
        if option not in made.constants and option not in made.functions:
            allowed = ", ".join((*made.constants, *made.functions)) or "(it takes none)"
            raise InvalidInput(f"option of the {name} cell must be one of {allowed}. Got {option!r}")
    cell = get_cell(made, options)
    if digest is not None and digest != cell_digest(cell):
        raise InvalidInput(
            f"equations of cell {name!r} must be those that it was saved with. Got others: "
            "load it with the class as it was"
        )
    return cell


def _network_cell(config: Config, own: Mapping[str, type[Cell]], digest: str | None) -> Cell:
    _check_fields("network", config, _NETWORK_FIELDS, {})
    return _stack_cell(config["recurrent"], own, digest)


# ---------------------------------------------------------------- what must be in the file


def _stack_expected(config: Config, cell: Cell, most: int) -> tuple[Shapes, np.dtype[Any]]:
    """Return name and shape of every parameter of a stack, and their dtype; enough of them to exceed `most`."""
    D, H = check_whole("input_size", config["input_size"]), check_whole("hidden_size", config["hidden_size"])
    layers = min(check_whole("num_layers", config["num_layers"]), most + 1)
    directions = DIRECTIONS[check_choice("direction", config["direction"], DIRECTIONS)]

    def shapes() -> Shapes:
        for k, prefix in enumerate(prefixes(layers, directions)):
            inputs = D if k < len(directions) else H * len(directions)
            for name, shape in cell_shapes(cell, inputs, H, config["bias"]):
                yield prefix + name, shape

    return shapes(), check_dtype(config["dtype"])


def _network_expected(config: Config, cell: Cell, most: int) -> tuple[Shapes, np.dtype[Any]]:
    stack = config["recurrent"]
    of_stack, dtype = _stack_expected(stack, cell, most)
    K, H = check_whole("output_size", config["output_size"]), stack["hidden_size"]
    lags = check_whole("linear_lags", config["linear_lags"], least=0)
    directions = len(DIRECTIONS[stack["direction"]])

    def shapes() -> Shapes:
        yield from of_stack
        yield "readout.W_hy", (H * directions, K)
        if config["bias"]:
            yield "readout.b_y", (K,)
        if lags:
            yield "linear.W_xy", (lags * (stack["input_size"] - (K if config["feedback"] else 0)), K)
        if config["learned_initial_state"]:
            for name in cell.plan.states:
                yield f"initial.{name}", (stack["num_layers"] * directions, H)

    return shapes(), dtype


def _check_arrays(
    stored: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]], wanted: Shapes, dtype: np.dtype[Any]
) -> None:
    left = dict(stored)
    for name, shape in wanted:
        if name not in left:
            raise InvalidInput(
                f"arrays must be those of the configuration. Got no {name} {shape}: another configuration, or damaged"
            )
        found_dtype, found = left.pop(name)
        if (found_dtype, found) != (dtype, shape):
            raise InvalidInput(
                f"{name} must be {dtype.name} {shape} by the configuration. Got {found_dtype.name} {found}"
            )
    if left:
        raise InvalidInput(
            f"arrays must be those of the configuration. Got {next(iter(left))} too, which it does not have"
        )


def _check_loadable(description: Config, model: Model, cell: Cell) -> None:
    """Refuse now what `load` would refuse later."""
    made = _KINDS[description["kind"]]
    config = json.loads(json.dumps(description["config"]))
    made.cell(config, {cell.name: type(cell)}, description.get("cell_digest"))
    arrays: dict[str, Array] = model.parameters
    stored = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    _check_arrays(stored, *made.expected(config, cell, len(stored)))
    if isinstance(model, Network):
        get_loss(config["loss"])
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InvalidInput(f"every number of {name} must be finite to be saved. Got NaN or infinity")


# ---------------------------------------------------------------- building


def _build_stack(config: Config, cell: Cell) -> Recurrent:
    settings = {name: value for name, value in config.items() if name != "cell"}
    # What is overwritten at once need not be drawn.
    return Recurrent(cell, initializers=dict.fromkeys(cell.plan.weights, Constant(0.0)), **settings)


def _build_network(config: Config, cell: Cell) -> Network:
    settings = {name: value for name, value in config.items() if name != "recurrent"}
    return Network(
        _build_stack(config["recurrent"], cell),
        **{**settings, "loss": get_loss(config["loss"])},
        readout_initializer=Constant(0.0),
    )


@dataclass(frozen=True)
class _Kind:
    """A class that a file may hold: its cell, the arrays that its configuration asks for, and how it is built."""

    model: type
    cell: Callable[[Config, Mapping[str, type[Cell]], str | None], Cell]
    expected: Callable[[Config, Cell, int], tuple[Shapes, np.dtype[Any]]]
    build: Callable[[Config, Cell], Model]


_KINDS: dict[str, _Kind] = {
    "recurrent": _Kind(Recurrent, _stack_cell, _stack_expected, _build_stack),
    "network": _Kind(Network, _network_cell, _network_expected, _build_network),
}
