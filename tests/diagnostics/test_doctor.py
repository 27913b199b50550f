"""The training doctor: one run of each disease, what findings say, and what diagnosing leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt
from benchmarks.doctor.__main__ import HEALTHY, table, try_kind
from benchmarks.doctor.runs import MinimalGated
from bptt.cells import Cell
from bptt.data import Arrays, Windows
from bptt.diagnostics import Diagnosis, diagnose
from bptt.diagnostics.doctor import NAMES
from bptt.diagnostics.doctor.evidence.constant import constant_loss
from bptt.diagnostics.doctor.evidence.sample import Sample
from bptt.diagnostics.doctor.evidence.units import look_at_units
from bptt.diagnostics.exact import in_float64
from bptt.errors import InvalidType
from bptt.initializers import Normal
from bptt.losses import Absolute, CrossEntropy, HalfSquared, Pinball, Squared
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam
from bptt.training import TrainingDivergedError, train
from tests.training.setups import assert_same_bits, copy_of

# Of a seed that no threshold was chosen on.
FIRST = 500


@pytest.mark.parametrize("disease", NAMES)
def test_the_disease_of_a_run_is_named(disease: str) -> None:
    row = try_kind(disease, first=FIRST, runs=1)
    assert (row.runs, row.named[disease]) == (1, 1)


def test_healthy_runs_have_none() -> None:
    row = try_kind(HEALTHY, first=FIRST, runs=4)
    assert (row.runs, row.nothing) == (4, 4)


@pytest.mark.slow
def test_recall_and_false_alarms() -> None:
    """A reduced version of `python -m benchmarks.doctor`, on seeds of its own."""
    healthy = try_kind(HEALTHY, first=5000, runs=50)
    assert healthy.runs - healthy.nothing <= 2
    for disease in NAMES:
        row = try_kind(disease, first=5000, runs=10)
        assert row.runs == 10
        assert row.named[disease] >= 8, disease


def test_the_matrix_has_a_line_a_kind() -> None:
    lines = table({HEALTHY: try_kind(HEALTHY, first=FIRST, runs=1)}).splitlines()
    assert len(lines) == 3
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| healthy | ")


def noisy_sine(H: int = 120, engine: str = "auto", **rest: Any) -> tuple[Any, Network, Any]:
    """Return the lecture's run, smaller: 30 updates of SGD on the sum of squares."""
    rng = np.random.default_rng(3)
    t = np.linspace(0, 2 * np.pi, 150)
    x = t[None, :, None]
    y = (np.sin(t) + 0.1 * rng.standard_normal(150))[None, :, None]
    normal = Normal(2.8 / np.sqrt(H))
    stack = Recurrent(
        "elman", 1, H, dtype="float32", engine=engine, seed=2,
        initializers={"W_xh": Normal(0.1), "W_hh": normal, "b_h": Normal(0.1)},
    )  # fmt: skip
    net = Network(
        stack, readout="every", loss=HalfSquared(time="sum"), bias=False, readout_initializer=Normal(0.1)
    )
    history = train(
        net, (x, y), optimizer=SGD(1e-5, momentum=0.95), steps=30, batch_size=1, progress=False, **rest
    )
    return history, net, (x, y)


@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_the_lectures_case_is_named_first_with_its_first_step(engine: str) -> None:
    history, net, data = noisy_sine(engine=engine)
    found = bptt.diagnose(history, net, data)
    assert found.diseases[0] == "readout-only learning"
    finding = found.findings[0]
    assert finding.place == "layers.0.W_hh"
    assert finding.severity == "severe"
    assert "the first step" in finding.seen
    assert "only the readout learns" in finding.seen
    assert finding.numbers["first_norm"] == history.gradient_norms[0]
    assert "clip" in finding.remedy
    assert "exploding gradients" in found.diseases
    exploding = next(f for f in found.findings if f.disease == "exploding gradients")
    assert exploding.numbers["step"] == 0


def test_what_was_recorded_says_which_parameter_exploded() -> None:
    # As the run left it no gradient enters the recurrent part: only the record knows where it came in.
    history, net, data = noisy_sine(record=["gradient_norms"], every=10)
    finding = next(f for f in diagnose(history, net, data).findings if f.disease == "exploding gradients")
    norms = {n: s[0] for n, s in history.recorded.gradient_norms.items() if n.startswith("layers.")}
    assert finding.place == f"{max(norms, key=norms.__getitem__)}, step 0"


