"""What the learning curve draws is the losses, their running mean and the lines to compare with."""

import matplotlib as mpl
import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.plots.learning_curve import learning_curve, running_mean
from bptt.plots.style import LIGHT
from bptt.training import train

ROUNDING = 1e-14  # one mean of 25 numbers of order 1


def drawn(ax, width):
    """Return the lines of one width; raw losses are 0.6 points wide and running means 2.0."""
    return [line for line in ax.lines if line.get_linewidth() == width]


def test_raw_losses_and_their_running_mean(rng):
    losses = rng.gamma(2.0, 1.0, 137)
    ax = learning_curve({"lab recipe": losses})
    (raw,), (mean,) = drawn(ax, 0.6), drawn(ax, 2.0)
    np.testing.assert_array_equal(raw.get_xdata(), np.arange(1, 138))
    np.testing.assert_array_equal(raw.get_ydata(), losses)
    np.testing.assert_array_equal(mean.get_xdata(), np.arange(25, 138))
    expected = [losses[step - 25 : step].mean() for step in range(25, 138)]
    np.testing.assert_allclose(mean.get_ydata(), expected, rtol=ROUNDING, atol=0)


def test_the_bold_line_ends_at_the_mean_of_the_last_losses(rng):
    losses = rng.random(500)
    steps, means = running_mean(losses, 25)
    assert steps[-1] == 500
    np.testing.assert_allclose(means[-1], losses[-25:].mean(), rtol=ROUNDING, atol=0)


def test_a_window_longer_than_the_run_is_the_whole_run(rng):
    losses = rng.random(7)
    steps, means = running_mean(losses, 25)
    assert steps.tolist() == [7]
    np.testing.assert_allclose(means, [losses.mean()], rtol=ROUNDING, atol=0)


def test_seeds_share_a_colour_and_methods_do_not(rng):
    runs = {"lab": [rng.random(60), rng.random(41)], "default": rng.random((3, 50))}
    ax = learning_curve(runs)
    colours = [line.get_color() for line in drawn(ax, 2.0)]
    assert colours == [LIGHT.colours[0]] * 2 + [LIGHT.colours[1]] * 3
    assert [line.get_xdata()[-1] for line in drawn(ax, 2.0)] == [60, 41, 50, 50, 50]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["lab", "default"]
    assert ax.get_xlim()[1] > 60


def test_one_run_needs_no_legend(rng):
    assert learning_curve({"lab": rng.random(30)}).get_legend() is None


