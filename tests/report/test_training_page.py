"""The page with sliders: complete in itself, what it says at each place, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import gradient_by_path_length
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.report import path_profiles, render_training_page, write_training_page
from bptt.report.sliders import PLACES, SCRIPT, Chart, render_chart, thin
from bptt.training import train
from bptt.training.watching.history import make_history

KINDS = ["gradient_norms", "weight_norms", "spectral_radius", "snapshots"]
T, D, H = 7, 3, 5


class Page(HTMLParser):
    """Gathers tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside == "script" and data.strip():
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def run() -> tuple[Any, Network, Any, Any]:
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((40, T, D)), rng.standard_normal((40, 1))
    net = Network(Recurrent("gru", D, H))
    history = train(net, (x, y), steps=25, record=KINDS, every=10, validation=(x[:9], y[:9]), progress=False)
    return history, net, x, y


def test_profiles_are_those_of_the_snapshots(run: tuple[Any, Network, Any, Any]) -> None:
    history, net, x, y = run
    found = path_profiles(net, history.recorded, x, y, longest=4)
    assert found.shape == (4, 5)
    for row, weights in zip(found, history.recorded.snapshots, strict=True):
        then = Network(Recurrent("gru", D, H))
        for name, p in weights.items():
            then.parameters[name][...] = p
        np.testing.assert_array_equal(
            row, gradient_by_path_length(then, x, y, longest=4).mean_abs("layers.0.W_hh")
        )


def test_the_page_needs_nothing_from_elsewhere(run: tuple[Any, Network, Any, Any], tmp_path: Path) -> None:
    history, net, x, y = run
    profiles = path_profiles(net, history.recorded, x, y)
    path = write_training_page(
        tmp_path / "run.html", history, profiles=profiles, title="A <b> & c", lead="so"
    )
    text = path.read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert "A &lt;b&gt; &amp; c" in text
    page = Page(text)
    assert page.scripts == [SCRIPT]
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")
    assert not [
        tag for tag, attrs in page.tags if "src" in attrs or any(key.startswith("on") for key in attrs)
    ]
    assert "prefers-color-scheme:dark" in text


def test_every_slider_has_a_label_and_a_voice(run: tuple[Any, Network, Any, Any]) -> None:
    history, net, x, y = run
    page = Page(render_training_page(history, profiles=path_profiles(net, history.recorded, x, y)))
    sliders = page.all("input")
    assert [slider["id"] for slider in sliders] == [
        "profile", "course", "gradient-norms", "weight-norms", "spectral-radius",
    ]  # fmt: skip
    assert {slider["type"] for slider in sliders} == {"range"}
    assert [label["for"] for label in page.all("label")] == [slider["id"] for slider in sliders]
    assert all(output["aria-live"] == "polite" for output in page.all("output"))
    figures = [figure for figure in page.all("figure") if "data-places" in figure]
    for figure, slider in zip(figures, sliders, strict=True):
        places = json.loads(str(figure["data-places"]))
        assert len(places) == int(str(slider["max"])) + 1
        assert slider["aria-valuetext"] == places[0][1]
    places = json.loads(str(figures[0]["data-places"]))
    assert [re.match(r"after (\d+) updates", said).group(1) for _, said in places] == ["0", "10", "20", "25"]  # type: ignore[union-attr]
    said = [said for _, said in json.loads(str(figures[1]["data-places"]))]
    assert said[3] == (
        f"step 4: loss {history.losses[3]:.4g}, gradient norm {history.gradient_norms[3]:.4g}, learning rate 0.001"
    )


def test_a_curve_lies_where_its_numbers_say() -> None:
    k = np.arange(3)
    flat = Chart("a", "t", "x", "y", "s", {"c": (k, np.array([1.0, 10.0, 100.0]))}, [(k[:1], None, "here")])
    drawn = render_chart(flat)
    # From the bottom left of the box to its top right, in equal steps on a logarithmic axis.
    assert 'd="M96.0 252.0L350.0 133.0L604.0 14.0"' in drawn
    assert 'class="moving" d="M96.0 14V252"' in drawn
    gap = Chart("a", "t", "x", "y", "s", {"c": (k, np.array([1.0, 0.0, 100.0]))}, [(k, k + 1.0, "here")])
    assert 'd="M96.0 252.0M604.0 14.0"' in render_chart(gap)


def test_long_runs_are_thinned_and_keep_both_ends() -> None:
    assert thin(7).tolist() == list(range(7))
    kept = thin(12_345)
    assert (len(kept), kept[0], kept[-1]) == (PLACES, 0, 12_344)


def test_a_run_without_records_has_its_course() -> None:
    history = make_history([(0.5, 0.0, 0.1), (0.25, 3.0, 0.1)], [], "finished", 1.0)
    assert [slider["id"] for slider in Page(render_training_page(history)).all("input")] == ["course"]


def test_messages(run: tuple[Any, Network, Any, Any]) -> None:
    history, net, x, y = run
    plain = make_history([(0.5, 0.1, 0.1)], [], "finished", 1.0)
    with pytest.raises(InvalidType, match="history must be the History that train returned"):
        render_training_page("history")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="history must hold at least one step"):
        render_training_page(make_history([], [], "interrupted", 0.1))
    with pytest.raises(InvalidInput, match=r"profiles must have shape \(R, N\) = \(4, \*\).*Got \(3, 5\)"):
        render_training_page(history, profiles=np.ones((3, 5)))
    with pytest.raises(InvalidInput, match="recorded must hold snapshots"):
        path_profiles(net, plain.recorded, x, y)
    with pytest.raises(InvalidInput, match="name must be one of"):
        path_profiles(net, history.recorded, x, y, name="W_hh")
    with pytest.raises(InvalidInput, match="places must hold at least one place"):
        Chart("a", "t", "x", "y", "s", {}, [])
