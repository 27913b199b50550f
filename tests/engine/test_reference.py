"""The reference engine by itself: time first, one layer, one direction."""

# A formula names what it returns.
# ruff: noqa: RET504

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptt.activations import tanh
from bptt.cells import CELLS, Cell, Elman
from bptt.engine import reference
from bptt.engine.tape import Sweep, Tape
from bptt.errors import InvalidType
from bptt.network import Recurrent
from bptt.verify import gradient_check, random_parameters
from tests.cells.contract import without_backward
from tests.cells.foreign import CoupledOscillator, LeakyUnit, MinimalGatedUnit, SpikingUnit

Array = npt.NDArray[Any]

T, B, D, H = 5, 4, 3, 7
LENGTHS = np.array([2, 5, 1, 4])
EXACT = {"rtol": 0.0, "atol": 0.0}
# The same sums in another order, float64, gain below 1.
SAME = {"rtol": 1e-11, "atol": 1e-13}

EVERY = [cell() for cell in (*CELLS.values(), LeakyUnit, MinimalGatedUnit, CoupledOscillator, SpikingUnit)]
EVERY += [without_backward(cell) for cell in EVERY]


class Case:
    """A cell with random parameters, input, state and cotangents."""

    def __init__(self, cell: Cell, rng: np.random.Generator) -> None:
        self.cell = cell
        layer = Recurrent(cell, D, H)
        self.parameters = {
            name.removeprefix("layers.0."): p for name, p in random_parameters(layer, rng).items()
        }
        self.x = rng.standard_normal((T, B, D))
        self.state0 = {name: rng.uniform(-0.6, 0.6, (B, H)) for name in cell.states}
        self.dh = rng.standard_normal((T, B, H))
        self.dstate = {name: rng.standard_normal((B, H)) for name in cell.states}

    def forward(self, lengths: Any = None, **options: Any) -> tuple[Array, dict[str, Array], Tape]:
        return reference.forward(self.cell, self.parameters, self.x, self.state0, lengths, **options)  # type: ignore[return-value]  # with the defaults all three are there

    def backward(self, tape: Tape, **options: Any) -> Sweep:
        return reference.backward(tape, self.dh, self.dstate, **options)


@pytest.fixture(params=EVERY, ids=lambda cell: cell.name)
def case(request: pytest.FixtureRequest, rng: np.random.Generator) -> Case:
    return Case(request.param, rng)


def arrays_of(sweep: Sweep) -> dict[str, Array]:
    found = {f"d{name}": d for name, d in (sweep.parameters or {}).items()}
    found.update({f"dstate0.{name}": d for name, d in (sweep.state0 or {}).items()})
    found.update({f"dstates.{name}": d for name, d in (sweep.states or {}).items()})
    return found if sweep.x is None else {**found, "dx": sweep.x}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["even", "ragged"])
