"""A cell's names resolved, and every message about a declaration that cannot be."""

# A formula names what it returns.
# ruff: noqa: RET504

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt.activations import sigmoid, tanh
from bptt.cells import GRU, LSTM, Cell, GRUResetBefore, PeepholeLSTM, Stage
from bptt.errors import InvalidInput
from bptt.network import Recurrent
from bptt.verify import check_cell
from tests.cells.foreign import CoupledOscillator, LeakyUnit

# ------------------------------------------------------------------ what a plan says


def test_one_gate_each() -> None:
    plan = LSTM().plan
    assert plan.states == ("h", "c")
    assert plan.gates == ("i", "f", "g", "o")
    assert plan.weights == {"W_xh": ("x", 4), "W_hh": ("h", 4)}
    assert plan.vectors == ()
    (stage,) = plan.stages
    assert stage.columns == ("a_i", "a_f", "a_g", "a_o")
    assert stage.bias_columns == (0, 1, 2, 3)
    assert [(p.weight, p.operand, p.kind, p.columns) for p in stage.products] == [
        ("W_xh", "x", "x", (0, 1, 2, 3)),
        ("W_hh", "h", "previous", (0, 1, 2, 3)),
    ]
    assert [s.name for s in stage.differentiable] == ["a_i", "a_f", "a_g", "a_o", "c_prev"]
    # New states are kept anyway; the pre-activations are not read by the backward.
    assert plan.saved == ("i", "f", "g", "o", "s")


def test_parts_kept_apart_have_a_column_each_and_the_bias_joins_the_inputs() -> None:
    (stage,) = GRU().plan.stages
    assert stage.columns == ("a_r", "a_z", "a_xn", "a_hn")
    assert stage.bias_columns == (0, 1, 2)
    assert [p.columns for p in stage.products] == [(0, 1, 2), (0, 1, 3)]
    assert [s.kind for s in stage.differentiable] == ["column"] * 4 + ["vector", "previous"]


def test_two_stages_share_their_weights() -> None:
    plan = GRUResetBefore().plan
    gates, candidate = plan.stages
    assert plan.gates == ("r", "z", "n")
    assert plan.weights == {"W_xh": ("x", 3), "W_hh": ("h", 3)}
    assert (gates.first_gate, candidate.first_gate) == (0, 2)
    assert [(p.weight, p.operand, p.kind, p.first_block) for p in candidate.products] == [
        ("W_xh", "x", "x", 2),
        ("W_hh", "k", "value", 2),
    ]
    assert {"k", "z", "r"} <= set(plan.saved)


def test_two_states_with_a_weight_from_each() -> None:
    plan = CoupledOscillator().plan
    assert plan.weights == {"W_xh": ("x", 1), "W_hh": ("h", 1), "W_vh": ("h", 1)}
    kinds = {s.name: s.kind for s in plan.stages[0].inputs}
    assert kinds == {
        "a_h": "column", "h_prev": "previous", "v_prev": "previous",
        "dt": "constant", "gamma": "constant", "epsilon": "constant",
    }  # fmt: skip


def test_without_a_backward_the_forwards_inputs_are_saved() -> None:
    class Bare(LeakyUnit):
        name = "bare"
        backward = None

    assert Bare().plan.saved == ("a_n",)
    assert Bare().plan.stages[0].backward is None


def test_vectors_are_named() -> None:
    assert PeepholeLSTM().plan.vectors == ("p_i", "p_f", "p_o")


def test_digest_tells_cells_apart() -> None:
    digests = [cell().plan.digest for cell in (LSTM, PeepholeLSTM, GRU, GRUResetBefore, LeakyUnit)]
    assert len(set(digests)) == len(digests)
    assert LSTM().plan.digest == LSTM().plan.digest


class Attenuation(Stage):
    """Reads a vector alone, and forms no product."""

    @staticmethod
    def forward(p_k: Any) -> Any:
        k = sigmoid(p_k)
        return k


class Attenuated(Stage):
    gates = ("h",)

    @staticmethod
    def forward(a_h: Any, k: Any, h_prev: Any) -> Any:
        h = k * tanh(a_h) + (1 - k) * h_prev
        return h


class VectorStage(Cell):
    name = "vector_stage"
    vectors = {"p_k": 0.5}
    stages = (Attenuation, Attenuated)


def test_a_stage_may_read_vectors_alone() -> None:
    assert check_cell(VectorStage, layers=(1,), max_entries=4).passed


# ------------------------------------------------------------------ what is refused


class Base(Cell):
    """One gate, one state; the cases below change one thing each."""

    name = "base"
    gates = ("h",)

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = tanh(a_h)
        return h


class NoName(Cell):
    gates = ("h",)
    forward = Base.forward


class HLast(Base):
    states = ("c", "h")


class NoStates(Base):
    states = ()


class TwiceTheGate(Base):
    gates = ("h", "h")


class StateNotReturned(Base):
    states = ("h", "c", "v")

    @staticmethod
    def forward(a_h: Any, c_prev: Any, v_prev: Any) -> Any:
        h = tanh(a_h + c_prev + v_prev)
        return h


class UnusedVector(Base):
    vectors = {"p_h": 0.0, "p_k": 0.0}


class VectorNamedLikeTheBias(Base):
    vectors = {"b_h": 0.0}

    @staticmethod
    def forward(a_h: Any, b_h: Any) -> Any:
        h = tanh(a_h + b_h)
        return h


class NoProduct(Base):
    gates = ()

    @staticmethod
    def forward(h_prev: Any) -> Any:
        h = tanh(h_prev)
        return h


class NoForward(Cell):
    name = "no_forward"
    gates = ("h",)


class First(Stage):
    gates = ("r",)

    @staticmethod
    def forward(a_r: Any) -> Any:
        r = sigmoid(a_r)
        return r


