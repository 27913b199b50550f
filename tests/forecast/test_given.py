"""What a forecaster is given that is no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.errors import DataError
from bptt.forecast import Forecaster
from tests.forecast.panels import TINY, make_panel


@pytest.mark.parametrize(("part", "column"), [("y", "y"), ("past", "past 1"), ("future", "future 0")])
def test_an_infinite_value_of_a_panel_is_refused_as_one_of_a_table_is(
    rng: np.random.Generator, part: str, column: str
) -> None:
    """Scaled, it would be the largest number there is, and so would the forecast."""
    panel = make_panel(rng, 90, 84, future=1, ahead=3)
    block = getattr(panel.lines[1], part).copy()
    block.reshape(len(block), -1)[80, -1] = -np.inf
    broken = replace(panel, lines=(panel.lines[0], replace(panel.lines[1], **{part: block})))
    words = rf"panel, series 'line 1', row 81, column '{column}' must be finite. Got -inf: correct it, or set it to nan"
    model = Forecaster(horizon=3, recipe=replace(TINY, updates=3), seed=1)
    with pytest.raises(DataError, match=words):
        model.fit(broken, progress=False)
    model.fit(panel, progress=False)
    for ask in (model.predict, model.update):
        with pytest.raises(DataError, match=words):
            ask(broken)
