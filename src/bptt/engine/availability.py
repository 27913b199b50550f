"""Whether kernels can be compiled and run on this machine, and what to do where they cannot."""

from __future__ import annotations

import ctypes
import mmap
import sys
from dataclasses import dataclass
from functools import cache

# Oldest version that the tests have passed with, as in pyproject.toml.
LLVMLITE = (0, 45)
_LLVMLITE = f"'llvmlite>={'.'.join(map(str, LLVMLITE))}'"

_PROT_READ, _PROT_EXEC = 1, 4  # the same on every system that has mprotect


@dataclass(frozen=True)
class Obstacle:
    """Why the compiled engine cannot run.

    Attributes
    ----------
    got : str
        What was found, to follow "Got".
    remedy : str
    """

    got: str
    remedy: str


@cache
def find_obstacle() -> Obstacle | None:
    """Return what keeps kernels from being compiled and run here; None if nothing does.

    Looks once in a process: it loads llvmlite and compiles a few instructions, 0.1 s together.
    """
    if sys.maxsize < 2**32:
        return Obstacle("a 32-bit Python", "install a 64-bit one")
    found = "llvmlite"
    try:
        import llvmlite

        found = f"llvmlite {llvmlite.__version__}"
        if _numbers(llvmlite.__version__) < LLVMLITE:
            return Obstacle(found, f"pip install --upgrade {_LLVMLITE}")
        if not _may_execute():
            return Obstacle(
                "no memory that may be executed",
                "allow it (SELinux: execmem; systemd: MemoryDenyWriteExecute=no)",
            )
        # The native library is loaded by the first call into it.
        from bptt.engine.compiled.llvm.machine_code import try_out

        try_out()
    except (ImportError, OSError, RuntimeError) as error:
        name = getattr(error, "name", None) or ""
        if name == "llvmlite":
            return Obstacle("no llvmlite", f"pip install {_LLVMLITE}")
        if name.startswith("bptt"):  # a mistake of ours
            raise
        told = str(error).partition(". ")[0].partition("\n")[0] or type(error).__name__
        return Obstacle(
            f"{found}, which does not work here ({told})", f"pip install --force-reinstall {_LLVMLITE}"
        )
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in version.split(".")[:2])


def _may_execute() -> bool:
    """Do with a page what LLVM does: write to it, then make it executable. LLVM does not look at the answer."""
    if sys.platform == "win32":
        return True
    system = ctypes.CDLL(None)
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        start = ctypes.c_char.from_buffer(page)
        place = ctypes.c_void_p(ctypes.addressof(start))
        del start  # else the page could not be closed
        return not system.mprotect(place, ctypes.c_size_t(mmap.PAGESIZE), _PROT_READ | _PROT_EXEC)
    finally:
        page.close()
