"""Backward passes with one mistake each, of the kinds that people publish. The check must catch every one."""

# A formula names what it returns.
# ruff: noqa: RET504

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.activations import tanh
from bptt.cells import GRU, LSTM, Cell, Elman, PeepholeLSTM
from bptt.engine import reference
from bptt.network import Recurrent, windowed

# ------------------------------------------------------------------ mistakes in a cell's equations


class DroppedUpstream(LSTM):
    """What arrives at c from the next step is left out."""

    name = "dropped_upstream"

    @staticmethod
    def backward(dh: Any, i: Any, f: Any, g: Any, o: Any, s: Any, c_prev: Any) -> Any:
        do = dh * s
        dc_t = dh * o * (1 - s * s)
        dc_prev = dc_t * f
        da_o = do * o * (1 - o)
        da_g = dc_t * i * (1 - g * g)
        da_f = dc_t * c_prev * f * (1 - f)
        da_i = dc_t * g * i * (1 - i)
        return da_i, da_f, da_g, da_o, dc_prev


class ForgetSeesNewState(LSTM):
    """c_t stands where c_{t-1} belongs in the forget gate's gradient."""

    name = "forget_sees_new_state"

    @staticmethod
    def backward(dh: Any, dc: Any, i: Any, f: Any, g: Any, o: Any, s: Any, c: Any) -> Any:
        do = dh * s
        dc_t = dc + dh * o * (1 - s * s)
        dc_prev = dc_t * f
        da_o = do * o * (1 - o)
        da_g = dc_t * i * (1 - g * g)
        da_f = dc_t * c * f * (1 - f)
        da_i = dc_t * g * i * (1 - i)
        return da_i, da_f, da_g, da_o, dc_prev


class MissingOneMinusZ(GRU):
    """The candidate gets all of dh, not its share 1 - z."""

    name = "missing_one_minus_z"

    @staticmethod
    def backward(dh: Any, r: Any, z: Any, n: Any, q: Any, h_prev: Any) -> Any:
        dh_prev = dh * z
        dz = dh * (h_prev - n)
        da_xn = dh * (1 - n * n)
        dr = da_xn * q
        da_hn = da_xn * r
        db_hn = da_xn * r
        da_z = dz * z * (1 - z)
        da_r = dr * r * (1 - r)
        return da_r, da_z, da_xn, da_hn, db_hn, dh_prev


class FlippedSign(GRU):
    """n - h_{t-1} instead of h_{t-1} - n in the update gate."""

    name = "flipped_sign"

    @staticmethod
    def backward(dh: Any, r: Any, z: Any, n: Any, q: Any, h_prev: Any) -> Any:
        dh_prev = dh * z
        dz = dh * (n - h_prev)
        da_xn = dh * (1 - z) * (1 - n * n)
        dr = da_xn * q
        da_hn = da_xn * r
        db_hn = da_xn * r
        da_z = dz * z * (1 - z)
        da_r = dr * r * (1 - r)
        return da_r, da_z, da_xn, da_hn, db_hn, dh_prev


class ResetOnTheWrongSide(GRU):
    """The reset gate multiplies the input's part of the candidate, not the recurrent one."""

    name = "reset_on_the_wrong_side"

    @staticmethod
    def backward(dh: Any, r: Any, z: Any, n: Any, q: Any, h_prev: Any) -> Any:
        dh_prev = dh * z
        dz = dh * (h_prev - n)
        da_hn = dh * (1 - z) * (1 - n * n)
        dr = da_hn * q
        da_xn = da_hn * r
        db_hn = da_hn * r
        da_z = dz * z * (1 - z)
        da_r = dr * r * (1 - r)
        return da_r, da_z, da_xn, da_hn, db_hn, dh_prev


class DerivativeOfTheInput(Elman):
    """1 - a^2 instead of 1 - h^2."""

    name = "derivative_of_the_input"
    functions = {}

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = tanh(a_h)
        return h

    @staticmethod
    def backward(dh: Any, a_h: Any) -> Any:
        da_h = dh * (1 - a_h * a_h)
        return da_h


class PeepholeSeesOldState(PeepholeLSTM):
    """The output gate's peephole looks at c_t; its gradient is taken with c_{t-1}."""

    name = "peephole_sees_old_state"

    @staticmethod
    def backward(
        dh: Any, dc: Any, i: Any, f: Any, g: Any, o: Any, s: Any, c_prev: Any, p_i: Any, p_f: Any, p_o: Any
    ) -> Any:
        do = dh * s
        da_o = do * o * (1 - o)
        dp_o = da_o * c_prev
        dc_t = dc + dh * o * (1 - s * s) + da_o * p_o
        da_g = dc_t * i * (1 - g * g)
        da_f = dc_t * c_prev * f * (1 - f)
        dp_f = da_f * c_prev
        da_i = dc_t * g * i * (1 - i)
        dp_i = da_i * c_prev
        dc_prev = dc_t * f + da_f * p_f + da_i * p_i
        return da_i, da_f, da_g, da_o, dc_prev, dp_i, dp_f, dp_o


