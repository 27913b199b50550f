"""The addition lab, shortened: what it promises of its networks, gradients and records; and, slow, its bars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bptt.diagnostics import gradient_by_path_length, sliding_gradient
from bptt.labs.addition import lab as addition
from bptt.labs.addition import limits as addition_limits
from bptt.labs.addition import truncation as addition_truncation
from bptt.labs.addition.data import draw_pairs, get_encoding
from bptt.labs.addition.lab import BAR, ENCODED, RECIPES, SCORED, count_right, make_network, train_adder
from bptt.labs.addition.report import make_outcome, outcome_of
from bptt.labs.addition.result import AdditionResult, run_all
from bptt.labs.addition.verdicts import percent, verdicts
from bptt.labs.outcome import as_json, write_outcome
from bptt.network import Network
from tests.labs.sliders import assert_can_be_moved_through

PICTURES = {
    "training",
    "path_lengths",
    "truncation",
    "limits",
    "depends_on",
    "unrolled_elman",
    "unrolled_lstm",
}


@pytest.fixture(scope="module")
def result() -> AdditionResult:
    return run_all(seed=5, seeds=2, quick=True)


def test_the_network_is_the_assignments() -> None:
    net = make_network(0)
    assert {name: p.shape for name, p in net.parameters.items()} == {
        "layers.0.W_xh": (10, 100),
        "layers.0.W_hh": (100, 100),
        "readout.W_hy": (100, 10),
    }
    assert net.recurrent.cell.name == "elman"
    assert net.loss.kind == "cross_entropy"
    assert RECIPES["sgd"].clip is None


def test_every_training_and_encoding_is_scored(result: AdditionResult) -> None:
    adding = result.adding
    assert list(adding.recipes) == list(RECIPES)
    assert list(adding.encodings) == ["interleaved", *ENCODED]
    assert adding.encodings["interleaved"] is adding.recipes["default"]
    for row in (*adding.recipes.values(), *adding.encodings.values()):
        assert set(row.exact) == {*(str(n) for n in SCORED), "carry", "trained"}
        assert all(len(each) == 2 for each in (row.losses, row.norms, row.diverged, row.seconds, row.digits))
        assert not np.array_equal(row.losses[0], row.losses[1])
        assert all(losses.size == result.steps for losses in row.losses)


def test_counting_right_sums(rng: np.random.Generator) -> None:
    """A network that answers from a table: all right, wrong where nothing is due, wrong in one digit of a sum."""
    encoding = get_encoding("interleaved")
    pairs = draw_pairs(rng, 6, 3)
    examples = encoding.encode(pairs)
    answers = examples.y.copy()

    class Table(Network):
        def predict(self, x: object, *_: object, **__: object) -> np.ndarray:  # type: ignore[override]
            return np.eye(10)[answers]

    net = Table(make_network(0).recurrent, 10, readout="every", loss="cross_entropy")
    assert count_right(net, encoding, pairs) == (1.0, 1.0)
    answers[2, 4] = (answers[2, 4] + 1) % 10
    assert count_right(net, encoding, pairs) == (1.0, 1.0)
    answers[2, 3] = (answers[2, 3] + 1) % 10
    assert count_right(net, encoding, pairs) == pytest.approx((5 / 6, 23 / 24), rel=1e-6)


def test_the_gradient_check_passes_and_covers_all_three(result: AdditionResult) -> None:
    check = result.adding.check
    assert check.passed
    judged = {(row.name, row.method) for row in check.rows if row.judged}
    for name in ("layers.0.W_xh", "layers.0.W_hh", "readout.W_hy"):
        assert {(name, "central"), (name, "complex")} <= judged


def test_profiles_stand_at_start_middle_and_end(result: AdditionResult) -> None:
    profiles, steps = result.adding.profiles, result.steps
    assert list(profiles) == [0, steps // 4, steps // 2, steps]
    fresh = make_network(result.seeds[0])
    for name, p in result.adding.snapshots[0].parameters.items():
        np.testing.assert_array_equal(p, fresh.parameters[name])
    assert len({float(parts.mean_abs("layers.0.W_hh")[0]) for parts in profiles.values()}) == 4
    assert result.adding.parts_error <= 1e-12
    # Pairs of 10 digits and the last carry: 22 steps. W is used from the second step on.
    for parts in profiles.values():
        assert len(parts.lengths) == 22
        assert not parts.parts["layers.0.W_hh"][21].any()
        assert parts.parts["layers.0.W_hh"][20].any()
    assert result.truncated.sliding_error <= 1e-12


def test_truncated_gradients_meet_at_both_ends(result: AdditionResult) -> None:
    bias = result.truncated.bias
    for way in ("sliding", "chunked"):
        assert bias.cosine[way].shape == bias.ratio[way].shape == (2 * addition_truncation.DIGITS + 1,)
        assert bias.cosine[way][-1] == pytest.approx(1.0, rel=1e-12)
        assert bias.ratio[way][-1] == pytest.approx(1.0, rel=1e-12)
    assert bias.cosine["sliding"][0] == pytest.approx(bias.cosine["chunked"][0], rel=1e-12)
    assert bias.cosine["sliding"][1] > bias.cosine["chunked"][1] + 0.01
    cuts = [(cut.way, cut.longest) for cut in result.truncated.cuts]
    assert cuts == [("full", -1), *((way, k) for k in (1, 2, 3) for way in ("sliding", "chunked"))]


def test_the_loop_with_the_full_gradient_trains_as_train_does(rng: np.random.Generator) -> None:
    examples = get_encoding("concatenated").encode(draw_pairs(rng, 50, 2))
    net, other = make_network(3), make_network(3)
    losses = addition_truncation.train_truncated(net, examples, "full", -1, steps=4, seed=3)
    # Paths as long as the sequence: the truncated loops then go the same way.
    longest = examples.x.shape[1] - 1
    for way in ("sliding", "chunked"):
        twin = make_network(3)
        found = addition_truncation.train_truncated(twin, examples, way, longest, steps=4, seed=3)
        np.testing.assert_allclose(found, losses, rtol=1e-5, atol=0)
    short = addition_truncation.train_truncated(other, examples, "sliding", 0, steps=4, seed=3)
    assert not np.allclose(short, losses, rtol=1e-5, atol=0)
    assert any(not np.array_equal(p, make_network(3).parameters[name]) for name, p in net.parameters.items())


def test_a_snapshot_while_training_is_the_network_at_that_step() -> None:
    """Stopping there by hand gives the same weights."""
    examples = get_encoding("interleaved").encode(
        draw_pairs(np.random.default_rng([5, 0]), addition.TRAIN_PAIRS, 5)
    )
    short = addition.run(seed=5, seeds=1, steps=8, test_pairs=20)
    net = make_network(5)
    train_adder(net, examples, RECIPES["default"], steps=4, seed=5)
    for name, p in net.parameters.items():
        np.testing.assert_array_equal(short.snapshots[4].parameters[name], p)


def test_the_flow_is_the_networks_own_gradient(rng: np.random.Generator) -> None:
    net = addition_limits.make_reader("lstm", 2)
    x, y = rng.standard_normal((5, 7, 10)), rng.integers(0, 10, 5)
    flow = addition_limits.gradient_flow(net, x, y)
    wide = {name: p.astype(np.float64) for name, p in net.parameters.items()}
    twin = Network(
        type(net.recurrent)("lstm", 10, 100, seed=2), 10, readout="last", loss="cross_entropy", seed=2
    )
    dx = twin.loss_and_gradients(x, y, parameters=wide, want_x=True).gradients.x
    assert dx is not None
    np.testing.assert_allclose(flow.dx, np.median(5 * np.linalg.norm(dx, axis=2), axis=0), rtol=1e-10, atol=0)
    assert flow.dstate.shape == (7,)


def test_a_state_that_holds_the_first_digit_and_one_that_does_not(rng: np.random.Generator) -> None:
    x, _ = addition_limits.first_and_last(rng, 400, 2)
    net = addition_limits.make_reader("elman", 1)
    # Before the second of two digits the state is a function of the first alone.
    assert addition_limits.first_digit_held(net, x) == pytest.approx(1.0, rel=1e-12)
    x, _ = addition_limits.first_and_last(rng, 400, 9)
    net.parameters["layers.0.W_hh"][...] = 0.0
    assert addition_limits.first_digit_held(net, x) < 0.1  # 9 / 400, but for chance


def test_answers_are_swayed_by_the_digits_that_are_read(rng: np.random.Generator) -> None:
    x, _ = addition_limits.first_and_last(rng, 60, 4)

    class Reader(Network):
        def predict(self, x: np.ndarray, *_: object, **__: object) -> np.ndarray:  # type: ignore[override]
            digits = x.argmax(axis=2)
            return np.eye(10)[(digits[:, 0] + 2 * digits[:, 2]) % 10]

    net = Reader(make_network(0).recurrent, 10)
    share = addition_limits.answers_swayed(net, x, rng)
    assert share[[0, 1, 3]].tolist() == [1.0, 0.0, 0.0]
    assert 0.7 < share[2] < 1.0  # replaced by one 5 away, twice the digit ends in the same


def test_the_parts_of_the_lab_are_those_of_the_seeds_truncation(result: AdditionResult) -> None:
    """bptt_truncate = k is the sum of only_paths_of_size = 0..k."""
    net = result.adding.snapshots[result.steps]
    examples = get_encoding("interleaved").encode(draw_pairs(np.random.default_rng(1), 9, 4))
    parts = gradient_by_path_length(net, examples.x, examples.y, weights=examples.weights)
    for k in (0, 3, 9):
        _, gradients = sliding_gradient(net, examples.x, examples.y, truncate=k, weights=examples.weights)
        for name, d in gradients.items():
            wanted = parts.parts[name][: k + 1].sum(axis=0)
            np.testing.assert_allclose(d, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_the_outcome_is_written_whole(result: AdditionResult, tmp_path: Path) -> None:
    outcome = outcome_of(result)
    report = write_outcome(outcome, tmp_path, "bptt lab addition --quick")
    numbers = json.loads((tmp_path / "result.json").read_text())
    assert numbers == json.loads(json.dumps(as_json(outcome)))
    assert numbers["seeds"] == [5, 6]
    assert {path.stem for path in tmp_path.glob("*.png")} == PICTURES
    assert (tmp_path / "adder.bptt").exists()
    page = report.read_text()
    assert "only_paths_of_size" in page
    assert "bptt_truncate" in page
    assert "largest entry; 1e-7 is allowed" in page
    assert "The paths of at most 3 Jacobians" in page
    assert len(outcome.table.rows) == len(RECIPES)
    # Two hundred steps are too few, and the table and the sentences say so.
    assert 0 in outcome.table.losing
    assert "missed" in verdicts(result)[0]
    assert_can_be_moved_through(page, outcome.doctor)
    assert "A quick run: 200 steps instead of 4,000" in outcome.note
    assert outcome.note in page


def test_shares_are_never_rounded_to_all_or_none() -> None:
    assert [percent(share) for share in (1.0, 0.99999, 0.9999, 0.99, 0.5, 0.0001, 0.00001, 0.0)] == [
        "100.00 %", "> 99.99 %", "99.99 %", "99.0 %", "50.0 %", "0.01 %", "< 0.01 %", "0.00 %",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_default_run_reaches_its_bars() -> None:
    numbers = make_outcome().numbers
    for name in ("default", "sgd"):
        exact = numbers["recipes"][name]["exact"]
        for digits in SCORED:
            assert min(exact[str(digits)]) >= BAR
    assert numbers["gradient_check"]["passed"]
    assert numbers["parts_error"] <= 1e-12
    first = numbers["encodings"]["most_significant"]
    assert max(first["digits_trained_length"]) < 0.6
    trained = {(cut["way"], cut["longest"]): cut["exact"] for cut in numbers["truncation"]["trained"]}
    assert trained["full", -1] > trained["sliding", 1] > trained["chunked", 1]
    longest = max(addition_limits.LENGTHS)
    of = {(row["cell"], row["rate"]): row["right"] for row in numbers["limits"] if row["steps"] == longest}
    assert max(of["elman", 0.001] + of["elman", 0.003]) < 0.5
    assert min(of["lstm", 0.003]) >= BAR
