"""The doctor's least squares, against NumPy's on every column left out in turn."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.diagnostics.doctor.evidence.regression import drawn, residual, settled

# The small ridge moves a residual by about its square, 1e-12, and of a column that is repeated a share of 1e-7 is left.
RTOL, ATOL = 1e-7, 1e-6


@pytest.mark.parametrize("repeated", [False, True])
def test_what_a_column_settles_is_what_leaving_it_out_costs(rng: np.random.Generator, repeated: bool) -> None:
    columns = rng.standard_normal((211, 7)) * np.array([1, 30, 1e-3, 1, 5, 1, 1])
    if repeated:
        columns[:, 5] = columns[:, 1] - 2 * columns[:, 4]
    of = columns @ rng.standard_normal((7, 3)) + 0.3 * rng.standard_normal((211, 3))
    share, open_ = settled(columns, 6, of)
    with_all = of - columns @ np.linalg.lstsq(columns, of)[0]
    np.testing.assert_allclose(residual(columns, of), with_all, rtol=RTOL, atol=ATOL)
    for k in range(6):
        rest = np.delete(columns, k, axis=1)
        left = np.square(of - rest @ np.linalg.lstsq(rest, of)[0]).sum(axis=0)
        np.testing.assert_allclose(open_[k], left, rtol=RTOL, atol=ATOL)
        np.testing.assert_allclose(share[k], 1 - np.square(with_all).sum(axis=0) / left, rtol=RTOL, atol=ATOL)


def test_many_rows_are_drawn_once() -> None:
    np.testing.assert_array_equal(drawn(2048), np.arange(2048))
    rows = drawn(70_001)
    assert len(np.unique(rows)) == 2048
    np.testing.assert_array_equal(rows, drawn(70_001))
    assert (rows[0] < 500, rows[-1] > 69_500) == (True, True)
