"""What validation decides does not depend on how many of its forecasts are left out for time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast.fitting import choosing
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.heads import FEW_WALKS
from tests.forecast.panels import NETWORK, make_panel

K = 5


def test_walks_left_out_for_time_leave_the_rules_as_they_are(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long history stays one: all penalties are tried, and neighbours that are far apart hang together less."""
    asked, overlaps = [], []
    make_head, best = choosing.make_head, choosing._best

    def spy_head(encoding, normal, net, penalty):  # type: ignore[no-untyped-def]
        asked.append(penalty)
        return make_head(encoding, normal, net, penalty)

    def spy_best(found, weights, overlapping):  # type: ignore[no-untyped-def]
        overlaps.append((len(weights), overlapping))
        return best(found, weights, overlapping)

    monkeypatch.setattr(choosing, "make_head", spy_head)
    monkeypatch.setattr(choosing, "_best", spy_best)
    recipe = replace(NETWORK, head="recursive", trial_members=1, ensemble=1, shorter=(), updates=3)
    panel = make_panel(rng, 801)
    for most in (10**6, 160):
        monkeypatch.setattr(choosing, "_MOST_WALKED", most)
        fit_panel(panel, horizon=K, recipe=recipe, seed=1, threads=1)
        assert {each for each in asked if np.isfinite(each.state)} == set(FEW_WALKS)
        asked.clear()
    (every, whole), (some, fewer) = overlaps
    assert (every, whole) == (156, K)
    assert some < 40
    # As many independent forecasts, as far as there are so many at all.
    assert some / fewer == pytest.approx(min(some, every / whole), rel=1e-12, abs=0)
