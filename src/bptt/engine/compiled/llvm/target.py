"""The machine that kernels are compiled for: its vector width, its registers, and the tiles that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm


@dataclass(frozen=True)
class Target:
    """A processor as the kernels see it.

    Attributes
    ----------
    cpu, features : str
        As LLVM names them.
    vector_bytes : int
        Width of a vector register.
    panel : int
        Vectors side by side in a product's register tile.
    heights : tuple of int
        Rows of the register tiles, tallest first; the last is 1.
    """

    cpu: str
    features: str
    vector_bytes: int
    panel: int
    heights: tuple[int, ...]


def choose_tiles(machine: str, features: Mapping[str, bool]) -> tuple[int, int, tuple[int, ...]]:
    """Return vector bytes, panel and heights.

    A tile of m rows and n vectors needs m * n sums, n operands and a broadcast: it should fill the registers
    without spilling, and hold at least 8 sums (latency 4, two units) so that no multiply waits for another.
    """
    if features.get("avx512f"):
        return 64, 3, (8, 4, 2, 1)  # 24 + 3 + 1 of 32 registers
    if features.get("avx") and features.get("fma"):
        return 32, 2, (6, 4, 2, 1)  # 12 + 2 + 1 of 16
    if machine.startswith(("aarch64", "arm64")):
        # 18 + 3 + 6 of 32: the numbers of a column may all be spread over lanes before the first sum needs its own.
        return 16, 3, (6, 4, 2, 1)
    return 16, 2, (4, 2, 1)  # SSE2 keeps a product in a register of its own: 8 + 2 + 2 of 16


def host() -> Target:
    """Return this machine."""
    return _detect()


@cache
def _detect() -> Target:
    features = llvm.get_host_cpu_features()
    machine = llvm.get_process_triple().split("-")[0]
    width, panel, heights = choose_tiles(machine, features)
    return Target(llvm.get_host_cpu_name(), features.flatten(), width, panel, heights)
