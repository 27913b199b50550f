"""Nothing of the future reaches a forecast: signals that only the future holds are worth nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bptt.forecast import Forecaster
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut
from tests.forecast.panels import HOUR, NETWORK, make_panel

ROWS, TRAIN, K = 620, 400, 2


def unpredictable(rng: np.random.Generator) -> Panel:
    """White noise, beside columns that hold the same noise: known too late, they would tell all if anything leaked."""
    panel = make_panel(rng, ROWS, past=2)
    y = rng.standard_normal(ROWS)
    past = np.stack([y, np.cumsum(y)], axis=1)
    return replace(panel, lines=(replace(panel.lines[0], y=y, past=past),))


def test_white_noise_is_forecast_no_better_than_by_its_mean(rng: np.random.Generator) -> None:
    panel = unpredictable(rng)
    line = panel.lines[0]
    training = replace(panel, lines=(cut(line, 0, TRAIN),))
    fitted = fit_panel(
        training, horizon=K, recipe=replace(NETWORK, updates=150, hidden=8), calendar="auto", seed=3
    )
    rows = np.arange(TRAIN - 1, ROWS - K)
    y_hat = forecast_line(fitted.trained, line, rows)
    truth = line.y[rows[:, None] + np.arange(1, K + 1)]
    noise = truth.var(axis=0)
    # The sampling error of a mean square over 219 rows is about a tenth.
    assert (((y_hat - truth) ** 2).mean(axis=0) > 0.95 * noise).all()
    # On the validation rows, where all choices were made, persistence has twice the variance and nothing beats half.
    assert min(fitted.choice.errors.values()) > 0.4


def test_intervals_of_white_noise_cover_what_comes(rng: np.random.Generator) -> None:
    panel = unpredictable(rng)
    made = Forecaster(horizon=K, recipe=NETWORK, coverage=0.8).backtest(
        panel, folds=3, progress=False, trees=False
    )
    assert made.scores["model"]["coverage"].mean() == pytest.approx(0.8, abs=0.08)
    assert (made.scores["model"]["rmse"] > 0.95).all()


def test_rows_after_a_fold_change_no_bit_of_it(rng: np.random.Generator) -> None:
    """Scaling, choices, calibration and every baseline of the first fold are those of the rows before it."""
    panel = make_panel(rng, 240)
    line = panel.lines[0]
    cut_at = 240 - round(0.4 * 240 / 2)
    y, past = line.y.copy(), line.past.copy()
    y[cut_at:], past[cut_at:] = 1e3 + rng.standard_normal(240 - cut_at), -1e3
    other = replace(panel, lines=(replace(line, y=y, past=past),))
    model = Forecaster(horizon=K, recipe=NETWORK)
    first, second = (model.backtest(each, folds=2, progress=False, trees=False) for each in (panel, other))
    assert set(first.by_fold[0]) == {"model", "last", "season", "ridge"}
    for name, rmse in first.by_fold[0].items():
        np.testing.assert_array_equal(rmse, second.by_fold[0][name])
        assert (rmse != second.by_fold[1][name]).any()


def test_validation_rows_are_not_trained_on(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise in place of the validation rows leaves the weights of every trial bit for bit as they were."""
    from bptt.forecast.fitting import fit

    seen: list[list[np.ndarray]] = []
    choose = fit.choose

    def spy(encoding, origins, trials, window, **settings):  # type: ignore[no-untyped-def]
        nets = [array.copy() for trial in trials for net in trial.nets for array in net.parameters.values()]
        seen.append([*nets, window.gram.copy(), encoding.target])
        return choose(encoding, origins, trials, window, **settings)

    monkeypatch.setattr(fit, "choose", spy)
    panel = make_panel(rng, 240)
    line = panel.lines[0]
    y = line.y.copy()
    y[192:] += 100 * rng.standard_normal(48)
    for each in (panel, replace(panel, lines=(replace(line, y=y),))):
        fit_panel(each, horizon=K, recipe=NETWORK, seed=1)
    assert len(seen[0]) == len(seen[1]) > 10
    for a, b in zip(*seen, strict=True):
        np.testing.assert_array_equal(a, b)


def test_held_out_blocks_are_not_trained_on(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a block is judged by has not seen it: its training pieces end before it and begin after it."""
    from bptt.forecast.fitting import ensemble
    from bptt.forecast.fitting.choices import held_out

    pieces: list[tuple[tuple[np.datetime64, np.datetime64], ...]] = []
    judged: list[tuple[np.datetime64, np.datetime64]] = []
    train, judge = ensemble.train_member, held_out.judge

    def spy_train(lesson, recipe, **settings):  # type: ignore[no-untyped-def]
        pieces.append(tuple((line.local[0] - HOUR, line.local[-1] - HOUR) for line in lesson.lines))
        return train(lesson, recipe, **settings)

    def spy_judge(encoding, origins, y_hat):  # type: ignore[no-untyped-def]
        local, rows = origins.lesson.lines[0].local, origins.rows[0]
        # `local` is the clock one row on: the first and the last row that are forecast.
        judged.append((local[rows[0]], local[rows[-1] + K - 1]))
        return judge(encoding, origins, y_hat)

    monkeypatch.setattr(ensemble, "train_member", spy_train)
    monkeypatch.setattr(held_out, "judge", spy_judge)
    panel = make_panel(rng, 700)
    fit_panel(panel, horizon=K, recipe=replace(NETWORK, blocks=3), seed=1, threads=1)
    blocks = [each for each in pieces if len(each) == 2]
    assert len(judged) == 3
    assert len(blocks) == 1  # the other one begins with the line
    for first, last in judged[1:]:
        mine = [each for each in (*blocks, *(p for p in pieces if len(p) == 1)) if all(
            end < first or begin > last for begin, end in each
        )]  # fmt: skip
        assert mine
