"""Charts with a slider: one line at a time out of many, or a mark that is moved along a curve.

A chart is SVG, drawn here for every place of the slider; the page's few lines of script only swap what is shown, and
without script the first place stands. The slider is the browser's own: keys move it, and a screen reader reads it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bptt.checks import Array
from bptt.errors import InvalidInput

# Places of a slider at most: a longer run is thinned, evenly.
PLACES = 400

# The drawing's size, and the box that the curves fill, in its own units. The margins hold the large numbers that a
# narrow screen is given, where the drawing shrinks to half its size.
_WIDTH, _HEIGHT = 640, 322
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 604, 14, 252
# Below this share of the largest a logarithmic axis ends.
_DECADES = 12

SCRIPT = """\
document.querySelectorAll("figure[data-places]").forEach(function (figure) {
  var places = JSON.parse(figure.dataset.places);
  var slider = figure.querySelector("input"), said = figure.querySelector("output");
  var moving = figure.querySelector(".moving");
  function show() {
    var place = places[Number(slider.value)];
    moving.setAttribute("d", place[0]);
    said.textContent = place[1];
    slider.setAttribute("aria-valuetext", place[1]);
  }
  slider.addEventListener("input", show);
  show();
});
"""

# For a page's content security policy: the browser then runs this script and no other.
SCRIPT_DIGEST = f"sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}"

CSS = """\
.slider svg{display:block;width:100%;height:auto;font-size:14px}
.slider svg text{fill:var(--muted)}
.slider .axis{stroke:var(--muted);fill:none}
.slider .grid{stroke:var(--rule);fill:none}
.slider .still{fill:none;stroke-width:1.5}
.slider .moving{fill:none;stroke:var(--ink);stroke-width:2.5}
.slider label{display:block;margin:.5rem 0 .15rem;font-weight:600}
.slider input{width:100%;margin:0;accent-color:var(--accent);min-height:1.75rem}
.slider output{display:block;min-height:1.6em;font-variant-numeric:tabular-nums}
.line-0{stroke:var(--accent)}.line-1{stroke:var(--warning)}.line-2{stroke:var(--muted)}
.line-3{stroke:var(--ink)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.3rem 0 0;padding:0;font-size:.9rem}
.legend svg{display:inline-block;width:28px;height:8px}
@media (max-width:480px){.slider svg{font-size:22px}.slider .still{stroke-width:2.5}.slider .moving{stroke-width:4}}
.dash-1{stroke-dasharray:6 4}.dash-2{stroke-dasharray:2 3}.dash-3{stroke-dasharray:9 3 2 3}
"""


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart with a slider.

    Attributes
    ----------
    name : str
        Of letters and hyphens; unlike that of any other chart of the page.
    title, x_label, y_label : str
    slider : str
        What the slider moves.
    still : dict of str to (x, y)
        Curves that are always there, each two ndarrays of one length.
    places : tuple of (x, y, text)
        What is shown at each place of the slider, and said; at least one. y of None is a mark at x.
    log : bool
        Logarithmic y axis; numbers of 0 and below are left out.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    slider: str
    still: Mapping[str, tuple[Array, Array]]
    places: Sequence[tuple[Array, Array | None, str]]
    log: bool = True

    def __post_init__(self) -> None:
        if not self.places:
            raise InvalidInput("places must hold at least one place of the slider. Got none")


def thin(count: int) -> Array:
    """Return the places to keep of `count`: all, or 400 evenly spaced ones with the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, PLACES)).round().astype(np.int64))


def render_chart(chart: Chart) -> str:
    """Return the chart as HTML: drawing, slider, and what is said of the place."""
    scale = _Scale(chart)
    drawn = [(scale.path(x, y), text) for x, y, text in chart.places]
    still = "".join(
        f'<path class="still {_look(k)}" d="{scale.path(x, y)}"><title>{escape(name)}</title></path>'
        for k, (name, (x, y)) in enumerate(chart.still.items())
    )
    legend = _legend(chart)
    places = escape(json.dumps(drawn, separators=(",", ":")), quote=True)
    first, said = drawn[0]
    return (
        f'<figure class="slider" data-places="{places}">\n'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(chart.title, quote=True)}">'
        f'{scale.axes()}{still}<path class="moving" d="{first}"></path></svg>\n{legend}'
        f'<label for="{chart.name}">{escape(chart.slider)}</label>\n'
        f'<input type="range" id="{chart.name}" min="0" max="{len(drawn) - 1}" value="0" step="1" '
        f'aria-valuetext="{escape(said, quote=True)}">\n'
        f'<output for="{chart.name}" aria-live="polite">{escape(said)}</output>\n'
        f"<figcaption>{escape(chart.title)}</figcaption>\n</figure>"
    )


