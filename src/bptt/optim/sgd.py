"""Stochastic gradient descent: plain, with momentum, with Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from bptt.checks import check_number
from bptt.errors import InvalidInput, InvalidType
from bptt.formulas import Formula
from bptt.optim.optimizer import Optimizer
from bptt.optim.schedules import InverseTime, Schedule


@Formula
def plain(p: Any, g: Any, rate: Any) -> Any:
    """Against the gradient."""
    p_new = p - rate * g
    return p_new  # noqa: RET504  # a formula returns names


@Formula
def heavy_ball(p: Any, g: Any, v: Any, rate: Any, momentum: Any) -> Any:
    """Along a velocity that forgets slowly."""
    v_new = momentum * v - rate * g
    p_new = p + v_new
    return p_new, v_new


@Formula
def look_ahead(p: Any, g: Any, v: Any, rate: Any, momentum: Any) -> Any:
    """Along the velocity that the next step would have if the gradient stayed."""
    v_new = momentum * v - rate * g
    p_new = p + (momentum * v_new - rate * g)
    return p_new, v_new


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0.
    momentum : float
        In 0..1, without 1.
    nesterov : bool
        Look ahead; needs a momentum above 0.
    decay : float
        At least 0, the lecture's: lr_t = learning_rate / (1 + decay t), t counting updates from 0. Only with a
        number as learning rate; as a schedule it is `InverseTime`.

    Notes
    -----
    ::

        plain      p <- p - lr_t g
        momentum   v <- momentum v - lr_t g;   p <- p + v
        Nesterov   v <- momentum v - lr_t g;   p <- p + momentum v - lr_t g

    The learning rate stands inside the velocity, as in the lecture and in Keras. PyTorch multiplies it on
    afterwards (v <- momentum v + g; p <- p - lr_t v): the same while lr_t is constant, not while it changes.
    The lecture's program makes the velocities anew in every call and moves the weights only where the momentum is
    0; this is what it set out to do.

    References
    ----------
    Polyak 1964, doi 10.1016/0041-5553(64)90137-5. Sutskever, Martens, Dahl and Hinton 2013, "On the importance of
    initialization and momentum in deep learning", equations 1-4; Nesterov's rule here with the parameters read at
    the looked-ahead point, after Bengio, Boulanger-Lewandowski and Pascanu 2012, arXiv:1212.0901, section 3.5.
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    decay: float = 0.0
    kind: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "momentum", check_number("momentum", self.momentum, least=0, below=1))
        object.__setattr__(self, "decay", check_number("decay", self.decay, least=0))
        if not isinstance(self.nesterov, bool):
            raise InvalidType(f"nesterov must be True or False. Got {self.nesterov!r}")
        if self.nesterov and not self.momentum:
            raise InvalidInput("momentum must be above 0 for nesterov=True. Got 0")
        if self.decay and isinstance(self.learning_rate, Schedule):
            raise InvalidInput(
                f"decay must be 0 where learning_rate is a schedule. Got {self.decay:g}: take one of the two"
            )

    @property
    def slot_names(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the momentum
        """The velocity v, where there is momentum."""
        return ("v",) if self.momentum else ()

    @property
    def formula(self) -> Formula:
        """(p, g, rate), or (p, g, v, rate, momentum)."""
        if not self.momentum:
            return plain
        return look_ahead if self.nesterov else heavy_ball

    def rate(self, step: int) -> float:
        """Return the learning rate of update `step`, counted from 0, with the decay."""
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate(step)
        return InverseTime(self.learning_rate, self.decay)(step)

    @property
    def steady(self) -> bool:
        """Whether the learning rate is a number that does not decay."""
        return not isinstance(self.learning_rate, Schedule) and not self.decay

    def groups(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return all in one group."""
        return (names,)

    def constants(self, step: int, name: str) -> tuple[float, ...]:  # noqa: ARG002  # the same for all
        """Return the learning rate and, where there is one, the momentum."""
        return (self.rate(step), self.momentum) if self.momentum else (self.rate(step),)
