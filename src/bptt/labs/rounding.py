"""Numbers as the labs' tables and sentences write them."""

from __future__ import annotations

from collections.abc import Sized


def two_digits(value: float) -> str:
    """Return a number with two significant digits, written out where it is not very large or small.

    Examples
    --------
    >>> two_digits(1234.5), two_digits(0.01449), two_digits(4.5e9)
    ('1200', '0.014', '4.5e+09')
    """
    return f"{float(f'{value:.2g}'):g}"


def how_many_seeds(seeds: Sized) -> str:
    """Return "1 seed" or "N seeds".

    Examples
    --------
    >>> how_many_seeds([7]), how_many_seeds((0, 1, 2))
    ('1 seed', '3 seeds')
    """
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
