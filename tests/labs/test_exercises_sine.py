"""The sine exercise: our solution passes, and wrong ones are named rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from bptt.labs.exercises import EXERCISES, grade
from tests.labs.exercise_files import write_solved

# The assignment's loop with its lines as slots; what somebody might write in one of them.
BACKWARD = """
h = self.hidden_states
dW_XH, dW_HH = np.zeros_like(self.W_XH), np.zeros_like(self.W_HH)
{error}
dW_HY = {dW_HY}
dht = error * self.W_HY
for step in range({last}, -1, -1):
    temp = {temp}
    dW_HH {dW_HH}
    dW_XH {dW_XH}
    dht = {back}
return dW_XH, dW_HH, dW_HY
"""
RIGHT = {
    "error": "error = y - sample_y",
    "dW_HY": "error * h[-1].T",
    "last": "len(X) - 1",
    "temp": "dht * (1 - h[step + 1] ** 2).T",
    "dW_HH": "+= np.outer(temp, h[step])",
    "dW_XH": "+= temp.T * X[step]",
    "back": "temp @ self.W_HH",
}
EVERY = {"dL/dW_XH", "dL/dW_HH", "dL/dW_HY"}
BEHIND = {"dL/dW_XH", "dL/dW_HH"}

WRONG = [
    ({"error": "error = sample_y - y"}, "sign", EVERY),
    ({"error": "error = 2 * (y - sample_y)"}, "factor_two_too_many", EVERY),
    ({"temp": "dht"}, "slope_dropped", BEHIND),
    ({"temp": "dht * (1 - h[step + 1]).T"}, "slope_not_squared", BEHIND),
    ({"temp": "dht * (1 - h[step] ** 2).T"}, "slope_of_state_before", BEHIND),
    ({"temp": "dht * (h[step + 1] ** 2 - 1).T"}, "slope_negated", BEHIND),
    ({"back": "temp @ self.W_HH.T"}, "recurrent_not_transposed", BEHIND),
    ({"back": "dht @ self.W_HH"}, "slope_dropped_on_the_way_back", BEHIND),
    ({"back": "0 * temp"}, "only_the_last_step", BEHIND),
    ({"dW_HH": "+= np.outer(temp, h[step + 1])"}, "state_of_same_step", {"dL/dW_HH"}),
    ({"dW_HH": "+= temp * h[step]"}, "outer_transposed", {"dL/dW_HH"}),  # the errata's entry 29
    ({"dW_HH": "= np.outer(temp, h[step + 1])"}, "state_of_same_step+only_the_first_step", {"dL/dW_HH"}),
    ({"dW_XH": "= temp.T * X[step]"}, "only_the_first_step", {"dL/dW_XH"}),
    ({"dW_XH": "+= temp.T * X[step - 1]"}, "input_of_step_before", {"dL/dW_XH"}),
    ({"dW_XH": "+= dht.T * X[step]"}, "slope_dropped_in_the_sum", {"dL/dW_XH"}),
    ({"dW_HY": "error * h[-2].T"}, "state_before_at_the_output", {"dL/dW_HY"}),
    ({"dW_HY": "error * h[-1]"}, "outer_transposed", {"dL/dW_HY"}),
    ({"error": "error = abs(y - sample_y)"}, "error_without_sign", EVERY),
    ({"error": "error = 0.5 * (y - sample_y) ** 2"}, "half_square_for_its_derivative", EVERY),
    ({"back": "dht + temp @ self.W_HH"}, "whole_gradient_kept", BEHIND),
    ({"temp": "dht * ((1 - h[step + 1]) ** 2).T"}, "slope_bracket", BEHIND),
]

CELL = [
    ("return self.W_XH * X_t + self.W_HH @ h_previous", "tanh_left_out"),
    ("return 1 / (1 + np.exp(-self.W_XH * X_t - self.W_HH @ h_previous))", "sigmoid_for_tanh"),
    ("return np.tanh(self.W_XH * X_t) + np.tanh(self.W_HH @ h_previous)", "tanh_of_each_term"),
    ("return np.tanh(self.W_XH * X_t) + self.W_HH @ h_previous", "state_term_outside"),
    ("return np.tanh(self.W_XH * X_t + self.W_HH.T @ h_previous)", "recurrent_transposed_forward"),
    ("return np.tanh(self.W_XH * X_t)", "state_left_out"),
    ("return np.tanh(self.W_HH @ h_previous)", "input_left_out"),
]

LOSS = [
    ("return (y - sample_y) ** 2", "half_left_out"),
    ("return 0.5 * (y - sample_y)", "square_left_out"),
    ("return 0.5 * abs(y - sample_y)", "absolute_for_square"),
    ("return 0.5 * (y * sample_y) ** 2", "product_for_difference"),
    ("return 0.5 * (y**2 - sample_y**2)", "difference_of_squares"),
]

FORWARD = """
first = np.zeros((len(self.W_HH), 1))
self.hidden_states = {start}
h = first
for X_t in X:
    {into} = self.cell(X_t, {before})
    self.hidden_states.append(h)
