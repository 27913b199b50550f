"""Recursive and segment-wise heads: their gradients, their closed form, and one forecast by every way to it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.cli.backtest import backtest
from bptt.cli.fit import fit
from bptt.cli.forecast_options import make_settings
from bptt.errors import FileFormatError, InvalidInput
from bptt.forecast import Forecaster
from bptt.forecast.features.calendar import Calendar
from bptt.forecast.features.encoding import encode
from bptt.forecast.features.measuring import fit_encoding
from bptt.forecast.fitting.choices.choosing import _shares
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.networks.decoder import Segmented, decode, loss_and_gradients, make_decoder, places
from bptt.forecast.fitting.networks.members import run_states
from bptt.forecast.fitting.readouts.heads import (
    Origins,
    Penalty,
    encode_panel,
    head_forecast,
    make_head,
    normal_equations,
    origin_features,
)
from bptt.forecast.fitting.readouts.segment_path import segment_sums, solve_segments
from bptt.forecast.fitting.trained import forecast_line
from bptt.forecast.panel import Line, Panel
from bptt.forecast.recipe import Recipe
from bptt.forecast.saving import container
from bptt.forecast.saving.facts import describe_model
from bptt.network import Network, Recurrent
from tests.forecast.panels import HOUR, NETWORK, make_panel

K = 7
HEADS = ("recursive", "segments")
# Two ways to the same numbers in float64, T = 200.
SAME = 1e-9
# Central differences of a loss near 1, with a step of 1e-6.
DIFFERENCES = 1e-7


def longer(rng: np.random.Generator, line: Line, rows: int) -> Line:
    """Return a line with some random rows more."""
    times = line.times[-1] + np.arange(1, rows + 1) * HOUR
    return replace(
        line,
        times=np.concatenate([line.times, times]),
        local=np.concatenate([line.local, times]),
        y=np.concatenate([line.y, 3 + rng.standard_normal(rows)]),
        past=np.concatenate([line.past, rng.standard_normal((rows, line.past.shape[1]))]),
        future=np.zeros((len(line) + rows, 0)),
    )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_gradient_through_the_decoder_is_that_of_differences(rng: np.random.Generator, cell: str) -> None:
    panel = make_panel(rng, 90)
    settings = {"transform": None, "anchor": "last", "period": 3, "window": 5, "past_window": 2}
    encoding = fit_encoding(panel, horizon=K, calendar=Calendar(("day",)), head="segments", **settings)
    assert (encoding.segments, encoding.segment) == (3, 3)
    D, H, B, T = 4, 5, 3, 11
    net = Network(Recurrent(cell, D, H, dtype="float64", num_layers=2, seed=1), 3, readout="every", seed=2)
    reader = Segmented(net, make_decoder(encoding, H, "float64", seed=3))
    for array in reader.parameters.values():
        array += 0.3 * rng.standard_normal(array.shape)
    x = rng.standard_normal((B, T, D))
    picked = np.array([0, 2, 2, 1, 0, 2]), np.array([10, 4, 4, 7, 2, 0])
    local = panel.lines[0].local[rng.integers(80, size=6)]
    q, y = places(encoding, local), rng.standard_normal((6, K))
    weights = rng.uniform(0.2, 1.0, 6)

    def loss() -> float:
        return loss_and_gradients(reader, x, picked, q, y, weights, "huber")[0]

    _, gradients = loss_and_gradients(reader, x, picked, q, y, weights, "huber")
    assert list(gradients) == list(reader.parameters)
    for name, array in reader.parameters.items():
        for place in rng.choice(array.size, min(4, array.size), replace=False):
            at = np.unravel_index(place, array.shape)
            was = array[at]
            array[at] = was + 1e-6
            up = loss()
            array[at] = was - 1e-6
            down = loss()
            array[at] = was
            assert gradients[name][at] == pytest.approx((up - down) / 2e-6, rel=0, abs=DIFFERENCES), name


@pytest.mark.parametrize("drift", [True, False])
@pytest.mark.parametrize("window", [0.03, np.inf])
def test_the_closed_form_of_segments_is_that_of_one_large_system(
    rng: np.random.Generator, window: float, drift: bool
) -> None:
    n, W, M, H, L = 41, 4, 3, 5, 3
    F, D = rng.standard_normal((n, W)), rng.standard_normal((n, M, H))
    y, weights = rng.standard_normal((n, K)), rng.uniform(0.1, 1.0, n)
    both = [segment_sums(F[s], D[s], y[s], weights[s], L) for s in (slice(0, 17), slice(17, n))]
    readout, linear = solve_segments(both[0] + both[1], 0.02, window, drift=drift)
    count = weights.sum()
    for row in range(L):
        steps = [m * L + row for m in range(M) if m * L + row < K]
        # Unknowns: the readout of this row, then intercept and linear path of each segment.
        blocks, targets = [], []
        for m, k in enumerate(steps):
            own = np.concatenate([np.full((n, 1), float(drift)), F * np.isfinite(window)], axis=1)
            left, right = np.zeros((n, m * (1 + W))), np.zeros((n, (len(steps) - m - 1) * (1 + W)))
            blocks.append(np.concatenate([D[:, m], left, own, right], axis=1))
            targets.append(y[:, k])
        A, b = np.concatenate(blocks), np.concatenate(targets)
        w = np.tile(weights, len(steps))
        one = [1e-9, *[window if np.isfinite(window) else 1.0] * W]
        ridge = count * np.array([*[0.02 * len(steps)] * H, *one * len(steps)])
        found = np.linalg.solve((A.T * w) @ A + np.diag(ridge), (A.T * w) @ b)
        np.testing.assert_allclose(readout[:, row], found[:H], rtol=0, atol=1e-7)
        for m, k in enumerate(steps):
            own = found[H + m * (1 + W) :][: 1 + W]
            np.testing.assert_allclose([linear.intercept[k], *linear.weights[:, k]], own, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("anchor", "level"), [("last", "own"), ("season", "window")])
def test_a_forecast_fed_back_is_one_taken_in_as_if_it_had_been_measured(
    rng: np.random.Generator, anchor: str, level: str
) -> None:
    """Each row is appended with its forecast, the other columns missing, and the whole line is read anew."""
    panel = make_panel(rng, 180, 97, past=2, future=1, ahead=K)
    lines = tuple(replace(line, static=rng.standard_normal(3)) for line in panel)
    panel = replace(panel, lines=lines, static=("a", "b", "c"))
    settings = {"layers": 2, "cell": "lstm", "anchor": anchor, "level": level, "updates": 9}
    fitted = fit_panel(
        panel, horizon=K, recipe=replace(NETWORK, head="recursive", **settings), calendar="day", seed=2
    )
    trained, line = fitted.trained, panel.lines[0]
    one = replace(trained.encoding, horizon=1, head="direct", target=trained.encoding.target[:1])
    said = trained.in_units(
        encode(trained.encoding, line), trained.forecast(encode(trained.encoding, line), np.array([179]))
    )
    for k in range(K):
        each = encode(one, line)
        last = np.array([len(line) - 1])
        y_hat = trained.linear(_window(one, each, last))  # type: ignore[misc]  # there is one
        for net in trained.nets:
            ((_, h, _),) = run_states(net, [each.x])
            y_hat = y_hat + h[last] @ net.parameters["readout.W_hy"] / len(trained.nets)
        z = each.z[-1 - one.anchors()[0]] + y_hat[0, 0] * one.target[0]
        value = float(z * each.scale + each.centre)
        assert said[0, k] == pytest.approx(value, rel=SAME, abs=SAME)
        line = replace(
            line,
            times=np.append(line.times, line.times[-1] + HOUR),
            y=np.append(line.y, value),
            past=np.concatenate([line.past, np.full((1, 2), np.nan)]),
        )


def _window(encoding, line, rows):  # type: ignore[no-untyped-def]
    from bptt.forecast.features.window_path import read_window

    return read_window(encoding, line, rows)


@pytest.mark.parametrize("head", HEADS)
def test_step_update_predict_and_file_agree(rng: np.random.Generator, tmp_path: Path, head: str) -> None:
    panel = make_panel(rng, 181)
    recipe = replace(NETWORK, head=head, cell="lstm", layers=2)
    model = Forecaster(horizon=K, recipe=recipe, seed=3).fit(panel, progress=False)
    assert model.fitted.trained.encoding.head == head
    whole = replace(panel, lines=(longer(rng, panel.lines[0], 5),))
    again = bptt.load(model.save(tmp_path / "m.safetensors"))
    said = model.forecast(whole).y_hat[0]
    np.testing.assert_allclose(again.forecast(whole).y_hat[0], said, rtol=0, atol=SAME)
    again.update(whole)
    np.testing.assert_allclose(again.forecast().y_hat[0], said, rtol=0, atol=SAME)
    y, past = whole.lines[0].y, whole.lines[0].past
    for t in range(181, 186):
        stepped = model.step({"y": y[t], "past 0": past[t, 0], "past 1": past[t, 1]})
    np.testing.assert_allclose(stepped, said, rtol=0, atol=SAME)
    low, high = (model.predict_interval()[name] for name in ("lo_90", "hi_90"))
    assert (low < model.predict()["y_hat"]).all()
    assert (model.predict()["y_hat"] < high).all()
    _, arrays = container.pack(container.Contents(model.asked, model.fitted, None, {}))
    trained = [
        array.size for name, array in arrays.items() if name.startswith(("nets.", "decoders.", "linear."))
    ]
    assert dict(describe_model(model.fitted))["parameters"] == f"{sum(trained):,}"


@pytest.mark.parametrize("head", HEADS)
def test_every_step_sees_the_newest_row_and_none_the_future(rng: np.random.Generator, head: str) -> None:
    panel = make_panel(rng, 120, past=1)
    recipe = replace(NETWORK, head=head, ensemble=1, trial_members=1)
    model = Forecaster(horizon=5, recipe=recipe, seed=1).fit(panel, progress=False)
    found = model.check_alignment()
    assert found.sound
    assert found.influence.shape == (5, 48)


@pytest.mark.parametrize("head", HEADS)
def test_what_only_the_future_holds_is_worth_nothing(rng: np.random.Generator, head: str) -> None:
    """White noise beside columns that hold the same noise: no better than its mean."""
    rows, train = 620, 400
    panel = make_panel(rng, rows, past=2)
    y = rng.standard_normal(rows)
    line = replace(panel.lines[0], y=y, past=np.stack([y, np.cumsum(y)], axis=1))
    training = Panel(
        (replace(line, times=line.times[:train], local=line.local[:train], y=y[:train],
                 past=line.past[:train], future=line.future[:train]),),
        panel.target, panel.past, panel.future, panel.static, panel.step,
    )  # fmt: skip
    recipe = replace(NETWORK, head=head, updates=60, hidden=8, ensemble=1, trial_members=1)
    fitted = fit_panel(training, horizon=3, recipe=recipe, seed=3)
    after = np.arange(train - 1, rows - 3)
    encoded = encode(fitted.trained.encoding, line)
    said = fitted.trained.in_units(encoded, fitted.trained.forecast(encoded, after))
    truth = y[after[:, None] + np.arange(1, 4)]
    # The sampling error of a mean square over 218 rows is about a tenth.
    assert (((said - truth) ** 2).mean(axis=0) > 0.95 * truth.var(axis=0)).all()


def test_the_ridge_walks_too_and_one_row_ahead_all_heads_are_one(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 60, past=0)
    tiny = replace(NETWORK, step_back=True, head="recursive", length=7, warmup=0)
    fitted = fit_panel(panel, horizon=4, recipe=replace(tiny, length=7, shorter=(), updates=1), seed=1)
    assert fitted.trained.encoding.horizon == 4
    if fitted.trained.kind == "ridge":
        assert fitted.trained.linear is not None
        assert fitted.trained.linear.weights.shape[1] == 1
    one = fit_panel(panel, horizon=1, recipe=tiny, seed=1)
    assert one.trained.encoding.head == "direct"


def test_a_series_that_has_left_its_old_level_far_behind_is_forecast_where_it_is(
    rng: np.random.Generator,
) -> None:
    """What is fed back is held near the newest value, not near the mean of years ago."""
    panel = make_panel(rng, 120, past=0)
    fitted = fit_panel(panel, horizon=K, recipe=replace(NETWORK, head="recursive", updates=5), seed=1)
    linear = fitted.trained.linear
    assert linear is not None
    still = replace(linear, weights=0 * linear.weights, intercept=0 * linear.intercept)
    trained = replace(fitted.trained, nets=(), linear=still)
    line = replace(panel.lines[0], y=panel.lines[0].y + 1e5)
    said = forecast_line(trained, line, np.array([119]))
    np.testing.assert_allclose(said[0], line.y[119], rtol=SAME, atol=0)
    wild = replace(still, intercept=still.intercept + 1e30)
    assert (
        np.abs(forecast_line(replace(trained, linear=wild), line, np.array([119])) - line.y[119]) < 1e5
    ).all()


@pytest.mark.parametrize("head", HEADS)
def test_a_line_too_short_for_validation_is_no_hindrance(rng: np.random.Generator, head: str) -> None:
    panel = make_panel(rng, 131, 9, 2, 118, past=1)
    fitted = fit_panel(panel, horizon=K, recipe=replace(NETWORK, head=head, updates=5), seed=1)
    assert fitted.trained.kind == "network"
    for line in panel:
        assert np.isfinite(forecast_line(fitted.trained, line, np.array([len(line) - 1]))).all()


def test_files_of_before_heads_are_read_as_direct(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Forecaster(horizon=3, recipe=NETWORK, seed=1).fit(make_panel(rng, 120), progress=False)
    pack = container.pack

    def older(contents):  # type: ignore[no-untyped-def]
        config, arrays = pack(contents)
        del config["encoding"]["head"], config["asked"]["recipe"]["head"], config["recipe"]["head"]
        return config, arrays

    monkeypatch.setattr(container, "pack", older)
    again = bptt.load(model.save(tmp_path / "old.safetensors"))
    assert again.fitted.trained.encoding.head == "direct"
    np.testing.assert_array_equal(again.forecast().y_hat, model.forecast().y_hat)

    def wrong(contents):  # type: ignore[no-untyped-def]
        config, arrays = pack(contents)
        config["encoding"]["head"] = "sideways"
        return config, arrays

    monkeypatch.setattr(container, "pack", wrong)
    with pytest.raises(FileFormatError, match=r"head must be known\. Got 'sideways'"):
        bptt.load(model.save(tmp_path / "wrong.safetensors"))


def test_a_file_of_a_recursive_head_that_reads_other_rows_ahead_is_refused(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size, it would load and forecast by the plan of another day."""
    panel = make_panel(rng, 120, future=1, ahead=3)
    model = Forecaster(horizon=3, recipe=replace(NETWORK, head="recursive"), seed=1).fit(
        panel, progress=False
    )
    pack = container.pack

    def wrong(contents):  # type: ignore[no-untyped-def]
        config, arrays = pack(contents)
        config["encoding"]["ahead"] = [2]
        return config, arrays

    monkeypatch.setattr(container, "pack", wrong)
    with pytest.raises(FileFormatError, match=r"ahead must be \[1\] for a recursive head.*Got \[2\]"):
        bptt.load(model.save(tmp_path / "wrong.safetensors"))


