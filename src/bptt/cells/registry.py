"""The cells that can be named by a string. A new cell of ours is one import and one entry here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bptt.cells.elman import Elman
from bptt.cells.gru import GRU, GRUResetBefore
from bptt.cells.lstm import LSTM, PeepholeLSTM
from bptt.cells.protocol import Cell
from bptt.checks import check_choice
from bptt.errors import InvalidInput, InvalidType

CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in (Elman, GRU, GRUResetBefore, LSTM, PeepholeLSTM)}


def get_cell(
    cell: str | Cell | type[Cell], options: dict[str, Any] | None = None, *, own: Iterable[type[Cell]] = ()
) -> Cell:
    """Return a cell object from a name, a class or a cell.

    Parameters
    ----------
    cell : str, Cell or Cell subclass
        ``"lstm"``, ``LSTM``, ``Elman(activation="relu")``.
    options : dict
        The cell's constants and functions; not with a ready object.
    own : iterable of Cell subclasses
        The user's cells, found by their `name` before ours.

    Raises
    ------
    InvalidInput, InvalidType
        Unknown name, wrong option, or not a cell.
    """
    options = dict(options or {})
    if isinstance(cell, Cell):
        if options:
            raise InvalidInput(
                "options must be given to the cell itself when it is an object. "
                f"Got {', '.join(options)} beside {cell!r}"
            )
        return cell
    if isinstance(cell, type) and issubclass(cell, Cell):
        return cell(**options)
    if not isinstance(cell, str):
        raise InvalidType(f"cell must be a name, a Cell or a Cell class. Got {cell!r}")
    known = {**CELLS, **{c.name: c for c in own}}
    return known[check_choice("cell", cell, known)](**options)
