"""A wave with noise, its parts, and a forecaster of it, which the tests of `Forecaster` share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bptt.forecast import Forecaster
from bptt.forecast.panel import Panel
from bptt.forecast.pieces import cut
from tests.forecast.panels import make_panel

ROWS, MORE, K = 211, 17, 3
# What the document asks of streamed against windowed; float64 gives far more.
ATOL = 1e-6


def whole(seed: int = 0) -> Panel:
    return make_panel(np.random.default_rng(seed), ROWS + MORE)


def part(panel: Panel, first: int, stop: int) -> Panel:
    return replace(panel, lines=tuple(cut(line, first, stop) for line in panel))


def only_network(model: Forecaster) -> Forecaster:
    assert model.fitted.trained.kind == "network"
    return model


def y_hat(found: dict[str, np.ndarray]) -> np.ndarray:
    return found["y_hat"]