def test_a_run_that_diverges_at_once_is_told_from_its_weights(rng: np.random.Generator) -> None:
    x = rng.standard_normal((31, 90, 2))
    stack = Recurrent(
        "elman", 2, 9, activation="identity", dtype="float32", initializers={"W_hh": Normal(1.2)}
    )
    with pytest.raises(TrainingDivergedError) as raised:
        train(net := Network(stack), (x, x[:, -1, :1]), steps=9, optimizer=SGD(0.01), progress=False)
    found = diagnose(raised.value.history, net, (x, x[:, -1, :1] + rng.standard_normal((31, 1))))
    assert "exploding gradients" in found.diseases
    assert found.findings[0].severity == "severe"


def small_run(
    x: Any, y: Any, *, steps: int = 300, rate: float = 0.01, cell: Any = "gru", **network: Any
) -> tuple[Any, Network]:
    net = Network(Recurrent(cell, np.shape(x)[2], 8, dtype="float32", seed=1), np.shape(y)[-1], **network)
    return train(net, (x, y), optimizer=Adam(rate), steps=steps, progress=False), net


def test_places_name_the_column(rng: np.random.Generator) -> None:
    x = rng.standard_normal((200, 5, 3))
    y = 0.7 * x[:, -1, :1] + 0.3 * x[:, -2, 1:2] + 0.2 * rng.standard_normal((200, 1))
    large = x * [1, 1, 900.0]
    history, net = small_run(large, y, steps=20)
    finding = diagnose(history, net, (large, y)).findings[0]
    assert (finding.disease, finding.place, finding.numbers["column"]) == (
        "unscaled inputs",
        "column 2 of x",
        2,
    )
    leaking = x.copy()
    leaking[:, -1, 1] = -2 * y[:, 0]
    history, net = small_run(leaking, y, steps=20)
    found = diagnose(history, net, (leaking, y))
    finding = found.findings[0]
    assert (finding.disease, finding.place) == ("target leakage", "column 1 of x")
    named = found.named(["rain", "load", "wind"])
    assert named.findings[0].place == "column load"
    assert "column 1" not in str(named)
    assert named.findings[0].numbers == finding.numbers
    # No names are known of the targets.
    target = replace(found, findings=(replace(finding, place="column 7 of y"),))
    assert target.named(["rain", "load", "wind"]).findings[0].place == "column 7 of y"


def test_a_good_model_close_to_persistence_is_not_ill(rng: np.random.Generator) -> None:
    # A level that wanders, and half of whose changes the second column tells: close to the last value, with skill.
    n = 1500
    lead = rng.standard_normal(n)
    level = np.zeros(n)
    for t in range(1, n):
        level[t] = 0.98 * level[t - 1] + 0.1 * lead[t - 1] + 0.1 * rng.standard_normal()
    values = np.column_stack([level, lead])
    source = Windows(values, targets=[0], length=6, dtype="float32")
    net = Network(Recurrent("gru", 2, 8, dtype="float32"), change_of=[0], change_scale=0.2)
    history = train(net, source, steps=500, optimizer=Adam(0.01), progress=False)
    truth, last = source.y, source.before_target(1)
    predicted = net.predict(source.batch(np.arange(len(source))).x)
    assert np.corrcoef(predicted[:, 0], last[:, 0])[0, 1] > 0.97
    skill = 1 - np.mean((predicted - truth) ** 2) / np.mean((last - truth) ** 2)
    assert skill > 0.4
    assert diagnose(history, net, source).diseases == ()


def test_nothing_is_changed(rng: np.random.Generator) -> None:
    x = rng.standard_normal((60, 7, 2))
    y = x[:, 0, :1]
    history, net = small_run(x, y, steps=5, rate=1e-5)
    before, losses, kept = copy_of(net), history.losses.copy(), x.copy()
    first = diagnose(history, net, (x, y))
    assert_same_bits(copy_of(net), before)
    np.testing.assert_array_equal(history.losses, losses)
    np.testing.assert_array_equal(x, kept)
    assert str(diagnose(history, net, (x, y))) == str(first)


