"""A stack of recurrent layers: its settings, starting weights and passes, checked, batch first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from bptt.cells import Cell, get_cell
from bptt.checks import (
    Array,
    check_array,
    check_choice,
    check_dtype,
    check_lengths,
    check_number,
    check_whole,
)
from bptt.engine.blas import one_blas_thread
from bptt.engine.choice import ENGINES
from bptt.engine.tape import WANT
from bptt.errors import InvalidInput
from bptt.initializers import Initializer
from bptt.network.border import check_dropout_key, check_parameters, check_record
from bptt.network.constraints import RecurrentConstraint
from bptt.network.layers import DIRECTIONS, Layers
from bptt.network.parameters import choose_initializers, prefixes, start_cell
from bptt.network.records import Gradients, StackTape, State


class Recurrent(Layers):
    """A stack of recurrent layers of one cell.

    Parameters
    ----------
    cell : str, Cell or Cell subclass
        ``"elman"``, ``"gru"``, ``"gru_reset_before"``, ``"lstm"``, ``"lstm_peephole"``, or a cell of your own.
    input_size, hidden_size : int
        D and H.
    num_layers : int
        Layers stacked; each reads the outputs of the one below (of both directions).
    direction : {"forward", "reverse", "bidirectional"}
        "reverse" runs each row from its own last valid step to its first.
    bias : bool
        Whether there are ``b_h`` and the cell's ``b_*`` vectors.
    dropout : float
        Probability in [0, 1) of dropping an output between two layers, while training.
    dtype : {"float64", "float32"}
        Layers default to float64, for checking and teaching; float32 is faster.
    seed : int
        Of the starting weights.
    initializers : mapping of bare parameter name to Initializer or its name, optional
        By default input weights are Glorot uniform and recurrent ones orthogonal.
    mask, signs : ndarray (H, H) and (H,), optional
        Missing recurrent connections, and units of one sign (Dale's law): see `RecurrentConstraint`.
    engine : {"auto", "numpy", "compiled"}
        What runs the equations: machine code made from them when first needed, or NumPy, the reference. "auto" is
        "compiled" wherever that can run. They agree to rounding; complex numbers always go to NumPy.
    **options
        The cell's own, e.g. ``activation="relu"``.

    Attributes
    ----------
    parameters : dict of str to ndarray
        The live arrays: ``layers.0.W_xh`` (D, G * H), ``layers.0.W_hh`` (H, G * H), ``layers.0.b_h`` (G * H,),
        ``layers.1.reverse.W_xh``, ...

    Raises
    ------
    InvalidInput, InvalidType
        A setting that does not fit; the message names it.
    """

    def __init__(
        self,
        cell: str | Cell | type[Cell],
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        direction: str = "forward",
        bias: bool = True,
        dropout: float = 0.0,
        dtype: str = "float64",
        seed: int = 0,
        initializers: Mapping[str, Initializer | str] | None = None,
        mask: object = None,
        signs: object = None,
        engine: str = "auto",
        **options: Any,
    ) -> None:
        self.cell = get_cell(cell, options)
        self.input_size = check_whole("input_size", input_size)
        self.hidden_size = check_whole("hidden_size", hidden_size)
        self.num_layers = check_whole("num_layers", num_layers)
        self.direction = check_choice("direction", direction, DIRECTIONS)
        self.bias = bool(bias)
        self.dropout = check_number("dropout", dropout, least=0.0, below=1.0)
        self.dtype = check_dtype(dtype)
        self.seed = check_whole("seed", seed, least=0)
        self.engine = check_choice("engine", engine, ENGINES)
        if dropout and num_layers == 1:
            raise InvalidInput("dropout acts between layers and needs num_layers >= 2. Got num_layers = 1")
        self.constraint = RecurrentConstraint.make(mask, signs, self.hidden_size)
        if self.constraint is not None and not self._recurrent_weights:
            raise InvalidInput(
                "mask and signs act on recurrent weights and must be left out for a cell without it. "
                f"Got a cell with {', '.join(self.cell.plan.weights)}"
            )
        self.prefixes = prefixes(self.num_layers, self.directions)
        self.parameters = self._start(initializers)

    # ---------------------------------------------------------------- passes, batch first

    def forward(
        self,
        x: npt.ArrayLike,
        state: Mapping[str, npt.ArrayLike] | None = None,
        lengths: npt.ArrayLike | None = None,
        *,
        parameters: Mapping[str, Array] | None = None,
        dropout_key: tuple[int, int] | None = None,
    ) -> tuple[Array, State, StackTape]:
        """Run the stack over a batch.

        Parameters
        ----------
        x : array_like (B, T, D)
            Converted to the layer's dtype; complex input stays complex.
        state : mapping of state name to array_like (L * directions, B, H), optional
            Initial state; zeros where absent. Order: layer 0 forward, layer 0 reverse, layer 1 forward, ...
        lengths : array_like of int (B,), optional
            Valid steps of each row, 1..T. Outputs past the end are 0 and carry no gradient.
        parameters : mapping, optional
            Used in place of the layer's own.
        dropout_key : (seed, step), optional
            Draws dropout; without it nothing is dropped.

        Returns
        -------
        h : ndarray (B, T, H * directions)
            Outputs of the last layer.
        state : dict of state name to ndarray (L * directions, B, H)
            After each row's last valid step (the reverse direction's: after its first).
        tape : StackTape
            For `backward`.

        Raises
        ------
        InvalidInput, InvalidType
            Wrong shape, dtype or lengths.
        """
        parameters = check_parameters(self.parameters, parameters)
        dropout_key = check_dropout_key(dropout_key)
        x_t, state0, checked = self.check_inputs(x, state, lengths)
        with one_blas_thread():
            h, final, tape = self.run(x_t, state0, checked, parameters=parameters, dropout_key=dropout_key)
        assert h is not None
        return h.transpose(1, 0, 2), final, cast(StackTape, tape)

    def backward(
        self,
        tape: StackTape,
        dh: npt.ArrayLike | None = None,
        dstate: Mapping[str, npt.ArrayLike] | None = None,
        *,
        want: Collection[str] = WANT,
    ) -> Gradients:
        """Sweep back through time and layers.

        Parameters
        ----------
        tape : StackTape
            From `forward`; the same tape can be swept more than once.
        dh : array_like (B, T, H * directions), optional
            dL/dh of every output.
        dstate : mapping of state name to array_like (L * directions, B, H), optional
            dL/d(final state).
        want : collection of {"parameters", "x", "state0"}
            What to return; leaving out "x" saves a product.

        Returns
        -------
        Gradients
            Of the parameters, x (B, T, D) and the initial state.
        """
        check_record("tape", tape, StackTape, "forward")
        if len(tape.tapes) != len(self.prefixes) or tape.tapes[0].cell != self.cell:
            raise InvalidInput(
                f"tape must come from a pass of this stack. Got one of {len(tape.tapes)} layers"
            )
        wrong = set(want) - WANT
        if wrong:
            raise InvalidInput(
                f"want must hold only {', '.join(sorted(WANT))}. Got {', '.join(sorted(wrong))}"
            )
        batch = tape.tapes[0].x.shape[1]
        dtype = tape.tapes[0].states["h"].dtype
        dh_t = None
        if dh is not None:
            shape = [("B", batch), ("T", tape.steps), ("H", self.output_size)]
            dh_t = check_array("dh", dh, shape, dtype=dtype).transpose(1, 0, 2)
        with one_blas_thread():
            found = self.sweep(tape, dh_t, self.check_state("dstate", dstate, batch, dtype), want=want)
        return Gradients(
            found.parameters, None if found.x is None else found.x.transpose(1, 0, 2), found.state
        )

    def zero_state(self, batch: int) -> State:
        """Return a state of zeros for `batch` rows."""
        return {name: np.zeros(self.state_shape(batch), self.dtype) for name in self.states}

    # ---------------------------------------------------------------- what is checked before

    def check_inputs(
        self,
        x: npt.ArrayLike,
        state: Mapping[str, npt.ArrayLike] | None,
        lengths: npt.ArrayLike | None,
        *,
        copy: bool = True,
    ) -> tuple[Array, State | None, npt.NDArray[np.int64] | None]:
        """Return x time first, the state and the lengths, checked; what a tape will hold is copied."""
        reason = f"the layer was made with input_size = {self.input_size}"
        array = check_array(
            "x", x, [("B", None), ("T", None), ("D", self.input_size)], dtype=self.dtype, reason=reason
        )
        check_filled(array)
        batch, steps = array.shape[:2]
        checked = check_lengths(lengths, batch, steps)
        time_first = array.transpose(1, 0, 2)
        checked_state = self.check_state("state", state, batch, self.dtype)
        return time_first.copy() if copy else time_first, checked_state, checked

    def check_state(
        self, name: str, state: Mapping[str, npt.ArrayLike] | None, batch: int, dtype: np.dtype[Any]
    ) -> State | None:
        """Return a state in the stack's shape and dtype, checked, or None."""
        if state is None:
            return None
        if not isinstance(state, Mapping):
            raise InvalidInput(
                f"{name} must be a mapping with keys {', '.join(self.states)}. Got {type(state).__name__}"
            )
        unknown = [key for key in state if key not in self.states]
        if unknown:
            raise InvalidInput(
                f"{name} must have only the keys {', '.join(self.states)} of the {self.cell.name} cell. "
                f"Got {unknown[0]!r}"
            )
        shape = list(zip(("L * directions", "B", "H"), self.state_shape(batch), strict=True))
        return {
            key: check_array(f"{name}[{key!r}]", value, shape, dtype=dtype) for key, value in state.items()
        }

    # ---------------------------------------------------------------- configuration

    def config(self) -> dict[str, Any]:
        """Return what a model file keeps beside the arrays."""
        return {
            "cell": self.cell.config(),
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "direction": self.direction,
            "bias": self.bias,
            "dropout": self.dropout,
            "dtype": self.dtype.name,
            **({} if self.constraint is None else self.constraint.config()),
        }

    def __repr__(self) -> str:
        return (
            f"Recurrent({self.cell!r}, input_size={self.input_size}, hidden_size={self.hidden_size}, "
            f"num_layers={self.num_layers}, direction={self.direction!r}, dtype={self.dtype.name!r})"
        )

    def _start(self, initializers: Mapping[str, Initializer | str] | None) -> dict[str, Array]:
        chosen = choose_initializers(self.cell, initializers)
        rng = np.random.default_rng(self.seed)
        parameters: dict[str, Array] = {}
        for k, prefix in enumerate(self.prefixes):
            inputs = self.input_size if k < len(self.directions) else self.output_size
            made = start_cell(self.cell, inputs, self.hidden_size, self.bias, self.dtype, rng, chosen)
            for name, array in made.items():
                if self.constraint is not None and name in self._recurrent_weights:
                    array = self.constraint.start(array)
                parameters[prefix + name] = array
        return parameters


def check_filled(x: Array) -> None:
    """Raise unless x (B, T, D) holds a row and a step."""
    if 0 in x.shape[:2]:
        raise InvalidInput(f"x must hold at least one row and one step. Got shape {x.shape}")
