"""What looks wrong in a column, planted in noise; and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.data.weather.nyc import FILE as NYC
from bptt.forecast.tables.reading import read_panel
from bptt.forecast.tables.suspects import find_frozen, find_suspects


def where(series, row):
    return f"row {row}"


def suspects(*lines):
    return {
        finding.kind: finding for finding in find_suspects("v", [np.asarray(line) for line in lines], where)
    }


def test_noise_and_weather_are_not_suspect(rng):
    for values in (
        rng.normal(size=3000),
        rng.standard_t(4, size=3000),
        rng.gamma(0.5, size=3000),
        np.arange(300.0),
    ):
        assert suspects(values) == {}
    rain = np.where(rng.uniform(size=3000) < 0.1, rng.gamma(0.7, 3, size=3000), 0.0)
    assert suspects(rain) == {}
    assert find_frozen(["rain", "v"], [np.stack([rain, rng.normal(size=3000)], axis=1)], where) == []


def test_numbers_near_the_ends_of_float64(rng):
    values = np.append(rng.normal(size=300) * 1e300, [1.7e308, -1.7e308])
    assert set(suspects(values)) <= {"outlier"}
    assert suspects(values[:300] * 1e-320) is not None


def test_an_impossible_wind(rng):
    wind = np.abs(rng.normal(10, 4, size=4000))
    wind[777] = 1048.36
    found = suspects(wind[:500], wind[500:])
    assert list(found) == ["outlier"]
    assert "1,048.36 at row 277" in found["outlier"].text
    assert found["outlier"].warning


@pytest.mark.parametrize("value", [-999.0, 9999.0])
def test_a_stand_in_for_missing(rng, value):
    values = rng.normal(20, 5, size=500)
    values[10:200:10] = value
    found = suspects(values)
    assert list(found) == ["stand-in"]
    assert found["stand-in"].count == 19
    assert suspects(np.linspace(-1500, 1500, 3001)) == {}  # where it is one value among others it is one


def test_a_leap_and_back(rng):
    walk = np.cumsum(rng.normal(size=3000))
    walk[1500] += 70
    found = suspects(walk)
    assert list(found) == ["jump"]
    assert "at row 1500 and back" in found["jump"].text


def test_constant_empty_and_zero():
    assert "constant, 3.5 in all 9 rows" in suspects(np.full(9, 3.5))["constant"].text
    assert "an all-zero series" in suspects(np.zeros(9))["constant"].text
    assert suspects(np.full(9, np.nan))["empty"].warning


def test_a_few_values_beside_the_grid(rng):
    values = rng.integers(0, 30, size=5000).astype(float)
    values[[7, 70]] += 1 / 3
    found = suspects(values)
    assert list(found) == ["resolution"]
    assert found["resolution"].count == 2


def test_frozen_rows_and_frozen_columns(rng):
    values = rng.normal(size=(500, 4))
    values[100:107] = values[100]
    (found,) = find_frozen(["a", "b", "c", "d"], [values], where)
    assert found.text == "frozen: all 4 columns of numbers repeat for 7 rows from row 100 on"
    values[300:306] = values[300]
    (found,) = find_frozen(["a", "b", "c", "d"], [values], where)
    assert found.text.endswith("from row 100 on, and in 1 other block, 13 rows in all")
    values[400:406] = values[400]
    (found,) = find_frozen(["a", "b", "c", "d"], [values], where)
    assert found.text.endswith("from row 100 on, and in 2 other blocks, 19 rows in all")
    values = rng.normal(size=(500, 4))
    values[200:240, :2] = values[200, :2]
    (found,) = find_frozen(["a", "b", "c", "d"], [values], where)
    assert "a, b repeat together for 40 rows from row 200 on" in found.text
    values = rng.normal(size=(500, 4))
    values[300:330, 3] = values[300, 3]
    (found,) = find_frozen(["a", "b", "c", "d"], [values], where)
    assert "d repeats for 30 rows from row 300 on" in found.text
    assert found.count == 30


def test_the_data_page_of_real_tables(data_file):
    found = read_panel(NYC, target="TEMP").findings
    assert [finding.kind for finding in found] == ["gap", "missing"]
    assert found[0].count == 24
    beijing = {f.kind: f for f in read_panel(data_file("beijing_pm25.csv"), target="TEMP").findings}
    assert "TEMP, DEWP, PRES repeat together for 48 rows from 2012-10-11 23:00 on" in beijing["frozen"].text
    assert beijing["missing"].count == 2067


def test_a_demand_that_rests_at_its_price_is_not_frozen(rng):
    """Rows repeat because little is sold, and a price stays: days in a row are chance."""
    rows = 400
    sold = np.where(rng.uniform(size=rows) < 0.4, 1 + rng.poisson(2.0, size=rows), 0).astype(float)
    price = np.repeat(rng.uniform(2, 9, size=8), 50)
    demand = np.stack([sold, price], axis=1)
    assert find_frozen(["sold", "price"], [demand], where) == []
    # Something else than nothing that is sold for so long is odd.
    demand[120:131] = (7.5, 5.5)
    (found,) = find_frozen(["sold", "price"], [demand], where)
    assert found.count == 11
    # However often a sensor hangs, and for however long, it is no habit.
    values = rng.normal(size=(900, 2))
    for first in range(30, 840, 60):
        values[first : first + 40] = values[first]
    (found,) = find_frozen(["a", "b"], [values], where)
    assert found.count == 14 * 40