def test_what_it_says_fits_lines_and_json(rng: np.random.Generator) -> None:
    x = 50 * rng.standard_normal((80, 6, 2))
    y = 400 * x[:, -1, :1]
    history, net = small_run(x, y, steps=20)
    found = diagnose(history, net, (x, y))
    assert isinstance(found, Diagnosis)
    assert len(found.findings) >= 2
    assert str(found).splitlines() == [str(finding) for finding in found.findings]
    assert "\n" not in found.line
    assert found.line.startswith(str(found.findings[0]))
    assert found.line.endswith(f"also {', '.join(found.diseases[1:])}")
    back = json.loads(json.dumps(found.to_dict()))
    assert [f["disease"] for f in back["findings"]] == list(found.diseases)
    assert {f.disease for f in found.findings} <= set(NAMES)
    well = Diagnosis((), 0.1, 0.934, 200)
    assert (
        str(well)
        == well.line
        == (
            "no disease found: the network explains 93.4 % of the loss that is left to a constant, on 200 examples"
        )
    )


class TwoStage(Cell):
    """Of the user's own: two states, no backward of its own."""

    name = "two_stage"
    states = ("h", "m")
    gates = ("u",)

    @staticmethod
    def forward(a_u: Any, m_prev: Any) -> Any:
        m = 0.5 * m_prev + 0.5 * a_u
        h = m / (1 + m * m)
        return h, m


@pytest.mark.parametrize("cell", ["lstm_peephole", "gru_reset_before", MinimalGated, TwoStage])
@pytest.mark.parametrize(
    "settings",
    [
        {"direction": "bidirectional", "num_layers": 2},
        {"engine": "numpy"},
        {"feedback": True},
        {"ragged": True},
    ],
)
def test_every_kind_of_network_can_be_looked_at(
    rng: np.random.Generator, cell: Any, settings: dict[str, Any]
) -> None:
    T, D, K = 5, 3, 2
    settings = dict(settings)
    feedback, ragged = settings.pop("feedback", False), settings.pop("ragged", False)
    stack = Recurrent(cell, D + K * feedback, 4, seed=3, **settings)
    net = Network(stack, K, readout="every", feedback=feedback)
    x, y = rng.standard_normal((40, T, D)), rng.standard_normal((40, T, K))
    lengths = rng.integers(1, T + 1, 40) if ragged else None
    source = Arrays(x, y, lengths=lengths, weights=rng.random((40, T)) if ragged else None)
    history = train(net, source, steps=3, progress=False)
    found = diagnose(history, net, source)
    assert found.examples == 40
    assert np.isfinite(found.explained)


def test_classes_quantiles_and_no_inputs(rng: np.random.Generator) -> None:
    s = rng.integers(0, 4, (60, 6))
    net = Network(Recurrent("gru", 4, 5), 4, loss="cross_entropy", readout="every")
    history = train(net, (np.eye(4)[s], s), steps=3, progress=False)
    assert diagnose(history, net, (np.eye(4)[s], s)).loss > 0
    x, y = rng.standard_normal((60, 6, 2)), rng.standard_normal((60, 2))
    net = Network(Recurrent("gru", 2, 5), 6, loss=Pinball((0.1, 0.5, 0.9)))
    history = train(net, (x, y), steps=3, progress=False)
    assert diagnose(history, net, (x, y)).loss > 0
    fed = Network(Recurrent("gru", 1, 5), 1, readout="every", feedback=True)
    data = (np.zeros((9, 6, 0)), rng.standard_normal((9, 6, 1)))
    assert diagnose(train(fed, data, steps=2, progress=False), fed, data).examples == 9


def test_units_are_seen_as_they_are(rng: np.random.Generator) -> None:
    net = Network(Recurrent("elman", 2, 5, activation="relu", seed=1))
    net.parameters["layers.0.b_h"][[1, 3]] = -50
    exact, parameters = in_float64(net)
    (units,) = look_at_units(exact, exact.forward(rng.standard_normal((40, 6, 2)), parameters=parameters))
    assert units.dead.tolist() == [False, True, False, True, False]
    assert not units.saturated.any()
    for cell, blocks, far in (("elman", 1, 60), ("gru", 3, -60), ("lstm", 4, 60)):
        net = Network(Recurrent(cell, 2, 5, seed=1))
        H = 5
        # The second unit's pre-activations are all far out; those of the others are not.
        for gate in range(blocks):
            net.parameters["layers.0.b_h"][gate * H + 1] = far
        exact, parameters = in_float64(net)
        (units,) = look_at_units(exact, exact.forward(rng.standard_normal((40, 6, 2)), parameters=parameters))
        assert units.saturated[1] > 0.9, cell
        assert (np.delete(units.saturated, 1) < 0.2).all(), cell
        assert not units.dead.any()


