"""On what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import bptt
from bptt.engine.compiled.llvm.target import host


def describe() -> dict[str, str]:
    """Return date, processor, system and versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": f"{processor()} ({host().cpu})",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "bptt": f"{bptt.__version__}{commit()}",
    }


def commit() -> str:
    """Return the commit in brackets, "+" for a changed tree; nothing outside a clone."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({done.stdout.strip()})"


def processor() -> str:
    """Return the processor's name as the system gives it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
