"""Engine against engine, and dtype against dtype: every output, state and gradient of one pass, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import check_choice, check_number, check_whole
from bptt.engine.choice import ENGINES, get_engine
from bptt.errors import GradientError, InvalidInput, InvalidType
from bptt.network import Gradients, Network, Recurrent, StackTape
from bptt.verify.networks import float64_copy, with_engine
from bptt.verify.report import GradientReport, TensorCheck
from bptt.verify.samples import random_input, random_state, random_targets, stack_of

Array = npt.NDArray[Any]

# Largest error of a tensor (of outputs and states: a step) over its largest entry. Where the recurrent gain is at most
# 1 two orders of summation agree to 5e-15 in float64, and float32 with float64 to 8e-7 of a tensor and 1.5e-6 of a
# step (measured); the bounds leave room for a step whose largest entry is small.
ENGINE_TOLERANCES = {"float64": 1e-12, "complex128": 1e-12, "float32": 5e-6}

State = Mapping[str, npt.ArrayLike]


@dataclass(frozen=True)
class _Runner:
    """An engine and the dtype that it runs in."""

    engine: str
    dtype: str

    @property
    def title(self) -> str:
        return f"{self.engine}:{self.dtype}"


def compare_engines(
    model: Network | Recurrent,
    x: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    *,
    engines: Sequence[str] | None = None,
    lengths: npt.ArrayLike | None = None,
    state: State | None = None,
    parameters: Mapping[str, Array] | None = None,
    rtol: float | None = None,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> GradientReport:
    """Run one pass and one sweep on several engines, and compare everything that comes out.

    Parameters
    ----------
    model : Network or Recurrent
        A `Recurrent` gets random upstream gradients on every output and final state, a `Network` its loss.
    x : array_like (B, T, D), optional
        Random if absent, and then so is `state`.
    y : array_like, optional
        Targets of a `Network`; random if absent.
    engines : sequence of str, optional
        Two or more of ``"NAME"`` or ``"NAME:DTYPE"``; DTYPE is float64, float32 or complex128, the model's own where
        left out. The first is the reference. Unless given, NumPy in float64 is the reference for what ``"auto"`` runs,
        in float64 (where that is another engine) and in float32.
    lengths, state, parameters
        As for `gradient_check`.
    rtol : float, optional
        1e-12 in float64 and complex128, 5e-6 in float32.
    seed : int
    raise_on_failure : bool

    Returns
    -------
    GradientReport
        Rows: outputs ``h`` or ``y_hat``, final states ``state.c``, every layer's states step by step
        (``layers.1.reverse.states.c``), gradients ``d...`` of x, states and parameters.

    Raises
    ------
    GradientError
        Two engines disagree: the message names tensor, entry and both numbers.
    InvalidInput, InvalidType
        Unknown engines, or all the same: an engine always agrees with itself.

    Notes
    -----
    All engines get the same numbers, rounded to the coarsest dtype among them, so that the comparison sees arithmetic
    and not the rounding of inputs. It is meant for a recurrent gain of at most 1: beyond it, rounding grows with time.
    """
    if not isinstance(model, (Network, Recurrent)):
        raise InvalidType(f"model must be a Network or a Recurrent. Got {type(model).__name__}")
    if engines is None:
        double = () if get_engine("auto").NAME == get_engine("numpy").NAME else ("auto:float64",)
        engines = ("numpy:float64", *double, "auto:float32")
    runners = _runners(engines, stack_of(model).dtype.name)
    rng = np.random.default_rng(check_whole("seed", seed, least=0))
    coarse = np.dtype(np.float32 if any(r.dtype == "float32" for r in runners) else np.float64)
    inputs = _inputs(model, x, y, lengths, state, parameters, rng, coarse)
    reference = _run(model, runners[0], inputs)
    rows: list[TensorCheck] = []
    for runner in runners[1:]:
        names = {runners[0].dtype, runner.dtype}
        bound = max(ENGINE_TOLERANCES[name] for name in names)
        tolerance = bound if rtol is None else check_number("rtol", rtol, above=0.0)
        found = _run(model, runner, inputs)
        for name, wanted in reference.items():
            if name in found and wanted.size:
                rows.append(_compare(name, found[name], wanted, tolerance, runner.title))
    title = f"{', '.join(r.title for r in runners[1:])} against {runners[0].title}"
    notes = ("complex128 runs forward only: its gradients are not compared",)
    report = GradientReport(
        tuple(rows), notes if any(r.dtype == "complex128" for r in runners) else (), title
    )
    return report.raise_if_failed() if raise_on_failure else report


def _runners(engines: Sequence[str], own: str) -> list[_Runner]:
    if isinstance(engines, str) or len(engines) < 2:
        raise InvalidInput(
            f"engines must be a sequence of at least two, the reference first. Got {engines!r}"
        )
    runners = []
    for text in engines:
        name, _, dtype = str(text).partition(":")
        check_choice("engines", name, ENGINES)
        runners.append(_Runner(name, check_choice("engines' dtype", dtype or own, ENGINE_TOLERANCES)))
    seen: dict[tuple[str, str], _Runner] = {}
    for runner in runners:
        # "auto" is one of the others under another name.
        key = (get_engine(runner.engine).NAME, runner.dtype)
        if key in seen:
            raise InvalidInput(
                f"engines must differ in name or dtype. Got {seen[key].title} and {runner.title}, which are the same: "
                "an engine always agrees with itself; compare with numpy:float32 or numpy:complex128, say"
            )
        seen[key] = runner
    return runners


@dataclass(frozen=True)
class _Inputs:
    """The same numbers for every engine, in float64."""

    x: Array
    state: dict[str, Array] | None
    lengths: Array | None
    parameters: dict[str, Array]
    y: Any
    dh: Array | None
    dstate: dict[str, Array] | None


def _inputs(
    model: Network | Recurrent,
    x: npt.ArrayLike | None,
    y: npt.ArrayLike | None,
    lengths: npt.ArrayLike | None,
    state: State | None,
    parameters: Mapping[str, Array] | None,
    rng: np.random.Generator,
    coarse: np.dtype[Any],
) -> _Inputs:
    def rounded(value: npt.ArrayLike) -> Array:
        return np.asarray(value).astype(coarse).astype(np.float64)

    stack = stack_of(model)
    checked = None if lengths is None else np.asarray(lengths)
    learned = isinstance(model, Network) and model.learned_initial_state
    array = rounded(random_input(model, rng, checked) if x is None else x)
    if x is None and state is None and not learned:
        state = random_state(stack, len(array), rng)
    twin = float64_copy(model, parameters)
    shape = (*array.shape[:2], stack.output_size)
    dh: Array | None = None
    dstate: dict[str, Array] | None = None
    if isinstance(model, Network):
        rows = array.shape[:2] if model.readout == "every" else array.shape[:1]
        y = random_targets(model, (*rows, model.output_size), rng) if y is None else np.asarray(y)
        y = y if model.loss.class_targets else rounded(y)
    elif y is not None:
        raise InvalidInput("y must be left out for a Recurrent, which has no loss. Got one")
    else:
        dh = rounded(rng.standard_normal(shape))
        size = stack.state_shape(len(array))
        dstate = {name: rounded(rng.standard_normal(size)) for name in stack.states}
    return _Inputs(
        array,
        None if state is None else {name: rounded(value) for name, value in state.items()},
        checked,
        {name: rounded(p) for name, p in twin.parameters.items()},
        y,
        dh,
        dstate,
    )


def _run(model: Network | Recurrent, runner: _Runner, inputs: _Inputs) -> dict[str, Array]:
    """Return every tensor of one pass and one sweep."""
    dtype = np.dtype(runner.dtype)
    found = with_engine(float64_copy(model), runner.engine)
    stack_of(found).dtype = np.dtype(np.float64) if dtype.kind == "c" else dtype
    parameters = {name: p.astype(dtype) for name, p in inputs.parameters.items()}
    x = inputs.x.astype(dtype)
    state = None if inputs.state is None else {name: s.astype(dtype) for name, s in inputs.state.items()}
    real = dtype.kind != "c"
    tensors: dict[str, Array] = {}
    if isinstance(found, Network):
        if real:
            result = found.loss_and_gradients(
                x, inputs.y, lengths=inputs.lengths, state=state, parameters=parameters, want_x=True
            )
            tensors.update(
                {"y_hat": result.y_hat, "loss": np.array(result.loss)}, **_of_gradients(result.gradients)
            )
            final = result.state
        else:
            record = found.forward(x, state, inputs.lengths, parameters=parameters, tape=False)
            tensors["y_hat"], final = record.y_hat, record.state
    else:
        h, final, tape = found.forward(x, state, inputs.lengths, parameters=parameters)
        tensors["h"] = h
        tensors.update(_of_tape(found, tape))
        if real:
            tensors.update(_of_gradients(found.backward(tape, inputs.dh, inputs.dstate)))
    tensors.update({f"state.{name}": s for name, s in final.items()})
    return tensors


def _of_gradients(gradients: Gradients) -> dict[str, Array]:
    found = {f"d{name}": d for name, d in gradients.parameters.items()}
    if gradients.x is not None:
        found["dx"] = gradients.x
    found.update({f"dstate.{name}": d for name, d in (gradients.state or {}).items()})
    return found


def _of_tape(stack: Recurrent, tape: StackTape) -> Iterator[tuple[str, Array]]:
    for prefix, one in zip(stack.prefixes, tape.tapes, strict=True):
        for name, states in one.states.items():
            yield f"{prefix}states.{name}", states


def _compare(name: str, found: Array, reference: Array, tolerance: float, method: str) -> TensorCheck:
    if found.shape != reference.shape:
        raise GradientError(
            f"{name} must have the reference's shape {reference.shape}. Got {found.shape} from {method}"
        )
    apart = np.abs(found.astype(np.complex128) - reference)
    axis = _slice_axis(name, reference)
    others = None if axis is None else tuple(k for k in range(reference.ndim) if k != axis)
    scale = np.max(np.abs(reference), axis=others, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where((apart == 0) & (scale == 0), 0.0, apart / scale)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(errors), np.inf, errors))), reference.shape)
    return TensorCheck(
        name,
        reference.shape,
        method,
        tuple(int(i) for i in worst),
        found[worst].item(),
        reference[worst].item(),
        float(errors[worst]),
        tolerance,
        reference.size,
    )


def _slice_axis(name: str, reference: Array) -> int | None:
    """Return the axis of steps of outputs, inputs and inner states, and of layers of initial and final states."""
    if ".states." in name or name.startswith(("state.", "dstate.")):
        return 0
    return 1 if name in ("h", "dx", "y_hat") and reference.ndim == 3 else None
