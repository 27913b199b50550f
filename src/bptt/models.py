"""Save and load: a fixed map from kind to class. Names in a file never resolve to code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bptt.cells import CELLS, Cell, get_cell
from bptt.checks import Array
from bptt.errors import BpttError, FileFormatError, InvalidType
from bptt.files.model import read_arrays, read_header, write_model
from bptt.network import Network, Recurrent

VERSION = 1

Model = Network | Recurrent


def save(model: Model, path: str | os.PathLike[str], *, extra: Mapping[str, Any] | None = None) -> Path:
    """Write a model to one file: safetensors with the configuration inside.

    Parameters
    ----------
    model : Network or Recurrent
    path : str or path
        Written whole or not at all; an old file there is replaced.
    extra : mapping, optional
        Plain JSON values kept beside the model: a scaler, the data's sha256. `read_extra` returns them.

    Returns
    -------
    Path

    Raises
    ------
    InvalidType
        Something that is not a model.
    FileMissing, InvalidInput
        The folder is missing, or the file cannot be written.
    """
    kind = next((name for name, (made, _) in _KINDS.items() if type(model) is made), None)
    if kind is None:
        raise InvalidType(f"model must be a Network or a Recurrent. Got {type(model).__name__}")
    stack = model.recurrent if isinstance(model, Network) else model
    description: dict[str, Any] = {
        "version": VERSION,
        "kind": kind,
        "config": model.config(),
        "extra": dict(extra or {}),
    }
    if type(stack.cell) not in CELLS.values():
        # A cell of the user's own: its equations must be the same when it is loaded.
        description["cell_digest"] = stack.cell.plan.digest
    return write_model(path, model.parameters, description)


def load(path: str | os.PathLike[str], *, cells: Iterable[type[Cell]] = ()) -> Any:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path
    cells : iterable of Cell subclasses
        The user's own cells; no code is ever taken from the file.

    Returns
    -------
    Network or Recurrent
        Its predictions are bit for bit those of the saved one.

    Raises
    ------
    FileMissing
        No such file.
    FileFormatError
        Not a model, a damaged one, one of a newer version, or one that does not fit together; the message says how.
    """
    header = read_header(path)
    description = header.description
    version, kind = description.get("version"), description.get("kind")
    if version != VERSION:
        raise FileFormatError(f"{path} must be of format version {VERSION}. Got {version!r}: update bptt")
    if kind not in _KINDS:
        raise FileFormatError(f"{path} must hold one of {', '.join(_KINDS)}. Got {kind!r}")
    config = description.get("config")
    if not isinstance(config, dict):
        raise FileFormatError(f"{path} must hold a configuration. Got {type(config).__name__}")
    try:
        model = _KINDS[kind][1](config, tuple(cells))
    except BpttError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except (TypeError, KeyError, ValueError, MemoryError) as error:
        raise FileFormatError(f"{path} must hold a configuration of this version. Got: {error}") from None
    _check_cell(path, description, model)
    _check_arrays(path, header.arrays, model.parameters)
    for name, array in read_arrays(path, header).items():
        model.parameters[name][...] = array
    return model


def read_extra(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `save` was given as `extra`, without reading the arrays."""
    found = read_header(path).description.get("extra", {})
    return found if isinstance(found, dict) else {}


def _build_recurrent(config: dict[str, Any], cells: tuple[type[Cell], ...]) -> Recurrent:
    settings = dict(config)
    cell = settings.pop("cell")
    if not isinstance(cell, dict) or not isinstance(cell.get("name"), str):
        raise FileFormatError(f"cell must be a name with options. Got {cell!r}")
    options = {key: value for key, value in cell.items() if key != "name"}
    if cell["name"] not in {*CELLS, *(c.name for c in cells)}:
        raise FileFormatError(
            f"cell must be one of ours or handed in. Got {cell['name']!r}: load(path, cells=[YourCell])"
        )
    return Recurrent(get_cell(cell["name"], options, own=cells), **settings)


def _build_network(config: dict[str, Any], cells: tuple[type[Cell], ...]) -> Network:
    settings = dict(config)
    return Network(_build_recurrent(settings.pop("recurrent"), cells), **settings)


_KINDS: dict[str, tuple[type, Callable[[dict[str, Any], tuple[type[Cell], ...]], Model]]] = {
    "recurrent": (Recurrent, _build_recurrent),
    "network": (Network, _build_network),
}


def _check_cell(path: str | os.PathLike[str], description: dict[str, Any], model: Model) -> None:
    cell = (model.recurrent if isinstance(model, Network) else model).cell
    digest = description.get("cell_digest")
    if digest is not None and digest != cell.plan.digest:
        raise FileFormatError(
            f"{path}: the equations of cell {cell.name!r} must be those it was saved with. Got others: "
            "load it with the class of that time"
        )


def _check_arrays(
    path: str | os.PathLike[str], stored: Mapping[str, Any], wanted: Mapping[str, Array]
) -> None:
    for name in (*wanted, *stored):
        if name not in stored or name not in wanted:
            there, missing = ("file", "configuration") if name in stored else ("configuration", "file")
            raise FileFormatError(f"{path}: {name} must be in the {missing} too. Got it in the {there} alone")
    for name, array in wanted.items():
        dtype, shape = stored[name]
        if shape != array.shape or dtype != array.dtype:
            raise FileFormatError(
                f"{path}: {name} must be {array.dtype} {array.shape} by the configuration. Got {dtype} {shape}"
            )
