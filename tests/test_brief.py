"""Records of arrays print in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import bptt
from bptt import diagnostics
from bptt.training import read_checkpoint


def test_diagnostics_and_checkpoints_print_in_one_line(rng: np.random.Generator, tmp_path: Path) -> None:
    net = bptt.Network(bptt.Recurrent("gru", 2, 7, seed=0), 1)
    x, y = rng.standard_normal((5, 9, 2)), rng.standard_normal((5, 1))
    place = tmp_path / "run.ckpt"
    history = bptt.train(
        net, (x, y), steps=4, record=["gradient_norms"], checkpoint=str(place), progress=False
    )
    found = {
        "PathLengths": diagnostics.gradient_by_path_length(net, x, y),
        "GradientFlow": diagnostics.gradient_flow(net, x, y),
        "JacobianSpectra": diagnostics.step_jacobians(net, x[0]),
        "WeightSpectra": diagnostics.weight_spectra(net),
        "LyapunovExponents": diagnostics.lyapunov_exponents(net, x[0]),
        "FixedPoints": diagnostics.fixed_points(net, x, starts=3),
        "StateSpace": diagnostics.state_space(net, x),
        "TruncationBias": diagnostics.truncation_bias(net, x, y),
        "ReceptiveField": diagnostics.receptive_field(net, x),
        "Recorded": history.recorded,
        "Checkpoint": read_checkpoint(place),
    }
    for name, record in found.items():
        said = repr(record)
        assert said.startswith(f"{name}("), said
        assert "\n" not in said, said
        assert len(said) < 600, said
        assert "array(" not in said, said
    assert repr(found["JacobianSpectra"]).startswith("JacobianSpectra(jacobians=float64 9x7x7, ")
    # Sorted: a file has its own order.
    assert "weights={layers.0.W_hh, layers.0.W_xh, layers.0.b_h and 3 more}" in repr(found["Checkpoint"])
