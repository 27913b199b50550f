"""Spectral radius, and the singular values of the Jacobians that a gradient is multiplied by at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptt.brief import brief
from bptt.checks import Array, check_array, check_choice, check_number, check_whole
from bptt.diagnostics.exact import FLOAT64, check_network, check_real, in_float64
from bptt.diagnostics.gradient_flow import first_below
from bptt.diagnostics.step_map import StepMap
from bptt.engine import reference
from bptt.engine.blas import one_blas_thread
from bptt.engine.tape import Tape
from bptt.errors import InvalidInput
from bptt.network import Network
from bptt.plots import curves, eigenvalues

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class JacobianSpectra:
    """What the Jacobians of a sequence's steps do to a gradient.

    Attributes
    ----------
    jacobians : ndarray (T, n, n)
        ``jacobians[t, i, j]`` is d s_(t+1),i / d s_t,j; s holds all the cell's states one after the other, n = H * S;
        for a whole stack those of all layers, from the lowest.
    singular_values : ndarray (T, n)
        Of each step, largest first: between the first and the last lies what one step back multiplies a norm by.
    radii : ndarray (T,)
        Largest absolute eigenvalue of each step.
    products : ndarray (T, n)
        Singular values of the product of the last k + 1 Jacobians, at index k: what k + 1 steps back multiply by.
    """

    jacobians: Array
    singular_values: Array
    radii: Array
    products: Array

    __repr__ = brief

    def horizon(self, *, level: float = 0.01) -> int | None:
        """Return the memory horizon in steps: from how many steps back on no gradient keeps `level` of its size.

        The smallest k0 such that the product of the last k Jacobians has a spectral norm below `level` for all
        k >= k0 within the sequence: an upper bound for every loss at the last state. None where there is no such k0.
        """
        threshold = check_number("level", level, above=0.0)
        return first_below(np.append(1.0, self.products[:, 0]), threshold)

    def plot(self, *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw each step's largest, median and smallest singular value and its radius; `look` as for `curves`."""
        values = self.singular_values
        lines = {
            "largest singular value": values[:, 0],
            "median": np.median(values, axis=1),
            "smallest": values[:, -1],
            "spectral radius": self.radii,
        }
        given = {"x_label": "step t", "y_label": "of the step's Jacobian", "log": True, "first": 1, **look}
        return curves(lines, ax=ax, level=1.0, **given)

    def plot_products(self, *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw the singular values of products against the number of steps back; `look` as for `curves`."""
        lines = {"largest": self.products[:, 0], "median": np.median(self.products, axis=1)}
        given = {"x_label": "steps back k", "y_label": "singular values of k Jacobians", "log": True, **look}
        return curves(lines, ax=ax, level=1.0, first=1, **given)


@dataclass(frozen=True, eq=False)
class WeightSpectra:
    """Eigenvalues and singular values of every recurrent weight, a gate at a time.

    Attributes
    ----------
    eigenvalues : dict of str to ndarray (H,), complex
        By layer, weight and the pre-activation that the block leads to, ``"layers.0.W_hh[a_f]"``; of a weight with one
        block ``"layers.0.W_hh"``. Largest modulus first.
    singular_values : dict of str to ndarray (H,)
        Largest first.
    """

    eigenvalues: dict[str, Array]
    singular_values: dict[str, Array]

    __repr__ = brief

    @property
    def radii(self) -> dict[str, float]:
        """The spectral radius of each block."""
        return {name: float(np.abs(values[0])) for name, values in self.eigenvalues.items()}

    @property
    def norms(self) -> dict[str, float]:
        """The spectral norm of each block."""
        return {name: float(values[0]) for name, values in self.singular_values.items()}

    def plot(self, name: str | None = None, *, ax: Axes | None = None, **look: Any) -> Axes:
        """Draw the eigenvalues of one block or of all of them; `look` as for `bptt.plots.eigenvalues`."""
        shown = self.eigenvalues
        if name is not None:
            shown = {name: self.eigenvalues[check_choice("name", name, self.eigenvalues)]}
        return eigenvalues(shown, ax=ax, **look)


def spectral_radius(matrix: npt.ArrayLike) -> float:
    """Return the largest absolute eigenvalue of a square matrix.

    Parameters
    ----------
    matrix : array_like (n, n)

    Raises
    ------
    InvalidInput, InvalidType
        Not square, empty, or not finite.

    Notes
    -----
    ``lim ||A^k||^(1/k)`` (Gelfand): it rules over long powers. One step may still grow by `spectral_norm`, which is
    larger unless the matrix is normal.
    """
    return float(np.abs(np.linalg.eigvals(_square(matrix))).max())


def spectral_norm(matrix: npt.ArrayLike) -> float:
    """Return the largest singular value of a square matrix: the most that a vector grows in one multiplication.

    Parameters
    ----------
    matrix : array_like (n, n)

    Raises
    ------
    InvalidInput, InvalidType
        Not square, empty, or not finite.
    """
    return float(np.linalg.svd(_square(matrix), compute_uv=False)[0])


def weight_spectra(net: Network, *, parameters: Mapping[str, Array] | None = None) -> WeightSpectra:
    """Return the spectra of every weight that leads from units to units, each gate's block by itself.

    Parameters
    ----------
    net : Network
        Any; masks and signs of a constraint are applied.
    parameters : mapping, optional
        Used in place of the network's own.

    Raises
    ------
    InvalidInput, InvalidType
        A cell without such a weight; weights that are not finite.
    """
    _, used = in_float64(check_network(net), parameters)
    stack = net.recurrent
    H, plan = stack.hidden_size, stack.cell.plan
    values: dict[str, Array] = {}
    singular: dict[str, Array] = {}
    for prefix in stack.prefixes:
        for stage in plan.stages:
            for product in stage.products:
                if product.kind == "x":
                    continue
                weight = used[prefix + product.weight]
                if stack.constraint is not None:
                    weight = stack.constraint.effective(weight)
                for k, column in enumerate(product.columns, start=product.first_block):
                    alone = plan.weights[product.weight][1] == 1
                    name = f"{prefix}{product.weight}{'' if alone else f'[{stage.columns[column]}]'}"
                    block = _square(weight[:, k * H : (k + 1) * H], name)
                    found = np.linalg.eigvals(block).astype(complex)
                    values[name] = found[np.argsort(-np.abs(found), kind="stable")]
                    singular[name] = np.linalg.svd(block, compute_uv=False)
    if not values:
        raise InvalidInput(
            "net must have a weight that leads from units to units. "
            f"Got a cell with {', '.join(plan.weights)}"
        )
    return WeightSpectra(values, singular)


def step_jacobians(
    net: Network,
    x: npt.ArrayLike,
    *,
    layer: int | None = 0,
    direction: str = "forward",
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> JacobianSpectra:
    """Return the Jacobian of every step of one sequence, and its singular values.

    Parameters
    ----------
    net : Network
        Any cell. With feedback, and for whole stacks, one that runs forward in time.
    x : array_like (T, D)
        One sequence.
    layer : int or None
        0 is the lowest: of the layer's own states with respect to its own states, its input held. None: of all the
        states of the stack with respect to all of them; with feedback the way through the prediction is included,
        but for the first step, which is fed zeros.
    direction : {"forward", "reverse"}
        Of the layer: of a network with both, which one. In reverse t counts steps as they are run.
    state, parameters
        As for `Network.forward`, with B = 1.

    Returns
    -------
    JacobianSpectra
        In float64.

    Raises
    ------
    InvalidInput, InvalidType
        A direction or a layer that is not there; feedback with one layer alone.

    Notes
    -----
    A sweep back over one step, from one unit vector a row, gives a Jacobian row by row. All steps are done at once.
    """
    stack = check_network(net).recurrent
    sequence = check_array("x", check_real("x", x), [("T", None), ("D", net.input_size)], dtype=FLOAT64)
    if layer is None:
        step = StepMap(net, parameters)
        states = _states(step, sequence, state)
        return _spectra(step.along(states[:-1], sequence))
    number = check_whole("layer", layer, least=0)
    check_choice("direction", direction, stack.directions)
    if net.feedback:
        raise InvalidInput(
            "net must be without feedback where one layer is looked at. Got feedback=True: pass layer=None"
        )
    if number >= stack.num_layers:
        raise InvalidInput(f"layer must be below num_layers = {stack.num_layers}. Got {number}")
    exact, used = in_float64(net, parameters)
    place = number * len(stack.directions) + stack.directions.index(direction)
    with one_blas_thread():
        tape = exact.forward(sequence[None], state, parameters=used).tape.stack.tapes[place]
        return _spectra(_jacobians(tape))


def _states(step: StepMap, x: Array, state: Mapping[str, npt.ArrayLike] | None) -> Array:
    """Return the states (T + 1, n) of one sequence."""
    return step.run(x[:, None], step.start(state, 1))[:, 0]


def _spectra(jacobians: Array) -> JacobianSpectra:
    if not np.isfinite(jacobians).all():
        raise InvalidInput("net must stay finite along the sequence. Got a Jacobian with nan or inf")
    return JacobianSpectra(
        jacobians=jacobians,
        singular_values=np.linalg.svd(jacobians, compute_uv=False),
        radii=np.abs(np.linalg.eigvals(jacobians)).max(axis=1),
        products=_products(jacobians),
    )


def _products(jacobians: Array) -> Array:
    """Return the singular values of the product of the last k + 1 Jacobians, (T, n)."""
    found = np.empty(jacobians.shape[:2])
    product, scale = np.eye(jacobians.shape[1]), 0.0
    for k, jacobian in enumerate(jacobians[::-1]):
        product = product @ jacobian
        # The product's size is kept apart, so that many large or small steps do not leave the range of numbers.
        size = float(np.abs(product).max())
        if size > 0 and np.isfinite(size):
            product, scale = product / size, scale + np.log(size)
        values = np.linalg.svd(product, compute_uv=False)
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            found[k] = np.exp(np.log(values) + scale)
    return found


def _jacobians(tape: Tape) -> Array:
    """Return d(states after) / d(states before) of each step of a tape with one row, (T, n, n)."""
    names = list(tape.states)
    T, H = len(tape.x), tape.states["h"].shape[2]
    n = H * len(names)
    before = {name: np.repeat(tape.states[name][:-1, 0], n, axis=0) for name in names}
    _, _, one_step = reference.forward(
        tape.cell, tape.parameters, np.repeat(tape.x[:, 0], n, axis=0)[None], before
    )
    assert one_step is not None
    rows = np.tile(np.eye(n), (T, 1))
    seeds = {name: rows[:, k * H : (k + 1) * H] for k, name in enumerate(names)}
    swept = reference.backward(one_step, None, seeds, want={"state0"})
    assert swept.state0 is not None
    return np.concatenate([swept.state0[name] for name in names], axis=1).reshape(T, n, n)


def _square(matrix: npt.ArrayLike, name: str = "matrix") -> Array:
    found = check_array(name, matrix, [("n", None), ("n", None)], dtype=FLOAT64)
    if not found.size or found.shape[0] != found.shape[1]:
        raise InvalidInput(f"{name} must be square, of shape (n, n) with n >= 1. Got {found.shape}")
    if not np.isfinite(found).all():
        raise InvalidInput(f"{name} must be finite. Got nan or inf")
    return found
