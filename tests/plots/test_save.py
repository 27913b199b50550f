"""PNG at 144 dots an inch, the same bytes each time, written whole."""

import io
import struct

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from bptt.errors import FileMissing, InvalidInput, InvalidType
from bptt.plots import learning_curve, png_bytes, save_png
from bptt.plots.numbers import decimals_for
from bptt.plots.style import DARK


@pytest.fixture
def ax(rng):
    return learning_curve({"a": rng.random(60)}, theme="dark")


def test_a_png_of_144_dots_an_inch(ax):
    data = png_bytes(ax)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = ax.figure.get_size_inches()
    assert struct.unpack(">II", data[16:24]) == (int(width * 144), int(height * 144))
    density = struct.unpack(">II", data[data.index(b"pHYs") + 4 :][:8])
    assert density == (round(144 / 0.0254),) * 2


def test_the_paper_has_the_colour_of_the_theme(ax):
    pixel = imread(io.BytesIO(png_bytes(ax)))[0, 0]
    expected = [int(DARK.background[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    np.testing.assert_allclose(pixel[:3], expected, rtol=0, atol=1 / 512)


def test_the_same_picture_gives_the_same_bytes_and_no_tag(ax):
    assert png_bytes(ax) == png_bytes(ax)
    assert b"Software" not in png_bytes(ax)


def test_figure_and_axes_are_the_same_picture(ax):
    assert png_bytes(ax.figure) == png_bytes(ax)


def test_writes_the_bytes_and_returns_the_path(ax, tmp_path):
    path = save_png(ax, str(tmp_path / "curve.png"))
    assert path == tmp_path / "curve.png"
    assert path.read_bytes() == png_bytes(ax)
    assert [entry.name for entry in tmp_path.iterdir()] == ["curve.png"]


def test_errors(ax, tmp_path):
    with pytest.raises(InvalidInput, match=r"path must end in .png. Got .*curve.jpg"):
        save_png(ax, tmp_path / "curve.jpg")
    with pytest.raises(FileMissing, match="must lie in a folder that exists"):
        save_png(ax, tmp_path / "missing" / "curve.png")
    with pytest.raises(InvalidType, match=r"picture must be a matplotlib Axes or Figure. Got str"):
        png_bytes("picture")


def test_a_figure_of_one_s_own_can_be_saved(tmp_path):
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    assert save_png(figure, tmp_path / "own.png").is_file()


@pytest.mark.parametrize(
    ("value", "decimals"),
    [
        (1.1627, 3),
        (9.999, 3),
        (31.4, 2),
        (0.0413, 5),
        (52_180.0, 0),
        (1e-12, 6),
        (0.0, 3),
        (np.inf, 3),
        (-31.4, 2),
    ],
)
def test_decimals_for_four_digits(value, decimals):
    assert decimals_for(value) == decimals
