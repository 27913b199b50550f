"""How findings write numbers."""

from __future__ import annotations

import math


def short(value: float) -> str:
    """Return three digits, "1.2e+22" where it is large."""
    return f"{value:.3g}" if math.isfinite(value) else str(value)


def percent(share: float) -> str:
    """Return "83 %"."""
    return f"{100 * share:.0f} %"
