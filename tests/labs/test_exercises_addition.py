"""The addition exercise: our solution passes, and wrong ones are named rightly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bptt.labs.exercises import EXERCISES, grade
from bptt.labs.exercises.template import read_template
from tests.labs.exercise_files import write_solved

# Our sweep with its lines as slots; what somebody might write in one of them.
SWEEP = """
T = len(x)
s, o = forward(x, U, V, W)
dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
ds_next = np.zeros(len(W))
delta_o = o.copy()
{answer}
for t in np.arange(T)[::-1]:
    {own}
    {slope}
    {dV}
    {dU}
    {dW}
    {back}
return dU, dV, dW
"""
RIGHT = {
    "answer": "delta_o[np.arange(T), y] -= 1; delta_o /= T",
    "own": "ds = V.T @ delta_o[t] + ds_next",
    "slope": "da = ds * (1 - s[t + 1] ** 2)",
    "dV": "dV += np.outer(delta_o[t], s[t + 1])",
    "dU": "dU += np.outer(da, x[t])",
    "dW": "dW += np.outer(da, s[t])",
    "back": "ds_next = W.T @ da",
}
EVERY = {"dL/dU", "dL/dV", "dL/dW"}
BEHIND = {"dL/dU", "dL/dW"}

# Slots, the mistake's name, the tensors that are wrong.
WRONG = [
    ({"answer": "delta_o[np.arange(T), y] -= 1; delta_o /= -T"}, "sign", EVERY),
    ({"answer": "delta_o[np.arange(T), y] -= 1"}, "mean_forgotten", EVERY),
    ({"answer": "delta_o /= T"}, "target_not_subtracted", EVERY),
    (
        {"answer": "delta_o[np.arange(T), y] -= 1; delta_o *= o * (1 - o) / T"},
        "softmax_slope_again",
        EVERY,
    ),
    (
        {"answer": "delta_o = -np.eye(len(V))[y] / o / T"},
        "softmax_slope_dropped",
        EVERY,
    ),
    ({"own": "ds = (V.T @ delta_o[t] if t == T - 1 else 0) + ds_next"}, "own_output_dropped", BEHIND),
    ({"own": "ds = V.T @ delta_o[t]"}, "later_steps_dropped", BEHIND),
    ({"back": "ds_next = W @ da"}, "recurrent_not_transposed", BEHIND),
    ({"back": "ds_next = W.T @ ds"}, "slope_dropped_on_the_way_back", BEHIND),
    ({"slope": "da = ds"}, "slope_dropped", BEHIND),
    ({"slope": "da = ds * (1 - s[t] ** 2)"}, "slope_of_state_before", BEHIND),
    ({"slope": "da = ds * (1 - s[t + 1])"}, "slope_not_squared", BEHIND),
    ({"slope": "da = ds * (1 - np.tanh(s[t + 1]) ** 2)"}, "tanh_taken_twice", BEHIND),
    ({"dW": "dW += np.outer(da, s[t + 1])"}, "state_of_same_step", {"dL/dW"}),
    ({"dW": "dW += np.outer(s[t], da)"}, "outer_transposed", {"dL/dW"}),
    ({"dW": "dW += np.outer(ds, s[t])"}, "slope_dropped_in_the_sum", {"dL/dW"}),
    ({"dV": "dV += np.outer(delta_o[t], s[t])"}, "state_before_at_the_output", {"dL/dV"}),
    ({"dV": "dV = np.outer(delta_o[t], s[t + 1])"}, "only_the_first_step", {"dL/dV"}),
    ({"dU": "dU += np.outer(da, x[t - 1])"}, "input_of_step_before", {"dL/dU"}),
    ({"dU": "dU += np.outer(x[t], da).T if t == T - 1 else 0"}, "only_the_last_step", {"dL/dU"}),
    ({"answer": "delta_o[y] -= 1; delta_o /= T"}, "rows_for_entries", EVERY),
    ({"answer": "delta_o = (o - 1) / T"}, "one_from_every_answer", EVERY),
    ({"answer": "delta_o[np.arange(T), y] -= 1; delta_o /= len(V)"}, "mean_over_classes", EVERY),
    ({"back": "ds_next += W.T @ da"}, "what_came_kept", BEHIND),
    (
        {"own": "ds = V.T @ delta_o[t]", "slope": "da = ds * (1 - s[t + 1] ** 2) + ds_next"},
        "slope_of_own_output_only",
        BEHIND,
    ),
]

VIZ = """
T = len(x)
s, o = forward(x, U, V, W)
dW = np.zeros_like(W)
for t in {outputs}:
    da = (1 - s[t + 1] ** 2) * (V.T @ ((o[t] - np.eye(len(V))[y[t]]) / T))
    for k in range({longest}):
        if {taken}:
            dW += {term}
        if k < t:
            da = {back}
