"""Numbers as the labs' tables write them."""

from __future__ import annotations


def two_digits(value: float) -> str:
    """Return a number with two significant digits, written out where it is not very large or small.

    Examples
    --------
    >>> two_digits(1234.5), two_digits(0.01449), two_digits(4.5e9)
    ('1200', '0.014', '4.5e+09')
    """
    return f"{float(f'{value:.2g}'):g}"
