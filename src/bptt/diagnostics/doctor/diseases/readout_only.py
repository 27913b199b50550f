"""Readout-only learning: no gradient enters the recurrent part, and what is learnt is learnt by the readout alone.

The lecture's noisy sine is the model case: a first gradient of 1e22 throws the recurrent weights so far out that every
unit sits at its bound, where its derivative is exactly 0; what trains from there is a linear readout of fixed features.
"""

from __future__ import annotations

import numpy as np

from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.finding import Finding
from bptt.diagnostics.doctor.numbers import short

NAME = "readout-only learning"

# The recurrent part's share of the gradient. Networks that learn have a tenth and more of it there, small ones at the
# end of a run a hundredth: four orders below is no learning.
SHARE = 1e-6
# The first gradient is to blame where it was so many times the run's median.
_FIRST = 1e3


def look(evidence: Evidence) -> Finding | None:
    """Return the finding, or None."""
    norms = {
        name: float(np.linalg.norm(np.asarray(d, np.float64)))
        for name, d in evidence.gradients.gradients.parameters.items()
    }
    inside = float(np.linalg.norm([v for name, v in norms.items() if name.startswith("layers.")]))
    readout = norms["readout.W_hy"]
    # Without a gradient of the readout's weights the features are 0: then units are dead, not frozen.
    if not (np.isfinite(readout) and readout > 0 and inside <= SHARE * readout):
        return None
    history = evidence.history
    weight = _largest(evidence)
    size = float(np.sqrt(np.mean(np.square(evidence.net.parameters[weight], dtype=np.float64))))
    first, usual = float(history.gradient_norms[0]), float(np.median(history.gradient_norms))
    blown = first > _FIRST * usual
    seen = f"the gradient of the recurrent part is {short(inside / readout)} of the readout's"
    if blown:
        seen += (
            f": the first step, with a gradient of norm {short(first)}, blew {weight} up to {short(size)} a weight, "
            "and since then only the readout learns"
        )
        remedy = "clip the gradient (clip=1.0) and start W_hh at a spectral radius of about 1"
    else:
        seen += f", and only the readout learns; a weight of {weight} is {short(size)} in size"
        remedy = "start from smaller weights and smaller inputs; of a cell of your own, check the backward"
    return Finding(
        NAME,
        "severe",
        weight,
        seen,
        {"share": inside / readout, "first_norm": first, "median_norm": usual, "weight_size": size},
        remedy,
    )


def _largest(evidence: Evidence) -> str:
    """Return the recurrent part's matrix of the largest weights."""
    inside = {n: p for n, p in evidence.net.parameters.items() if n.startswith("layers.") and p.ndim == 2}
    return max(inside, key=lambda name: float(np.abs(inside[name]).max()))
