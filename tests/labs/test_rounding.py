"""Numbers and counts as the labs say them."""

import pytest

from bptt.labs.rounding import how_many_seeds, two_digits


@pytest.mark.parametrize(("seeds", "words"), [((4,), "1 seed"), ([0, 1], "2 seeds"), (range(5), "5 seeds")])
def test_one_seed_is_one(seeds, words):
    assert how_many_seeds(seeds) == words


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1200"), (0.01449, "0.014"), (4.5e9, "4.5e+09")])
def test_two_digits(value, text):
    assert two_digits(value) == text
