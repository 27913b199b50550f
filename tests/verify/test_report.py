"""The report: verdict, order, text."""

from __future__ import annotations

import dataclasses

import pytest

from bptt.errors import GradientError
from bptt.verify import GradientReport, TensorCheck

GOOD = TensorCheck("layers.0.W_hh", (3, 4), "complex", (2, 1), 0.5, 0.5, 1e-15, 1e-12, 12)
BAD = TensorCheck("layers.0.b_h", (4,), "central", (3,), 0.25, -0.125, 3.0, 1e-7, 4)
NAN = dataclasses.replace(BAD, name="x", shape=(2, 3, 1), entry=(1, 0, 0), error=float("nan"))


def test_a_row_passes_up_to_its_tolerance() -> None:
    assert GOOD.passed
    assert dataclasses.replace(GOOD, error=1e-12).passed
    assert not dataclasses.replace(GOOD, error=1.1e-12).passed
    assert not NAN.passed
    assert dataclasses.replace(NAN, judged=False).passed


def test_worst_and_failures_put_nan_first() -> None:
    report = GradientReport((GOOD, BAD, NAN))
    assert report.failures == (NAN, BAD)
    assert report.worst("complex") == 1e-15
    assert report.worst("central") != report.worst("central")
    assert report.worst("formula") != report.worst("formula")


def test_raise_if_failed_names_tensor_entry_and_both_numbers() -> None:
    assert GradientReport((GOOD,)).raise_if_failed().passed
    with pytest.raises(GradientError) as caught:
        GradientReport((GOOD, BAD)).raise_if_failed()
    assert str(caught.value) == (
        "layers.0.b_h[3] must agree with central differences to 1e-07 of the largest entry. "
        "Got +2.500000000e-01 against -1.250000000e-01, error 3.0e+00: 1 of 2 comparisons fail"
    )


def test_message_says_where_and_when_a_direction_failed() -> None:
    row = dataclasses.replace(BAD, entry=None, where="2 layers, reverse", method="numpy:float32")
    with pytest.raises(
        GradientError, match=r"^layers\.0\.b_h along a random direction \(2 layers, reverse\) must agree "
    ):
        GradientReport((row,)).raise_if_failed()


def test_nothing_compared_is_not_a_pass() -> None:
    for report in (
        GradientReport((), title="mine"),
        GradientReport((dataclasses.replace(BAD, judged=False),), title="mine"),
    ):
        assert not report.passed
        with pytest.raises(
            GradientError, match=r"^mine: at least one tensor must be compared\. Got none that can be judged$"
        ):
            report.raise_if_failed()


def test_text_is_an_aligned_table() -> None:
    text = str(GradientReport((GOOD, BAD), ("cast up",), "mine"))
    lines = text.splitlines()
    assert lines[0] == (
        "mine: FAILED (complex step: 1 of 1, worst 1.0e-15; central differences: 0 of 1, worst 3.0e+00)"
    )
    assert lines[1].split() == [
        "tensor",
        "shape",
        "against",
        "worst",
        "entry",
        "found",
        "reference",
        "error",
        "allowed",
    ]
    assert lines[2].split() == [
        "layers.0.W_hh", "(3,", "4)", "complex", "(2,", "1)",
        "+5.000000000e-01", "+5.000000000e-01", "1.0e-15", "1e-12", "ok",
    ]  # fmt: skip
    assert lines[3].endswith("FAILED")
    assert lines[4] == "note: cast up"
    for head in ("shape", "against", "worst entry"):
        start = lines[1].index(head)
        assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines[2:4])
    assert lines[1].index("error") + len("error") == lines[2].index("1.0e-15") + len("1.0e-15")


def test_text_shows_where_directions_complex_numbers_and_rows_that_are_not_judged() -> None:
    row = TensorCheck("s", (), "numpy:complex128", (), 1 + 2j, 1.0, 2.0, 1e-12, 1, where="ragged")
    along = dataclasses.replace(BAD, entry=None, judged=False)
    text = str(GradientReport((row, along)))
    assert "where" in text
    assert "+1.000000000e+00+2.000000000e+00j" in text
    assert "direction" in text
    assert text.splitlines()[-1].endswith("shown")
    assert "central differences: shown, not judged" in text
    assert row.place == "s"
