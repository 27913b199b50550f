"""Adam, and AdamW with decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bptt.activations import sqrt
from bptt.checks import Array, check_number
from bptt.formulas import Formula
from bptt.optim.optimizer import Optimizer, Slots
from bptt.optim.schedules import Schedule
from bptt.optim.selection import WEIGHTS, check_pattern, selected, selects


@Formula
def adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    rate: Any,
    root: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    epsilon: Any,
) -> Any:
    """`rate` and `root` carry the bias corrections; rest = 1 - beta."""
    m_new = beta1 * m + rest1 * g
    v_new = beta2 * v + rest2 * g * g
    p_new = p - rate * m_new / (sqrt(v_new) * root + epsilon)
    return p_new, m_new, v_new


@Formula
def adamw(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    rate: Any,
    root: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    epsilon: Any,
    decay: Any,
) -> Any:
    """`decay` is the learning rate times the weight decay, 0 for a parameter that does not decay."""
    m_new = beta1 * m + rest1 * g
    v_new = beta2 * v + rest2 * g * g
    p_new = p - decay * p - rate * m_new / (sqrt(v_new) * root + epsilon)
    return p_new, m_new, v_new


@dataclass(frozen=True)
class Adam(Optimizer):
    """Momentum and running mean square of each entry, both corrected for their start at 0.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0: about the size of a step while the gradient keeps its sign.
    beta1, beta2 : float
        In 0..1, without 1: how much of the mean and of the mean square is kept.
    epsilon : float
        Above 0.

    Notes
    -----
    With t counting updates from 1, ::

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr_t (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    epsilon after the correction, as in the paper's algorithm 1 and PyTorch; Keras adds it before.

    References
    ----------
    Kingma and Ba 2015, "Adam", arXiv:1412.6980, algorithm 1.
    """

    learning_rate: float | Schedule = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    kind: ClassVar[str] = "adam"
    slot_names: ClassVar[tuple[str, ...]] = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            object.__setattr__(self, name, check_number(name, getattr(self, name), least=0, below=1))
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, above=0))

    @property
    def formula(self) -> Formula:
        """(p, g, m, v, rate, root, beta1, 1 - beta1, beta2, 1 - beta2, epsilon)."""
        return adam

    def groups(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return all in one group."""
        return (names,)

    def constants(self, step: int, name: str) -> tuple[float, ...]:  # noqa: ARG002  # the same for all
        """Return lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t) with t = step + 1, the betas and epsilon."""
        t = step + 1
        return (
            self.rate(step) / (1 - self.beta1**t),
            1 / math.sqrt(1 - self.beta2**t),
            self.beta1,
            1 - self.beta1,
            self.beta2,
            1 - self.beta2,
            self.epsilon,
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay beside the gradient instead of in it.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon
        As for `Adam`.
    weight_decay : float
        At least 0.
    pattern : str
        Which parameters decay, by their whole name or its last part. The default takes the weight matrices and
        leaves out biases, peepholes and initial states, where PyTorch lets everything decay: that is "*".

    Notes
    -----
    Adam's step, and before it p <- p - lr_t weight_decay p. The decay is not divided by the mean square, so it
    is the same for every weight; an L2 penalty would decay least where the gradients are largest.

    References
    ----------
    Loshchilov and Hutter 2019, "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2, with the
    learning rate multiplied onto the decay as in PyTorch.
    """

    weight_decay: float = 0.01
    pattern: str = WEIGHTS
    kind: ClassVar[str] = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weight_decay", check_number("weight_decay", self.weight_decay, least=0))
        check_pattern(self.pattern)

    @property
    def formula(self) -> Formula:
        """(p, g, m, v, rate, root, beta1, 1 - beta1, beta2, 1 - beta2, epsilon, decay)."""
        return adamw

    def init(self, parameters: Mapping[str, Array]) -> Slots:
        """Return fresh slots; raise InvalidInput where the pattern fits no parameter."""
        if self.weight_decay:
            selected(self.pattern, parameters)
        return super().init(parameters)

    def groups(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return those that decay, and those that do not."""
        decaying = tuple(name for name in names if selects(self.pattern, name))
        resting = tuple(name for name in names if name not in decaying)
        return tuple(group for group in (decaying, resting) if group)

    def constants(self, step: int, name: str) -> tuple[float, ...]:
        """Return those of Adam and the learning rate times the weight decay, 0 where `name` does not decay."""
        decay = self.rate(step) * self.weight_decay if selects(self.pattern, name) else 0.0
        return (*super().constants(step, name), decay)
