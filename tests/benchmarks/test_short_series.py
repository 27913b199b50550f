"""The intervals of short series hold about as many truths as they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.forecasting.short_series import KINDS, LEAST, main, measure, simulate

# Of 180 series, six correlated rows each: a share of 0.9 has a standard error of some 0.015.
_THREE_ERRORS = 0.045


@pytest.mark.slow
def test_short_series_are_covered(rng: np.random.Generator) -> None:
    first = int(rng.integers(10**6))
    found = [measure(kind, rows, 6, 30, first) for kind in KINDS for rows in (60, 120)]
    share = float(np.mean([each.share for each in found]))
    assert LEAST - _THREE_ERRORS / 2 < share < 0.9 + _THREE_ERRORS + 0.03
    assert min(each.share for each in found) > LEAST - 0.1


def test_what_is_simulated_is_what_it_is_called(rng: np.random.Generator) -> None:
    walk, correlated, wave = (simulate(kind, 4000, rng) for kind in ("random walk", "AR(1)", "seasonal"))
    assert np.diff(walk).std() == pytest.approx(1, abs=0.06)
    assert correlated.std() == pytest.approx(1 / np.sqrt(1 - 0.49), abs=0.2)
    assert (wave[12:] - wave[:-12]).std() == pytest.approx(np.sqrt(2), abs=0.1)


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--series", "1", "--horizon", "2", "--rows", "60"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(KINDS)
    assert lines[1].startswith("AR(1)")
