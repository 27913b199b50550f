"""Save and load: a fixed map from kind to class. Names in a file never resolve to code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt.cells import CELLS, Cell
from bptt.checks import Array, check_choice
from bptt.errors import FileFormatError, InvalidInput, InvalidType
from bptt.files.model import FORECASTER, Header, read_arrays, read_header, write_model
from bptt.losses import get_loss
from bptt.models.fields import DESCRIPTION, DESCRIPTION_OPTIONAL, Config, check_fields
from bptt.models.kinds import KINDS, Model, Shapes
from bptt.models.own_cells import cell_digest, own_cells
from bptt.network import Network, Recurrent

if TYPE_CHECKING:
    from bptt.forecast.forecaster import Forecaster

FORMAT, VERSION = "bptt", 1


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
    kind = next((name for name, made in KINDS.items() if type(model) is made.model), None)
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
    own = own_cells(cells)
    header = _read(path)
    description = header.description
    if description["kind"] == FORECASTER:
        from bptt.forecast.forecaster import Forecaster
        from bptt.forecast.saving import unpacking

        return Forecaster._from_contents(unpacking.read(path, header))
    made, name = KINDS[description["kind"]], os.fsdecode(path)
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
    check_fields("description", description, DESCRIPTION, DESCRIPTION_OPTIONAL)
    check_choice("kind", description["kind"], (*KINDS, FORECASTER))


def _check_loadable(description: Config, model: Model, cell: Cell) -> None:
    """Refuse now what `load` would refuse later."""
    made = KINDS[description["kind"]]
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
