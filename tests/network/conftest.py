"""What a network promises, it promises with every engine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _with_each_engine(each_engine: str) -> None:
    pass
