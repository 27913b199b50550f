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

from bptt.activations import SURROGATES
from bptt.cached import cached_property
from bptt.cells.declaration import Declaration, Stage
from bptt.cells.plan import CellPlan, StagePlan, make_plan

__all__ = ["Cell", "CellPlan", "Stage", "StagePlan"]


class Cell(Declaration):
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

    @cached_property
    def plan(self) -> CellPlan:
        """The equations, checked and resolved for an engine."""
        return make_plan(self)

    @property
    def surrogate(self) -> bool:
        """Whether the equations use a function whose derivative is replaced (a spiking unit)."""
        return any(stage.forward.called & set(SURROGATES) for stage in self.plan.stages)
