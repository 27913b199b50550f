"""Models as files: a fixed map from kind to class. Names in a file never resolve to code."""

from bptt.models.files import load, read_extra, save
from bptt.models.own_cells import cell_digest

__all__ = ["cell_digest", "load", "read_extra", "save"]
