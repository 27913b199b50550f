"""The network unrolled in time, with the gradient's size on its edges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_whole
from bptt.errors import InvalidInput
from bptt.plots.records import check_series
from bptt.plots.style import axes_or_new, finish, look_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

# Steps drawn at each end of a longer sequence.
_ENDS = {"wide": 4, "narrow": 2}
# With outputs at every step more is written on each, and steps stand further apart.
_ENDS_EVERY, _APART = {"wide": 3, "narrow": 1}, 1.7
_RADIUS = 0.25


@dataclass(frozen=True)
class Nodes:
    """What the nodes are called, in TeX; ``<t>`` stands for the step.

    Attributes
    ----------
    x, h, y : str
        Input, state, and output.
    """

    x: str = "x_{<t>}"
    h: str = "h_{<t>}"
    y: str = r"\hat{y}_{<t>}"

    def name(self, kind: str, t: int) -> str:
        """Return the name of a step's node, ready to be drawn."""
        return f"${getattr(self, kind).replace('<t>', str(t))}$"


def unrolled(
    dh: Array,
    dx: Array | None = None,
    dy: Array | None = None,
    *,
    nodes: Nodes | None = None,
    ends: int | None = None,
    title: str | None = None,
    theme: str = "light",
    size: str = "wide",
    ax: Axes | None = None,
) -> Axes:
    """Draw x_t -> h_t -> ... -> h_T -> y_hat unrolled, and the size of the gradient that flows back over each edge.

    Parameters
    ----------
    dh : ndarray (T,)
        What comes back over the edge from h_t to the next step, t = 1..T: a norm, written on the edge, that makes its
        line thicker by the logarithm. With one output, after the last step, this is the norm of dL/dh_t, and the last
        is what comes from the output.
    dx : ndarray (T,), optional
        Norms of dL/dx_t, written on the edges from below.
    dy : ndarray (T,), optional
        With an output at every step: what comes from it, written on the edge above. The last of `dh` is then not
        shown: nothing comes from later steps.
    nodes : Nodes, optional
        Names of the nodes.
    ends : int, optional
        Steps shown at each end; those between are left out.
    title, theme, size, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType
        Negative norms, unequal lengths.
    """
    look = look_named(theme, size)
    flows = {"dh": check_series("dh", dh)}
    if dx is not None:
        flows["dx"] = check_series("dx", dx)
    if dy is not None:
        flows["dy"] = check_series("dy", dy)
    for name, flow in flows.items():
        if not (flow >= 0).all():
            raise InvalidInput(f"{name} must hold norms of at least 0. Got {flow[~(flow >= 0)][0]:g}")
        if flow.size != flows["dh"].size:
            raise InvalidInput(
                f"{name} must have shape (T,) = ({flows['dh'].size},), as dh has. Got {flow.shape}"
            )
    T, names = flows["dh"].size, nodes or Nodes()
    shown, apart = (_ENDS, 1.0) if dy is None else (_ENDS_EVERY, _APART)
    kept = check_whole("ends", shown[size] if ends is None else ends)
    cut = 2 * kept + 1 < T
    steps = [*range(1, kept + 1), *range(T - kept + 1, T + 1)] if cut else list(range(1, T + 1))
    place = {t: apart * (k + (cut and k >= kept)) for k, t in enumerate(steps)}

    ax = axes_or_new(ax, look, height=2.6 if look.is_narrow else 2.9)
    ax.set_axis_off()
    small = look.size.font - (1.5 if look.is_narrow else 1.0)
    width = _widths(np.concatenate(list(flows.values())))

    def node(x: float, y: float, text: str) -> None:
        from matplotlib.patches import Circle

        ax.add_patch(Circle((x, y), _RADIUS, facecolor=look.theme.background, edgecolor=look.theme.ink,
                            linewidth=1.1, zorder=3))  # fmt: skip
        ax.text(x, y, text, ha="center", va="center", fontsize=look.size.font * _fitting(text),
                color=look.theme.ink, zorder=4)  # fmt: skip

    def edge(begin: tuple[float, float], end: tuple[float, float], norm: float) -> None:
        """Draw an arrow as the network runs, and the gradient that comes the other way."""
        ax.annotate("", end, begin, zorder=2,
                    arrowprops={"arrowstyle": "-|>", "color": look.colour(0), "linewidth": width(norm),
                                "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9})  # fmt: skip
        middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
        upright = begin[0] == end[0]
        slanted = not upright and apart == 1.0
        ax.text(middle[0] + (0.07 if upright or slanted else 0.0),
                middle[1] + (0.0 if upright else 0.38 if slanted else 0.2), f"{norm:.1e}" if norm else "0",
                ha="left" if upright else "center", va="center", fontsize=small, color=look.theme.ink,
                rotation=38 if slanted else 0)  # fmt: skip

    for t, x in place.items():
        node(x, 0.0, names.name("h", t))
        node(x, -1.15, names.name("x", t))
        if "dx" in flows:
            edge((x, -1.15 + _RADIUS), (x, -_RADIUS), float(flows["dx"][t - 1]))
        if t < T:
            edge((x + _RADIUS, 0.0), (x + apart - _RADIUS, 0.0), float(flows["dh"][t - 1]))
        if t == T or "dy" in flows:
            node(x, 1.15, names.name("y", t))
            up = flows["dy"] if "dy" in flows else flows["dh"]
            edge((x, _RADIUS), (x, 1.15 - _RADIUS), float(up[t - 1]))
    if cut:
        ax.text(apart * kept, 0.0, "···", ha="center", va="center", fontsize=look.size.font + 3,
                color=look.theme.muted)  # fmt: skip
        after = float(flows["dh"][T - kept - 1])
        edge((apart * kept + _RADIUS, 0.0), (apart * (kept + 1) - _RADIUS, 0.0), after)
    ax.set_xlim(-0.5, place[T] + 0.95)
    ax.set_ylim(-1.6, 1.6)
    ax.set_aspect("equal")
    finish(ax, look, title=title, x_label="", y_label="", legend=False)
    return ax


def _fitting(name: str) -> float:
    """Return what to multiply the font by so that a name fits into its circle."""
    raised = re.findall(r"[_^]\{([^{}]*)\}", name)
    plain = re.sub(r"[_^]\{[^{}]*\}|\\[a-z]+|[${}]", "", name)
    letters = len(plain) + 0.7 * sum(map(len, raised))
    return min(1.0, 4.0 / letters) if letters else 1.0


def _widths(norms: Array) -> Any:
    """Return a function from a norm to a line width: 0.7 for the smallest, 3.5 for the largest."""
    logs = np.log10(norms[norms > 0]) if (norms > 0).any() else np.zeros(1)
    low, high = float(logs.min()), float(logs.max())

    def width(norm: float) -> float:
        if norm <= 0 or high == low:
            return 0.7
        return 0.7 + 2.8 * (float(np.log10(norm)) - low) / (high - low)

    return width
