"""What the model reads of a line: against plain loops, in pieces as in one, and blind to what comes later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.errors import DataError
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import Encoding, encode, forward, soft, to_unit
from bptt.forecast.features.measuring import fit_encoding
from bptt.forecast.features.targets import Targets
from bptt.forecast.features.window_path import features, read_window, unrest
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut
from tests.forecast.panels import make_panel

K, WINDOW, PAST_WINDOW, PERIOD, ROWS = 3, 7, 4, 5, 61
# Sums in another order.
RTOL, ATOL = 1e-12, 1e-12


def fit(panel: Panel, anchor: str = "last") -> Encoding:
    return fit_encoding(
        panel,
        horizon=K,
        calendar=Calendar(("day", "week")),
        transform=None,
        anchor=anchor,
        period=PERIOD,
        window=WINDOW,
        past_window=PAST_WINDOW,
    )


@pytest.fixture
def panel(rng: np.random.Generator) -> Panel:
    found = make_panel(rng, ROWS, past=2, future=1, ahead=K)
    (line,) = found.lines
    y, past = line.y.copy(), line.past.copy()
    y[[11, 12, 30]], past[17, 1] = np.nan, np.nan
    return replace(found, lines=(replace(line, y=y, past=past),))


def test_a_line_in_pieces_is_encoded_as_in_one(panel: Panel) -> None:
    encoding, line = fit(panel), panel.lines[0]
    whole = encode(encoding, line)
    memory, parts, first = None, [], 0
    for stop in (1, 2, 12, 13, 40, ROWS):
        part = encode(encoding, cut(line, first, stop, ahead=K + ROWS), memory)
        parts.append(part.x)
        memory, first = part.memory, stop
    np.testing.assert_allclose(np.concatenate(parts), whole.x, rtol=RTOL, atol=ATOL)
    assert whole.x.shape == (ROWS, encoding.inputs)
    assert np.isfinite(whole.x).all()


@pytest.mark.parametrize("anchor", ["last", "season"])
def test_targets_are_the_change_from_the_anchor_to_the_rows_ahead(panel: Panel, anchor: str) -> None:
    encoding = fit(panel, anchor)
    line = encode(encoding, panel.lines[0])
    made = Targets(encoding, line)
    y, seen = made[:], made.seen
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in made.pieces()]), y)
    np.testing.assert_array_equal(made[np.array([7, 3])], y[[7, 3]])
    z = line.z[line.before :]
    assert y.shape == (ROWS - K, K)
    for t in range(PERIOD, ROWS - K):
        there = [line.seen[t + k] for k in (1, 2, 3)]
        assert seen[t] == pytest.approx(np.mean(there), abs=1e-12)
        for k in range(1, K + 1):
            base = z[t] if anchor == "last" else z[t + k - PERIOD * -(-k // PERIOD)]
            if line.seen[t + k]:
                assert y[t, k - 1] * encoding.target[k - 1] == pytest.approx(z[t + k] - base, abs=1e-12)
    rows = np.arange(PERIOD, ROWS - K)
    level = to_unit(encoding, line, rows, y[rows])
    known = line.seen[rows + 2]
    np.testing.assert_allclose(level[known, 1], z[rows + 2][known], rtol=RTOL, atol=ATOL)


def test_nothing_is_read_of_rows_to_come(panel: Panel, rng: np.random.Generator) -> None:
    encoding, line, t = fit(panel), panel.lines[0], 35
    y, past = line.y.copy(), line.past.copy()
    y[t + 1 :], past[t + 1 :] = 1e3 * rng.standard_normal(ROWS - t - 1), np.nan
    other = encode(encoding, replace(line, y=y, past=past))
    own = encode(encoding, line)
    rows = np.arange(t + 1)
    np.testing.assert_array_equal(own.x[: t + 1], other.x[: t + 1])
    np.testing.assert_array_equal(read_window(encoding, own, rows), read_window(encoding, other, rows))
    assert (own.x[t + 1 :] != other.x[t + 1 :]).any()


def test_the_statistics_are_those_of_the_training_rows(panel: Panel) -> None:
    encoding, line = fit(panel), panel.lines[0]
    there = line.y[np.isfinite(line.y)]
    assert encoding.centres[0] == pytest.approx(there.mean(), rel=1e-12)
    assert encoding.scales[0] == pytest.approx(there.std(), rel=1e-12)
    assert encoding.means[1] == pytest.approx(np.nanmean(line.past[:, 1]), rel=1e-12)
    # Not of the rows ahead, although they are known.
    assert encoding.means[2] == pytest.approx(line.future[:ROWS, 0].mean(), rel=1e-12)


def test_a_new_line_keeps_the_scale_of_its_first_rows(panel: Panel, rng: np.random.Generator) -> None:
    encoding = fit(panel)
    line = replace(make_panel(rng, 20, past=2, future=1, ahead=K).lines[0], id="new")
    first = encode(encoding, cut(line, 0, 15))
    assert (first.centre, first.scale) == pytest.approx((line.y[:15].mean(), line.y[:15].std()), rel=1e-12)
    second = encode(encoding, cut(line, 15, 20), first.memory)
    assert (second.centre, second.scale) == (first.centre, first.scale)


def test_the_window_holds_the_newest_rows(panel: Panel) -> None:
    encoding = fit(panel)
    line = encode(encoding, panel.lines[0])
    rows = np.array([20, 33, 60])
    found = read_window(encoding, line, rows)
    assert found.shape == (3, features(encoding))
    D, P = encoding.inputs, 2
    for row, t in zip(found, line.before + rows, strict=True):
        np.testing.assert_array_equal(row[:D], line.x[t - line.before])
        older = [line.z[t - lag] - line.z[t] for lag in range(WINDOW - 1, 0, -1)]
        np.testing.assert_allclose(row[D : D + WINDOW - 1], older, rtol=RTOL, atol=ATOL)
        past = [soft(line.p)[t - lag, p] for p in range(P) for lag in range(PAST_WINDOW - 1, 0, -1)]
        np.testing.assert_allclose(row[D + WINDOW - 1 :], past, rtol=RTOL, atol=ATOL)


def test_unrest_is_the_last_move_and_the_mean_of_24(panel: Panel) -> None:
    encoding = fit(panel)
    line = encode(encoding, panel.lines[0])
    newest, mean = unrest(line, np.array([40]))
    moves = np.abs(np.diff(line.z[line.before + 40 - 24 : line.before + 41]))
    assert newest[0] == pytest.approx(moves[-1], rel=1e-12)
    assert mean[0] == pytest.approx(moves.mean(), rel=1e-9)


def test_values_beyond_five_deviations_grow_as_their_logarithm() -> None:
    z = np.array([-1e6, -5.0, -4.9, 0.0, 5.0, 6.0])
    np.testing.assert_allclose(
        soft(z), [-5 - np.log1p(1e6 - 5), -5, -4.9, 0, 5, 5 + np.log(2)], rtol=RTOL, atol=ATOL
    )


def test_a_negative_value_has_no_logarithm() -> None:
    with pytest.raises(
        DataError, match=r"^target must be at least 0 for transform='log1p'. Got -2: leave transform out$"
    ):
        forward(np.array([1.0, -2.0]), "log1p")


def test_a_line_has_the_scale_of_the_first_one_of_its_name_or_its_own(rng: np.random.Generator) -> None:
    panel = make_panel(rng, ROWS, 47, future=1)
    first, other = panel.lines
    doubled = replace(panel, lines=(first, other, replace(other, id=first.id)))
    encoding = fit(doubled)
    assert encoding.scale_of(replace(other, id=first.id)) == encoding.scale_of(first)
    assert encoding.scale_of(first) != encoding.scale_of(other)
    assert encoding.scale_of(replace(first, id="new")) == pytest.approx(encoding.scale_of(first), rel=RTOL)
    # What another encoding was made from does not count.
    assert replace(encoding, ids=("new", other.id, "x")).scale_of(
        replace(other, id="new")
    ) == encoding.scale_of(first)
