"""Engines run a cell's equations; which one is chosen by name."""

from bptt.engine.choice import ENGINES, get_engine
from bptt.engine.tape import Sweep, Tape

__all__ = ["ENGINES", "Sweep", "Tape", "get_engine"]
