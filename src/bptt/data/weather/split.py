"""The lab's split: whole days, the last part of them for testing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bptt.checks import check_number, check_whole
from bptt.errors import DataError


@dataclass(frozen=True)
class DaySplit:
    """Rows of the training and of the test part; both end with a whole day.

    Attributes
    ----------
    train, test : slice
        Rows; test begins where train ends.
    per_day : int
        Rows a day.
    """

    train: slice
    test: slice
    per_day: int


def split_days(rows: int, fraction: float = 0.2, per_day: int = 24) -> DaySplit:
    """Cut a series of whole days into training rows and the last `fraction` of the days for the test.

    Rows after the last whole day belong to neither part. As in the lab, training has floor((1 - fraction) * days)
    days, so the test part is never smaller than asked for.

    Parameters
    ----------
    rows : int
        Rows there are.
    fraction : float
        Share of the days to test on, between 0 and 1.
    per_day : int
        Rows a day.

    Raises
    ------
    DataError
        Fewer than two whole days, or none left to train on.
    """
    count = check_whole("rows", rows, least=0)
    each = check_whole("per_day", per_day)
    share = check_number("fraction", fraction, above=0.0, below=1.0)
    days = count // each
    # 1e-9: (1 - 0.3) * 10 is 6.999999999999999 in floating point, and means 7
    training = math.floor((1.0 - share) * days + 1e-9)
    if training < 1 or training == days:
        raise DataError(
            f"rows must give at least one whole day of per_day = {each} rows to each part at fraction = {share:g}. "
            f"Got {count} rows, {days} days: use more rows"
        )
    return DaySplit(slice(0, training * each), slice(training * each, days * each), each)
