"""What the linear path reads, against reading it value by value."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import encode, soft
from bptt.forecast.features.measuring import fit_encoding
from bptt.forecast.features.window_path import features, read_window
from tests.forecast.panels import make_panel

ROWS, K = 83, 3


@pytest.mark.parametrize(("window", "past_window", "past"), [(11, 5, 2), (4, 1, 3), (1, 1, 1), (6, 3, 0)])
def test_a_window_is_the_row_the_older_targets_and_the_older_columns(
    rng: np.random.Generator, window: int, past_window: int, past: int
) -> None:
    panel = make_panel(rng, ROWS, past=past)
    encoding = fit_encoding(
        panel, horizon=K, calendar=Calendar(("day",)), transform=None, anchor="last", period=6, window=window,
        past_window=past_window,
    )  # fmt: skip
    line = encode(encoding, panel.lines[0])
    for rows in (
        np.arange(40, 51),
        rng.permutation(ROWS)[:17],
        np.array([61, 60, 62]),
        np.array([7]),
        np.zeros(0, int),
    ):
        found = read_window(encoding, line, rows)
        assert found.shape == (len(rows), features(encoding))
        for k, row in enumerate(rows):
            at = line.before + row
            older = [line.z[at - back] - line.z[at] for back in range(window - 1, 0, -1)]
            columns = [
                soft(line.p[at - back, c : c + 1])[0]
                for c in range(past)
                for back in range(past_window - 1, 0, -1)
            ]
            np.testing.assert_array_equal(found[k], [*line.x[row], *older, *columns])