def test_validation_points_take_the_colour_of_their_run(rng):
    points = (np.array([10, 20, 35]), np.array([0.5, 0.25, 0.3]))
    ax = learning_curve(
        {"lab": rng.random(40), "default": rng.random(40)}, validation={"default": points, "other": points}
    )
    default, other = (line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(default.get_xdata(), points[0])
    np.testing.assert_array_equal(default.get_ydata(), points[1])
    assert default.get_markeredgecolor() == LIGHT.colours[1]
    assert other.get_markeredgecolor() == LIGHT.ink
    assert "default, validation" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_lines_lie_at_their_levels_and_are_named(rng):
    ax = learning_curve({"lab": rng.random(40)}, lines={"the lab's bar": 0.05, "persistence": 0.7})
    levels = {line.get_label(): list(line.get_ydata()) for line in drawn(ax, 1.1)}
    assert levels == {"the lab's bar 0.05": [0.05, 0.05], "persistence 0.7": [0.7, 0.7]}
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["lab", "the lab's bar 0.05", "persistence 0.7"]


def test_lines_differ_in_style_and_none_is_solid(rng):
    ax = learning_curve({"lab": rng.random(40)}, lines={"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})
    styles = {line._unscaled_dash_pattern for line in drawn(ax, 1.1)}
    assert len(styles) == 4
    assert (0, None) not in styles


def test_a_line_outside_the_losses_is_in_the_picture():
    ax = learning_curve({"lab": np.full(30, 0.5)}, lines={"bar": 0.001, "ceiling": 40.0})
    low, high = ax.get_ylim()
    assert low < 0.001
    assert high > 40


@pytest.mark.parametrize("log", [True, False])
def test_the_loss_axis(rng, log):
    ax = learning_curve({"lab": np.geomspace(1.0, 0.004, 80)}, log=log, loss_label="MSE, scaled units")
    assert ax.get_yscale() == ("log" if log else "linear")
    assert ax.get_ylabel() == "MSE, scaled units"
    assert ax.get_xlabel().startswith("training step")


@pytest.mark.parametrize("lowest", [0.5, 0.05, 1e-3, 1e-9])
def test_a_logarithmic_axis_has_plain_and_enough_ticks(lowest):
    ax = learning_curve({"lab": np.geomspace(1.0, lowest, 80)})
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    shown = [tick.get_text() for tick in ax.get_yticklabels() if low <= tick.get_position()[1] <= high]
    assert 2 <= len(shown) <= 12
    for text in shown:
        assert "$" not in text
        float(text)


def test_a_diverged_run_leaves_a_gap_and_is_drawn_up_to_it(rng):
    losses = rng.random(80)
    losses[50:60] = np.nan
    losses[60:] = np.inf
    ax = learning_curve({"lab": losses})
    (raw,), (mean,) = drawn(ax, 0.6), drawn(ax, 2.0)
    np.testing.assert_array_equal(raw.get_ydata()[:50], losses[:50])
    assert np.isnan(raw.get_ydata()[50:]).all()
    assert np.isfinite(mean.get_ydata()[:26]).all()  # the means of steps 25 to 50
    assert np.isnan(mean.get_ydata()[26:]).all()
    assert np.isfinite(ax.get_ylim()).all()
    ax.figure.canvas.draw()


def test_very_long_runs_keep_every_extreme(rng):
    losses = rng.gamma(2.0, 1.0, 50_000)
    losses[31_417] = 1e3
    losses[27_182] = 1e-6
    ax = learning_curve({"lab": losses})
    (raw,) = drawn(ax, 0.6)
    x, y = raw.get_data()
    assert x.size <= 4000
    assert (np.diff(x) > 0).all()
    np.testing.assert_array_equal(y, losses[x - 1])
    assert {1e3, 1e-6} <= set(y)
    ax.figure.canvas.draw()


def test_another_window_is_used_and_named(rng):
    losses = rng.random(30)
    ax = learning_curve({"lab": losses}, window=4)
    assert drawn(ax, 2.0)[0].get_xdata()[0] == 4
    assert ax.get_xlabel().endswith("mean of the last 4")


def test_beyond_the_palette_runs_differ_in_line_style(rng):
    ax = learning_curve({str(number): rng.random(30) for number in range(6)})
    assert len({(mpl.colors.to_hex(a.get_color()), a.get_linestyle()) for a in drawn(ax, 2.0)}) == 6


@pytest.mark.parametrize(
    ("runs", "options", "kind", "message"),
    [
        ([1.0, 2.0], {}, InvalidType, "runs must be a History, or map a name to an array.* Got list"),
        ({}, {}, InvalidInput, "runs must hold at least 1 run. Got none"),
        ({"a": []}, {}, InvalidInput, r"runs\['a'\] must hold at least N = 1 value. Got none"),
        ({"a": ["x"]}, {}, InvalidType, r"runs\['a'\] must hold numbers"),
        ({"a": [[1.0, 2.0], []]}, {}, InvalidInput, r"runs\['a'\]\[1\] must hold at least N = 1"),
        ({"a": [1j, 2.0]}, {}, InvalidType, r"runs\['a'\] must hold real numbers. Got dtype complex128"),
        ({"a": [0.0, -1.0]}, {}, InvalidInput, "a positive loss to be drawn.*pass log=False"),
        ({"a": [1.0]}, {"window": 0}, InvalidInput, "window must be at least 1. Got 0"),
        (
            {"a": [1.0]},
            {"lines": {"bar": 0.0}},
            InvalidInput,
            r"lines\['bar'\] must be a finite loss, positive",
        ),
        ({"a": [1.0]}, {"lines": {"bar": np.nan}}, InvalidInput, r"lines\['bar'\] must be a finite loss"),
        (
            {"a": [1.0]},
            {"validation": {"a": ([1, 2], [0.5])}},
            InvalidInput,
            r"validation\['a'\] must pair each loss with a step: S = 1 losses. Got 2 steps",
        ),
    ],
)
def test_bad_input(runs, options, kind, message):
    with pytest.raises(kind, match=message):
        learning_curve(runs, **options)


def test_a_loss_of_zero_can_be_drawn_on_a_linear_axis():
    ax = learning_curve({"a": [0.0, 0.0]}, log=False)
    np.testing.assert_array_equal(drawn(ax, 0.6)[0].get_ydata(), [0.0, 0.0])


def test_what_a_training_returns_is_drawn_as_it_is(rng):
    net = Network(Recurrent("elman", 2, 3, seed=0), 1)
    x, y = rng.normal(size=(9, 5, 2)), rng.normal(size=(9, 1))
    history = train(net, (x, y), steps=13, validation=(x, y), evaluate_every=5, progress=False)
    ax = learning_curve(history, window=1)
    np.testing.assert_array_equal(drawn(ax, 0.6)[0].get_ydata(), history.losses)
    points = next(line for line in ax.get_lines() if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xydata(), history.validation)
    ax = learning_curve({"one": history, "two": [history.losses, history]}, window=1)
    assert [line.get_ydata().tolist() for line in drawn(ax, 0.6)] == [history.losses.tolist()] * 3