class Again(Stage):
    gates = ("n",)

    @staticmethod
    def forward(a_n: Any) -> Any:
        r = tanh(a_n)
        h = r
        return h, r


class ReturnedTwice(Cell):
    name = "returned_twice"
    stages = (First, Again)


class GateNotTaken(Base):
    @staticmethod
    def forward(a_n: Any) -> Any:
        h = tanh(a_n)
        return h


class GateTakenBothWays(Base):
    @staticmethod
    def forward(a_h: Any, a_xh: Any, a_hh: Any) -> Any:
        h = tanh(a_h + a_xh + a_hh)
        return h


class UnknownOperand(Base):
    products = {"W_xh": "x", "W_kh": "k"}


class InputAndState(Cell):
    """W_xh multiplies the input in one stage and a value in the other."""

    name = "input_and_state"

    class Second(Stage):
        gates = ("n",)
        products = {"W_xh": "r"}

        @staticmethod
        def forward(a_n: Any) -> Any:
            h = tanh(a_n)
            return h

    stages = (First, Second)


class UnknownArgument(Base):
    @staticmethod
    def forward(a_h: Any, tau: Any) -> Any:
        h = tanh(a_h) / tau
        return h


class TwoMeanings(Base):
    vectors = {"h_prev": 0.0}

    @staticmethod
    def forward(a_h: Any, h_prev: Any) -> Any:
        h = tanh(a_h + h_prev)
        return h


class GradientMissing(Base):
    @staticmethod
    def forward(a_h: Any, h_prev: Any) -> Any:
        h = tanh(a_h) + h_prev
        return h

    @staticmethod
    def backward(dh: Any, h: Any, h_prev: Any) -> Any:
        da_h = dh * (1 - (h - h_prev) * (h - h_prev))
        return da_h


class UnknownInBackward(Base):
    @staticmethod
    def backward(dh: Any, dz: Any) -> Any:
        da_h = dh * dz
        return da_h


class TwoMeaningsInBackward(Base):
    """A vector dh beside the gradient dh."""

    vectors = {"dh": 0.0}

    @staticmethod
    def forward(a_h: Any, dh: Any) -> Any:
        h = tanh(a_h + dh)
        return h

    @staticmethod
    def backward(dh: Any) -> Any:
        da_h = dh
        ddh = dh
        return da_h, ddh


class BrokenFormula(Base):
    @staticmethod
    def forward(a_h: Any) -> Any:
        h = a_h**2
        return h


NONE_OF_THESE = (
    "must be a pre-activation, a state (h_prev), an earlier result, a vector, a constant or a function of the cell. "
    "Got none of these: declare it, return it from forward, or mend the name"
)

REFUSED: list[tuple[type[Cell], str]] = [
    (NoName, "NoName.name must be a string: model files and messages use it. Got none"),
    (HLast, "HLast.states must start with 'h', the output. Got ('c', 'h')"),
    (NoStates, "NoStates.states must start with 'h', the output. Got ()"),
    (TwiceTheGate, "TwiceTheGate.gates must all differ. Got ('h', 'h')"),
    (StateNotReturned, "StateNotReturned: every state must be returned by a stage's forward. Got no c, v"),
    (UnusedVector, "UnusedVector.vectors must all be used in forward. Got unused p_h, p_k"),
    (VectorNamedLikeTheBias,
     "VectorNamedLikeTheBias.vectors must not use the name of a weight or of the gates' bias b_h. "
     "Got 'b_h': rename it"),
    (NoProduct, "NoProduct must have at least one gate with a product, such as W_xh. Got none"),
    (NoForward, "NoForward must have a forward. Got none: write it as a static method"),
    (ReturnedTwice, "ReturnedTwice.Again.forward returns r, which an earlier stage has returned"),
    (GateNotTaken, "GateNotTaken.forward must take gate h as a_h, or apart as a_xh, a_hh. Got arguments a_n"),
    (GateTakenBothWays,
     "GateTakenBothWays.forward must take gate h as a_h, or apart as a_xh, a_hh. Got arguments a_h, a_xh, a_hh"),
    (UnknownOperand,
     "UnknownOperand.products['W_kh'] must be 'x', a state or a result of an earlier stage. Got 'k'"),
    (InputAndState,
     "InputAndState.Second: weight W_xh must always multiply the input or never. Got both: use two names"),
    (UnknownArgument, f"UnknownArgument.forward: argument tau {NONE_OF_THESE}"),
    (TwoMeanings, "TwoMeanings.forward: argument h_prev must mean one thing. Got a vector and previous: rename one"),
    (GradientMissing, "GradientMissing.backward must return d + name for each array that forward takes: da_h, dh_prev. "
     "Got da_h"),
    (UnknownInBackward, f"UnknownInBackward.backward: argument dz {NONE_OF_THESE}"),
    (TwoMeaningsInBackward,
     "TwoMeaningsInBackward.backward: argument dh must mean one thing. Got a gradient and vector: rename one"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "message"), REFUSED, ids=lambda v: getattr(v, "__name__", ""))
def test_refusal_names_the_cell_and_the_rule(cell: type[Cell], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Recurrent(cell, 2, 3)
    assert str(caught.value) == message


def test_a_broken_formula_is_refused_with_its_line() -> None:
    line = BrokenFormula.forward.__code__.co_firstlineno + 2
    with pytest.raises(InvalidInput, match=rf"^BrokenFormula\.forward, line {line}: operators are \+ - \* /"):
        Recurrent(BrokenFormula, 2, 3)


def test_the_base_of_the_cases_is_sound() -> None:
    assert np.isfinite(Recurrent(Base, 2, 3).forward(np.ones((1, 2, 2)))[0]).all()
