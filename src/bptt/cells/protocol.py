"""What a cell is: its equations, written once, and nothing of how they are run.

A cell is one or more *stages*. In a stage the engine first forms the matrix products and adds the bias, then runs
one elementwise `forward` over all units; in the backward sweep it runs `backward`, then the transposed products.
The names of a formula's arguments and results say what it reads and writes:

==============  =======================================================================================
``a_g``         pre-activation of gate g: the sum of all its products and its bias
``a_xg, a_hg``  the same kept apart by operand: the part from x (with the bias) and the part from h
``h_prev``      a state before the step; returned as ``h`` it is the state after it
``z``           any other name returned by `forward`: kept for `backward`, and for later stages
``p_i``         a vector parameter, one number a unit (`Cell.vectors`); ``b_*`` are biases
``tau``         a constant (`Cell.constants`), or a function (`Cell.functions`)
==============  =======================================================================================

`backward` takes any of these, and ``dz`` for a result ``z``; it returns ``d`` + name for every array that
`forward` took. Sums over units are not possible in a formula, so layer normalisation inside a cell, attention and
convolutional products cannot be expressed; nor can a step that depends on other sequences of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from bptt.activations import ACTIVATIONS, FUNCTIONS, SURROGATES
from bptt.cells.plan import CellPlan, StagePlan, make_plan
from bptt.checks import check_choice, check_number
from bptt.errors import InvalidInput

__all__ = ["Cell", "CellPlan", "Stage", "StagePlan"]


class Stage:
    """One round of products followed by one elementwise formula.

    Attributes
    ----------
    gates : tuple of str
        The pre-activations formed in this stage, in packing order.
    products : mapping of weight name to operand
        The operand is ``"x"``, a state (its value before the step) or a result of an earlier stage.
        A weight's columns are the blocks of the gates that use it, in the order of the cell's gates.
    forward : static method
        The elementwise step.
    backward : static method, optional
        Its derivative. Without one, forward-mode numbers take its place.
    """

    gates: ClassVar[tuple[str, ...]] = ()
    products: ClassVar[Mapping[str, str]] = {"W_xh": "x", "W_hh": "h"}
    forward: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any] | None] = None


class Cell(Stage):
    """A recurrent cell. Subclass it, state the equations, and every engine runs it.

    A cell of one stage states `gates`, `products`, `forward` and `backward` itself; one of several lists `stages`.

    Parameters
    ----------
    **options
        Other values for the cell's `constants` and `functions`, e.g. ``Elman(activation="relu")``.

    Attributes
    ----------
    name : str
        What model files and messages call it.
    states : tuple of str
        The first is ``"h"``, the output.
    vectors : mapping of str to float
        Per-unit parameters and the value they start at. Those named ``b_*`` are biases: absent with ``bias=False``.
    bias_start : mapping of gate to float
        What a gate's bias starts at, where that is not 0.
    constants : mapping of str to float
        Fixed numbers in the equations.
    functions : mapping of str to str
        Arguments that receive an activation, by name; ``NAME_derivative`` then receives its derivative.
    """

    name: ClassVar[str]
    states: ClassVar[tuple[str, ...]] = ("h",)
    stages: ClassVar[tuple[type[Stage], ...]] = ()
    vectors: ClassVar[Mapping[str, float]] = {}
    bias_start: ClassVar[Mapping[str, float]] = {}
    constants: ClassVar[Mapping[str, float]] = {}
    functions: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **options: Any) -> None:
        allowed = {**self.constants, **self.functions}
        for key in options:
            if key not in allowed:
                title = getattr(self, "name", type(self).__name__)
                raise InvalidInput(
                    f"option of the {title} cell must be one of {', '.join(allowed) or '(it takes none)'}. "
                    f"Got {key!r}"
                )
        self.options: dict[str, Any] = {**allowed, **options}
        for key in self.constants:
            self.options[key] = check_number(key, self.options[key])
        for key in self.functions:
            check_choice(key, self.options[key], ACTIVATIONS)

    @cached_property
    def plan(self) -> CellPlan:
        """The equations, checked and resolved for an engine."""
        return make_plan(self)

    @property
    def all_stages(self) -> tuple[type[Stage], ...]:
        """The stages in order; a cell without a list is its own single stage."""
        return self.stages or (type(self),)

    @property
    def all_gates(self) -> tuple[str, ...]:
        """Every gate in packing order."""
        return tuple(gate for stage in self.all_stages for gate in stage.gates)

    @property
    def bound_functions(self) -> dict[str, Callable[..., Any]]:
        """What each function argument receives, derivatives included."""
        found: dict[str, Callable[..., Any]] = {}
        for key in self.functions:
            found[key] = FUNCTIONS[self.options[key]]
            found[f"{key}_derivative"] = FUNCTIONS[f"{self.options[key]}_derivative"]
        return found

    @property
    def surrogate(self) -> bool:
        """Whether the equations use a function whose derivative is replaced (a spiking unit)."""
        return any(stage.forward.called & set(SURROGATES) for stage in self.plan.stages)

    def config(self) -> dict[str, Any]:
        """Return name and options: what a model file keeps."""
        return {"name": self.name, **self.options}

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{type(self).__name__}({inside})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and type(self) is type(other) and self.options == other.options

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.options.items())))
