"""One restrained look for every picture: two themes, two sizes, and axes dressed in them.

Colours are Okabe and Ito's, which stay apart for the common kinds of colour blindness: on light paper
their blue, vermilion and green, on dark paper sky blue, orange, green and yellow. Their purple looks
like a baseline's grey without the green cones, so the fourth on light paper is Tol's wine. The meaning
of a colour is fixed: truth is drawn in ink, baselines in grey, models in the palette's order.

Nothing here reads or writes matplotlib's global settings: every property is set on the artist, so
pictures may be drawn from several threads.

References
----------
Okabe, M. and Ito, K. (2008). Color universal design: how to make figures and presentations that are
friendly to colorblind people.
Tol, P. (2021). Colour schemes, technical note SRON/EPS/TN/09-002, "muted".
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bptt.checks import check_choice
from bptt.errors import InvalidType
from bptt.plots.preload import wait_for_preload

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of a picture, as "#rrggbb".

    Attributes
    ----------
    background, ink, muted, grid : str
        Paper, text and truth, secondary text, grid lines.
    baseline : str
        Grey of a baseline's line or bar.
    warning : str
        Text that marks a model which loses to a baseline.
    colours : tuple of str
        Models, in order.
    """

    name: str
    background: str
    ink: str
    muted: str
    grid: str
    baseline: str
    warning: str
    colours: tuple[str, ...]


LIGHT = Theme(
    name="light",
    background="#ffffff",
    ink="#1b1f24",
    muted="#59636e",
    grid="#e4e8ec",
    baseline="#868f99",
    warning="#b3261e",
    colours=("#0072b2", "#d55e00", "#009e73", "#882255"),
)
DARK = Theme(
    name="dark",
    background="#15181c",
    ink="#e8ebee",
    muted="#a3acb6",
    grid="#2c3239",
    baseline="#8d96a0",
    warning="#ff8f82",
    colours=("#56b4e9", "#e69f00", "#009e73", "#f0e442"),
)
THEMES = {"light": LIGHT, "dark": DARK}

# Beyond the palette's end the colours start again with the next line style.
LINE_STYLES = ("-", "--", ":", "-.")
# Levels to compare with are thin and never solid.
LEVEL_STYLES = ((0, (5, 3)), (0, (1.5, 2)), (0, (7, 2, 1.5, 2)), (0, (2.5, 1.5)))

_LIFT = 5.0  # points between axes and legend


@dataclass(frozen=True)
class Size:
    """A picture's width and height in inches, and its font in points."""

    width: float
    height: float
    font: float


# At 96 px an inch "wide" fills a report's column and "narrow" a telephone's screen.
SIZES = {"wide": Size(7.6, 4.2, 10.0), "narrow": Size(3.6, 3.5, 9.0)}


@dataclass(frozen=True)
class Look:
    """What a plot needs to know of its surroundings: theme and size."""

    theme: Theme
    size: Size

    @property
    def is_narrow(self) -> bool:
        """Whether the picture is for a telephone."""
        return self.size is SIZES["narrow"]

    def colour(self, index: int) -> str:
        """Return the colour of the model with this place in the order."""
        return self.theme.colours[index % len(self.theme.colours)]

    def line_style(self, index: int) -> str:
        """Return the line style of the model with this place in the order."""
        return LINE_STYLES[index // len(self.theme.colours) % len(LINE_STYLES)]


def look_named(theme: str, size: str) -> Look:
    """Return the look of a theme ("light", "dark") and a size ("wide", "narrow")."""
    return Look(THEMES[check_choice("theme", theme, THEMES)], SIZES[check_choice("size", size, SIZES)])


def new_figure(look: Look, *, height: float | None = None, width: float | None = None) -> Figure:
    """Return an empty figure on its own Agg canvas; no window, no pyplot, no backend.

    Parameters
    ----------
    look : Look
    height, width : float, optional
        Inches, instead of the size's own.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    wait_for_preload()
    figure = Figure(
        figsize=(width or look.size.width, height or look.size.height),
        facecolor=look.theme.background,
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1),
    )
    FigureCanvasAgg(figure)
    return figure


def axes_or_new(
    ax: Axes | None, look: Look, *, height: float | None = None, width: float | None = None
) -> Axes:
    """Return `ax`, or the axes of a new figure, dressed in the look."""
    if ax is None:
        ax = new_figure(look, height=height, width=width).add_subplot()
    elif not (hasattr(ax, "plot") and hasattr(ax, "get_figure")):
        raise InvalidType(f"ax must be a matplotlib Axes or None. Got {type(ax).__name__}")
    dress(ax, look)
    return ax


def dress(ax: Axes, look: Look) -> None:
    """Give axes the look: quiet frame, light horizontal grid behind the data, readable ticks."""
    theme, font = look.theme, look.size.font
    ax.set_facecolor(theme.background)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.muted)
        spine.set_linewidth(0.8)
    ax.tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=font - 0.5, length=3, width=0.8)
    ax.set_axisbelow(True)
    ax.grid(True, axis="y", color=theme.grid, linewidth=0.8, linestyle="-")
    ax.grid(False, axis="x")
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_color(theme.ink)
        label.set_fontsize(font)


def finish(
    ax: Axes,
    look: Look,
    *,
    title: str | None,
    x_label: str,
    y_label: str,
    legend: bool = True,
    grow: bool = False,
) -> None:
    """Write labels, and above the axes, where no data can lie under it, the legend and over it the title.

    With `grow`, the figure is made higher by what the legend and the title take beyond two lines and one.
    """
    from matplotlib.figure import Figure

    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    font = look.size.font
    used = _legend_above(ax, look) if legend else 0.0
    extra = max(0.0, used - 3 * font)
    if title:
        lines = _balanced(title, int(_width(ax) / (0.6 * (font + 1.5))))  # 0.6 em: a bold letter's mean width
        ax.set_title(
            "\n".join(lines),
            loc="left",
            pad=used + 8,
            fontsize=font + 1.5,
            fontweight="bold",
            color=look.theme.ink,
            linespacing=1.25,
        )
        extra += 1.3 * font * (len(lines) - 1)
    figure = ax.figure
    if grow and extra and isinstance(figure, Figure):
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + extra / 72)


def _balanced(text: str, letters: int) -> list[str]:
    """Break text into as few lines as fit, then make them equally long."""
    letters = max(12, letters)
    fewest = len(textwrap.wrap(text, letters))
    while letters > 12 and len(textwrap.wrap(text, letters - 1)) == fewest:
        letters -= 1
    return textwrap.wrap(text, letters)


def _width(ax: Axes) -> float:
    """Return the width of the axes in points."""
    return ax.get_window_extent().width * 72 / ax.figure.dpi


def _legend_above(ax: Axes, look: Look) -> float:
    """Lay the legend over the axes in as many columns as fit; return its height in points."""
    from matplotlib.transforms import ScaledTranslation

    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return 0.0
    room = ax.get_window_extent().width * 1.1
    lifted = ScaledTranslation(0, _LIFT / 72, ax.figure.dpi_scale_trans)
    height = 0.0
    for columns in range(len(handles), 0, -1):
        legend = ax.legend(
            handles,
            labels,
            ncols=columns,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            bbox_transform=ax.transAxes + lifted,
            borderaxespad=0.0,
            borderpad=0.0,
            handlelength=2.0,
            handletextpad=0.6,
            columnspacing=1.6,
            frameon=False,
            fontsize=look.size.font,
            labelcolor=look.theme.ink,
        )
        box = legend.get_window_extent()
        height = box.height * 72 / ax.figure.dpi + _LIFT
        if box.width <= room:
            break
    return height
