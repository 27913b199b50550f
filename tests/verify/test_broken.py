"""The checker is checked: backward passes broken on purpose must be caught, and the right tensors named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bptt.cells import Cell
from bptt.errors import GradientError
from bptt.network import Network, Recurrent
from bptt.verify import GradientReport, check_cell, gradient_check, random_parameters
from tests.verify.broken import (
    BROKEN_CELLS,
    BROKEN_SWEEPS,
    leak_past_the_end,
    output_derivative_missing,
    reverse_input_gradient_not_turned,
)

METHODS = [("complex",), ("central",)]


def layer(cell: str | type[Cell] = "elman", direction: str = "forward", engine: str = "auto") -> Recurrent:
    made = Recurrent(cell, 3, 5, direction=direction, engine=engine)
    made.parameters.update(random_parameters(made, np.random.default_rng(7)))
    return made


def wrong(report: GradientReport) -> set[str]:
    return {row.name.removeprefix("layers.0.") for row in report.failures}


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("methods", METHODS, ids=lambda m: m[0])
@pytest.mark.parametrize("cell", dict.fromkeys(kind.__bases__[0] for kind in BROKEN_CELLS))
def test_unbroken_cells_pass(cell: type[Cell], methods: tuple[str, ...]) -> None:
    assert gradient_check(layer(cell), methods=methods).passed


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("methods", METHODS, ids=lambda m: m[0])
@pytest.mark.parametrize("cell", BROKEN_CELLS, ids=lambda kind: kind.__name__)
def test_broken_cell_is_caught(cell: type[Cell], methods: tuple[str, ...]) -> None:
    stack = layer(cell)
    report = gradient_check(stack, methods=methods, raise_on_failure=False)
    assert wrong(report) == BROKEN_CELLS[cell]
    assert report.failures[0].error > 1e-3  # not by a hair
    with pytest.raises(
        GradientError, match=r"must agree with .* Got [+-]\d\.\d+e[+-]\d+ against [+-]\d\.\d+e"
    ) as caught:
        gradient_check(stack, methods=methods)
    assert report.failures[0].place in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("DroppedUpstream", "dc_prev"),
        ("ForgetSeesNewState", "da_f"),
        ("MissingOneMinusZ", "da_xn"),
        ("FlippedSign", "da_z"),
        ("ResetOnTheWrongSide", "da_hn"),
        ("DerivativeOfTheInput", "da_h"),
        ("PeepholeSeesOldState", "dp_o"),
    ],
)
def test_check_cell_names_the_line(cell: str, line: str) -> None:
    kind = next(kind for kind in BROKEN_CELLS if kind.__name__ == cell)
    report = check_cell(
        kind, layers=(1,), directions=("forward",), bias=(True,), max_entries=1, methods=("complex",),
        raise_on_failure=False,
    )  # fmt: skip
    assert f"{cell}.backward {line}" in {row.name for row in report.failures if row.method == "formula"}
    assert any(row.method == "complex" for row in report.failures)
    with pytest.raises(GradientError, match=r"fail$"):
        check_cell(kind, layers=(1,), directions=("forward",), max_entries=1)


@pytest.mark.parametrize("methods", METHODS, ids=lambda m: m[0])
@pytest.mark.parametrize("mistake", BROKEN_SWEEPS)
def test_broken_sweep_is_caught(
    mistake: str, methods: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = layer(engine="numpy")  # whose sweep is broken
    assert gradient_check(stack, methods=methods).passed
    breaks, names = BROKEN_SWEEPS[mistake]
    breaks(monkeypatch)
    report = gradient_check(stack, methods=methods, raise_on_failure=False)
    assert wrong(report) == names
    assert report.failures[0].error > 1e-3
    with pytest.raises(GradientError):
        gradient_check(stack, methods=methods)


@pytest.mark.parametrize("methods", METHODS, ids=lambda m: m[0])
def test_leak_past_the_end_of_a_ragged_row_is_caught(
    methods: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, lengths = layer(engine="numpy"), [2, 5, 3]
    assert gradient_check(stack, lengths=lengths, methods=methods).passed
    leak_past_the_end(monkeypatch)
    # Rows of one length cannot show it.
    assert gradient_check(stack, methods=methods).passed
    report = gradient_check(stack, lengths=lengths, methods=methods, raise_on_failure=False)
    assert {"W_xh", "W_hh", "b_h", "x"} <= wrong(report)


@pytest.mark.parametrize("methods", METHODS, ids=lambda m: m[0])
def test_reverse_input_gradient_not_turned_is_caught(
    methods: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = layer(direction="reverse")
    assert gradient_check(stack, methods=methods).passed
    reverse_input_gradient_not_turned(monkeypatch)
    assert wrong(gradient_check(stack, methods=methods, raise_on_failure=False)) == {"x"}


@pytest.mark.parametrize("methods", METHODS, ids=lambda m: m[0])
def test_missing_derivative_of_the_output_activation_is_caught(
    methods: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Network(layer(), 2, output_activation="tanh")
    parameters = random_parameters(net, np.random.default_rng(3))
    assert gradient_check(net, parameters=parameters, methods=methods).passed
    output_derivative_missing(monkeypatch)
    report = gradient_check(net, parameters=parameters, methods=methods, raise_on_failure=False)
    assert wrong(report) == {"W_xh", "W_hh", "b_h", "readout.W_hy", "readout.b_y", "x", "state.h"}


@pytest.mark.parametrize("mistake", ["h_t for h_(t-1) in dW_hh", "no gradient of the last state"])
def test_a_loss_on_the_outputs_alone_would_not_see_everything(
    mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why layers get cotangents on outputs *and* final states: a loss on every output misses the second mistake."""
    net = Network(layer(engine="numpy"), 2, readout="every")
    breaks: Callable[[pytest.MonkeyPatch], None] = BROKEN_SWEEPS[mistake][0]
    breaks(monkeypatch)
    report = gradient_check(net, raise_on_failure=False)
    assert report.passed == (mistake == "no gradient of the last state")
