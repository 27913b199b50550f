"""Numbers as a picture writes them."""

from __future__ import annotations

import math


def decimals_for(value: float) -> int:
    """Return how many decimals show `value` with four significant digits, at most 6.

    Examples
    --------
    >>> decimals_for(1.16273), decimals_for(31.4159), decimals_for(0.0413), decimals_for(52_180.0)
    (3, 2, 5, 0)
    """
    if not (math.isfinite(value) and value != 0):
        return 3
    return min(6, max(0, 3 - math.floor(math.log10(abs(value)))))
