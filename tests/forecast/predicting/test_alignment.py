"""Which rows a forecast sees: a sound model passes, one that looks ahead or away does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.errors import DataError
from bptt.forecast import Forecaster
from bptt.forecast.features.encoding import Encoded
from bptt.forecast.fitting.trained import Trained, forecast_line
from bptt.forecast.pieces import cut
from bptt.forecast.predicting.alignment import check_alignment
from tests.forecast.panels import NETWORK, make_panel

K = 3


@pytest.fixture(scope="module")
def model() -> Forecaster:
    panel = make_panel(np.random.default_rng(0), 211)
    made = Forecaster(horizon=K, recipe=NETWORK).fit(panel, progress=False)
    assert made.fitted.trained.kind == "network"
    return made


def test_every_step_sees_the_newest_row_and_nothing_later(model: Forecaster) -> None:
    found = model.check_alignment()
    assert found.sound
    assert str(found) == "3 of 3 steps see the newest row, 0 see a row of the future"
    assert found.influence.shape == (K, 48)
    # The newest row weighs more than the oldest.
    assert (found.influence[:, -1] > 10 * found.influence[:, 0]).all()


class LookingAhead(Trained):
    """Reads the row after the newest one."""

    def forecast(self, line: Encoded, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = super().forecast(line, rows) + 0.01 * line.z[line.before + rows + 1][:, None]
        return found


def test_a_model_that_looks_ahead_is_caught(model: Forecaster) -> None:
    trained = model.fitted.trained
    ahead = LookingAhead(trained.kind, trained.encoding, trained.nets, trained.linear)
    found = check_alignment(ahead, make_panel(np.random.default_rng(1), 90).lines[0])
    assert found.future_seen.all()
    assert not found.sound


def test_a_readout_that_is_blind_to_the_newest_row_is_caught(model: Forecaster) -> None:
    trained = model.fitted.trained
    assert trained.linear is not None
    linear = replace(trained.linear, weights=trained.linear.weights.copy())
    linear.weights[:, 1] = 0
    nets = model.fitted.trained.nets
    kept = [net.parameters["readout.W_hy"].copy() for net in nets]
    try:
        for net in nets:
            net.parameters["readout.W_hy"][:, 1] = 0
        encoding = replace(trained.encoding, anchor="season")
        found = check_alignment(replace(trained, encoding=encoding, linear=linear), make_panel(
            np.random.default_rng(1), 90).lines[0])  # fmt: skip
    finally:
        for net, weights in zip(nets, kept, strict=True):
            net.parameters["readout.W_hy"][...] = weights
    np.testing.assert_array_equal(found.newest_seen, [True, False, True])
    assert not found.sound


def test_too_few_rows(model: Forecaster) -> None:
    line = cut(make_panel(np.random.default_rng(1), 90).lines[0], 0, 2)
    with pytest.raises(DataError, match=r"^alignment needs at least 3 rows. Got 2$"):
        check_alignment(model.fitted.trained, line)


@pytest.mark.parametrize("head", ["recursive", "segments"])
def test_a_head_that_walks_is_looked_at_through_the_logarithm(rng: np.random.Generator, head: str) -> None:
    """Sales that are 0 at times, and of any size: nothing is moved below 0, and influence has no unit."""
    panel = make_panel(rng, 140, past=1)
    line = replace(panel.lines[0], y=np.where(rng.random(140) < 0.3, 0.0, panel.lines[0].y))
    recipe = replace(NETWORK, head=head, transform="log1p", ensemble=1, trial_members=1)
    trained = (
        Forecaster(horizon=K, recipe=recipe).fit(replace(panel, lines=(line,)), progress=False).fitted.trained
    )
    found = check_alignment(trained, line)
    assert found.sound
    # The same in the logarithm itself: the same derivatives.
    plain = replace(trained, encoding=replace(trained.encoding, transform=None))
    logs = check_alignment(plain, replace(line, y=np.log1p(line.y)))
    np.testing.assert_allclose(found.influence, logs.influence, rtol=0, atol=1e-8)


@pytest.mark.parametrize("head", ["recursive", "segments"])
def test_the_influence_of_a_row_is_the_derivative_of_the_forecast(
    rng: np.random.Generator, head: str
) -> None:
    panel = make_panel(rng, 140, past=0)
    recipe = replace(NETWORK, head=head, ensemble=1, trial_members=1, level="own")
    trained = Forecaster(horizon=K, recipe=recipe).fit(panel, progress=False).fitted.trained
    line = panel.lines[0]
    found, t = check_alignment(trained, line), 140 - 1 - 12
    for back in (0, 1, 5):
        moved = []
        for change in (1e-4, -1e-4):
            y = line.y.copy()
            y[t - back] += change
            moved.append(forecast_line(trained, replace(line, y=y), np.array([t]))[0])
        wanted = np.abs(moved[0] - moved[1]) / 2e-4
        # The check begins some rows before, where the state has not yet forgotten its zeros altogether.
        np.testing.assert_allclose(found.influence[:, -1 - back], wanted, rtol=0.05, atol=1e-3)
