"""Tasks with a known answer: what can be explained at most, and how far back it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Task:
    """A task.

    Attributes
    ----------
    x, y : ndarray (N, T, D) and targets
        To train on.
    fresh_x, fresh_y : ndarray
        Drawn from the same source, not trained on.
    readout, loss : str
    floor : float
        Loss of a model that knows everything that can be known (approximately).
    constant : float
        Loss of the best constant.
    level : int or None
        Column of x whose last value the target goes on from, where there is one.
    """

    name: str
    x: Array
    y: Array
    fresh_x: Array
    fresh_y: Array
    readout: str
    loss: str
    floor: float
    constant: float
    level: int | None = None

    @property
    def outputs(self) -> int:
        if self.loss == "cross_entropy":
            return int(max(self.y.max(), self.fresh_y.max())) + 1
        return int(self.y.shape[-1])

    def learnt(self, loss: float) -> float:
        """Return the share of what can be learnt that a loss on fresh data stands for."""
        return (self.constant - loss) / (self.constant - self.floor)

    def with_x(self, change: Callable[[Array], Array]) -> Task:
        return replace(self, x=change(self.x), fresh_x=change(self.fresh_x))


def _windows(series: Array, T: int, targets: list[int], every: bool) -> tuple[Array, Array]:
    count = len(series) - T
    x = np.stack([series[i : i + T] for i in range(count)])
    if every:
        y = np.stack([series[i + 1 : i + T + 1][:, targets] for i in range(count)])
    else:
        y = series[T:, targets]
    return x, y


def _from_series(
    name: str,
    series: Array,
    floor: float,
    T: int,
    *,
    every: bool,
    level: int | None = 0,
    targets: list[int],
) -> Task:
    cut = int(0.7 * len(series))
    x, y = _windows(series[:cut], T, targets, every)
    fresh_x, fresh_y = _windows(series[cut:], T, targets, every)
    return Task(
        name, x, y, fresh_x, fresh_y, "every" if every else "last", "mse", floor,
        float(np.var(y.reshape(-1, len(targets)), axis=0).mean()), level,
    )  # fmt: skip


def oscillation(rng: Rng, T: int | None = None) -> Task:
    """A noisy damped oscillation, AR(2)."""
    r, period = rng.uniform(0.9, 0.97), rng.uniform(6, 16)
    a, b = 2 * r * np.cos(2 * np.pi / period), -r * r
    n = int(rng.integers(1200, 2500))
    e, s = rng.standard_normal(n + 100), np.zeros(n + 100)
    for t in range(2, n + 100):
        s[t] = a * s[t - 1] + b * s[t - 2] + e[t]
    scale = s[100:].std()
    s = s[100:, None] / scale
    T = T or int(rng.integers(8, 25))
    return _from_series("oscillation", s, 1 / scale**2, T, every=bool(rng.random() < 0.3), targets=[0])


def sines(rng: Rng, T: int | None = None) -> Task:
    """Two sines and noise."""
    n, noise = int(rng.integers(1000, 2500)), rng.uniform(0.05, 0.3)
    t = np.arange(n)
    s = np.sin(2 * np.pi * t / rng.uniform(9, 20)) + 0.6 * np.sin(2 * np.pi * t / rng.uniform(20, 45) + 1)
    s = (s / s.std() + noise * rng.standard_normal(n))[:, None]
    T = T or int(rng.integers(12, 30))
    return _from_series("sines", s, 1.5 * noise**2, T, every=bool(rng.random() < 0.3), targets=[0])


def driven(rng: Rng, T: int | None = None) -> Task:
    """A level that follows its drivers with a delay, as a temperature follows the weather."""
    n, D = int(rng.integers(1200, 2500)), int(rng.integers(2, 5))
    u = np.zeros((n, D - 1))
    for t in range(1, n):
        u[t] = 0.8 * u[t - 1] + 0.6 * rng.standard_normal(D - 1)
    gain, noise = rng.uniform(0.3, 0.6, D - 1), rng.uniform(0.1, 0.3)
    s = np.zeros(n)
    for t in range(2, n):
        s[t] = 0.7 * s[t - 1] + np.tanh(u[t - 1] @ gain + 0.5 * u[t - 2, 0]) + noise * rng.standard_normal()
    scale = s.std()
    series = np.column_stack([s / scale, u / u.std(axis=0)])
    T = T or int(rng.integers(8, 20))
    return _from_series(
        "driven", series, (noise / scale) ** 2, T, every=bool(rng.random() < 0.3), targets=[0]
    )


def mackey_glass(rng: Rng, T: int | None = None) -> Task:
    """A chaotic series, six steps ahead of each other."""
    n, tau, keep = int(rng.integers(900, 1500)), 17, 3
    s = 1.2 + 0.2 * rng.standard_normal() * np.ones(n * keep + 300)
    for t in range(tau, len(s) - 1):
        s[t + 1] = s[t] + 0.2 * s[t - tau] / (1 + s[t - tau] ** 10) - 0.1 * s[t]
    s = s[300::keep][:n]
    s = ((s - s.mean()) / s.std())[:, None]
    T = T or int(rng.integers(10, 24))
    return _from_series("mackey_glass", s, 0.01, T, every=False, targets=[0])


def filtered(rng: Rng, T: int | None = None) -> Task:
    """Noise in, a smooth nonlinear function of the newest few inputs out, at every step."""
    D, N = int(rng.integers(1, 4)), int(rng.integers(150, 400))
    T = T or int(rng.integers(10, 25))
    taps, noise = rng.uniform(0.4, 1.0, (3, D)) * rng.choice([-1, 1], (3, D)), rng.uniform(0.05, 0.2)

    def make(count: int) -> tuple[Array, Array]:
        x = rng.standard_normal((count, T + 2, D))
        y = np.tanh(sum(x[:, 2 - k : T + 2 - k] @ taps[k] for k in range(3)))
        return x[:, 2:], (y + noise * rng.standard_normal(y.shape))[..., None]

    x, y = make(N)
    fresh_x, fresh_y = make(200)
    floor = noise**2 + 0.3 * float(np.var(y[:, :2])) * 2 / T
    return Task("filtered", x, y, fresh_x, fresh_y, "every", "mse", floor, float(np.var(y)))


def markov(rng: Rng, T: int | None = None) -> Task:
    """The next symbol of a chain."""
    K, N = int(rng.integers(3, 7)), int(rng.integers(150, 400))
    T = T or int(rng.integers(8, 20))
    P = rng.dirichlet(np.full(K, 0.25), size=K)
    P = 0.95 * P + 0.05 / K

    def make(count: int) -> tuple[Array, Array]:
        s = np.zeros((count, T + 1), int)
        s[:, 0] = rng.integers(0, K, count)
        for t in range(T):
            u = rng.random((count, 1))
            s[:, t + 1] = (u > np.cumsum(P[s[:, t]], axis=1)).sum(axis=1).clip(0, K - 1)
        return np.eye(K)[s[:, :-1]], s[:, 1:]

    x, y = make(N)
    fresh_x, fresh_y = make(300)
    used = fresh_x.argmax(axis=2)
    floor = float(-np.log(P[used, fresh_y]).mean())
    shares = np.bincount(y.ravel(), minlength=K) / y.size
    constant = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    return Task("markov", x, y, fresh_x, fresh_y, "every", "cross_entropy", floor, constant)


def binary_addition(rng: Rng, T: int | None = None) -> Task:
    """The bits of a sum, the carry from step to step."""
    T, N = T or int(rng.integers(5, 12)), int(rng.integers(300, 600))

    def make(count: int) -> tuple[Array, Array]:
        bits = rng.integers(0, 2, (count, T, 2))
        y, carry = np.zeros((count, T), int), np.zeros(count, int)
        for t in range(T):
            total = bits[:, t].sum(axis=1) + carry
            y[:, t], carry = total % 2, total // 2
        return bits * 2.0 - 1, y

    x, y = make(N)
    return Task("binary_addition", x, y, *make(200), "every", "cross_entropy", 0.0, float(np.log(2)))


def recall(rng: Rng, T: int | None = None) -> Task:
    """Say at the end what came first."""
    T, N = T or int(rng.integers(4, 8)), int(rng.integers(400, 800))
    if rng.random() < 0.5:
        K = int(rng.integers(3, 6))

        def make(count: int) -> tuple[Array, Array]:
            s = rng.integers(0, K, (count, T))
            return np.eye(K)[s], s[:, 0]

        x, y = make(N)
        return Task("recall", x, y, *make(300), "last", "cross_entropy", 0.0, float(np.log(K)))
    noise = rng.uniform(0.05, 0.2)

    def make_real(count: int) -> tuple[Array, Array]:
        x = rng.uniform(-1.5, 1.5, (count, T, 1))
        return x, x[:, 0] + noise * rng.standard_normal((count, 1))

    x, y = make_real(N)
    return Task("recall", x, y, *make_real(300), "last", "mse", noise**2, float(np.var(y)))


def drifting(rng: Rng, T: int | None = None, momentum: float | None = None) -> Task:
    """A level that wanders, and whose changes can be told in part from the last changes and an indicator."""
    n = int(rng.integers(1500, 2500))
    phi = rng.uniform(0.5, 0.8) if momentum is None else momentum
    e, v = rng.standard_normal(n), np.zeros(n)
    u = np.zeros(n)
    for t in range(1, n):
        u[t] = 0.5 * u[t - 1] + rng.standard_normal()
        v[t] = phi * v[t - 1] + (0.7 * u[t - 1] if momentum is None else 0.0) + e[t]
    level = np.cumsum(v)
    # Returns to its middle in the very long run, so that fresh data look like the training data.
    for t in range(1, n):
        level[t] = 0.97 * level[t - 1] + v[t]
    scale = level.std()
    series = np.column_stack([(level - level.mean()) / scale, u / u.std()])
    T = T or int(rng.integers(8, 20))
    return _from_series("drifting", series, 1.0 / scale**2, T, every=False, targets=[0])


TASKS: dict[str, Callable[..., Task]] = {
    f.__name__: f
    for f in (oscillation, sines, driven, mackey_glass, filtered, markov, binary_addition, recall, drifting)
}
REAL = ("oscillation", "sines", "driven", "mackey_glass", "filtered", "drifting")


def draw_task(rng: Rng, names: tuple[str, ...] = tuple(TASKS), **settings: Any) -> Task:
    """Draw one."""
    return TASKS[str(rng.choice(list(names)))](rng, **settings)
