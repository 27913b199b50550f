"""What every proof needs: a check that must fail, a check that must pass, and bptt's own numbers beside it.

The documents multiply columns (a weight of shape (out, in) stands left of its input), bptt multiplies rows (a weight
(in, out) stands right of it). `ours` transposes once, at its border, and returns gradients in the document's letters
and shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.network import Network, Recurrent
from bptt.verify import check_gradients

Array = npt.NDArray[Any]
Tensors = dict[str, Array]

# Two orders of adding the same float64 numbers, at recurrent gain below 1.
SAME = 1e-12
# A printed form is off by far more: nothing here is wrong by a rounding.
FAR = 1e-3

METHODS = ("complex", "central")
# Every entry of every tensor here is taken one by one.
ENTRIES = 10_000

# A weight of a document -> bptt's place for it.
PLACES = {
    "W_xh": "layers.0.W_xh",
    "W_hh": "layers.0.W_hh",
    "b_h": "layers.0.b_h",
    "W_hy": "readout.W_hy",
    "b_y": "readout.b_y",
}


def wrong(
    loss: Callable[[Tensors], Any], point: Mapping[str, Array], claimed: Mapping[str, Array]
) -> set[str]:
    """Return the names of the claimed gradients that are refused; both methods must say the same."""
    report = check_gradients(
        loss, point, claimed, methods=METHODS, max_entries=ENTRIES, raise_on_failure=False
    )
    assert {row.name for row in report.rows} == set(claimed)
    by_method = [{row.name for row in report.failures if row.method == method} for method in METHODS]
    assert by_method[0] == by_method[1]
    assert all(row.error > FAR for row in report.failures)
    return by_method[0]


def ours(
    letters: Mapping[str, str],
    weights: Mapping[str, Array],
    x: Array,
    slope: Callable[[Array], Array],
    *,
    readout: str = "every",
    output_activation: str = "identity",
) -> tuple[Array, Tensors]:
    """Return bptt's outputs and gradients for one sequence, by the document's letters.

    Parameters
    ----------
    letters : mapping of the document's letter to a key of `PLACES`
    weights : mapping of letter to ndarray
        Weights (out, in); biases (n,) or (n, 1).
    x : ndarray (T, D)
    slope : callable
        From the outputs, (T, K) or (K,), to dL/d(outputs).
    readout : {"every", "last"}

    Returns
    -------
    y : ndarray (T, K) or (K,)
    gradients : dict of letter to ndarray
        Of the shape of the weight.
    """
    names = {letter: PLACES[key] for letter, key in letters.items()}
    of = {key: weights[letter] for letter, key in letters.items()}
    H, D = of["W_xh"].shape
    layer = Recurrent("elman", input_size=D, hidden_size=H, bias="b_h" in of)
    net = Network(
        layer, len(of["W_hy"]), readout=readout, bias="b_y" in of, output_activation=output_activation
    )
    assert set(net.parameters) == set(names.values())
    for letter, name in names.items():
        net.parameters[name][...] = _as_row(weights[letter], net.parameters[name].ndim)
    record = net.forward(x[None])
    found = net.backward(record, slope(record.y_hat[0])[None]).parameters
    gradients = {letter: _back(found[name], weights[letter].shape) for letter, name in names.items()}
    return record.y_hat[0], gradients


def same(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    """Assert that both hold the same tensors, each within rounding of its own largest entry."""
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        atol = SAME * float(np.max(np.abs(array)))
        np.testing.assert_allclose(found[name], array, rtol=0, atol=atol, err_msg=name)


def draw(rng: np.random.Generator, **shapes: tuple[int, ...]) -> Tensors:
    """Return random tensors: weights of gain 0.8, biases of deviation 0.5."""
    return {
        name: rng.standard_normal(shape) * (0.8 / np.sqrt(shape[-1]) if min(shape) > 1 else 0.5)
        for name, shape in shapes.items()
    }


def _as_row(array: Array, ndim: int) -> Array:
    return array.T if ndim == 2 else array.reshape(-1)


def _back(array: Array, shape: tuple[int, ...]) -> Array:
    return array.T.copy() if array.ndim == 2 else array.reshape(shape)
