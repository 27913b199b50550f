"""A lab told in the document's letters: text, tables, pictures and derivation; and what its edges carry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bptt.diagnostics import gradient_flow
from bptt.labs.addition import result as addition_result
from bptt.labs.addition.report import outcome_of as addition_outcome
from bptt.labs.derivations import DERIVATIONS, get_derivation
from bptt.labs.edges import edges
from bptt.labs.gradients import lab as gradients
from bptt.labs.gradients.report import outcome_of as gradients_outcome
from bptt.labs.letters import SEEDS, get_letters
from bptt.labs.noisy_sine import study as noisy_sine_study
from bptt.labs.noisy_sine.report import make_outcome as noisy_sine_outcome
from bptt.labs.outcome import Outcome
from bptt.labs.sine import lab as sine
from bptt.labs.sine.report import make_outcome as sine_outcome
from bptt.labs.told import derivation_section, say_chart
from bptt.network import Network, Recurrent
from bptt.report import Chart, Equations, Picture, TableBlock, Text
from tests.labs.small import write_small_table

EXACT = 1e-12
OURS = re.compile(r"(?<![A-Za-z0-9_.])d?(W_xh|W_hh|W_hy|b_h|b_y)(?![A-Za-z0-9_])")
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f6"
    "45400000000049454e44ae426082"
)


def make(lab: str, notation: str) -> Outcome:
    return {
        "noisy-sine": lambda: noisy_sine_outcome(RUNS["noisy-sine"](), notation),
        "sine": lambda: sine_outcome(RUNS["sine"](), notation),
        "gradients": lambda: gradients_outcome(RUNS["gradients"](), notation),
        "addition": lambda: addition_outcome(RUNS["addition"](), notation),
    }[lab]()


def once(work):  # type: ignore[no-untyped-def]
    kept: list[object] = []
    return lambda: kept[0] if kept else kept.append(work()) or kept[0]


RUNS = {
    "noisy-sine": once(lambda: noisy_sine_study.run(seeds=1, sizes=noisy_sine_study.QUICK)),
    "sine": once(lambda: sine.run(seeds=1, epochs=dict.fromkeys(sine.BATCHES, 1))),
    "gradients": once(lambda: gradients.run(seeds=1, steps=60, lags=(3,))),
    "addition": once(lambda: addition_result.run_all(seeds=1, quick=True)),
}


def texts(outcome: Outcome) -> list[str]:
    """Everything that is read: but for the table of letters, which names both."""
    found = [outcome.lead, *outcome.verdicts, *(drawing.alt for drawing in outcome.drawings.values())]
    pictures = {name: Picture(PIXEL, drawing.alt) for name, drawing in outcome.drawings.items()}
    tables = [outcome.table]
    *sections, derivation = outcome.sections(pictures)
    assert derivation.title == "The gradients, derived"
    for block in (block for section in sections for block in section.blocks):
        if isinstance(block, Text):
            found.append(block.text)
        elif isinstance(block, TableBlock):
            tables.append(block)
    for table in tables:
        found += [table.caption, *table.headers, *(cell for row in table.rows for cell in row)]
    return found


@pytest.mark.parametrize(
    "lab",
    ["noisy-sine", "sine", *(pytest.param(lab, marks=pytest.mark.slow) for lab in ("gradients", "addition"))],
)
def test_the_documents_letters_reach_every_text_and_the_graph(lab: str) -> None:
    ours, seed = make(lab, "ours"), make(lab, "seed")
    assert not any(OURS.search(text) for text in texts(seed))
    letters = SEEDS[lab]
    assert [letters.say(text) for text in texts(ours)] == texts(seed)
    assert ours.numbers == seed.numbers
    assert list(ours.drawings) == list(seed.drawings)
    graphs = [name for name in seed.drawings if name.startswith("unrolled")]
    assert graphs
    for name in graphs:
        shown = {text.get_text() for text in seed.drawings[name].draw(theme="light", size="narrow").texts}
        assert letters.nodes.name("h", 1) in shown
        assert "$h_{1}$" in {
            t.get_text() for t in ours.drawings[name].draw(theme="light", size="narrow").texts
        }


def test_charts_with_sliders_are_told_in_the_letters_too() -> None:
    line = (np.arange(3.0), np.arange(3.0))
    names = {"layers.0.W_hh": line, "readout.b_y": line, "all": line}
    chart = Chart("norms", "of W_hh", "updates", "norm", "update", names, ((*line, "layers.0.W_xh 0.5"),))
    told = say_chart(chart, SEEDS["weather"])
    assert list(told.still) == ["W", "c", "all"]
    assert (told.title, told.places[0][2]) == ("of W", "U 0.5")
    assert say_chart(chart, get_letters("weather")) is chart


def test_some_text_has_letters_to_change() -> None:
    assert any(OURS.search(text) for text in texts(make("noisy-sine", "ours")))


@pytest.mark.parametrize("lab", DERIVATIONS)
@pytest.mark.parametrize("notation", ["ours", "seed"])
def test_the_derivation_is_the_labs(lab: str, notation: str) -> None:
    text, formulas, names = derivation_section(lab, notation).blocks
    assert isinstance(formulas, Equations)
    lines = get_derivation(lab).equations
    assert [tex for tex, _ in formulas.lines] == [getattr(line, notation) for line in lines]
    assert isinstance(text, Text)
    assert text.text == getattr(get_derivation(lab), notation)
    assert isinstance(names, TableBlock)
    assert names.rows[0] == ("W_xh", SEEDS[lab].words["W_xh"])


@pytest.mark.slow  # every picture in four looks
def test_the_weather_report_in_the_labs_letters(tmp_path: Path) -> None:
    table = write_small_table(tmp_path / "small.csv")
    command = [
        sys.executable,
        "-m",
        "bptt",
        "lab",
        "weather",
        "--data",
        str(table),
        "--seeds",
        "1",
        "--notation",
    ]
    done = subprocess.run(
        [*command, "seed"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "bptt-weather/report.html").read_text()
    assert r"\nabla_{h^{[t]}} \mathcal{L} = W^{\mathsf T} \mathrm{diag}(1 - (h^{[t+1]})^2)" in page
    assert "dL/dh[t] on the edge" in page
    assert "--notation seed" in page
    assert len(re.findall("W_hh", page)) == 1  # in the table of letters
    flows = json.loads((tmp_path / "bptt-weather/result.json").read_text())["gradient_on_edges"]
    assert {name: len(flow["dh"]) for name, flow in flows.items()} == {"start": 24, "trained": 24}
    refused = subprocess.run([*command, "theirs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "notation must be one of ours, seed. Got 'theirs'" in refused.stderr


@pytest.mark.parametrize("readout", ["last", "every"])
def test_edges_carry_the_engines_gradients(rng: np.random.Generator, readout: str) -> None:
    stack = Recurrent("elman", 3, 5, seed=2)
    net = Network(stack, 2, readout=readout, loss="mse", seed=2)
    net.parameters["layers.0.b_h"][...] = rng.normal(size=5)
    x = rng.normal(size=(1, 7, 3))
    y = rng.normal(size=(1, 2) if readout == "last" else (1, 7, 2))
    found = edges(net, x, y)
    whole = gradient_flow(net, x, y).of_layer()[1:, 0]
    dx = net.loss_and_gradients(x, y, want_x=True).gradients.x
    np.testing.assert_allclose(found.dx, np.linalg.norm(dx[0], axis=1), rtol=EXACT, atol=0)
    if readout == "last":
        assert found.dy is None
        np.testing.assert_allclose(found.dh, whole, rtol=EXACT, atol=0)
        return
    # What comes from its own output, dL/dy_hat_t W_hy^T; the last step has nothing else.
    y_hat = net.predict(x)
    own = 2 * (y_hat - y)[0] / y.size @ net.parameters["readout.W_hy"].T
    np.testing.assert_allclose(found.dy, np.linalg.norm(own, axis=1), rtol=EXACT, atol=0)
    assert found.dh[-1] == 0
    assert found.dy[-1] == pytest.approx(whole[-1], rel=EXACT)
    for t in range(6):  # the triangle that the two edges make with their sum
        assert abs(found.dh[t] - found.dy[t]) <= whole[t] * (1 + EXACT)
        assert whole[t] <= (found.dh[t] + found.dy[t]) * (1 + EXACT)


def test_edges_are_medians_of_the_rows_own(rng: np.random.Generator) -> None:
    net = Network(Recurrent("elman", 2, 4, seed=1), 1, readout="last", loss="mse", seed=1)
    x, y = rng.normal(size=(5, 6, 2)), rng.normal(size=(5, 1))
    rows = [edges(net, x[k : k + 1], y[k : k + 1]) for k in range(5)]
    whole = edges(net, x, y)
    np.testing.assert_allclose(whole.dh, np.median([row.dh for row in rows], axis=0), rtol=EXACT, atol=0)
    np.testing.assert_allclose(whole.dx, np.median([row.dx for row in rows], axis=0), rtol=EXACT, atol=0)
