"""Two series on which recurrent learning has been measured for decades."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array, check_number, check_whole
from bptt.errors import InvalidInput

# Substeps of a delay: each is a number that is held.
_LONGEST_LAG = 10**8


def mackey_glass(
    steps: int, *, tau: float = 17.0, dt: float = 1.0, substeps: int = 10, seed: int = 0, discard: int = 500
) -> Array:
    """Return the Mackey-Glass series, dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t).

    Parameters
    ----------
    steps : int
        Numbers returned.
    tau : float
        Delay, in the unit of time; mildly chaotic at 17, wilder at 30.
    dt : float
        Time between two numbers.
    substeps : int
        Fourth-order Runge-Kutta steps between two numbers; ``tau / (dt / substeps)`` must be whole. Within a step
        the delayed value is interpolated linearly.
    seed : int
        Of the history before the start: 1.2 + uniform noise within -0.1..0.1.
    discard : int
        Numbers left out at the start.

    Returns
    -------
    ndarray (steps, 1)

    References
    ----------
    Mackey and Glass 1977, "Oscillation and chaos in physiological control systems", Science 197.
    """
    count = check_whole("steps", steps) + check_whole("discard", discard, least=0)
    parts = check_whole("substeps", substeps)
    h = check_number("dt", dt, above=0.0) / parts
    ratio = check_number("tau", tau, above=0.0) / h if h else np.inf
    lag = round(ratio) if ratio < _LONGEST_LAG else 0
    if lag < 1 or abs(lag * h - tau) > 1e-9 * tau:
        raise InvalidInput(
            f"tau must be a whole number of substeps of dt / substeps = {h:g}. Got {tau:g}: change substeps"
        )
    x = np.empty(lag + 1 + count * parts)
    rng = np.random.default_rng(check_whole("seed", seed, least=0))
    x[: lag + 1] = 1.2 + rng.uniform(-0.1, 0.1, lag + 1)
    for i in range(lag, len(x) - 1):
        old, new = x[i - lag], x[i - lag + 1]
        force = [0.2 * delayed / (1 + delayed**10) for delayed in (old, 0.5 * (old + new), new)]
        k1 = force[0] - 0.1 * x[i]
        k2 = force[1] - 0.1 * (x[i] + 0.5 * h * k1)
        k3 = force[1] - 0.1 * (x[i] + 0.5 * h * k2)
        k4 = force[2] - 0.1 * (x[i] + h * k3)
        x[i + 1] = x[i] + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return x[lag + parts :: parts][-steps:, None].copy()


def narma10(steps: int, *, seed: int = 0) -> tuple[Array, Array]:
    """Return input and target of the tenth-order NARMA task.

    Parameters
    ----------
    steps : int
    seed : int
        Of the input, uniform in 0..0.5. The rare seed whose target runs away is drawn on from until one does not.

    Returns
    -------
    u, y : ndarray (steps, 1)
        y[t] = 0.3 y[t - 1] + 0.05 y[t - 1] sum_{i=1..10} y[t - i] + 1.5 u[t - 9] u[t] + 0.1: it depends on inputs up to
        u[t], and is 0 for the first nine steps.

    References
    ----------
    Atiya and Parlos 2000, "New results on recurrent network training", IEEE Transactions on Neural Networks 11.
    """
    count = check_whole("steps", steps)
    rng = np.random.default_rng(check_whole("seed", seed, least=0))
    while True:
        u = rng.uniform(0.0, 0.5, count)
        y = np.zeros(count)
        for t in range(9, count):
            y[t] = (
                0.3 * y[t - 1] + 0.05 * y[t - 1] * y[max(t - 10, 0) : t].sum() + 1.5 * u[t - 9] * u[t] + 0.1
            )
            if y[t] > 2:  # it leaves 0..1 only on its way to infinity
                break
        else:
            return u[:, None], y[:, None]
