"""Least squares as the doctor uses it: on drawn rows where there are many, steady where columns repeat each other."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array

# Rows that tell a share of 1 % from chance beside some 200 columns; a loss at every step has a hundred times as many.
_ROWS = 2048
# Of a column's size: what is smaller counts as repeated by the other columns.
_FLOOR = 1e-6


def drawn(rows: int) -> Array:
    """Return which of so many rows are looked at: all of a few, else 2,048 drawn at random, always the same ones."""
    if rows <= _ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, _ROWS, replace=False))


def residual(columns: Array, of: Array) -> Array:
    """Return what is left of each of `of` (n, M) beyond its least squares on `columns` (n, P)."""
    scaled, triangle, turned = _factors(columns, of)
    return np.asarray(of - scaled @ np.linalg.solve(triangle, turned))


def settled(columns: Array, first: int, of: Array) -> tuple[Array, Array]:
    """Return what each of the first columns alone settles of what all others leave open.

    Parameters
    ----------
    columns : ndarray (n, P)
    first : int
        How many of them are asked about.
    of : ndarray (n, M)

    Returns
    -------
    share : ndarray (first, M)
        Of the squares that all other columns leave open; 0 for a column that the others repeat.
    open : ndarray (first, M)
        Those squares.

    Notes
    -----
    With the Gram matrix G = F'F and w its solution, leaving column k out adds w_k^2 / (G^-1)_kk to the squared
    residuals, so that one factorisation answers for all columns.
    """
    scaled, triangle, turned = _factors(columns, of)
    inverse = np.linalg.inv(triangle)
    weights = inverse @ turned
    left = np.square(of - scaled @ weights).sum(axis=0)
    own = 1.0 / np.square(inverse[:first]).sum(axis=1)
    added = np.square(weights[:first]) * own[:, None]
    added[own <= 10 * _FLOOR**2 * len(columns)] = 0.0
    open_ = left + added
    return added / np.maximum(open_, 1e-300), open_


def _factors(columns: Array, of: Array) -> tuple[Array, Array, Array]:
    """Return the columns brought to one size, R of their QR with a small ridge below, and Q' of what is explained."""
    scaled = columns / np.maximum(np.sqrt(np.mean(np.square(columns), axis=0)), 1e-300)
    width = scaled.shape[1]
    ridge = _FLOOR * np.sqrt(len(columns)) * np.eye(width)
    q, triangle = np.linalg.qr(np.concatenate([scaled, ridge]))
    return scaled, triangle, q[: len(columns)].T @ of
