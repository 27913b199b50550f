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


def test_an_infinite_value_of_a_single_row_is_refused_and_leaves_the_model_where_it_is(
    rng: np.random.Generator,
) -> None:
    panel = make_panel(rng, 90)
    model = Forecaster(horizon=3, recipe=replace(TINY, updates=3), seed=1).fit(panel, progress=False)
    before = model.predict()["y_hat"]
    for y, told in ((np.inf, "y = inf"), (-np.inf, "y = -inf"), (10**400, "y = 1000")):
        with pytest.raises(
            DataError, match=rf"row must hold finite numbers. Got {told}.*correct it, or give nan"
        ):
            model.step({"y": y, "past 0": 1.0, "past 1": 2.0})
    np.testing.assert_array_equal(model.predict()["y_hat"], before)
    assert np.isfinite(model.step({"y": np.nan, "past 0": 1.0, "past 1": 2.0})).all()
