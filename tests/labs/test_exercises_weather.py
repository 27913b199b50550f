"""The weather exercise: our solution passes, and wrong ones are named rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from bptt.labs.exercises import EXERCISES, grade
from tests.labs.exercise_files import write_solved

# Function, what somebody might write in it, the mistake's name. They are written as students do, not by our rules.
WRONG = [
    (
        "gradient_h",
        """
        T = len(gradient_y)
        grad = np.zeros_like(hidden)
        grad[T] = V.T @ gradient_y[T - 1]
        for t in range(T - 1, -1, -1):
            grad[t] = W.T @ np.diag(1 - hidden[t + 1] ** 2) @ grad[t + 1]
        return grad
        """,
        "own_output_dropped",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        return grad
        """,
        "later_steps_dropped",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y) - 1, -1, -1):
            grad[t] += np.diag(1 - hidden[t] ** 2) @ W.T @ grad[t + 1]
        return grad
        """,
        "slope_of_state_before+slope_after_the_weight",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y) - 1, -1, -1):
            grad[t] += W.T @ np.diag(1 - hidden[t] ** 2) @ grad[t + 1]
        return grad
        """,
        "slope_of_state_before",  # the errata's entry 1, as the lab prints it
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y) - 1, 0, -1):
            grad[t] += W.T @ ((1 - hidden[t + 1] ** 2) * grad[t + 1])
        return grad
        """,
        "initial_state_left_out",
    ),
    (
        "gradient_c",
        "return gradient_y[-1]",
        "only_the_last_step",
    ),
    (
        "gradient_c",
        "return gradient_y",
        "bias_not_summed",
    ),
    (
        "gradient_b",
        "return ((1 - hidden**2) * gradient_h).sum(axis=0)",
        "initial_state_summed",
    ),
    (
        "gradient_b",
        "return ((1 - hidden[1:] ** 2) * gradient_h[1:]).sum(axis=1)",
        "bias_summed_over_units",
    ),
    (
        "gradient_b",
        "return gradient_h[1:].sum(axis=0)",
        "slope_dropped_in_the_sum",
    ),
    (
        "gradient_V",
        "return hidden[1:].T @ gradient_y",
        "outer_transposed",
    ),
    (
        "gradient_V",
        "return gradient_y.T @ hidden[:-1]",
        "state_before_at_the_output",
    ),
    (
        "gradient_W",
        "return ((1 - hidden[1:] ** 2) * gradient_h[1:]).T @ hidden[1:]",
        "state_of_same_step",
    ),
    (
        "gradient_W",
        "return hidden[:-1].T @ ((1 - hidden[1:] ** 2) * gradient_h[1:])",
        "outer_transposed",
    ),
    (
        "gradient_U",
        "return np.einsum('ti,tj->tj', (1 - hidden[1:] ** 2) * gradient_h[1:], X)",
        "weight_summed_over_rows",
    ),
    (
        "compute_gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[-1] = 2 * (y_true - y_pred) * V[0]
        for t in range(len(hidden) - 2, -1, -1):
            grad[t] = W.T @ np.diag(1 - hidden[t + 1] ** 2) @ grad[t + 1]
        return grad
        """,
        "sign",  # equation 34 as the lab prints it, entry 5
    ),
    (
        "compute_gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[-1] = 2 * (y_pred - y_true) * V[0]
        for t in range(len(hidden) - 2, -1, -1):
            grad[t] = W @ np.diag(1 - hidden[t + 1] ** 2) @ grad[t + 1]
        return grad
        """,
        "recurrent_not_transposed",
    ),
    (
        "compute_gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[-1] = 2 * (y_pred - y_true) * V[0]
        for t in range(len(hidden) - 2, -1, -1):
            grad[t] = W.T @ grad[t + 1]
        return grad
        """,
        "slope_dropped",
    ),
    (
        "compute_gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[-1] = 2 * (y_pred - y_true) * V[0]
        for t in range(len(hidden) - 2, -1, -1):
            grad[t] = W.T @ np.diag(1 - hidden[t + 1]) @ grad[t + 1]
        return grad
        """,
        "slope_not_squared",
    ),
    (
        "compute_gradient_c",
        "return y_pred - y_true",
        "factor_two_missing",
    ),
    (
        "compute_gradient_c",
        "return y_true - y_pred",
        "sign+factor_two_missing",
    ),
    (
        "compute_gradient_b",
        """
        for t in range(1, len(hidden)):
            grad = (1 - hidden[t] ** 2) * gradient_h[t]
        return grad
        """,
        "only_the_last_step",
    ),
    (
        "compute_gradient_W",
        """
        grad = np.zeros((hidden.shape[1], hidden.shape[1]))
        for t in range(1, len(hidden)):
            grad += np.outer((1 - hidden[t - 1] ** 2) * grad_h[t], hidden[t - 1])
        return grad
        """,
        "slope_of_state_before_in_the_sum",
    ),
    (
        "compute_gradient_U",
        """
        grad = np.zeros((hidden.shape[1], X.shape[1]))
        for t in range(1, len(hidden)):
            grad += np.outer((1 - hidden[t] ** 2) * grad_h[t], X[t - 2])
        return grad
        """,
        "input_of_step_before",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += (1 - hidden[t] ** 2) * (W.T @ grad[t])
        return grad
        """,
        "slope_after_the_weight",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += W.T @ ((1 - hidden[t]) ** 2 * grad[t])
        return grad
        """,
        "slope_bracket",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += W.T @ (hidden[t] * (1 - hidden[t]) * grad[t])
        return grad
        """,
        "sigmoid_slope",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += W.T @ ((1 - hidden[-1] ** 2) * grad[t])
        return grad
        """,
        "slope_of_the_last_step",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = gradient_y @ V
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += W.T @ ((1 - hidden[t] ** 2) * grad[t]) + grad[t]
        return grad
        """,
        "whole_gradient_kept",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = (1 - hidden[1:] ** 2) * (gradient_y @ V)
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += W.T @ ((1 - hidden[t] ** 2) * grad[t])
        return grad
        """,
        "slope_in_the_output_term",
    ),
    (
        "gradient_h",
        """
        grad = np.zeros_like(hidden)
        grad[1:] = np.append(gradient_y[1:], gradient_y[-1:], axis=0) @ V
        for t in range(len(gradient_y), 0, -1):
            grad[t - 1] += W.T @ ((1 - hidden[t] ** 2) * grad[t])
        return grad
        """,
        "output_of_the_next_step",
    ),
    (
        "gradient_h",
        """
        T = len(gradient_y)
        grad = np.zeros_like(hidden)
        grad[T] = V.T @ gradient_y[T - 1]
        for t in range(T - 1, -1, -1):
            grad[t] = V.T @ gradient_y[t - 1] + W.T @ ((1 - hidden[t + 1] ** 2) * grad[t + 1])
        return grad
        """,
        "initial_state_with_an_output",
    ),
    ("gradient_V", "return np.outer(gradient_y.sum(axis=0), hidden[1:].sum(axis=0))", "product_of_sums"),
    (
        "gradient_W",
        "return ((1 - hidden[1:] ** 2) * gradient_h[:-1]).T @ hidden[:-1]",
        "gradient_of_the_step_before",
    ),
    (
        "gradient_b",
        "return ((1 - hidden[1:] ** 2) * gradient_h[1:]).sum(axis=0) / len(hidden)",
        "mean_over_states",
    ),
    (
        "gradient_b",
        "return (1 - hidden[-1] ** 2) * gradient_h[1:].sum(axis=0)",
        "slope_of_the_last_step_in_the_sum",
    ),
    ("gradient_U", "return ((1 - hidden[1:]) ** 2 * gradient_h[1:]).T @ X", "slope_bracket_in_the_sum"),
    (
        "gradient_U",
        "return (hidden[1:] * (1 - hidden[1:]) * gradient_h[1:]).T @ X",
        "sigmoid_slope_in_the_sum",
    ),
    ("compute_gradient_c", "return 2 * abs(y_pred - y_true)", "error_without_sign"),
    ("compute_gradient_c", "return (y_pred - y_true) ** 2", "square_for_its_derivative"),
]


def test_our_solution_passes(tmp_path: Path) -> None:
    graded = grade(write_solved(tmp_path / "own.py", "weather", {}))
    assert graded.lab == "weather"
    assert graded.passed, str(graded)
    assert graded.right == EXERCISES["weather"].functions
    assert len(graded.right) == 12


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("function", "body", "mistake"), WRONG, ids=[f"{f}-{m}" for f, _, m in WRONG])
def test_a_wrong_solution_is_named_and_no_other_is_blamed(
    tmp_path: Path, function: str, body: str, mistake: str
) -> None:
    graded = grade(write_solved(tmp_path / "student.py", "weather", {function: body}))
    (finding,) = graded.of(function)
    assert not finding.passed
    assert finding.mistake == mistake, finding.says
    assert "{" not in finding.says
    assert len(graded.right) == 11


def test_no_name_depends_on_the_draw(tmp_path: Path) -> None:
    """One function of each sort, with other problems."""
    chosen = {function: (body, mistake) for function, body, mistake in WRONG}
    path = write_solved(
        tmp_path / "student.py", "weather", {name: body for name, (body, _) in chosen.items()}
    )
    for seed in (1, 2):
        graded = grade(path, seed=seed)
        assert {name: graded.of(name)[0].mistake for name in chosen} == {
            name: mistake for name, (_, mistake) in chosen.items()
        }


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("seed", range(6))
def test_errors_of_both_signs_are_tried(tmp_path: Path, seed: int) -> None:
    body = {"compute_gradient_c": "return 2 * abs(y_pred - y_true)"}
    (finding,) = grade(write_solved(tmp_path / "student.py", "weather", body), seed=seed).of(
        "compute_gradient_c"
    )
    assert (finding.passed, finding.mistake) == (False, "error_without_sign")
