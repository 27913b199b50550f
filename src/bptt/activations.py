"""The functions that a cell's equations may call: value and derivative side by side.

Each takes float or complex arrays. On complex input it is the analytic continuation of the real function
near the real axis, so that a step along the imaginary axis carries the derivative (the complex-step check,
Squire and Trapp 1998, doi 10.1137/S003614459631241X); branches therefore select on the real part.

``f_derivative(y)`` is f' as a function of the *output* y = f(a): what a backward pass has at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def tanh(a: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(a)


def tanh_derivative(y: Any) -> Any:
    """1 - y^2, with y = tanh(a)."""
    return 1 - y * y


def sigmoid(a: Any) -> Any:
    """Logistic function 1 / (1 + exp(-a)), written with tanh so that no exponent overflows."""
    return 0.5 * np.tanh(0.5 * a) + 0.5


def sigmoid_derivative(y: Any) -> Any:
    """y (1 - y), with y = sigmoid(a)."""
    return y * (1 - y)


def relu(a: Any) -> Any:
    """max(a, 0); NaN stays NaN."""
    if np.iscomplexobj(a):
        return np.where(np.real(a) <= 0, 0, a)
    return np.maximum(a, 0)


def relu_derivative(y: Any) -> Any:
    """1 where y > 0, else 0, with y = relu(a); the subgradient at 0 is 0."""
    return step(y)


def identity(a: Any) -> Any:
    """a itself."""
    return a


def identity_derivative(y: Any) -> Any:
    """1 everywhere."""
    return y * 0 + 1


def softplus(a: Any) -> Any:
    """log(1 + exp(a)), without overflow."""
    positive = np.real(a) > 0
    folded = np.where(positive, -a, a)
    return np.where(positive, a, 0) + np.log1p(np.exp(folded))


def softplus_derivative(y: Any) -> Any:
    """1 - exp(-y), with y = softplus(a)."""
    return -np.expm1(-y)


def exp(a: Any) -> Any:
    """Exponential function."""
    return np.exp(a)


def exp_derivative(y: Any) -> Any:
    """y itself, with y = exp(a)."""
    return y


def log(a: Any) -> Any:
    """Natural logarithm."""
    return np.log(a)


def sqrt(a: Any) -> Any:
    """Square root."""
    return np.sqrt(a)


def step(a: Any) -> Any:
    """1 where the real part of a is above 0, else 0; its derivative is 0."""
    kind = np.asarray(a).dtype
    return np.greater(np.real(a), 0).astype(kind if kind.kind in "fc" else np.float64)


def spike(a: Any) -> Any:
    """Heaviside step whose derivative is *replaced* by `spike_derivative` (a surrogate gradient).

    On complex input the imaginary part carries the surrogate's slope instead of 0, so the complex step
    checks surrogate-gradient BPTT exactly; central differences of the true step disagree with it by design.

    References
    ----------
    Neftci, Mostafa and Zenke 2019, "Surrogate gradient learning in spiking neural networks".
    """
    fired = step(a)
    if np.iscomplexobj(a):
        return fired + 1j * (np.imag(a) * spike_derivative(np.real(a)))
    return fired


def spike_derivative(a: Any) -> Any:
    """1 / (1 + (pi a)^2), the arctangent surrogate; of the *input* a, as a spike forgets how near it was."""
    scaled = np.pi * a
    return 1 / (1 + scaled * scaled)


# What a formula's text may call, by name. The compiled engine gives each of these a second, vectorised form.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        tanh, tanh_derivative, sigmoid, sigmoid_derivative, relu, relu_derivative, identity, identity_derivative,
        softplus, softplus_derivative, exp, exp_derivative, log, sqrt, step, spike, spike_derivative,
    )
}  # fmt: skip

# What can be chosen by name as an activation: each also has NAME_derivative(output).
ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity", "softplus")

# Functions whose stated derivative is not that of their value.
SURROGATES = ("spike",)
