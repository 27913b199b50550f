"""Spectral radius, and the singular values of the Jacobians that a gradient is multiplied by at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_array, check_whole
from bptt.diagnostics.exact import in_float64
from bptt.engine import reference
from bptt.engine.blas import one_blas_thread
from bptt.engine.tape import Tape
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network

_FLOAT64 = np.dtype("float64")


@dataclass(frozen=True)
class JacobianSpectra:
    """What the Jacobians of a sequence's steps do to a gradient.

    Attributes
    ----------
    jacobians : ndarray (T, n, n)
        ``jacobians[t, i, j]`` is d s_(t+1),i / d s_t,j; s holds all the cell's states one after the other, n = H * S.
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


def step_jacobians(
    net: Network,
    x: npt.ArrayLike,
    *,
    layer: int = 0,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
) -> JacobianSpectra:
    """Return the Jacobian of every step of one sequence, and its singular values.

    Parameters
    ----------
    net : Network
        Any cell that runs forward in time, without feedback.
    x : array_like (T, D)
        One sequence.
    layer : int
        0 is the lowest. Of the layer's own states with respect to its own states, its input held.
    state, parameters
        As for `Network.forward`, with B = 1.

    Returns
    -------
    JacobianSpectra
        In float64.

    Raises
    ------
    InvalidInput, InvalidType
        Another direction, feedback, a layer that is not there.

    Notes
    -----
    A sweep back over one step, from one unit vector a row, gives a Jacobian row by row. All steps are done at once.
    """
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    stack = net.recurrent
    if net.feedback or stack.direction != "forward":
        raise InvalidInput(
            f"net must run forward and be without feedback. Got direction {stack.direction!r}, feedback={net.feedback}"
        )
    number = check_whole("layer", layer, least=0)
    if number >= stack.num_layers:
        raise InvalidInput(f"layer must be below num_layers = {stack.num_layers}. Got {number}")
    sequence = check_array("x", x, [("T", None), ("D", net.input_size)], dtype=_FLOAT64)
    exact, used = in_float64(net, parameters)
    with one_blas_thread():
        tape = exact.forward(sequence[None], state, parameters=used).tape.stack.tapes[number]
        jacobians = _jacobians(tape)
        products = np.empty(jacobians.shape[:2])
        product = np.eye(jacobians.shape[1])
        for k, jacobian in enumerate(jacobians[::-1]):
            product = product @ jacobian
            products[k] = np.linalg.svd(product, compute_uv=False)
        return JacobianSpectra(
            jacobians=jacobians,
            singular_values=np.linalg.svd(jacobians, compute_uv=False),
            radii=np.abs(np.linalg.eigvals(jacobians)).max(axis=1),
            products=products,
        )


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


def _square(matrix: npt.ArrayLike) -> Array:
    found = check_array("matrix", matrix, [("n", None), ("n", None)], dtype=_FLOAT64)
    if not found.size or found.shape[0] != found.shape[1]:
        raise InvalidInput(f"matrix must be square, of shape (n, n) with n >= 1. Got {found.shape}")
    if not np.isfinite(found).all():
        raise InvalidInput("matrix must be finite. Got nan or inf")
    return found
