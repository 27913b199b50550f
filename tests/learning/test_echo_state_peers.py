"""ReservoirPy, where it is installed: the same weights give the same numbers, and own weights the same errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bptt.learning import echo_state_network, fit_readout, narma10

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports may warn of what it imports
    pytest.importorskip("reservoirpy", reason="compares with ReservoirPy: pip install reservoirpy")

from scripts.compare_echo_states import compare


def test_with_its_weights_ours_predicts_what_it_predicts() -> None:
    from reservoirpy.nodes import Reservoir, Ridge

    u, y = narma10(700, seed=2)
    reservoir = Reservoir(40, lr=0.6, sr=0.9, input_scaling=0.7, input_connectivity=1.0, bias=0.2, seed=1)
    model = reservoir >> Ridge(ridge=1e-3)
    model.fit(u[:500], y[:500], warmup=50)
    model.reset()
    wanted = model.run(u)

    net = echo_state_network(1, 1, 40, leak=0.6, linear_lags=0)
    W, W_in = (m.toarray() if hasattr(m, "toarray") else np.asarray(m) for m in (reservoir.W, reservoir.Win))
    net.parameters["layers.0.W_hh"][...] = W.T
    net.parameters["layers.0.W_xh"][...] = W_in.T
    net.parameters["layers.0.b_h"][...] = 0.2
    fit_readout(net, u[:500], y[:500], ridge=1e-3, washout=50)
    # Two solvers of one system, whose condition is some 1e6.
    np.testing.assert_allclose(net.predict(u[None])[0], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("task", ["mackey_glass", "narma10"])
def test_with_own_weights_ours_is_within_its_range(task: str) -> None:
    for what, both in compare(task, 100, 7).items():
        ours, theirs = both["bptt"], both["ReservoirPy"]
        assert np.median(ours) <= max(theirs), what
