"""The influence matrix: how the present states of a stack depend on every parameter, carried forward in time.

With s_t all the states of a layer and theta all parameters below and in it,

    M_t = ds_t/dtheta = J_t M_{t-1} + X_t U_t + F_t,                                              (R1)

where J_t is the step's Jacobian, X_t that of its input, U_t the influence on the outputs of the layer below (which come
first in a step) and F_t the immediate part: pre-activation a_j of a gate reads only its own column of a weight, so that
F_t has one number where a dense matrix would have H. Derivation: docs/learning/rtrl.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.engine import reference
from bptt.learning.step_derivatives import StepDerivatives, Touch
from bptt.network import Recurrent

# What is carried: every state's dependence on every parameter, or each unit's on the parameters that enter it.
KINDS = ("full", "diagonal")


class LayerInfluence:
    """The influence matrix of one layer.

    Parameters
    ----------
    stack : Recurrent
    layer : int
    batch : int
        B: each row has a matrix of its own.
    below : int
        Numbers in all parameters of the layers below.
    start : bool
        Whether the states before the first step are parameters too.
    kind : {"full", "diagonal"}

    Attributes
    ----------
    matrix : ndarray
        (B, n, below + P) with n = S H states; "diagonal": (B, S, Q, H), P = Q H, since every parameter's last axis is
        the unit that it enters.
    places : dict of bare parameter name to (int, tuple of int)
        First of the Q rows, and the shape. The states before the first step are ``initial.h``, ...
    """

    def __init__(
        self, stack: Recurrent, layer: int, batch: int, *, below: int, start: bool, kind: str
    ) -> None:
        self.cell, self.prefix = stack.cell, stack.prefixes[layer]
        self.H, self.S, self.batch, self.below = stack.hidden_size, len(stack.states), batch, below
        self.dtype, self.kind = stack.dtype, kind
        shapes: dict[str, tuple[int, ...]] = (
            {f"initial.{name}": (self.H,) for name in stack.states} if start else {}
        )
        shapes.update(
            (name.removeprefix(self.prefix), p.shape)
            for name, p in stack.parameters.items()
            if name.startswith(self.prefix)
        )
        self.places: dict[str, tuple[int, tuple[int, ...]]] = {}
        self.Q = 0
        for name, shape in shapes.items():
            self.places[name] = (self.Q, shape)
            self.Q += int(np.prod(shape)) // self.H
        self.size = self.Q * self.H
        self.matrix = self._zeros()
        self._spare = self._zeros() if kind == "full" else None
        self.x_jacobian: Array | None = None
        if start:
            for k in range(self.S):
                self._own(self.matrix)[:, k, k] = 1

    def advance(self, step: StepDerivatives, x: Array, below: Array | None, active: Array | None) -> None:
        """Take the matrix over one step (R1).

        Parameters
        ----------
        step : StepDerivatives
        x : ndarray (B, D)
            The layer's input at this step.
        below : ndarray (B, D, below) or None
            Influence on that input; None for the lowest layer.
        active : ndarray of bool (B,) or None
            Rows that make the step; the others stay as they are.
        """
        D = x.shape[1]
        if self.below or self.kind == "diagonal":
            self.x_jacobian = step.input_jacobian(D)
        if self._spare is None:
            made = np.einsum("bskh,bkqh->bsqh", step.own_jacobian(), self.matrix)
        else:
            made = np.matmul(step.state_jacobian(), self.matrix, out=self._spare)
            if below is not None:
                assert self.x_jacobian is not None
                made[:, :, : self.below] += self.x_jacobian @ below
        self._add_immediate(made, step, x)
        if active is not None:
            shape = (-1,) + (1,) * (made.ndim - 1)
            made = np.where(active.reshape(shape), made, self.matrix)
        elif self._spare is not None:
            self._spare = self.matrix
        self.matrix = made

    def on_outputs(self) -> Array:
        """Return the influence on h, (B, H, below + P)."""
        return self.matrix[:, : self.H]

    def gradient(self, d: Array) -> Array:
        """Return sum over rows of d (B, n) times the matrix, (below + P,) or (P,)."""
        found: Array
        if self.kind == "full":
            found = d.reshape(-1) @ self.matrix.reshape(-1, self.matrix.shape[-1])
        else:
            apart = d.reshape(self.batch, self.S, self.H)
            found = np.einsum("bsh,bsqh->qh", apart, self.matrix).reshape(-1)
        return found

    def jacobian(self, d: Array) -> Array:
        """Return d (B, R, n) times each row's matrix, (B, R, below + P) or (B, R, P)."""
        found: Array
        if self.kind == "full":
            found = np.matmul(d, self.matrix)
        else:
            apart = d.reshape(*d.shape[:2], self.S, self.H)
            found = np.einsum("brsh,bsqh->brqh", apart, self.matrix).reshape(*d.shape[:2], -1)
        return found

    def split(self, flat: Array) -> dict[str, Array]:
        """Return the layer's own part (..., P) by bare name."""
        found = {}
        for name, (first, shape) in self.places.items():
            part = flat[..., first * self.H : first * self.H + int(np.prod(shape))]
            found[name] = part.reshape(*flat.shape[:-1], *shape)
        return found

    def _zeros(self) -> Array:
        if self.kind == "full":
            return np.zeros((self.batch, self.S * self.H, self.below + self.size), self.dtype)
        return np.zeros((self.batch, self.S, self.Q, self.H), self.dtype)

    def _whole(self, matrix: Array) -> Array:
        """View the columns of the layer's own parameters as (B, S, H, Q, H)."""
        return matrix[:, :, self.below :].reshape(self.batch, self.S, self.H, self.Q, self.H)

    def _own(self, matrix: Array) -> Array:
        """View what each unit has of its own parameters, (B, S, Q, H)."""
        return matrix if self.kind == "diagonal" else np.einsum("bsuqu->bsqu", self._whole(matrix))

    def _add_immediate(self, matrix: Array, step: StepDerivatives, x: Array) -> None:
        """Add F_t: operand times touch, for every weight, bias and vector."""
        for stage, column in zip(self.cell.plan.stages, step.columns, strict=True):
            for product in stage.products:
                operand = step.operand(product, x)
                first, shape = self.places[product.weight]
                blocks = shape[1] // self.H
                for k, c in enumerate(product.columns, start=product.first_block):
                    rows = slice(first + k, first + shape[0] * blocks, blocks)
                    self._add(matrix, rows, _column(column, c), operand)
            if "b_h" in self.places:
                first = self.places["b_h"][0]
                for gate, c in enumerate(stage.bias_columns, start=stage.first_gate):
                    self._add(matrix, slice(first + gate, first + gate + 1), _column(column, c))
        for name, touch in step.vectors.items():
            if name in self.places:
                first = self.places[name][0]
                self._add(matrix, slice(first, first + 1), touch)

    def _add(self, matrix: Array, rows: slice, touch: Touch, operand: Array | None = None) -> None:
        factor = np.ones((self.batch, 1), self.dtype) if operand is None else operand
        if touch.local is not None:
            self._own(matrix)[:, :, rows] += factor[:, None, :, None] * touch.local[:, :, None]
        if touch.across is None:
            return
        if self.kind == "full":
            self._whole(matrix)[:, :, :, rows] += factor[:, None, None, :, None] * touch.across[:, :, :, None]
        else:
            own = np.einsum("bsuu->bsu", touch.across)
            matrix[:, :, rows] += factor[:, None, :, None] * own[:, :, None]


