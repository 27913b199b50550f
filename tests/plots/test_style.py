"""Colours that can be told apart, and a look that leaves matplotlib's settings alone."""

import itertools
import subprocess
import sys
import threading

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from bptt.errors import InvalidInput, InvalidType
from bptt.plots import error_by_hour, forecast_week, learning_curve, method_bars, png_bytes, scatter
from bptt.plots.style import DARK, LIGHT, _balanced, look_named, new_figure

# Machado, Oliveira and Fernandes (2009), table 1, severity 1: what is left of linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
LEAST_DIFFERENCE = 12.0  # CIE76; about 2 can just be seen side by side
THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def linear_rgb(colour):
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Contrast as WCAG 2 defines it."""
    light, dark = sorted(
        (float(linear_rgb(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


def lab(colour, vision):
    rgb = np.clip(VISION[vision] @ linear_rgb(colour), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    x, y, z = np.cbrt(xyz / [0.9505, 1.0, 1.089])  # none of the colours is near black
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@THEMES
def test_text_and_lines_stand_out_from_the_paper(theme):
    assert contrast(theme.ink, theme.background) >= 7
    assert contrast(theme.muted, theme.background) >= 4.5
    assert contrast(theme.warning, theme.background) >= 4.5
    for colour in (*theme.colours, theme.baseline):
        assert contrast(colour, theme.background) >= 3


@THEMES
@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_by_every_vision(theme, vision):
    for one, other in itertools.combinations((*theme.colours, theme.baseline, theme.ink), 2):
        assert np.linalg.norm(lab(one, vision) - lab(other, vision)) >= LEAST_DIFFERENCE, (one, other)


def test_a_red_green_palette_would_fail_that():
    red, green = "#b04030", "#5a7020"
    assert np.linalg.norm(lab(red, "full") - lab(green, "full")) > 3 * LEAST_DIFFERENCE
    assert np.linalg.norm(lab(red, "deuteranopia") - lab(green, "deuteranopia")) < LEAST_DIFFERENCE


def test_beyond_the_palette_the_line_style_changes():
    look = look_named("light", "wide")
    pens = [(look.colour(index), look.line_style(index)) for index in range(16)]
    assert len(set(pens)) == 16


def every_picture(**options):
    rng = np.random.default_rng(5)
    truth = rng.normal(size=300)
    forecasts = {"persistence": truth + rng.normal(size=300), "default": truth + 0.5 * rng.normal(size=300)}
    yield lambda: learning_curve({"a": rng.random(60), "b": rng.random(40)}, lines={"bar": 0.3}, **options)
    yield lambda: scatter(truth, forecasts["default"], **options)
    yield lambda: forecast_week(truth, forecasts, baselines=("persistence",), **options)
    yield lambda: error_by_hour(np.arange(300) % 24, truth, forecasts, **options)
    yield lambda: method_bars(
        {"persistence": 1.5, "default": [1.2, 1.7]}, baselines=("persistence",), **options
    )


PLOTS = ("learning_curve", "scatter", "forecast_week", "error_by_hour", "method_bars")
EACH = pytest.mark.parametrize("index", range(len(PLOTS)), ids=PLOTS)


@EACH
def test_global_settings_stay_as_they_are(index):
    before = dict(mpl.rcParams)
    png_bytes(list(every_picture(theme="dark"))[index]())
    assert dict(mpl.rcParams) == before


@EACH
def test_draws_on_given_axes_and_leaves_the_rest_of_the_figure(index):
    figure = Figure(facecolor="#123456")
    left, right = figure.subplots(1, 2)
    assert list(every_picture(ax=right))[index]() is right
    assert not left.has_data()
    assert right.has_data()
    assert figure.get_facecolor() == pytest.approx(mpl.colors.to_rgba("#123456"))


@EACH
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_theme_colours_paper_and_text(index, theme):
    ax = list(every_picture(theme=theme.name, title="Title"))[index]()
    assert mpl.colors.to_hex(ax.figure.get_facecolor()) == theme.background
    assert mpl.colors.to_hex(ax.get_facecolor()) == theme.background
    for text in (ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels()):
        assert mpl.colors.to_hex(text.get_color()) == theme.ink
    title = next(child for child in ax.get_children() if getattr(child, "get_text", str)() == "Title")
    assert mpl.colors.to_hex(title.get_color()) == theme.ink


def ink_at_the_edge(image, background):
    """Whether any pixel of the outermost two rows and columns is not paper."""
    paper = np.array([int(background[i : i + 2], 16) for i in (1, 3, 5)])
    drawn = np.abs(image[..., :3].astype(int) - paper).max(axis=-1) > 8
    drawn[2:-2, 2:-2] = False
    return drawn.any()


@EACH
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_nothing_is_cut_off_at_the_edge(index, size):
    ax = list(every_picture(size=size, title="A title that is rather long for a narrow picture"))[index]()
    ax.figure.canvas.draw()
    assert not ink_at_the_edge(np.asarray(ax.figure.canvas.buffer_rgba()), LIGHT.background)


@EACH
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_legend_and_title_do_not_touch_each_other_or_the_axes(index, size):
    ax = list(every_picture(size=size, title="A title that is rather long for a narrow picture"))[index]()
    ax.figure.canvas.draw()
    title = next(t for t in (ax._left_title, ax.title) if t.get_text()).get_window_extent()
    below = ax.get_window_extent().y1
    if ax.get_legend() is not None:
        legend = ax.get_legend().get_window_extent()
        assert legend.y0 >= below
        below = legend.y1
    assert title.y0 >= below


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_a_long_legend_makes_the_figure_higher_not_the_axes_lower(size):
    rng = np.random.default_rng(5)
    few = learning_curve({"one method": rng.random(60), "two": rng.random(60)}, size=size)
    many = learning_curve({f"a method with a long name {i}": rng.random(60) for i in range(9)}, size=size)
    for ax in (few, many):
        ax.figure.canvas.draw()
    assert many.get_window_extent().height > 0.9 * few.get_window_extent().height
    assert many.figure.get_size_inches()[1] > few.figure.get_size_inches()[1]


def test_given_axes_keep_the_size_of_their_figure():
    figure = Figure(figsize=(7, 5), layout="constrained")
    runs = {f"a method with a long name {i}": np.ones(3) for i in range(9)}
    learning_curve(runs, ax=figure.add_subplot(), title="long " * 40)
    assert figure.get_size_inches().tolist() == [7, 5]


def test_lines_of_a_title_are_equally_long():
    assert _balanced("Training loss of every method tried on the data", 44) == [
        "Training loss of every",
        "method tried on the data",
    ]
    assert _balanced("short", 44) == ["short"]


@EACH
def test_hostile_text_is_drawn_as_it_stands(index):
    ax = list(every_picture(title="<b>50 % of {x}\\n</b>"))[index]()
    assert "<b>50 % of {x}\\n</b>" in ax.get_title(loc="left")
    png_bytes(ax)


def test_threads_draw_the_same_pictures_as_one():
    def draw(seed):
        rng = np.random.default_rng(seed)
        theme = ("light", "dark")[seed % 2]
        return png_bytes(
            learning_curve({"a": rng.random(90), "b": rng.random(50)}, theme=theme, title=f"{seed}")
        )

    alone = [draw(seed) for seed in range(6)]
    together = [b""] * 6

    def work(seed):
        together[seed] = draw(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert len(set(alone)) == 6


def test_pictures_load_matplotlib_only_when_drawn_and_never_pyplot():
    program = (
        "import sys, bptt.plots, bptt.report\n"
        "assert 'matplotlib' not in sys.modules\n"
        "ax = bptt.plots.learning_curve({'a': [3.0, 2.0, 1.0]})\n"
        "bptt.plots.png_bytes(ax)\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_narrow_and_wide_differ():
    wide, narrow = (new_figure(look_named("light", size)).get_size_inches() for size in ("wide", "narrow"))
    assert wide[0] > 2 * narrow[0]


def test_errors():
    losses = {"a": np.ones(3)}
    with pytest.raises(InvalidInput, match=r"theme must be one of light, dark. Got 'blue'"):
        learning_curve(losses, theme="blue")
    with pytest.raises(InvalidInput, match=r"size must be one of wide, narrow. Got 'huge'"):
        learning_curve(losses, size="huge")
    with pytest.raises(InvalidType, match=r"ax must be a matplotlib Axes or None. Got int"):
        learning_curve(losses, ax=3)
