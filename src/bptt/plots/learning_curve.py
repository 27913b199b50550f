"""Loss against training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bptt.checks import check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.plots.records import check_series
from bptt.plots.style import LEVEL_STYLES, Look, axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]


class Recorded(Protocol):
    """What `bptt.train` returns."""

    @property
    def losses(self) -> Array:
        """Of the steps, (S,)."""

    @property
    def validation(self) -> Sequence[tuple[int, float]]:
        """Pairs of a step and the loss measured after it."""


# More raw points than this cannot be told apart on a screen, and Agg refuses very long noisy lines.
_MOST_POINTS = 4000


def learning_curve(
    runs: Recorded | Mapping[str, Recorded | Array | Sequence[Recorded | Array]],
    *,
    validation: Mapping[str, tuple[Array, Array]] | None = None,
    lines: Mapping[str, float] | None = None,
    window: int = 25,
    log: bool = True,
    loss_label: str = "loss",
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of every step thin and its running mean bold, for one or several methods.

    Parameters
    ----------
    runs : History, or mapping of str to History or ndarray (S,), or to a sequence of such
        Losses of the steps 1 to S by method; a sequence holds runs of the same method (seeds), drawn in
        one colour. A loss that is not finite leaves a gap. Of a `History` alone its validation is drawn too.
    validation : mapping of str to (steps, losses), optional
        Points measured after those steps; a name that is also in `runs` takes its colour.
    lines : mapping of str to float, optional
        Losses to compare with, drawn across: a bar to pass, the loss of a baseline.
    window : int
        Length of the running mean, in steps; at step s the bold line is the mean of the last `window` losses.
    log : bool
        Logarithmic loss axis.
    loss_label : str
        What the loss is, and its unit.
    title : str, optional
    theme : "light" or "dark"
    size : "wide" or "narrow"
        Of the new figure; with `ax`, of the fonts.
    ax : matplotlib Axes, optional
        Drawn on; by default the axes of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        No run, an empty run, text, or a logarithmic axis without a positive loss.
    """
    if not isinstance(runs, Mapping) and _is_history(runs):
        if validation is None and len(runs.validation):
            validation = {"training": tuple(np.array(runs.validation, np.float64).T)}
        runs = {"training": runs}
    checked = _checked_runs(runs)
    check_whole("window", window)
    look = look_named(theme, size)
    if log and not any((one > 0).any() for many in checked.values() for one in many):
        raise InvalidInput(
            "runs must hold a positive loss to be drawn on a logarithmic axis. Got none: pass log=False"
        )
    is_new = ax is None
    ax = axes_or_new(ax, look)
    colours = {name: look.colour(index) for index, name in enumerate(checked)}
    for index, (name, many) in enumerate(checked.items()):
        for run, losses in enumerate(many):
            _draw_run(
                ax, losses, window, colours[name], look.line_style(index), label=name if run == 0 else None
            )
    for name, (steps, losses) in (validation or {}).items():
        _draw_validation(ax, name, steps, losses, colours.get(name, look.theme.ink), look)
    if log:
        ax.set_yscale("log", nonpositive="mask")
    _draw_levels(ax, lines or {}, look)
    if log:
        _plain_log_ticks(ax)
    longest = max(one.size for many in checked.values() for one in many)
    ax.set_xlim(0, longest * 1.01 + 1)
    finish(
        ax,
        look,
        title=title,
        x_label=f"training step\nthin: each step; bold: mean of the last {window}",
        y_label=loss_label,
        # A single run alone needs no key: the axis says what it is.
        legend=len(checked) > 1 or bool(validation) or bool(lines),
        grow=is_new,
    )
    return ax


def running_mean(losses: Array, window: int) -> tuple[Array, Array]:
    """Return the steps window..S (counted from 1) and the mean of the `window` losses that end at each.

    Parameters
    ----------
    losses : ndarray (S,)
    window : int
        A window longer than S is taken as S.

    Returns
    -------
    steps, means : ndarray (S - window + 1,)
        A mean over a loss that is not finite is not finite either.
    """
    window = min(window, losses.size)
    means = np.lib.stride_tricks.sliding_window_view(losses, window).mean(axis=1)
    return np.arange(window, losses.size + 1), means


