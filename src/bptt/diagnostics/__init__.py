"""Looking into training: what gradients are made of. Functions return frozen records that can draw themselves."""

from bptt.diagnostics.gradient_flow import GradientFlow, gradient_flow
from bptt.diagnostics.lyapunov import LyapunovExponents, lyapunov_exponents
from bptt.diagnostics.path_lengths import PathLengths, gradient_by_path_length, sliding_gradient
from bptt.diagnostics.spectra import (
    JacobianSpectra,
    WeightSpectra,
    spectral_norm,
    spectral_radius,
    step_jacobians,
    weight_spectra,
)
from bptt.diagnostics.truncation import chunked_gradient

__all__ = [
    "GradientFlow",
    "JacobianSpectra",
    "LyapunovExponents",
    "PathLengths",
    "WeightSpectra",
    "chunked_gradient",
    "gradient_by_path_length",
    "gradient_flow",
    "lyapunov_exponents",
    "sliding_gradient",
    "spectral_norm",
    "spectral_radius",
    "step_jacobians",
    "weight_spectra",
]