class Influence:
    """States of a stack, and their derivatives with respect to its parameters, step by step.

    Parameters
    ----------
    stack : Recurrent
        Forward in time, without dropout.
    state : dict of state name to ndarray (L, B, H)
        Before the first step.
    start : bool
        Whether the gradient with respect to that state is kept too (a learned initial state).
    kind : {"full", "diagonal"}
        "full" is exact. "diagonal" keeps each unit's dependence on the parameters that enter it and drops what comes
        back through other units: the n = 1 sparse approximation, exact where no recurrent weight joins two units.
    """

    def __init__(
        self, stack: Recurrent, state: Mapping[str, Array], *, start: bool = False, kind: str = "full"
    ) -> None:
        self.stack, self.kind, self.start = stack, kind, start
        batch = state["h"].shape[1]
        self.state = {name: np.array(s) for name, s in state.items()}
        self.layers: list[LayerInfluence] = []
        below = 0
        for layer in range(stack.num_layers):
            made = LayerInfluence(stack, layer, batch, below=below, start=start, kind=kind)
            self.layers.append(made)
            below += made.size if kind == "full" else 0

    def step(self, x: Array, parameters: Mapping[str, Array], active: Array | None = None) -> None:
        """Advance states and influence by one step x (B, D); rows that are not active stay."""
        below: Array | None = None
        mask = None if active is None else active[:, None]
        for k, layer in enumerate(self.layers):
            used = layer_parameters(self.stack, parameters, layer.prefix)
            before = {name: s[k] for name, s in self.state.items()}
            _, after, tape = reference.forward(layer.cell, used, x[None], before)
            assert tape is not None
            layer.advance(StepDerivatives(tape), x, below, active)
            for name, s in after.items():
                self.state[name][k] = s if mask is None else np.where(mask, s, before[name])
            below = layer.on_outputs() if self.kind == "full" else None
            x = self.state["h"][k]

    def gradients(self, d: Mapping[str, Array], parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return dL/dparameter for dL/d(present state), arrays (L, B, H): the sum over rows."""
        flat = [np.concatenate([d[name][k] for name in self.stack.states], axis=1) for k in self._all]
        found = self._collect([layer.gradient for layer in self.layers], flat)
        return self._named(found, parameters)

    def jacobian(self, d: Mapping[str, Array], parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return the same for R cotangents a row, arrays (L, B, R, H), rows apart: (B, R, *shape) each."""
        flat = [np.concatenate([d[name][k] for name in self.stack.states], axis=2) for k in self._all]
        found = self._collect([layer.jacobian for layer in self.layers], flat)
        return self._named(found, parameters)

    @property
    def _all(self) -> range:
        return range(len(self.layers))

    def _collect(self, pulls: list[Any], flat: list[Array]) -> list[Array]:
        """Return each layer's own part (..., P)."""
        if self.kind == "full":
            # The top layer's matrix has the columns of all parameters, each lower one's fewer.
            total = pulls[-1](flat[-1])
            for pull, d in zip(pulls[:-1], flat[:-1], strict=True):
                part = pull(d)
                total[..., : part.shape[-1]] += part
            return np.split(total, [layer.below for layer in self.layers[1:]], axis=-1)
        found: list[Array] = []
        for k in reversed(self._all):
            d, jacobian = flat[k], self.layers[k].x_jacobian
            found.insert(0, pulls[k](d))
            if k:
                # Within a step the gradient goes down exactly; only what came over time is cut.
                assert jacobian is not None
                below = np.matmul(d[:, None], jacobian)[:, 0] if d.ndim == 2 else np.matmul(d, jacobian)
                flat[k - 1][..., : self.layers[k - 1].H] += below
        return found

    def _named(self, found: list[Array], parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return gradients by parameter name, with respect to what is trained where weights are constrained."""
        constraint = self.stack.constraint
        named: dict[str, Array] = {}
        starts: dict[str, list[Array]] = {}
        for layer, flat in zip(self.layers, found, strict=True):
            for bare, part in layer.split(flat).items():
                if bare.startswith("initial."):
                    starts.setdefault(bare, []).append(part)
                    continue
                name = layer.prefix + bare
                if constraint is not None and _is_recurrent(self.stack, bare):
                    part = constraint.pull_back(parameters[name], part)
                named[name] = part
        for name, parts in starts.items():
            named[name] = np.stack(parts, axis=-2)
        return named


def layer_parameters(stack: Recurrent, parameters: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return one layer's parameters under their bare names, as the equations use them."""
    found = {}
    for name, p in parameters.items():
        if name.startswith(prefix):
            bare = name.removeprefix(prefix)
            if stack.constraint is not None and _is_recurrent(stack, bare):
                p = stack.constraint.effective(p)
            found[bare] = p
    return found


def _is_recurrent(stack: Recurrent, bare: str) -> bool:
    return bare in stack.cell.plan.weights and stack.cell.plan.weights[bare][0] == "h"


def _column(touch: Touch, c: int) -> Touch:
    """Return the touch of one pre-activation."""
    return Touch(
        None if touch.local is None else touch.local[:, :, c],
        None if touch.across is None else touch.across[:, :, :, c],
    )
