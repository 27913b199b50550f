"""A week of truth and forecasts: the right stretch, at the right time, broken where data are missing."""

import itertools

import matplotlib.dates
import numpy as np
import pytest
from matplotlib.figure import Figure

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.forecast_week import forecast_week
from bptt.plots.style import LIGHT

HOURS = np.datetime64("2014-04-03T21", "s") + np.arange(400) * np.timedelta64(1, "h")


@pytest.fixture
def data(rng):
    truth = rng.normal(size=400)
    return truth, {"persistence": truth + rng.normal(size=400), "default": truth + rng.normal(size=400)}


def by_label(ax):
    return {line.get_label(): line for line in ax.lines}


def test_shows_168_steps_from_the_start(data):
    truth, forecasts = data
    lines = by_label(forecast_week(truth, forecasts, start=30))
    for label, series in {"truth": truth, **forecasts}.items():
        np.testing.assert_array_equal(lines[label].get_xdata(), np.arange(30, 198))
        np.testing.assert_array_equal(lines[label].get_ydata(), series[30:198])


def test_stops_at_the_end_of_the_data(data):
    truth, forecasts = data
    lines = by_label(forecast_week(truth, forecasts, start=390))
    np.testing.assert_array_equal(lines["truth"].get_ydata(), truth[390:])


def test_the_strip_shows_forecast_minus_truth(data):
    truth, forecasts = data
    ax = forecast_week(truth, forecasts, start=7, steps=50)
    _, strip = ax.figure.axes
    errors = [line for line in strip.lines if len(line.get_xdata()) == 50]
    assert len(errors) == 2
    for line, forecast in zip(errors, forecasts.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), (forecast - truth)[7:57])
    assert strip.get_xlim() == ax.get_xlim()


def test_given_axes_get_no_strip(data):
    ax = Figure().add_subplot()
    forecast_week(*data, ax=ax)
    assert ax.figure.axes == [ax]


def test_truth_in_ink_baselines_in_grey_models_in_colour(data):
    lines = by_label(forecast_week(*data, baselines=("persistence",)))
    assert lines["truth"].get_color() == LIGHT.ink
    assert lines["persistence"].get_color() == LIGHT.baseline
    assert lines["persistence"].get_linestyle() == "-"
    assert lines["default"].get_color() == LIGHT.colours[0]


def test_two_baselines_differ_in_line_style(data):
    lines = by_label(forecast_week(*data, baselines=("persistence", "default")))
    assert lines["persistence"].get_linestyle() != lines["default"].get_linestyle()


def test_times_run_along_the_axis_with_a_tick_each_midnight(data):
    ax = forecast_week(*data, times=HOURS)
    np.testing.assert_array_equal(by_label(ax)["truth"].get_xdata(), HOURS[:168])
    strip = ax.figure.axes[1]
    ticks = matplotlib.dates.num2date(strip.get_xticks())
    assert [(tick.month, tick.day, tick.hour) for tick in ticks] == [(4, day, 0) for day in range(4, 11)]
    labels = [label.get_text().split("\n")[1].split()[0] for label in strip.get_xticklabels()]
    assert labels == [str(day) for day in range(4, 11)]


def test_a_start_at_midnight_has_its_tick(data):
    truth, forecasts = data
    ax = forecast_week(truth, forecasts, times=HOURS, start=3, steps=73)
    ticks = matplotlib.dates.num2date(ax.figure.axes[1].get_xticks())
    assert [tick.day for tick in ticks] == [4, 5, 6, 7]


def test_a_narrow_picture_has_every_other_day(data):
    ax = forecast_week(*data, times=HOURS, size="narrow")
    ticks = matplotlib.dates.num2date(ax.figure.axes[1].get_xticks())
    assert [tick.day for tick in ticks] == [4, 6, 8, 10]


@pytest.mark.parametrize("steps", [1, 2, 30, 400])
@pytest.mark.parametrize("times", [None, HOURS])
def test_any_length_can_be_drawn(data, steps, times):
    forecast_week(*data, times=times, steps=steps).figure.canvas.draw()


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("with_times", [True, False])
def test_tick_labels_do_not_overlap(data, size, with_times):
    ax = forecast_week(*data, times=HOURS if with_times else None, start=100, size=size)
    ax.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in ax.figure.axes[1].get_xticklabels() if t.get_text()]
    assert len(boxes) >= 3
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


def test_lines_break_where_hours_are_missing(data):
    truth, forecasts = data
    kept = np.r_[0:50, 60:200]
    ax = forecast_week(
        truth[kept], {name: series[kept] for name, series in forecasts.items()}, times=HOURS[kept], steps=190
    )
    line = by_label(ax)["truth"]
    x, y = line.get_xdata(), line.get_ydata()
    assert y.size == 191
    assert np.flatnonzero(np.isnan(y)).tolist() == [50]
    assert x[50] == HOURS[50]
    np.testing.assert_array_equal(np.delete(y, 50), truth[kept])


def test_missing_truth_is_a_gap(data):
    truth, forecasts = data
    truth[20:25] = np.nan
    line = by_label(forecast_week(truth, forecasts))["truth"]
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [20, 21, 22, 23, 24]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"forecasts": {}}, InvalidInput, "forecasts must hold at least 1 forecast. Got none"),
        ({"forecasts": [1]}, InvalidType, "forecasts must map a name to an array. Got list"),
        ({"forecasts": {"a": np.ones(3)}}, InvalidInput, r"forecasts\['a'\] must have shape \(N\) = \(400\)"),
        ({"start": 400}, InvalidInput, "start must be below N = 400, the length of truth. Got 400"),
        ({"start": -1}, InvalidInput, "start must be at least 0. Got -1"),
        ({"steps": 0}, InvalidInput, "steps must be at least 1. Got 0"),
        ({"times": HOURS[:9]}, InvalidInput, r"times must have shape \(N,\) = \(400,\). Got \(9,\)"),
        ({"times": HOURS[::-1]}, InvalidInput, "times must increase. Got .* in row 1 after .*: sort by time"),
        ({"times": np.array(["noon"] * 400)}, InvalidType, "times must be dates"),
        (
            {"baselines": ("naive",)},
            InvalidInput,
            "baselines must be among the methods persistence, default. Got",
        ),
        ({"baselines": "persistence"}, InvalidType, "baselines must be a tuple of names. Got 'persistence'"),
    ],
)
def test_bad_input(data, change, kind, message):
    truth, forecasts = data
    with pytest.raises(kind, match=message):
        forecast_week(**({"truth": truth, "forecasts": forecasts} | change))
