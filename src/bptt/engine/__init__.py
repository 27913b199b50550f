"""Engines run a cell's equations; which one is chosen by name."""

from bptt.engine.choice import ENGINES, get_engine
from bptt.engine.tape import Sweep, Tape
from bptt.engine.threads import get_threads, set_threads, use_threads

__all__ = ["ENGINES", "Sweep", "Tape", "get_engine", "get_threads", "set_threads", "use_threads"]
