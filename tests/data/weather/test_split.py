"""The lab's split into whole days."""

import pytest

from bptt.data import split_days
from bptt.errors import DataError, InvalidInput


@pytest.mark.parametrize(
    ("rows", "train", "stop"),
    [(43_000, 34_368, 42_984), (42_984, 34_368, 42_984), (8_730, 6_960, 8_712), (48, 24, 48), (71, 24, 48)],
)
def test_the_test_part_is_the_last_fifth_of_whole_days(rows, train, stop):
    split = split_days(rows)
    assert (split.train, split.test) == (slice(0, train), slice(train, stop))


@pytest.mark.parametrize("percent", range(1, 100))
def test_no_day_is_lost_to_rounding(percent):
    for days in (10, 37, 100):
        train = (100 - percent) * days // 100
        if train:
            assert split_days(days * 7, percent / 100, 7).train.stop == train * 7


def test_what_the_split_needs():
    for rows in (0, 47):
        with pytest.raises(DataError) as caught:
            split_days(rows)
        assert str(caught.value) == (
            "rows must give at least one whole day of per_day = 24 rows to each part at fraction = 0.2. Got "
            f"{rows} rows, "
            f"{rows // 24} days: use more rows"
        )
    with pytest.raises(InvalidInput, match=r"^fraction must be below 1. Got 1.0$"):
        split_days(480, 1.0)
    with pytest.raises(InvalidInput, match=r"^per_day must be at least 1. Got 0$"):
        split_days(480, per_day=0)
