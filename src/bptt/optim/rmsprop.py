"""RMSProp: each entry's step in units of its gradient's recent size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from bptt.activations import sqrt
from bptt.checks import check_number
from bptt.formulas import Formula
from bptt.optim.optimizer import Optimizer
from bptt.optim.schedules import Schedule


@Formula
def rmsprop(p: Any, g: Any, s: Any, rate: Any, rho: Any, rest: Any, epsilon: Any) -> Any:
    """`rest` is 1 - rho."""
    s_new = rho * s + rest * g * g
    p_new = p - rate * g / (sqrt(s_new) + epsilon)
    return p_new, s_new


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """Gradient descent with each entry divided by a running root mean square of its gradient.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0.
    rho : float
        In 0..1, without 1: how much of the mean square is kept (PyTorch's ``alpha``, whose default is 0.99).
    epsilon : float
        Above 0.

    Notes
    -----
    ::

        s <- rho s + (1 - rho) g^2
        p <- p - lr_t g / (sqrt(s) + epsilon)

    epsilon stands outside the root, as in PyTorch; Keras has it inside.

    References
    ----------
    Tieleman and Hinton 2012, "Neural networks for machine learning", lecture 6.5.
    """

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    kind: ClassVar[str] = "rmsprop"
    slot_names: ClassVar[tuple[str, ...]] = ("s",)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rho", check_number("rho", self.rho, least=0, below=1))
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, above=0))

    @property
    def formula(self) -> Formula:
        """(p, g, s, rate, rho, 1 - rho, epsilon)."""
        return rmsprop

    @property
    def steady(self) -> bool:
        """Whether the learning rate is a number."""
        return not isinstance(self.learning_rate, Schedule)

    def groups(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return all in one group."""
        return (names,)

    def constants(self, step: int, name: str) -> tuple[float, ...]:  # noqa: ARG002  # the same for all
        """Return rate, rho, 1 - rho, epsilon."""
        return self.rate(step), self.rho, 1 - self.rho, self.epsilon
