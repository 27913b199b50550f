"""The picture of several series: all of them, or the first and how many are left out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bptt import Forecaster
from bptt.cli.main import main
from bptt.forecast import Recipe
from bptt.forecast.predicting.picture import MOST_DRAWN


def table(series: int, rows: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    days = np.arange("2021-01-01", np.datetime64("2021-01-01") + rows, dtype="datetime64[D]")
    names = np.repeat([f"shop {k}" for k in range(series)], rows)
    return {"unique_id": names, "ds": np.tile(days, series), "y": rng.normal(10 * series, 3, series * rows)}


def fitted(series: int) -> Forecaster:
    return Forecaster(horizon=3, recipe=Recipe(ensemble=1, hidden=3, updates=20), threads=1).fit(
        table(series), progress=False
    )


@pytest.mark.parametrize("series", [2, 5])
def test_a_panel_for_every_series(series: int) -> None:
    model = fitted(series)
    figure = model.plot(rows=17)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == [f"shop {k}" for k in range(series)]
    y_hat = model.predict()["y_hat"].reshape(series, 3)
    y = table(series)["y"].reshape(series, -1)
    for k, ax in enumerate(shown):
        lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
        np.testing.assert_allclose(lines["forecast"], y_hat[k], rtol=1e-12, atol=0)
        np.testing.assert_array_equal(lines["history"], y[k, -17:])
        assert ax.get_legend() is None
    assert len(figure.legends) == 1
    assert figure.get_supxlabel() == ""
    (alone,) = model.plot(series="shop 1").axes
    assert alone.get_title(loc="left") == "shop 1"


def test_of_very_many_the_first_and_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    count = MOST_DRAWN + 5
    model = fitted(count)
    figure = model.plot()
    assert len([ax for ax in figure.axes if ax.get_visible()]) == MOST_DRAWN
    told = f"{MOST_DRAWN} of {count} series, the first; 5 are not shown"
    assert figure.get_supxlabel() == told
    monkeypatch.chdir(tmp_path)
    model.save("m.safetensors")
    rows = zip(*table(count).values(), strict=True)
    Path("t.csv").write_text("\n".join(["unique_id,ds,y", *(",".join(map(str, row)) for row in rows)]) + "\n")
    monkeypatch.setattr(
        sys, "argv", ["bptt", "predict", "m.safetensors", "t.csv", "--plot", "p.png", "--out", "f.csv"]
    )
    main()
    assert capsys.readouterr().err == f"bptt: note: p.png shows {told}\n"
    assert Path("p.png").read_bytes()[:4] == b"\x89PNG"