def _is_history(value: object) -> bool:
    """Return whether this is a training's record; the loop that makes one lies below the pictures."""
    return hasattr(value, "losses") and hasattr(value, "validation")


def _losses(value: Any) -> Any:
    return value.losses if _is_history(value) else value


def _checked_runs(runs: object) -> dict[str, list[Array]]:
    if not isinstance(runs, Mapping):
        raise InvalidType(
            f"runs must be a History, or map a name to an array of losses. Got {type(runs).__name__}"
        )
    if not runs:
        raise InvalidInput("runs must hold at least 1 run. Got none")
    checked: dict[str, list[Array]] = {}
    for name, value in runs.items():
        label = f"runs[{name!r}]"
        value = [_losses(one) for one in value] if isinstance(value, (list, tuple)) else _losses(value)
        # Rows may differ in length, so only the first one is asked whether it is a run or a loss.
        is_several = isinstance(value, (list, tuple, np.ndarray)) and len(value) > 0 and np.ndim(value[0]) > 0
        if is_several:
            checked[str(name)] = [check_series(f"{label}[{i}]", one) for i, one in enumerate(value)]
        else:
            checked[str(name)] = [check_series(label, value)]
    return checked


def _draw_run(ax: Axes, losses: Array, window: int, colour: str, style: str, label: str | None) -> None:
    shown = np.where(np.isfinite(losses), losses, np.nan)
    ax.plot(*_thinned(np.arange(1, losses.size + 1), shown), color=colour, linewidth=0.6, alpha=0.3, zorder=2)
    steps, means = running_mean(shown, window)
    ax.plot(
        steps,
        means,
        color=colour,
        linestyle=style,
        linewidth=2.0,
        solid_capstyle="round",
        label=label,
        zorder=3,
    )


def _thinned(steps: Array, losses: Array) -> tuple[Array, Array]:
    """Keep the lowest and the highest loss of every stretch, in their order, when there are very many."""
    if losses.size <= _MOST_POINTS:
        return steps, losses
    kept = []
    for stretch in np.array_split(np.arange(losses.size), _MOST_POINTS // 2):
        part = losses[stretch]
        if np.isnan(part).all():
            kept.append(stretch[0])
        else:
            kept.extend(sorted({stretch[np.nanargmin(part)], stretch[np.nanargmax(part)]}))
    return steps[kept], losses[kept]


def _draw_validation(ax: Axes, name: str, steps: Array, losses: Array, colour: str, look: Look) -> None:
    losses = check_series(f"validation[{name!r}] losses", losses)
    steps = check_series(f"validation[{name!r}] steps", steps)
    if steps.size != losses.size:
        raise InvalidInput(
            f"validation[{name!r}] must pair each loss with a step: S = {losses.size} losses. "
            f"Got {steps.size} steps"
        )
    ax.plot(
        steps,
        losses,
        linestyle="none",
        marker="o",
        markersize=5.5,
        markerfacecolor=look.theme.background,
        markeredgecolor=colour,
        markeredgewidth=1.5,
        label=f"{name}, validation",
        zorder=4,
    )


def _draw_levels(ax: Axes, lines: Mapping[str, float], look: Look) -> None:
    for index, (name, level) in enumerate(lines.items()):
        if not np.isfinite(level) or (ax.get_yscale() == "log" and level <= 0):
            raise InvalidInput(
                f"lines[{name!r}] must be a finite loss, positive on a logarithmic axis. Got {level}"
            )
        # Named in the legend, with its level: a name at the line would lie on the curves.
        ax.axhline(
            level,
            color=look.theme.ink,
            linewidth=1.1,
            linestyle=LEVEL_STYLES[index % len(LEVEL_STYLES)],
            label=f"{name} {level:g}",
            zorder=2.5,
        )


def _plain_log_ticks(ax: Axes) -> None:
    """Let the ticks read 0.02, 0.05, 0.1 rather than powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = ax.get_ylim()
    decades = np.log10(high / low)
    if decades < 0.7:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    else:
        subs = (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 4 else (1.0,)
        ax.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
