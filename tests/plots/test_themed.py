"""All looks of one picture: pixel for pixel what drawing each by itself gives."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bptt.plots import learning_curve, method_bars, panels, png_bytes, scatter, themed_pngs
from bptt.plots.loss_surface import loss_surface
from bptt.plots.themed import take_places

RNG = np.random.default_rng(11)
TRUTH = RNG.normal(size=90)
STEPS = np.linspace(-1, 1, 9)
CURVES = {(r, c): {("loss", "a"): RNG.random(9), ("loss", "b"): RNG.random(7)} for r in "xy" for c in "uvw"}
PICTURES = {
    "curve": lambda **look: learning_curve({"a": TRUTH**2, "b": TRUTH[::2] ** 2 + 0.1}, log=True, **look),
    "bars": lambda **look: method_bars({"repeat": 1.5, "default": [1.2, 1.7]}, baselines=("repeat",), **look),
    "points": lambda **look: scatter(TRUTH, TRUTH + 0.3, title="A title", **look),
    "panels": lambda **look: panels(CURVES, title="Texts of the figure, and a legend outside", **look),
    "surface": lambda **look: loss_surface(STEPS, STEPS, np.exp(np.add.outer(STEPS, STEPS)), {}, **look),
}


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def by_matplotlib(figure: Figure) -> bytes:
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=144, facecolor=figure.get_facecolor())
    return memory.getvalue()


@pytest.mark.parametrize("name", PICTURES)
def test_every_look_is_what_matplotlib_makes_of_it(name: str) -> None:
    draw = PICTURES[name]
    drawn = themed_pngs(draw)
    assert len({*drawn.values()}) == 4
    for (theme, size), data in drawn.items():
        figure = getattr(draw(theme=theme, size=size), "figure", None)
        assert figure is not None
        np.testing.assert_array_equal(pixels(data), pixels(by_matplotlib(figure)), err_msg=f"{theme} {size}")


def test_a_layout_is_computed_once_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.layout_engine import ConstrainedLayoutEngine as Engine

    count = []
    execute = Engine.execute
    monkeypatch.setattr(Engine, "execute", lambda self, fig: (count.append(fig), execute(self, fig))[1])
    themed_pngs(PICTURES["curve"])
    assert len(count) == 2


def test_another_picture_keeps_its_own_layout() -> None:
    one, other = (PICTURES[name]().figure for name in ("curve", "panels"))
    engine = other.get_layout_engine()
    take_places(other, one)
    assert other.get_layout_engine() is engine


def test_a_ground_that_shows_through_stays() -> None:
    figure = PICTURES["curve"]().figure
    figure.set_facecolor((0, 0, 0, 0))
    assert pixels(png_bytes(figure))[0, 0, 3] == 0
