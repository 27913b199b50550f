"""What a cell states about itself, before any of it is resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from bptt.activations import ACTIVATIONS, FUNCTIONS
from bptt.checks import check_choice, check_number
from bptt.errors import InvalidInput


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


class Declaration(Stage):
    """The declarations of a cell, and the options it was made with; `Cell` says what each attribute means."""

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

    def config(self) -> dict[str, Any]:
        """Return name and options: what a model file keeps."""
        return {"name": self.name, **self.options}

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{type(self).__name__}({inside})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declaration) and type(self) is type(other) and self.options == other.options

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.options.items())))