def test_an_unknown_head_and_onnx_without_a_direct_one_are_refused(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="head must be"):
        Recipe(head="sideways")
    for command in (fit, backtest):
        assert "head" in inspect.signature(command).parameters
    assert Forecaster(horizon=2, **make_settings(None, {"head": "segments"})).asked.recipe.head == "segments"
    from bptt.interop import forecaster_to_onnx

    model = Forecaster(horizon=3, recipe=replace(NETWORK, head="recursive")).fit(
        make_panel(rng, 120), progress=False
    )
    with pytest.raises(InvalidInput, match=r"direct head for ONNX\. Got 'recursive'"):
        forecaster_to_onnx(model, tmp_path / "m.onnx")


def test_the_decoder_goes_on_from_the_state(rng: np.random.Generator) -> None:
    """Its first step is one step of its cell from h, and every place gives another state."""
    panel = make_panel(rng, 90)
    settings = {"transform": None, "anchor": "last", "period": 3, "window": 5, "past_window": 2}
    encoding = fit_encoding(panel, horizon=K, calendar=Calendar(()), head="segments", **settings)
    decoder = make_decoder(encoding, 5, "float64", seed=3)
    h, local = rng.standard_normal((4, 5)), panel.lines[0].local[:4]
    found = decode(encoding, decoder, h, local)
    q = places(encoding, local)
    state = {"h": h[None]}
    for m in range(3):
        out, state, _ = decoder.forward(q[m][:, None], state)
        np.testing.assert_allclose(found[:, m], out[:, 0], rtol=0, atol=SAME)
    assert np.abs(np.diff(found, axis=1)).min() > 0


