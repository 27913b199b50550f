"""Every step's states of the first neurons, a panel a run."""

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.plots.states import hidden_states


@pytest.fixture
def runs(rng):
    return {"start": np.tanh(rng.standard_normal((7, 31))), "trained": np.tanh(rng.standard_normal((5, 12)))}


def test_a_line_a_step_over_the_first_neurons(runs):
    figure = hidden_states(runs)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["start", "trained"]
    for ax, h, shown in zip(figure.axes, runs.values(), (20, 12), strict=True):
        assert len(ax.lines) == len(h)
        for drawn, state in zip(ax.lines, h, strict=True):
            np.testing.assert_array_equal(drawn.get_xdata(), np.arange(1, shown + 1))
            np.testing.assert_array_equal(drawn.get_ydata(), state[:shown])


def test_how_many_can_be_chosen_and_many_steps_are_faint(rng):
    figure = hidden_states({"": rng.standard_normal((200, 9))}, neurons=4)
    (ax,) = figure.axes
    assert len(ax.lines[0].get_xdata()) == 4
    assert ax.lines[0].get_alpha() == 0.05
    assert hidden_states({"": rng.standard_normal((2, 9))}).axes[0].lines[0].get_alpha() == 1.0


@pytest.mark.parametrize(("size", "columns"), [("wide", 2), ("narrow", 1)])
def test_an_odd_panel_leaves_no_empty_axes(runs, size, columns):
    figure = hidden_states({**runs, "third": runs["start"]}, size=size, title="states")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == 3
    assert len({round(ax.get_position().x0, 3) for ax in shown}) == columns


@pytest.mark.parametrize(
    ("runs", "kind", "message"),
    [
        ([1.0], InvalidType, "runs must map a title to states"),
        ({}, InvalidInput, "runs must hold at least 1 run. Got none"),
        ({"a": np.zeros(3)}, InvalidInput, r"runs\['a'\] must have shape"),
    ],
)
def test_bad_input(runs, kind, message):
    with pytest.raises(kind, match=message):
        hidden_states(runs)
