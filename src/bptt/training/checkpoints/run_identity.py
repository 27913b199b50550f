"""What decides the bits of a run, as plain JSON values: a checkpoint is resumed by the same run only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from bptt.cells import Cell
from bptt.configs import Configured
from bptt.engine import get_engine
from bptt.network import Network
from bptt.optim import Optimizer, Penalty
from bptt.training.checkpoints.data_digests import digest

# Longer ones, such as a mask of connections, are known by their digest.
_LONGEST = 64


def describe_network(net: Network) -> dict[str, Any]:
    """Return settings, equations and engine; not the weights, which a checkpoint brings along."""
    return {
        "class": type(net).__qualname__,
        **plain(net.config()),
        "equations": _equations(net.recurrent.cell),
        "engine": get_engine(net.recurrent.engine).NAME,
        "weights": {name: [p.dtype.name, *p.shape] for name, p in net.parameters.items()},
    }


def plain(value: Any) -> Any:
    """Return settings as plain JSON values: what is no number, text or list is named by its class and its fields."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return f"sha256 {digest([value])}"
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        items = [plain(each) for each in value]
        text = json.dumps(items)
        return items if len(text) <= _LONGEST else f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"
    # A function or a class has a name of its own.
    found: dict[str, Any] = {"class": getattr(value, "__qualname__", type(value).__qualname__)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found |= {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Configured) and not isinstance(value, type):
        # Of a subclass that is no dataclass itself; what it keeps to itself begins with an underscore.
        own = getattr(value, "__dict__", {})
        found |= {
            name: plain(each) for name, each in own.items() if not name.startswith("_") and each is not value
        }
    if isinstance(value, (Optimizer, Penalty)):
        found["formula"] = value.formula.digest
    return found


def differences(kept: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield name, kept and present value of whatever differs between two descriptions, by dotted names."""
    if isinstance(kept, Mapping) and isinstance(now, Mapping):
        if kept.get("class") != now.get("class"):
            yield name, kept.get("class"), now.get("class")
            return
        # In the order of the present one: in a file names are sorted.
        for key in dict.fromkeys((*now, *kept)):
            yield from differences(kept.get(key), now.get(key), f"{name}.{key}" if name else key)
    # 1 is no True, but 1 is 1.0: JSON keeps both apart, and 0.5 as it is.
    elif kept != now or isinstance(kept, bool) != isinstance(now, bool):
        yield name, kept, now


def versions() -> dict[str, str]:
    """Return what else the last bits depend on: the same run gives the same bits on one machine and version."""
    return {
        "bptt": _own_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


@cache  # it is looked for among all packages
def _own_version() -> str:
    try:
        return version("bptt")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


def _equations(cell: Cell) -> str:
    """Return a digest of a cell's formulas and of which array feeds which argument."""
    plan = cell.plan
    wiring = [
        [[p.weight, p.operand, p.first_block, p.columns] for p in stage.products]
        + [[list(stage.columns), list(stage.bias_columns)]]
        for stage in plan.stages
    ]
    parts = [plan.digest, plan.states, plan.gates, plan.vectors, wiring]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