return dW
"""
RIGHT_VIZ = {
    "outputs": "range(T)",
    "longest": "t + 1",
    "taken": "k == only_paths_of_size",
    "term": "np.outer(da, s[t - k])",
    "back": "(1 - s[t - k] ** 2) * (W.T @ da)",
}
WRONG_VIZ = [
    ({"taken": "k <= only_paths_of_size"}, "shorter_ones_too"),
    ({"taken": "k >= only_paths_of_size"}, "longer_ones_too"),
    ({"taken": "k + 1 == only_paths_of_size"}, "one_shorter"),
    ({"taken": "k == only_paths_of_size + 1"}, "one_longer"),
    ({"taken": "True"}, "size_not_looked_at"),
    ({"outputs": "[T - 1]"}, "own_output_dropped"),
    ({"term": "np.outer(da, s[t - k + 1])"}, "state_of_same_step"),
    ({"term": "np.outer(s[t - k], da)"}, "outer_transposed"),
    ({"back": "(1 - s[t - k] ** 2) * (W @ da)"}, "recurrent_not_transposed"),
]

WRONG_PROFILE = [
    ("return np.array([abs(np.mean(bptt_viz(x, y, U, V, W, k))) for k in range(len(x))])", "mean_before_absolute"),
    ("return np.array([np.mean(bptt_viz(x, y, U, V, W, k)) for k in range(len(x))])", "absolute_forgotten"),
    ("return [np.abs(bptt_viz(x, y, U, V, W, k)).sum() for k in range(len(x))]", "sum_of_absolutes"),
    ("return [np.linalg.norm(bptt_viz(x, y, U, V, W, k)) for k in range(len(x))]", "norm_of_the_part"),
    ("return [np.mean(np.abs(bptt_viz(x, y, U, V, W, k))) for k in range(1, len(x) + 1)]", "one_longer"),
]  # fmt: skip


def test_our_solution_passes(tmp_path: Path) -> None:
    graded = grade(write_solved(tmp_path / "own.py", "addition", {}))
    assert graded.lab == "addition"
    assert graded.passed, str(graded)
    assert graded.right == EXERCISES["addition"].functions == ("bptt", "bptt_viz", "mean_absolute")


def test_the_slots_filled_rightly_pass(tmp_path: Path) -> None:
    bodies = {"bptt": SWEEP.format(**RIGHT), "bptt_viz": VIZ.format(**RIGHT_VIZ)}
    graded = grade(write_solved(tmp_path / "own.py", "addition", bodies))
    assert graded.passed, str(graded)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("slots", "mistake", "tensors"), WRONG, ids=[m for _, m, _ in WRONG])
def test_a_wrong_sweep_is_named(
    tmp_path: Path, slots: dict[str, str], mistake: str, tensors: set[str]
) -> None:
    body = SWEEP.format(**RIGHT | slots)
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"bptt": body}))
    wrong = [finding for finding in graded.of("bptt") if not finding.passed]
    assert {finding.tensor for finding in wrong} == tensors
    assert {finding.mistake for finding in wrong} == {mistake}, str(graded)
    assert graded.right == ("bptt_viz", "mean_absolute")


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("slots", "mistake"), WRONG_VIZ, ids=[m for _, m in WRONG_VIZ])
def test_wrong_paths_are_named(tmp_path: Path, slots: dict[str, str], mistake: str) -> None:
    body = VIZ.format(**RIGHT_VIZ | slots)
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"bptt_viz": body}))
    (finding,) = graded.of("bptt_viz")
    assert (finding.passed, finding.mistake) == (False, mistake), finding.says
    assert "bptt" in graded.right


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("body", "mistake"), WRONG_PROFILE, ids=[m for _, m in WRONG_PROFILE])
def test_a_wrong_profile_is_named(tmp_path: Path, body: str, mistake: str) -> None:
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"mean_absolute": body}))
    (finding,) = graded.of("mean_absolute")
    assert (finding.passed, finding.mistake) == (False, mistake), finding.says
    assert graded.right == ("bptt", "bptt_viz")


def test_results_in_another_order_are_recognised(tmp_path: Path) -> None:
    body = SWEEP.format(**RIGHT).replace("return dU, dV, dW", "return dU, dW, dV")
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"bptt": body}))
    said = {finding.tensor: finding for finding in graded.of("bptt") if not finding.passed}
    assert {name: finding.mistake for name, finding in said.items()} == {
        "dL/dV": "exchanged",
        "dL/dW": "exchanged",
    }
    assert said["dL/dV"].says == "this is our dL/dW: the order is dL/dU, dL/dV, dL/dW"


def test_two_mistakes_that_cannot_be_made_together_are_left_out(tmp_path: Path) -> None:
    """Longer paths, and a sum over the rows of each length: arrays of different sizes, which nobody can add."""
    body = VIZ.format(**RIGHT_VIZ | {"term": "np.outer(da, s[t - k]) ** 3"})
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"bptt_viz": body}))
    (finding,) = graded.of("bptt_viz")
    assert "matches none of the usual mistakes" in finding.says


def test_two_mistakes_in_two_tensors_are_named_apart(tmp_path: Path) -> None:
    body = SWEEP.format(
        **RIGHT | {"dW": "dW += np.outer(s[t], da)", "dV": "dV += np.outer(delta_o[t], s[t])"}
    )
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"bptt": body}))
    assert [finding.mistake for finding in graded.of("bptt")] == [
        "",
        "state_before_at_the_output",
        "outer_transposed",
    ]


def test_two_mistakes_in_one_tensor_are_named_together(tmp_path: Path) -> None:
    body = SWEEP.format(**RIGHT | {"back": "ds_next = W @ da", "slope": "da = ds * (1 - s[t + 1])"})
    graded = grade(write_solved(tmp_path / "student.py", "addition", {"bptt": body}))
    assert [finding.mistake for finding in graded.of("bptt")] == [
        "recurrent_not_transposed+slope_not_squared",
        "",
        "recurrent_not_transposed+slope_not_squared",
    ]
    assert str(graded).count("two mistakes at once. First, transposed") == 2


def test_a_hole_that_another_function_calls_is_waited_for(tmp_path: Path) -> None:
    path = write_solved(tmp_path / "student.py", "addition", {"bptt_viz": "raise NotImplementedError"})
    (finding,) = grade(path).of("mean_absolute")
    assert finding.mistake == "not filled in"
    assert finding.says == "waits for bptt_viz, which it calls and which is not filled in yet"


def test_wrong_number_of_results(tmp_path: Path) -> None:
    found = grade(write_solved(tmp_path / "student.py", "addition", {"bptt": "return U, V"}))
    (finding,) = found.of("bptt")
    assert finding.says == "must return 3 results. Got 2"


def test_the_parts_of_the_solution_add_up_to_its_gradient() -> None:
    space: dict[str, object] = {"__name__": "own"}
    exec(compile(read_template("addition", solved=True), "own", "exec"), space)  # noqa: S102  # our own text
    x, y, weights = space["random_problem"](T=7)  # type: ignore[operator]  # made by the text
    parts = [space["bptt_viz"](x, y, **weights, only_paths_of_size=k) for k in range(7)]  # type: ignore[operator]  # as above
    full = space["bptt"](x, y, **weights)[2]  # type: ignore[operator]  # as above
    np.testing.assert_allclose(np.sum(parts, axis=0), full, rtol=0, atol=1e-14)