def test_a_ridge_takes_back_what_the_network_only_imagines(rng: np.random.Generator) -> None:
    """The shares found are those with the least squared error on the validation rows, between 0 and 1."""
    n = 400
    y, weights = rng.standard_normal((n, K)), rng.uniform(0.5, 1.0, n)
    ridge = y + rng.standard_normal((n, K))
    # Errors of the network: small near, large far ahead.
    own = y + np.linspace(0.2, 3.0, K) * rng.standard_normal((n, K))
    near, far = _shares(own, ridge, y, weights)
    assert 0.5 < near <= 1.0
    assert 0.0 <= far < 0.4

    def error(a: float, b: float) -> float:
        share = np.linspace(a, b, K)
        return float(((share * own + (1 - share) * ridge - y) ** 2).mean(axis=1) @ weights)

    around = [(near + d, far + e) for d in (-0.05, 0.0, 0.05) for e in (-0.05, 0.0, 0.05)]
    inside = [(a, b) for a, b in around if 0 <= a <= 1 and 0 <= b <= 1]
    assert min(inside, key=lambda pair: error(*pair)) == (near, far)


def test_a_head_with_a_ridge_beside_is_the_mixture_of_both(rng: np.random.Generator) -> None:
    panel = make_panel(rng, 130)
    fitted = fit_panel(panel, horizon=K, recipe=replace(NETWORK, ensemble=1), seed=1)
    encoding = fitted.trained.encoding
    lesson = encode_panel(encoding, panel)
    net = Network(Recurrent("gru", encoding.inputs, 5, dtype="float64", seed=1), K, readout="every")
    normal = normal_equations(encoding, lesson, net, 1000)
    origins = Origins(lesson, [np.arange(30, 60)])
    features = origin_features(encoding, origins, net)
    penalty = Penalty(0.01, 0.1)
    own, ridge, both = (
        head_forecast(make_head(encoding, normal, net, each), features)
        for each in (penalty, Penalty(np.inf, 0.3), replace(penalty, beside=(0.3, 0.9, 0.2)))
    )
    share = np.linspace(0.9, 0.2, K)
    np.testing.assert_allclose(both, share * own + (1 - share) * ridge, rtol=0, atol=SAME)
