"""What every optimiser shares: where its numbers live, and one update of all parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bptt.checks import Array, check_number, check_whole
from bptt.configs import Configured
from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.formulas import Formula
from bptt.optim.norms import largest_magnitude
from bptt.optim.schedules import Schedule

Slots = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Optimizer(Configured):
    """A rule that moves parameters against their gradients.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0; a schedule is asked once an update.

    Notes
    -----
    The object is configuration only and never changes. What a rule remembers (velocities, mean squares) are arrays
    beside the parameters, made by `init` and changed by `update`, which a checkpoint can hold. The rule itself is a
    scalar formula, one entry at a time::

        (p, g, *slots, *constants) -> (p, *slots)

    with the constants of this step already computed in float64 and then rounded to the dtype of p. A float32
    parameter therefore stays float32 throughout, and a compiled engine repeats the update to the bit.
    """

    learning_rate: float | Schedule

    slot_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if isinstance(rate, str) or not isinstance(rate, (Schedule, int, float, np.number)):
            raise InvalidType(f"learning_rate must be a number or a Schedule. Got {rate!r}")
        if not isinstance(rate, Schedule):
            object.__setattr__(self, "learning_rate", check_number("learning_rate", rate, least=0))

    def rate(self, step: int) -> float:
        """Return the learning rate of update `step`, counted from 0."""
        return self.learning_rate(step) if isinstance(self.learning_rate, Schedule) else self.learning_rate

    @property
    @abstractmethod
    def formula(self) -> Formula:
        """Takes ``(p, g, *slots, *constants)``, gives ``(p, *slots)``."""

    @abstractmethod
    def constants(self, step: int, name: str) -> tuple[float, ...]:
        """Return what follows the slots in the formula for parameter `name` at `step`, in float64."""

    @property
    def steady(self) -> bool:
        """Whether the learning rate and `constants` are the same at every step; False where nobody promised it."""
        return False

    def groups(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return the parameters' names in groups whose `constants` are the same at every step: one each by default."""
        return tuple((name,) for name in names)

    def init(self, parameters: Mapping[str, Array]) -> Slots:
        """Return fresh slots, all zero.

        Parameters
        ----------
        parameters : dict of str to ndarray
            What will be trained.

        Returns
        -------
        dict of str to dict of str to ndarray
            By parameter, then by slot; shape and dtype of the parameter.
        """
        return {name: {slot: np.zeros_like(p) for slot in self.slot_names} for name, p in parameters.items()}

    def update(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], slots: Slots, step: int
    ) -> None:
        """Make one update, in place.

        Parameters
        ----------
        parameters : dict of str to ndarray
            Overwritten.
        gradients : dict of str to ndarray
            The same names and shapes; read only.
        slots : dict
            From `init`, carried from one update to the next; overwritten.
        step : int
            How many updates were made before, on which schedules and Adam's bias correction depend.

        Raises
        ------
        InvalidInput
            Names, shapes or slots that do not fit.
        DivergedError
            The arithmetic overflows, as the square of a float32 gradient of 1e22 does: Adam would divide by
            infinity and never move that weight again. Nothing has been overwritten then.
        """
        at = check_whole("step", step, least=0)
        self._check(parameters, gradients, slots)
        made = []
        for name, p in parameters.items():
            held = [slots[name][slot] for slot in self.slot_names]
            try:
                # NaN and inf that are in the gradients already pass through, and show.
                with np.errstate(over="raise", invalid="ignore", divide="ignore"):
                    constants = [p.dtype.type(number) for number in self.constants(at, name)]
                    g = gradients[name].astype(p.dtype, copy=False)
                    made.append(self.formula(p, g, *held, *constants))
            except FloatingPointError:
                size = largest_magnitude({name: gradients[name]})
                raise DivergedError(
                    f"{name} must have an update that {p.dtype} can hold. Got an overflow at step {at}, "
                    f"largest gradient {size:.3g}: clip the gradients (ClipNorm), or lower the learning rate"
                ) from None
        # Written only now that all went well.
        for (name, p), (moved, *kept) in zip(parameters.items(), made, strict=True):
            p[...] = moved
            for slot, values in zip(self.slot_names, kept, strict=True):
                slots[name][slot][...] = values

    def _check(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], slots: Slots) -> None:
        for name in (*parameters, *gradients):
            if name not in parameters or name not in gradients:
                lacking = "gradients" if name in parameters else "parameters"
                raise InvalidInput(
                    f"gradients must have the names of the parameters. Got {name!r}, not in the {lacking}"
                )
        for name, p in parameters.items():
            if gradients[name].shape != p.shape:
                raise InvalidInput(
                    f"gradients[{name!r}] must have the parameter's shape {p.shape}. Got {gradients[name].shape}"
                )
            held = slots.get(name, {})
            if set(held) != set(self.slot_names) or any(each.shape != p.shape for each in held.values()):
                found = ", ".join(f"{slot} {each.shape}" for slot, each in held.items()) or "none"
                wanted = ", ".join(f"{slot} {p.shape}" for slot in self.slot_names) or "none"
                raise InvalidInput(
                    f"slots[{name!r}] must be {wanted} for {self.kind}. Got {found}: make them with init"
                )
