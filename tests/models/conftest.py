"""A saved network, for the tests of damaged and of other descriptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bptt.models import save
from bptt.network import Network
from tests.models.made import MASK, K, stack


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(
        Network(stack("lstm", mask=MASK), K, linear_lags=4, learned_initial_state=True), tmp_path / "m.bptt"
    )
