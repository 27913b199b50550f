"""Scaling with the statistics of the training rows."""

import json

import numpy as np
import pytest

from bptt.data import Scaler
from bptt.errors import DataError, FileFormatError, InvalidInput

# means and deviations are sums of 50 numbers: a few roundings
RTOL = 1e-13
NAMES = ("a", "b", "c")


@pytest.fixture
def values(rng):
    return rng.normal([5.0, -3.0, 1000.0], [2.0, 0.1, 30.0], (50, 3))


def said(kind, *arguments, **options):
    with pytest.raises(kind) as caught:
        Scaler.fit(*arguments, **options)
    return str(caught.value)


def test_the_deviation_is_the_one_of_r(values):
    scaler = Scaler.fit(values, NAMES)
    mean = values.sum(axis=0) / 50
    sd = np.sqrt(((values - mean) ** 2).sum(axis=0) / 49)  # R's sd divides by N - 1
    np.testing.assert_allclose(scaler.means, mean, rtol=RTOL)
    np.testing.assert_allclose(scaler.deviations, sd, rtol=RTOL)
    np.testing.assert_allclose(Scaler.fit(values, ddof=0).deviations, sd * np.sqrt(49 / 50), rtol=RTOL)


def test_rows_outside_training_do_not_change_the_scale(values):
    scaler = Scaler.fit(values[:30], NAMES)
    scaled = scaler.transform(values)
    np.testing.assert_allclose(scaled[:30].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(scaled[:30].std(axis=0, ddof=1), 1.0, rtol=1e-12)
    assert np.abs(scaled[30:].mean(axis=0)).max() > 1e-3
    np.testing.assert_allclose(scaled, (values - scaler.means) / scaler.deviations, rtol=RTOL)


def test_inverse_undoes_transform(values):
    scaler = Scaler.fit(values, NAMES)
    batch = values[:48].reshape(4, 12, 3)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(batch)), batch, rtol=1e-12)
    np.testing.assert_allclose(
        scaler.inverse_column("c", scaler.transform(values)[:, 2:]), values[:, 2:], rtol=1e-12
    )
    assert scaler.deviation("b") == scaler.deviations[1]
    assert scaler.inverse_column("b", 0.0) == scaler.means[1]


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1013.25, -1e-300])
def test_a_constant_column_is_explained(values, value):
    values[:, 1] = value
    assert said(DataError, values, NAMES) == (
        f"column 'b' must change in the training rows to be scaled. Got {value:g} in all 50: leave it out "
        "(columns=), or "
        "keep its scale (constant='keep')"
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1013.25])
def test_a_constant_column_can_keep_its_scale(values, value):
    values[:, 1] = value
    scaler = Scaler.fit(values, NAMES, constant="keep")
    assert (scaler.means[1], scaler.deviations[1]) == (value, 1.0)
    assert (scaler.transform(values)[:, 1] == 0.0).all()
    np.testing.assert_allclose(scaler.deviations[[0, 2]], values[:, [0, 2]].std(axis=0, ddof=1), rtol=RTOL)


def test_a_column_that_changes_by_rounding_only_is_constant(values):
    values[:, 1] = 0.3
    values[::2, 1] = 0.1 + 0.2
    assert "column 'b' must change" in said(DataError, values, NAMES)
    values[0, 1] = 0.3 + 1e-9
    assert Scaler.fit(values, NAMES).deviations[1] > 0.0


def test_what_fit_needs(values):
    values[7, 2] = values[9, 2] = np.nan
    assert said(DataError, values, NAMES) == (
        "column 'c' must be finite in the training rows. Got 2 of 50 missing or infinite, the first in row 8: "
        "fill or drop them first"
    )
    good = np.arange(6.0).reshape(3, 2)
    assert (
        said(DataError, good[:1]) == "values must have more than ddof = 1 rows to measure a deviation. Got 1"
    )
    assert said(InvalidInput, good, NAMES) == "columns must have C = 2 names. Got 3: values has 2 columns"
    assert said(InvalidInput, good, constant="drop") == "constant must be one of error, keep. Got 'drop'"


def test_what_transform_and_inverse_need(values):
    scaler = Scaler.fit(values, NAMES)
    told = "must have shape (..., C) = (..., 3). Got (5, 2): the scaler was fitted to a, b, c"
    for name, call in (("values", scaler.transform), ("scaled", scaler.inverse)):
        with pytest.raises(InvalidInput) as caught:
            call(np.zeros((5, 2)))
        assert str(caught.value) == f"{name} {told}"
    with pytest.raises(DataError, match=r"^column must be one of a, b, c. Got 'd'$"):
        scaler.inverse_column("d", 0.0)


def test_a_model_file_keeps_every_bit(values):
    scaler = Scaler.fit(values, NAMES)
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.columns == scaler.columns
    assert np.array_equal(again.means, scaler.means)
    assert np.array_equal(again.deviations, scaler.deviations)


@pytest.mark.parametrize(
    "change",
    [
        {"means": None},
        {"means": [1.0]},
        {"deviations": [1.0, 0.0, 1.0]},
        {"deviations": [1.0, float("nan"), 1.0]},
        {"means": ["x", "y", "z"]},
        {"columns": "abc"},
        {"columns": [1, 2, 3]},
    ],
)
def test_a_damaged_model_file_is_refused(values, change):
    stored = Scaler.fit(values, NAMES).to_dict() | change
    with pytest.raises(FileFormatError, match=r"^scaler must have .*: the model file is damaged$"):
        Scaler.from_dict(stored)
