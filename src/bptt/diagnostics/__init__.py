"""Looking into training: what gradients are made of. Functions return frozen records that can draw themselves."""

from bptt.diagnostics.doctor import Diagnosis, Finding, diagnose
from bptt.diagnostics.fixed_points import FixedPoints, fixed_points
from bptt.diagnostics.gradient_flow import GradientFlow, gradient_flow
from bptt.diagnostics.lyapunov import LyapunovExponents, lyapunov_exponents
from bptt.diagnostics.path_lengths import PathLengths, gradient_by_path_length, sliding_gradient
from bptt.diagnostics.receptive_field import ReceptiveField, receptive_field
from bptt.diagnostics.spectra import (
    JacobianSpectra,
    WeightSpectra,
    spectral_norm,
    spectral_radius,
    step_jacobians,
    weight_spectra,
)
from bptt.diagnostics.state_space import StateSpace, state_space
from bptt.diagnostics.truncation import chunked_gradient, tbptt_gradient
from bptt.diagnostics.truncation_bias import TruncationBias, truncation_bias

__all__ = [
    "Diagnosis",
    "Finding",
    "FixedPoints",
    "GradientFlow",
    "JacobianSpectra",
    "LyapunovExponents",
    "PathLengths",
    "ReceptiveField",
    "StateSpace",
    "TruncationBias",
    "WeightSpectra",
    "chunked_gradient",
    "diagnose",
    "fixed_points",
    "gradient_by_path_length",
    "gradient_flow",
    "lyapunov_exponents",
    "receptive_field",
    "sliding_gradient",
    "spectral_norm",
    "spectral_radius",
    "state_space",
    "step_jacobians",
    "tbptt_gradient",
    "truncation_bias",
    "weight_spectra",
]
