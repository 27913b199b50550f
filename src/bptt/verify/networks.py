"""The gradient check of layers and networks: every parameter, the input and the initial state."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.cells import Cell
from bptt.checks import check_array, check_whole
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Gradients, Network, Recurrent
from bptt.verify.any_function import function_arguments
from bptt.verify.differences import Array, Problem
from bptt.verify.gradients import check_gradients, check_methods, compare
from bptt.verify.report import GradientReport, TensorCheck
from bptt.verify.samples import random_input, random_state, random_targets, stack_of

# The engine whose forward pass carries complex numbers; central differences use the model's own.
COMPLEX_ENGINE = "numpy"

State = Mapping[str, npt.ArrayLike]


def gradient_check(
    model: Network | Recurrent | Callable[[dict[str, Array]], Any],
    x: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    y: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    *,
    lengths: npt.ArrayLike | None = None,
    state: State | None = None,
    weights: npt.ArrayLike | None = None,
    y_start: npt.ArrayLike | None = None,
    dropout_key: tuple[int, int] | None = None,
    parameters: Mapping[str, Array] | None = None,
    methods: Sequence[str] | None = None,
    rtol: float | Mapping[str, float] | None = None,
    max_entries: int | Mapping[str, int] | None = None,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> GradientReport:
    """Check the gradients of a network's loss, of a layer under random upstream gradients, or of any function.

    Parameters
    ----------
    model : Network, Recurrent or callable
        Of a `Network` the loss is checked. A `Recurrent` gets a random cotangent on every output and on every final
        state: L = sum(h R) + sum(state S). The model's own arrays are neither changed nor used.
        A function from a dict of arrays to one number comes with `x`, its parameters by name, and `y`, the gradients
        to be checked: ``gradient_check(loss, parameters, gradients)`` is `check_gradients`.
    x : array_like (B, T, D), optional
        Random if absent, and then so is `state`.
    y : array_like, optional
        Targets of a `Network`; random if absent.
    lengths, state, weights, y_start, dropout_key
        As for `Network.loss_and_gradients`. With feedback the gradient of `y_start` is checked too.
    parameters : mapping, optional
        Used in place of the model's own. A fresh model's biases are zero, which can hide mistakes:
        `random_parameters` moves them.
    methods : sequence of {"complex", "central"}
        The complex step runs the forward pass of the reference engine, central differences that of the model's engine.
        Both unless given; of a function, which need not carry complex numbers, central differences.
    rtol : float or mapping of method to float, optional
        Largest error of a tensor over its largest entry (of x and states, slice by slice: a step; a layer and
        direction). 1e-12 for the complex step, 1e-7 for central differences. A tensor whose terms all cancel is
        judged against 1e-4 of the largest gradient of any parameter: what is left of it is rounding.
    max_entries : int or mapping of method to int, optional
        How many entries of a tensor are taken one by one, 32 by the complex step and 8 by central differences; one
        random direction through all of them holds the rest, and where it fails a wrong entry is searched for.
    seed : int
        Of everything that is drawn.
    raise_on_failure : bool

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientError
        A gradient is wrong: the message names tensor, entry and both numbers.
    InvalidInput, InvalidType
        Arguments that do not fit the model.

    Notes
    -----
    Everything runs in float64: a float32 model is checked with its parameters cast up, and the report says so. A cell
    that uses `spike` is checked against its surrogate: the complex step carries the surrogate's slope and is judged,
    central differences see the true step and are only shown.
    """
    if isinstance(x, Mapping) or isinstance(y, Mapping):
        # Nothing else that is said about a model has a meaning for a function.
        alone = all(o is None for o in (lengths, state, weights, y_start, dropout_key, parameters))
        loss_function, at, claimed = function_arguments(model, x, y, alone)
        return check_gradients(
            loss_function,
            at,
            claimed,
            methods=("central",) if methods is None else methods,
            rtol=rtol,
            max_entries=max_entries,
            seed=seed,
            raise_on_failure=raise_on_failure,
        )
    chosen = check_methods(("complex", "central") if methods is None else methods)
    rng = np.random.default_rng(check_whole("seed", seed, least=0))
    if isinstance(model, Network):
        given = _given(model, x, lengths, state, parameters, rng)
        case: _Case = _NetworkCase(given, y, weights, y_start, dropout_key, rng)
    elif isinstance(model, Recurrent):
        for name, value in (("y", y), ("weights", weights), ("y_start", y_start)):
            if value is not None:
                raise InvalidInput(
                    f"{name} must be left out for a Recurrent, which has no loss. Got one: put it into a Network"
                )
        case = _LayerCase(_given(model, x, lengths, state, parameters, rng), dropout_key, rng)
    else:
        raise InvalidType(
            f"model must be a Network or a Recurrent. Got {type(model).__name__}: check_gradients takes any function"
        )
    rows = _check(case, chosen, rtol, max_entries, seed)
    report = GradientReport(rows, _notes(model, chosen), f"gradient check of {model!r}")
    return report.raise_if_failed() if raise_on_failure else report


class _Given:
    """What a check runs on, in float64: a copy of the model, its tensors, and the lengths."""

    def __init__(self, model: Network | Recurrent, tensors: dict[str, Array], lengths: Array | None) -> None:
        self.model: Any = model
        self.tensors, self.lengths = tensors, lengths
        self.parameter_names = tuple(model.parameters)
        self.states = tuple(name for name in tensors if name.startswith("state."))

    @property
    def slices(self) -> dict[str, int]:
        return {"x": 1, **dict.fromkeys(self.states, 0)}


def _given(
    model: Any,
    x: npt.ArrayLike | None,
    lengths: npt.ArrayLike | None,
    state: State | None,
    parameters: Mapping[str, Array] | None,
    rng: np.random.Generator,
) -> _Given:
    twin = float64_copy(model, parameters)
    stack = stack_of(twin)
    checked = None if lengths is None else np.asarray(lengths)
    # A network that learns its initial state has among its parameters what is not handed in.
    learned = isinstance(twin, Network) and twin.learned_initial_state
    if x is None:
        array = random_input(twin, rng, checked)
        if state is None and not learned:
            state = random_state(stack, len(array), rng)
    else:
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise InvalidType(f"x must hold real numbers. Got dtype {array.dtype}")
        array = array.astype(np.float64)
    # Whoever hands in something wrong hears it from the model itself, as in training.
    twin.forward(array, state, checked)
    tensors = {**twin.parameters, "x": array}
    full = {**({} if learned else stack.zero_state(len(array))), **(state or {})}
    tensors.update({f"state.{name}": np.array(value, np.float64) for name, value in full.items()})
    return _Given(twin, tensors, checked)


def float64_copy(model: Any, parameters: Mapping[str, Array] | None = None) -> Any:
    """Return the model with float64 copies of its parameters, or of those given; nothing is shared with it."""
    used = model.parameters if parameters is None else parameters
    for name, p in model.parameters.items():
        if name not in used or np.shape(used[name]) != p.shape:
            got = np.shape(used[name]) if name in used else "none"
            raise InvalidInput(f"parameters must hold {name} of shape {p.shape}. Got {got}")
    found = copy.copy(model)
    if isinstance(model, Network):
        own = {name: used[name] for name in model.recurrent.parameters}
        found.recurrent = float64_copy(model.recurrent, own)
    else:
        found.dtype = np.dtype(np.float64)
    found.parameters = {name: np.array(used[name], np.float64) for name in model.parameters}
    return found


def with_engine(model: Any, engine: str) -> Any:
    """Return the model run by another engine; the arrays are shared."""
    found = copy.copy(model)
    if isinstance(model, Network):
        found.recurrent = with_engine(model.recurrent, engine)
    else:
        found.engine = engine
    return found


class _Case(ABC):
    """A scalar loss of a model: its gradients by the sweep back, and its values."""

    def __init__(self, given: _Given, dropout_key: tuple[int, int] | None) -> None:
        self.given, self.dropout_key = given, dropout_key

    @abstractmethod
    def gradients(self) -> Gradients:
        """Return what the sweep back claims."""

    @abstractmethod
    def problem(self, engine: str | None) -> Problem:
        """Return the loss as a function of the tensors, run by an engine (None: the model's own)."""

    def model(self, engine: str | None) -> Any:
        return self.given.model if engine is None else with_engine(self.given.model, engine)

    def state(self, arrays: Mapping[str, Array]) -> dict[str, Array] | None:
        return {name.removeprefix("state."): arrays[name] for name in self.given.states} or None

    def parameters(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: arrays[name] for name in self.given.parameter_names}


class _LayerCase(_Case):
    """L = sum(h R) + sum over states of sum(state S), with normal R and S."""

    def __init__(self, given: _Given, dropout_key: tuple[int, int] | None, rng: np.random.Generator) -> None:
        super().__init__(given, dropout_key)
        stack: Recurrent = given.model
        batch, steps, _ = given.tensors["x"].shape
        self.R = rng.standard_normal((batch, steps, stack.output_size))
        self.S = {name: rng.standard_normal(stack.state_shape(batch)) for name in stack.states}

    def gradients(self) -> Gradients:
        stack: Recurrent = self.given.model
        _, _, tape = self._forward(stack, self.given.tensors, 1)
        return stack.backward(tape, self.R, self.S)

    def problem(self, engine: str | None) -> Problem:
        stack: Recurrent = self.model(engine)
        given = self.given

        def losses(name: str, variants: Array) -> Array:
            if (name == "x" or name in given.states) and self.dropout_key is None:
                # Rows do not see each other, so all variants go through as one batch (whose dropout would differ).
                return self._losses(stack, {**given.tensors, name: _joined(name, variants)}, len(variants))
            found = [self._losses(stack, {**given.tensors, name: variant}, 1)[0] for variant in variants]
            return np.array(found)

        h, final, _ = self._forward(stack, given.tensors, 1)
        magnitude = float(np.abs(h * self.R).sum() + sum(np.abs(final[n] * self.S[n]).sum() for n in final))
        return Problem(given.tensors, losses, given.slices, magnitude)

    def _losses(self, stack: Recurrent, arrays: Mapping[str, Array], copies: int) -> Array:
        h, final, _ = self._forward(stack, arrays, copies)
        total = (h.reshape(copies, *self.R.shape) * self.R).sum(axis=(1, 2, 3))
        for name, S in self.S.items():
            apart = final[name].reshape(len(S), copies, *S.shape[1:])
            total = total + (apart * S[:, None]).sum(axis=(0, 2, 3))
        return np.asarray(total)

    def _forward(self, stack: Recurrent, arrays: Mapping[str, Array], copies: int) -> tuple[Array, Any, Any]:
        batch = len(self.R)
        x = arrays["x"]
        state = self.state(arrays) or {}
        if copies > 1:
            x = x if len(x) == copies * batch else np.tile(x, (copies, 1, 1))
            state = {
                n: s if s.shape[1] == copies * batch else np.tile(s, (1, copies, 1)) for n, s in state.items()
            }
        lengths = None if self.given.lengths is None else np.tile(self.given.lengths, copies)
        return stack.forward(
            x, state, lengths, parameters=self.parameters(arrays), dropout_key=self.dropout_key
        )


def _joined(name: str, variants: Array) -> Array:
    """Return variants (P, B, T, D) or (P, L, B, H) with P and B as one axis of rows."""
    if name == "x":
        return variants.reshape(-1, *variants.shape[2:])
    P, L, B, H = variants.shape
    return variants.transpose(1, 0, 2, 3).reshape(L, P * B, H)


class _NetworkCase(_Case):
    """The loss of a network on one batch."""

    def __init__(
        self,
        given: _Given,
        y: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        y_start: npt.ArrayLike | None,
        dropout_key: tuple[int, int] | None,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(given, dropout_key)
        net: Network = given.model
        self.options: dict[str, Any] = {
            "weights": weights,
            "lengths": given.lengths,
            "dropout_key": dropout_key,
        }
        if net.feedback:
            shape = (len(given.tensors["x"]), net.output_size)
            start = np.zeros(shape) if y_start is None else y_start
            given.tensors["y_start"] = check_array(
                "y_start", start, [("B", shape[0]), ("K", shape[1])]
            ).astype(float)
        elif y_start is not None:
            raise InvalidInput("y_start must be left out of a network without feedback. Got one")
        if y is None:
            batch, steps, _ = given.tensors["x"].shape
            rows = (batch, steps) if net.readout == "every" else (batch,)
            y = random_targets(net, (*rows, net.output_size), rng)
        self.y = y

    def gradients(self) -> Gradients:
        net: Network = self.given.model
        arrays = self.given.tensors
        found = net.loss_and_gradients(
            arrays["x"],
            self.y,
            state=self.state(arrays),
            y_start=arrays.get("y_start"),
            want_x=True,
            **self.options,
        )
        return found.gradients

    def problem(self, engine: str | None) -> Problem:
        net: Network = self.model(engine)

        def value(arrays: Mapping[str, Array]) -> Any:
            return net.loss_value(
                arrays["x"],
                self.y,
                state=self.state(arrays),
                y_start=arrays.get("y_start"),
                parameters=self.parameters(arrays),
                **self.options,
            )

        tensors = self.given.tensors

        def losses(name: str, variants: Array) -> Array:
            return np.array([value({**tensors, name: variant}) for variant in variants], variants.dtype)

        return Problem(tensors, losses, self.given.slices, abs(float(value(tensors))))


def _check(
    case: _Case,
    methods: Sequence[str],
    rtol: float | Mapping[str, float] | None,
    max_entries: int | Mapping[str, int] | None,
    seed: int,
) -> tuple[TensorCheck, ...]:
    """Compare every gradient of a case."""
    found = case.gradients()
    claimed = {name: found.parameters[name] for name in case.given.parameter_names}
    if found.x is not None:
        claimed["x"] = found.x
    if found.y_start is not None:
        claimed["y_start"] = found.y_start
    for name in case.given.states:
        claimed[name] = (found.state or {})[name.removeprefix("state.")]
    problems = {"complex": case.problem(COMPLEX_ENGINE)} if "complex" in methods else {}
    surrogate = stack_of(case.given.model).cell.surrogate
    return compare(
        case.problem(None),
        claimed,
        methods=methods,
        rtol=rtol,
        max_entries=max_entries,
        seed=seed,
        shown_only=frozenset({"central"}) if surrogate else frozenset(),
        problems=problems,
    )


def _notes(model: Network | Recurrent, methods: Sequence[str]) -> tuple[str, ...]:
    stack = stack_of(model)
    notes = []
    if stack.dtype != np.float64:
        notes.append(f"parameters were cast from {stack.dtype.name} to float64 for the check")
    if stack.cell.surrogate:
        notes.append(surrogate_note(stack.cell, methods))
    return tuple(notes)


def surrogate_note(cell: Cell, methods: Sequence[str]) -> str:
    """Return what a report says of a cell whose stated derivative is not that of its value."""
    shown = "; central differences see the true step, and are shown, not judged"
    return (
        f"the {cell.name} cell has a surrogate gradient: the complex step carries the surrogate's slope"
        + (shown if "central" in methods else "")
    )
