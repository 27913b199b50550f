"""Networks with random weights, and the complex step over everything that they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.network import Network, Recurrent

Array = npt.NDArray[Any]

# Complex step against a hand-written gradient in float64, over the largest entry of the tensor, at gain <= 1.
EXACT = 1e-12
# Two ways to add the same float64 numbers.
SAME = 1e-13
# The same in float32, after about ten steps at gain <= 1: its rounding is 6e-8.
SAME32 = 2e-6

# So small that its square is nothing beside the rounding of any number here.
STEP = 1e-20


def randomise(net: Network | Recurrent, rng: np.random.Generator, gain: float = 0.8) -> Any:
    """Give every parameter random numbers, weights with sd * sqrt(rows) = `gain`.

    More would saturate outputs, and where 1 - y has lost its digits so has every gradient behind it.
    """
    for p in net.parameters.values():
        p[...] = rng.standard_normal(p.shape) * (gain / np.sqrt(len(p)) if p.ndim == 2 else 0.5)
    return net


def targets(net: Network, rng: np.random.Generator, rows: int, steps: int) -> Array:
    """Return random targets of the shape that the network's loss takes."""
    leading = (rows, steps) if net.readout == "every" else (rows,)
    shape = net.loss.target_shape((*leading, net.output_size))
    return rng.integers(net.output_size, size=shape) if net.loss.class_targets else rng.standard_normal(shape)


def whole_slope(value: Callable[[Array], Any], at: Array, directions: Array) -> Array:
    """Return the derivatives of `value` at `at` along each of `directions` (n, *at.shape)."""
    return np.array([np.imag(value(at + 1j * STEP * d)) / STEP for d in directions])


def every_entry(at: Array) -> Array:
    """Return the directions along each entry by itself."""
    return np.eye(at.size).reshape(at.size, *at.shape)


def random_signs(at: Array, rng: np.random.Generator, count: int = 2) -> Array:
    """Return random directions of +1 and -1: a wrong entry shows at its full size."""
    return rng.choice([-1.0, 1.0], size=(count, *at.shape))


def slope_errors(
    net: Network, x: Array, y: Array, directions: Callable[[Array], Array], **given: Any
) -> dict[str, float]:
    """Return, for every tensor that the loss depends on, the gradient's error over its largest entry.

    Parameters
    ----------
    directions : callable
        From an array to the directions in which it is moved: `every_entry` or `random_signs`.
    **given
        ``state``, ``y_start``, ``lengths``, ``weights``, ``dropout_key``; the first two are checked too.
    """
    swept = net.loss_and_gradients(x, y, want_x=True, **given)
    found = swept.gradients
    assert set(found.parameters) == set(net.parameters)
    tasks: list[tuple[str, Array, Array, Callable[[Array], Any]]] = [
        ("x", x, found.x, lambda v: net.loss_value(v, y, **given))
    ]
    for name, p in net.parameters.items():
        moved = _with_parameter(net, x, y, given, name)
        tasks.append((name, p, found.parameters[name], moved))
    for name, state in (given.get("state") or {}).items():
        tasks.append((f"state {name}", state, found.state[name], _with_state(net, x, y, given, name)))
    if net.feedback:
        start = given.get("y_start")
        start = np.zeros((len(x), net.output_size)) if start is None else start
        fed = lambda v: net.loss_value(x, y, **{**given, "y_start": v})  # noqa: E731  # beside its data
        tasks.append(("y_start", start, found.y_start, fed))
    errors = {}
    # Where the terms of a gradient cancel (the signs of an absolute loss may) or an output is saturated, what is left
    # is rounding of what arrived: a hundredth of that is the least a gradient is measured by.
    arrived = np.abs(net.loss.value_and_gradient(swept.y_hat, y)[1]).max()
    for name, at, gradient, value in tasks:
        assert gradient.shape == at.shape, name
        if not at.size:
            continue
        chosen = directions(at)
        apart = whole_slope(value, at, chosen) - (chosen * gradient).reshape(len(chosen), -1).sum(axis=1)
        errors[name] = float(np.abs(apart).max() / max(np.abs(gradient).max(), 0.01 * arrived))
    return errors


def _with_parameter(net: Network, x: Array, y: Array, given: Any, name: str) -> Callable[[Array], Any]:
    return lambda v: net.loss_value(x, y, parameters={**net.parameters, name: v}, **given)


def _with_state(net: Network, x: Array, y: Array, given: Any, name: str) -> Callable[[Array], Any]:
    return lambda v: net.loss_value(x, y, **{**given, "state": {**given["state"], name: v}})


def wrong(errors: dict[str, float], tolerance: float = EXACT) -> dict[str, float]:
    """Return the entries above the tolerance, NaN among them."""
    return {name: error for name, error in errors.items() if not error <= tolerance}