def test_the_constants_loss_is_the_lowest_one(rng: np.random.Generator) -> None:
    y = rng.gamma(2.0, size=(301, 2))
    for loss in (Squared(), HalfSquared(), Absolute()):
        least = constant_loss(loss, y, 2)
        grid = [
            loss.value(np.broadcast_to(np.quantile(y, q, axis=0), y.shape), y) for q in np.linspace(0, 1, 41)
        ]
        assert least <= min(grid) + 1e-12
    labels = rng.integers(0, 3, 301)
    logits = np.log(np.bincount(labels) / labels.size)
    expected = CrossEntropy().value(np.broadcast_to(logits, (301, 3)), labels)
    assert constant_loss(CrossEntropy(), labels, 3) == pytest.approx(expected, rel=1e-12)


def test_large_networks_are_looked_at_through_fewer_examples(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((900, 3, 2)), rng.standard_normal((900, 1))
    history, net = small_run(x, y, steps=2)
    small = Sample(history, net, Arrays(x, y))
    wide = Network(Recurrent("lstm", 2, 300, dtype="float32"))
    large = Sample(history, wide, Arrays(x, y))
    assert len(small.batch) == 512
    assert len(large.batch) < 512
    assert len(large.some) < len(small.some) == 128


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, 1, 2), "history must be the History that train returned. Got NoneType"),
        ((0, 1, 2), "history must be the History that train returned. Got int"),
    ],
)
def test_messages(given: tuple[Any, ...], message: str, rng: np.random.Generator) -> None:
    with pytest.raises(InvalidType, match=message):
        diagnose(*given)
    x, y = rng.standard_normal((20, 3, 2)), rng.standard_normal((20, 1))
    history, net = small_run(x, y, steps=2)
    with pytest.raises(InvalidType, match=r"net must be a Network\. Got str"):
        diagnose(history, "net", (x, y))
    with pytest.raises(InvalidType, match="data must be a source of batches"):
        diagnose(history, net, [x, y])


def test_a_sum_of_the_last_values_is_no_leak(rng: np.random.Generator) -> None:
    x = rng.standard_normal((240, 9, 2))
    y = x[:, -5:, :1].sum(axis=1)
    history, net = small_run(x, y, steps=30)
    assert "target leakage" not in diagnose(history, net, (x, y)).diseases
    # With something of its own to tell, in a column of its own, it is one.
    y = y + rng.standard_normal((240, 1))
    told = np.concatenate([x, rng.standard_normal((240, 9, 1))], axis=2)
    told[:, -1, 2] = y[:, 0]
    history, net = small_run(told, y, steps=30)
    (finding,) = [f for f in diagnose(history, net, (told, y)).findings if f.disease == "target leakage"]
    assert finding.place == "column 2 of x"


def test_examples_known_by_heart_before_the_first_evaluation(rng: np.random.Generator) -> None:
    """The validation loss never rises by a fifth: it is bad from the start on."""
    x, y = rng.standard_normal((20, 6, 2)), rng.standard_normal((20, 1))
    fresh = (rng.standard_normal((300, 6, 2)), rng.standard_normal((300, 1)))
    net = Network(Recurrent("gru", 2, 24, seed=0), 1)
    history = train(
        net, (x, y), optimizer=Adam(0.01), steps=900, validation=fresh, evaluate_every=150, progress=False
    )
    flat = replace(
        history, validation=tuple((step, history.validation[-1][1]) for step, _ in history.validation)
    )
    for each in (history, flat):
        (finding,) = [f for f in diagnose(each, net, (x, y)).findings if f.disease == "overfitting"]
        assert finding.numbers["last"] > 5 * finding.numbers["training"]
    assert "of a constant" in finding.seen
