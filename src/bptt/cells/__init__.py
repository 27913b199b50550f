"""Recurrent cells as equations."""

from bptt.cells.elman import Elman
from bptt.cells.gru import GRU, GRUResetBefore
from bptt.cells.lstm import LSTM, PeepholeLSTM
from bptt.cells.protocol import Cell, Stage
from bptt.cells.registry import CELLS, get_cell

__all__ = ["CELLS", "GRU", "LSTM", "Cell", "Elman", "GRUResetBefore", "PeepholeLSTM", "Stage", "get_cell"]