return {output}
"""
RIGHT_FORWARD = {"start": "[h]", "into": "h", "before": "h", "output": "self.W_HY @ h"}
WRONG_FORWARD = [
    ({"before": "first", "start": "[first]"}, "state_not_carried", {"y", "hidden_states"}),
    ({"output": "self.W_HY @ self.hidden_states[-2]"}, "output_of_the_state_before", {"y"}),
    ({"output": "np.tanh(self.W_HY @ h)"}, "output_through_tanh", {"y"}),
    ({"start": "[]"}, "first_state_not_kept", {"hidden_states"}),
    ({"into": "h[:]"}, "one_array_kept", {"hidden_states"}),
    ({"output": "self.W_HY @ self.hidden_states.pop()"}, "last_state_not_kept", {"hidden_states"}),
]


def test_our_solution_passes(tmp_path: Path) -> None:
    graded = grade(write_solved(tmp_path / "own.py", "sine", {}))
    assert graded.lab == "sine"
    assert graded.passed, str(graded)
    assert graded.right == EXERCISES["sine"].functions
    assert graded.right == ("RNN.cell", "RNN.forward", "RNN.loss", "RNN.backward")


def test_the_slots_filled_rightly_pass(tmp_path: Path) -> None:
    bodies = {
        "RNN.backward": BACKWARD.format(**RIGHT),
        "RNN.forward": FORWARD.format(**RIGHT_FORWARD | {"start": "[first]"}),
    }
    graded = grade(write_solved(tmp_path / "own.py", "sine", bodies))
    assert graded.passed, str(graded)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("slots", "mistake", "tensors"), WRONG, ids=[m for _, m, _ in WRONG])
def test_a_wrong_way_back_is_named(
    tmp_path: Path, slots: dict[str, str], mistake: str, tensors: set[str]
) -> None:
    body = BACKWARD.format(**RIGHT | slots)
    graded = grade(write_solved(tmp_path / "student.py", "sine", {"RNN.backward": body}))
    wrong = [finding for finding in graded.of("RNN.backward") if not finding.passed]
    assert {finding.tensor for finding in wrong} == tensors
    assert {finding.mistake for finding in wrong} == {mistake}, str(graded)
    assert graded.right == ("RNN.cell", "RNN.forward", "RNN.loss")


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("slots", "mistake", "tensors"), WRONG_FORWARD, ids=[m for _, m, _ in WRONG_FORWARD])
def test_a_wrong_forward_pass_is_named(
    tmp_path: Path, slots: dict[str, str], mistake: str, tensors: set[str]
) -> None:
    body = FORWARD.format(**RIGHT_FORWARD | {"start": "[first]"} | slots)
    graded = grade(write_solved(tmp_path / "student.py", "sine", {"RNN.forward": body}))
    wrong = [finding for finding in graded.of("RNN.forward") if not finding.passed]
    assert {finding.tensor for finding in wrong} == tensors
    assert {finding.mistake for finding in wrong} == {mistake}, str(graded)
    assert "RNN.backward" in graded.right


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("body", "mistake"), CELL, ids=[m for _, m in CELL])
def test_a_wrong_cell_is_named_and_the_forward_pass_says_the_same(
    tmp_path: Path, body: str, mistake: str
) -> None:
    graded = grade(write_solved(tmp_path / "student.py", "sine", {"RNN.cell": body}))
    # From a state of zero, without the input, nothing ever becomes anything else.
    after = "zero" if mistake == "input_left_out" else mistake
    for function, name in (("RNN.cell", mistake), ("RNN.forward", after)):
        assert {finding.mistake for finding in graded.of(function)} == {name}, str(graded)
    assert graded.right == ("RNN.loss", "RNN.backward")


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("body", "mistake"), LOSS, ids=[m for _, m in LOSS])
def test_a_wrong_loss_is_named(tmp_path: Path, body: str, mistake: str) -> None:
    graded = grade(write_solved(tmp_path / "student.py", "sine", {"RNN.loss": body}))
    (finding,) = graded.of("RNN.loss")
    assert (finding.passed, finding.mistake) == (False, mistake), finding.says
    assert len(graded.right) == 3


def test_the_matrix_product_that_spreads_the_input_is_seen_by_its_shape(tmp_path: Path) -> None:
    body = "return np.tanh(self.W_XH @ X_t + self.W_HH @ h_previous)"
    graded = grade(write_solved(tmp_path / "student.py", "sine", {"RNN.cell": body}))
    (finding,) = graded.of("RNN.cell")
    assert finding.says == "must have shape (4, 1). Got (4, 4): none of the usual mistakes"


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return 0.0", "is zero everywhere: is anything added to it?\nmust have shape (6, 4). Got (0,)"),
        ("self.hidden_states = 3\nreturn 0.0", "must keep states of one size in self.hidden_states. Got int"),
        (
            "self.hidden_states = [np.zeros(2), np.zeros(3)]\nreturn 0.0",
            "must keep states of one size in self.hidden_states. Got list",
        ),
    ],
)
def test_states_that_are_none(tmp_path: Path, body: str, says: str) -> None:
    graded = grade(write_solved(tmp_path / "student.py", "sine", {"RNN.forward": body}))
    assert says in "\n".join(finding.says for finding in graded.of("RNN.forward"))


def test_a_constructor_that_fails_is_said_of_every_method(tmp_path: Path) -> None:
    path = write_solved(tmp_path / "student.py", "sine", {"RNN.loss": "return 0.5 * (y - sample_y) ** 2"})
    text = path.read_text(encoding="utf-8").replace("self.hidden_states = []", "self.hidden_states = [][0]")
    path.write_text(text, encoding="utf-8")
    graded = grade(path)
    assert graded.right == ()
    assert all("IndexError" in finding.says for finding in graded.findings)
