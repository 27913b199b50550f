"""From where series stand to what comes after them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bptt.errors import DataError
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.predicting.following import Followed
from bptt.forecast.predicting.places import in_units
from bptt.forecast.results import Forecast, times_ahead


def forecast_of(
    fitted: Fitted, followed: Sequence[Followed], levels: Sequence[float], *, around: bool = False
) -> Forecast:
    """Return the forecasts of these series, with quantiles at these probabilities, or the bounds of intervals."""
    wanted, encoding = np.array(levels), fitted.trained.encoding
    found = [in_units(fitted, each, wanted, around=around) for each in followed]
    return Forecast(
        ids=tuple(each.id for each in followed),
        times=np.stack([times_ahead(each.time, encoding.step, encoding.horizon) for each in followed]),
        y_hat=np.stack([y_hat for y_hat, _ in found]),
        levels=wanted,
        quantiles=np.stack([quantiles for _, quantiles in found], axis=1),
    )


def check_known(fitted: Fitted, followed: Sequence[Followed]) -> None:
    """Raise DataError where columns known ahead were not known for the whole horizon after a last row."""
    encoding = fitted.trained.encoding
    known = min(each.ahead for each in followed)
    if encoding.future and known < encoding.horizon:
        raise DataError(
            f"future columns {', '.join(encoding.future)} must be known for horizon = {encoding.horizon} rows after "
            f"the last. Got {known}: pass frame and future"
        )