def test_workspaces_may_hold_anything(case: Case, lengths: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What np.empty returns is NaN here; a value that is read before it is written would show."""
    want = {"parameters", "x", "state0", "states"}
    h, final, tape = case.forward(lengths)
    wanted = arrays_of(case.backward(tape, want=want))
    empty = np.empty

    def filled(*arguments: Any, **options: Any) -> Any:
        array = empty(*arguments, **options)
        array[...] = np.nan
        return array

    monkeypatch.setattr(np, "empty", filled)
    h_2, final_2, tape_2 = case.forward(lengths)
    found = arrays_of(case.backward(tape_2, want=want))
    _, final_3, _ = case.forward(lengths, outputs="last", tape=False)
    monkeypatch.undo()
    np.testing.assert_allclose(h_2, h, **EXACT)
    for name in final:
        np.testing.assert_allclose(final_2[name], final[name], **EXACT)
        np.testing.assert_allclose(final_3[name], final[name], **EXACT)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, err_msg=name, **EXACT)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["even", "ragged"])
def test_tape_holds_the_states_around_every_step(case: Case, lengths: Any) -> None:
    h, final, tape = case.forward(lengths)
    active = np.arange(T)[:, None] < (np.full(B, T) if lengths is None else lengths)
    for name, states in tape.states.items():
        assert states.shape == (T + 1, B, H)
        np.testing.assert_allclose(states[0], case.state0[name], **EXACT)
        np.testing.assert_allclose(states[T], final[name], **EXACT)
    np.testing.assert_allclose(h, np.where(active[:, :, None], tape.states["h"][1:], 0), **EXACT)
    assert tape.saved.keys() == set(case.cell.plan.saved)
    # A finished row carries its last state on.
    for t, row in zip(*np.nonzero(~active), strict=True):
        np.testing.assert_allclose(tape.states["h"][t + 1, row], tape.states["h"][t, row], **EXACT)


def test_gradients_of_the_inner_states_are_those_of_the_rest_of_the_sequence(case: Case) -> None:
    """`states` at t is dL/d(state) for a sequence that starts at t: downstream steps and all."""
    _, _, tape = case.forward()
    states = case.backward(tape, want={"states"}).states
    assert states is not None
    for t in range(T):
        start = {name: array[t] for name, array in tape.states.items()}
        _, _, rest = reference.forward(case.cell, case.parameters, case.x[t:], start)
        assert rest is not None
        found = reference.backward(rest, case.dh[t:], case.dstate, want={"state0"}).state0
        assert found is not None
        for name, d in found.items():
            # dL/dh_t of the step's own output joins on arrival, so it is not part of the rest's initial state.
            own = case.dh[t - 1] if name == "h" and t > 0 else 0.0
            np.testing.assert_allclose(states[name][t], d + own, **SAME)
    for name in case.cell.states:
        last = case.dstate[name] + (case.dh[-1] if name == "h" else 0.0)
        np.testing.assert_allclose(states[name][T], last, **SAME)


def test_only_the_outputs_or_the_last_state(case: Case) -> None:
    h, final, tape = case.forward(outputs="last")
    assert h is None
    assert tape is not None
    h, again, none = case.forward(tape=False)
    assert none is None
    for name in final:
        np.testing.assert_allclose(again[name], final[name], **EXACT)
    np.testing.assert_allclose(h, case.forward()[0], **EXACT)


def test_wanted_parts_and_no_others(case: Case) -> None:
    _, _, tape = case.forward(LENGTHS)
    whole = case.backward(tape, want={"parameters", "x", "state0", "states"})
    for part in ("parameters", "x", "state0", "states"):
        found = case.backward(tape, want={part})
        assert [
            name for name in ("parameters", "x", "state0", "states") if getattr(found, name) is not None
        ] == [part]
        for name, array in arrays_of(found).items():
            np.testing.assert_allclose(array, arrays_of(whole)[name], **EXACT)
    assert case.backward(tape).states is None


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtype_follows_the_arrays(case: Case, dtype: str) -> None:
    parameters = {name: p.astype(dtype) for name, p in case.parameters.items()}
    state0 = {name: s.astype(dtype) for name, s in case.state0.items()}
    h, final, tape = reference.forward(case.cell, parameters, case.x.astype(dtype), state0)
    assert h is not None
    assert tape is not None
    assert {h.dtype.name, *(s.dtype.name for s in final.values())} == {dtype}
    if dtype == "float32":
        found = reference.backward(tape, case.dh.astype(dtype), case.dstate)
        assert {array.dtype.name for array in arrays_of(found).values()} == {dtype}


@pytest.mark.parametrize("tensor", ["x", "W_xh", "W_hh", "b_h", "h"])
def test_complex_in_one_place_carries_a_directional_derivative(tensor: str, rng: np.random.Generator) -> None:
    case = Case(CELLS["gru"](), rng)
    _, _, tape = case.forward(LENGTHS)
    gradient = arrays_of(case.backward(tape))[{"x": "dx", "h": "dstate0.h"}.get(tensor, f"d{tensor}")]
    direction = rng.standard_normal(gradient.shape)
    store = {"x": case.__dict__, "h": case.state0}.get(tensor, case.parameters)
    store[tensor] = store[tensor] + 1e-20j * direction
    h, final, _ = case.forward(LENGTHS)
    along = np.imag(np.sum(h * case.dh) + sum(np.sum(final[n] * case.dstate[n]) for n in final)) / 1e-20
    assert np.sum(gradient * direction) == pytest.approx(along, rel=1e-12)


def test_no_input_columns_at_all(rng: np.random.Generator) -> None:
    case = Case(CELLS["lstm"](), rng)
    case.x, case.parameters["W_xh"] = case.x[:, :, :0], case.parameters["W_xh"][:0]
    _, _, tape = case.forward()
    found = case.backward(tape)
    assert found.x is not None
    assert found.x.shape == (T, B, 0)
    assert found.parameters is not None
    assert found.parameters["W_xh"].shape == (0, 4 * H)
    assert found.parameters["W_hh"].any()


class WithoutRecurrence(Cell):
    """Never looks back: H must be known without a W_hh."""

    name = "without_recurrence"
    gates = ("h", "k")
    products = {"W_xh": "x"}

    @staticmethod
    def forward(a_h: Any, a_k: Any) -> Any:
        h = tanh(a_h) * a_k
        return h


class CarriedOn(Cell):
    """Results that are plain numbers, and gradients that are."""

    name = "carried_on"
    states = ("h", "v")
    gates = ("h",)

    @staticmethod
    def forward(a_h: Any, v_prev: Any) -> Any:
        h = tanh(a_h) + 0 * v_prev
        v = 1.5
        return h, v

    @staticmethod
    def backward(dh: Any, h: Any) -> Any:
        da_h = dh * (1 - h * h)
        dv_prev = 0
        return da_h, dv_prev


@pytest.mark.parametrize("cell", [WithoutRecurrence, CarriedOn])
def test_odd_cells(cell: type[Cell]) -> None:
    for kind in (cell(), without_backward(cell())):
        layer = Recurrent(kind, 3, 5)
        report = gradient_check(
            layer, lengths=[2, 4, 1], parameters=random_parameters(layer, np.random.default_rng(1))
        )
        assert report.passed


def test_forward_mode_is_refused_in_complex_arithmetic(rng: np.random.Generator) -> None:
    case = Case(without_backward(Elman()), rng)
    case.x = case.x.astype(complex)
    _, _, tape = case.forward()
    with pytest.raises(InvalidType) as caught:
        case.backward(tape)
    assert str(caught.value) == (
        "a cell without a backward must be swept back in real arithmetic. Got complex states"
    )
