"""What the doctor looks at: a sample's answers, its units and lags, the loss curve and a trial treatment."""

from __future__ import annotations

import numpy as np

from bptt.cached import cached_property
from bptt.diagnostics.doctor.evidence.curve import Curve, look_at_curve
from bptt.diagnostics.doctor.evidence.lags import Lags, look_at_lags
from bptt.diagnostics.doctor.evidence.sample import GRADIENT_WORK, Sample
from bptt.diagnostics.doctor.evidence.treatment import Treatment, treat
from bptt.diagnostics.doctor.evidence.units import Units, look_at_units
from bptt.diagnostics.exact import in_float64
from bptt.engine.blas import one_blas_thread

# Examples for what is looked at unit by unit, step by step, in float64.
_UNIT_EXAMPLES = 64


class Evidence(Sample):
    """A run, as the diseases see it; attributes as `Sample`, and what is made of them."""

    @cached_property
    def units(self) -> tuple[Units, ...]:
        """What every layer's units do, in float64."""
        chosen = self.some[: max(2, int(min(_UNIT_EXAMPLES, GRADIENT_WORK // self.work)))]
        exact, parameters = in_float64(self.net)
        batch = self.part(chosen)
        with one_blas_thread(), np.errstate(all="ignore"):
            record = exact.forward(batch.x, lengths=batch.lengths, parameters=parameters)
            return look_at_units(exact, record)

    @cached_property
    def lags(self) -> Lags | None:
        """What the errors hang on, and how far back the gradient reaches."""
        return look_at_lags(self)

    @cached_property
    def curve(self) -> Curve | None:
        """The loss over the run."""
        return look_at_curve(self.history)

    @cached_property
    def treatment(self) -> Treatment | None:
        """What a few steps on a copy gain."""
        return treat(self)
