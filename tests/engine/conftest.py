"""Both layouts of the compiled engine, whichever the rule would choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def force_layout(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that makes every pass of the test use one layout, "units" or "rows"."""
    route = pytest.importorskip("bptt.engine.compiled.route")

    def force(name: str) -> None:
        monkeypatch.setattr(route, "choose_layout", lambda *_: name)
        route.find_route.cache_clear()

    yield force
    route.find_route.cache_clear()


@pytest.fixture(params=["units", "rows"])
def layout(request: pytest.FixtureRequest, force_layout: Callable[[str], None]) -> str:
    """Run the test with each layout."""
    force_layout(request.param)
    return str(request.param)