# Cell -> the tensors that come out wrong in one layer; every other one must come out right.
BROKEN_CELLS: dict[type[Cell], set[str]] = {
    DroppedUpstream: {"W_xh", "W_hh", "b_h", "x", "state.h", "state.c"},
    ForgetSeesNewState: {"W_xh", "W_hh", "b_h", "x", "state.h", "state.c"},
    MissingOneMinusZ: {"W_xh", "W_hh", "b_h", "b_hn", "x", "state.h"},
    FlippedSign: {"W_xh", "W_hh", "b_h", "b_hn", "x", "state.h"},
    ResetOnTheWrongSide: {"W_xh", "W_hh", "b_h", "b_hn", "x", "state.h"},
    DerivativeOfTheInput: {"W_xh", "W_hh", "b_h", "x", "state.h"},
    PeepholeSeesOldState: {"p_o"},
}


# ------------------------------------------------------------------ mistakes in the sweep through time
# They are made in the reference engine: engine="numpy".


def later_state_in_the_weight_gradient(patch: pytest.MonkeyPatch) -> None:
    """h_t where h_{t-1} belongs: dW_hh = sum h_t^T da_t."""
    right = reference._operand

    def operand(tape: Any, product: Any) -> Any:
        return tape.states[product.operand][1:] if product.kind == "previous" else right(tape, product)

    patch.setattr(reference, "_operand", operand)


def weight_not_transposed(patch: pytest.MonkeyPatch) -> None:
    """da W_hh instead of da W_hh^T."""

    def push(self: Any, da: Any, gradients: Any, dprevious: Any) -> None:
        for product in self.plan.products:
            if product.kind == "previous":
                found = np.matmul(da, self.blocks[product.weight]).sum(axis=0)
                reference._add(dprevious, product.operand, found)

    patch.setattr(reference._StageRun, "push_products_back", push)


def one_step_only(patch: pytest.MonkeyPatch) -> None:
    """Nothing goes back through W_hh: the gradient of one step, repeated."""
    patch.setattr(reference._StageRun, "push_products_back", lambda *_: None)


def _around(change: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Return a mistake made by changing what the engine's sweep is given or what it returns."""

    def mistake(patch: pytest.MonkeyPatch) -> None:
        right = reference.backward

        def backward(tape: Any, dh: Any = None, dstate_T: Any = None, **options: Any) -> Any:
            return change(right, tape, dh, dstate_T, options)

        patch.setattr(reference, "backward", backward)

    return mistake


def _no_last_state(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    return right(tape, dh, None, **options)


def _bias_by_itself(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    found = right(tape, dh, dstate, **options)
    found.parameters["b_h"][...] = tape.parameters["b_h"]
    return found


def _bias_averaged(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    found = right(tape, dh, dstate, **options)
    found.parameters["b_h"][...] /= len(tape.x)
    return found


def _time_reversed(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    return right(tape, dh[::-1], dstate, **options)


def _inner_steps_missing(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    ends = np.zeros_like(dh)
    ends[-1] = dh[-1]
    return right(tape, ends, dstate, **options)


def _leak_past_the_end(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    return right(dataclasses.replace(tape, lengths=None), dh, dstate, **options)


def _no_initial_state(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    found = right(tape, dh, dstate, **options)
    return dataclasses.replace(found, state0={name: np.zeros_like(d) for name, d in found.state0.items()})


def _first_input_step_lost(right: Any, tape: Any, dh: Any, dstate: Any, options: Any) -> Any:
    found = right(tape, dh, dstate, **options)
    found.x[0] = 0
    return found


# Mistake -> the tensors of a one-layer Elman network that come out wrong; every other one must come out right.
BROKEN_SWEEPS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], set[str]]] = {
    "h_t for h_(t-1) in dW_hh": (later_state_in_the_weight_gradient, {"W_hh"}),
    "W_hh not transposed": (weight_not_transposed, {"W_xh", "W_hh", "b_h", "x", "state.h"}),
    "nothing through W_hh": (one_step_only, {"W_xh", "W_hh", "b_h", "x", "state.h"}),
    "no gradient of the last state": (_around(_no_last_state), {"W_xh", "W_hh", "b_h", "x", "state.h"}),
    "bias updated by itself": (_around(_bias_by_itself), {"b_h"}),
    "bias averaged over time": (_around(_bias_averaged), {"b_h"}),
    "dh turned around in time": (_around(_time_reversed), {"W_xh", "W_hh", "b_h", "x", "state.h"}),
    "dh of the inner steps missing": (_around(_inner_steps_missing), {"W_xh", "W_hh", "b_h", "x", "state.h"}),
    "no gradient of the initial state": (_around(_no_initial_state), {"state.h"}),
    "dx of the first step missing": (_around(_first_input_step_lost), {"x"}),
}

# Seen only with rows of unequal length.
leak_past_the_end = _around(_leak_past_the_end)


# ------------------------------------------------------------------ mistakes in the stack and the readout


def reverse_input_gradient_not_turned(patch: pytest.MonkeyPatch) -> None:
    """dx of the reverse direction comes out in the order that the cell ran."""
    right = Recurrent.sweep

    def sweep(self: Any, *arguments: Any, **options: Any) -> Any:
        found = right(self, *arguments, **options)
        return dataclasses.replace(found, x=found.x[::-1]) if self.direction == "reverse" else found

    patch.setattr(Recurrent, "sweep", sweep)


def output_derivative_missing(patch: pytest.MonkeyPatch) -> None:
    """da_y = dy_hat, without the output activation's derivative."""
    right = windowed.read_backward

    def read_backward(net: Any, parameters: Any, tape: Any, dy_hat: Any) -> Any:
        flat = dataclasses.replace(tape, activated=np.zeros_like(tape.activated))  # 1 - 0^2 = 1
        return right(net, parameters, flat, dy_hat)

    patch.setattr(windowed, "read_backward", read_backward)