def _legend(chart: Chart) -> str:
    if not chart.still:
        return ""
    lines = "".join(
        f'<li><svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">'
        f'<path class="still {_look(k)}" d="M0 4H28"></path></svg> {escape(name)}</li>'
        for k, name in enumerate(chart.still)
    )
    return f'<ul class="legend">{lines}</ul>\n'


def _look(curve: int) -> str:
    return f"line-{curve % 4} dash-{curve // 4 % 4}"


class _Scale:
    """From numbers to the drawing's units."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        xs = [x for x, _ in chart.still.values()] + [np.atleast_1d(x) for x, _, _ in chart.places]
        ys = [y for _, y in chart.still.values()] + [y for _, y, _ in chart.places if y is not None]
        self.x = _range(np.concatenate([np.asarray(x, np.float64) for x in xs]))
        y = np.concatenate([np.asarray(each, np.float64) for each in ys]) if ys else np.ones(1)
        if chart.log:
            y = y[np.isfinite(y) & (y > 0)]
            y = np.log10(np.maximum(y, y.max() * 10.0**-_DECADES)) if y.size else np.zeros(1)
        self.y = _range(y)

    def path(self, x: Array, y: Array | None) -> str:
        """Return a curve's path, parted where a number is missing; a mark's for y of None."""
        across = self._across(np.atleast_1d(np.asarray(x, np.float64)))
        if y is None:
            return f"M{across[0]:.1f} {_TOP}V{_BOTTOM}"
        values = np.asarray(y, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log10(values) if self.chart.log else values
        values = np.where(values < self.y[0] - 1e-9, np.nan, values)
        up = _BOTTOM - (values - self.y[0]) / (self.y[1] - self.y[0]) * (_BOTTOM - _TOP)
        parts, pen = [], "M"
        for a, b in zip(across, up, strict=True):
            if np.isfinite(a) and np.isfinite(b):
                parts.append(f"{pen}{a:.1f} {b:.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(parts)

    def axes(self) -> str:
        """Return axes, grid, numbers and labels."""
        chart, drawn = self.chart, []
        for value in _powers(*self.y) if chart.log else _ticks(*self.y, whole=False):
            up = _BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (_BOTTOM - _TOP)
            text = (
                f"{10.0**value:.0e}"
                if chart.log and abs(value) > 3
                else f"{10.0**value if chart.log else value:.3g}"
            )
            drawn.append(f'<path class="grid" d="M{_LEFT} {up:.1f}H{_RIGHT}"></path>')
            drawn.append(f'<text x="{_LEFT - 6}" y="{up + 5:.1f}" text-anchor="end">{text}</text>')
        for value in _ticks(*self.x, whole=True):
            at = self._across(np.array([value]))[0]
            drawn.append(f'<text x="{at:.1f}" y="{_BOTTOM + 24}" text-anchor="middle">{value:,.0f}</text>')
        drawn.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"></path>')
        middle = (_LEFT + _RIGHT) / 2
        drawn.append(
            f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(chart.x_label)}</text>'
            f'<text transform="rotate(-90)" x="{-(_TOP + _BOTTOM) / 2}" y="22" text-anchor="middle">'
            f"{escape(chart.y_label)}</text>"
        )
        return "".join(drawn)

    def _across(self, x: Array) -> Array:
        return np.asarray(_LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (_RIGHT - _LEFT))


def _range(values: Array) -> tuple[float, float]:
    """Return the finite numbers' lowest and highest, a little apart where they are one."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _powers(low: float, high: float) -> list[float]:
    """Return where round numbers lie on a logarithmic axis: powers of ten, within few decades twice and 5 times too."""
    if high - low > 2:
        return _ticks(low, high, whole=True)
    multiples = [k + float(np.log10(m)) for k in range(int(low) - 1, int(high) + 2) for m in (1, 2, 5)]
    return [each for each in multiples if low <= each <= high]


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Return about five round numbers within a range."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    step = max(1.0, float(np.ceil(step))) if whole else step
    first = int(np.ceil(low / step - 1e-9))
    return [k * step for k in range(first, int(np.floor(high / step + 1e-9)) + 1)]
