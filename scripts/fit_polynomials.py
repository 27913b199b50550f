"""Print the polynomials of `bptt.engine.compiled.llvm.polynomials`. Needs mpmath.

Chebyshev interpolation in 40 digits: within a few per cent of the best polynomial, with no iteration to go wrong.
"""

from __future__ import annotations

import mpmath

mpmath.mp.dps = 40
# Of (tanh(r) - r) / r^3 in r^2, highest power first.
TANH_SERIES = mpmath.taylor(mpmath.tanh, 0, 31)[:1:-2]


def expm1_tail(r: mpmath.mpf) -> mpmath.mpf:
    """(exp(r) - 1 - r) / r^2, by its series near 0, where the quotient cancels."""
    if abs(r) < 0.05:
        return mpmath.fsum(r**k / mpmath.factorial(k + 2) for k in range(24))
    return (mpmath.expm1(r) - r) / (r * r)


def tanh_tail(u: mpmath.mpf) -> mpmath.mpf:
    """(tanh(r) - r) / r^3 as a function of u = r^2."""
    if u < 0.003:
        return mpmath.polyval(TANH_SERIES, u)
    r = mpmath.sqrt(u)
    return (mpmath.tanh(r) - r) / r**3


def atanh_tail(u: mpmath.mpf) -> mpmath.mpf:
    """(atanh(s) - s) / s^3 as a function of u = s^2."""
    if u < 0.003:
        return mpmath.fsum(u**k / (2 * k + 3) for k in range(20))
    s = mpmath.sqrt(u)
    return (mpmath.atanh(s) - s) / s**3


def fit(function, low, high, degree):  # type: ignore[no-untyped-def]  # mpmath has no types
    low, high = mpmath.mpf(low), mpmath.mpf(high)
    nodes = [
        (low + high) / 2 + (high - low) / 2 * mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * degree + 2))
        for k in range(degree + 1)
    ]
    matrix = mpmath.matrix([[x**k for k in range(degree + 1)] for x in nodes])
    return mpmath.lu_solve(matrix, mpmath.matrix([function(x) for x in nodes]))


def main() -> None:
    half = mpmath.log(2) / 2 * mpmath.mpf("1.001")
    for name, function, low, high, degrees in (
        ("EXPM1_TAIL", expm1_tail, -half, half, {"float": 4, "double": 10}),
        ("TANH_TAIL", tanh_tail, 0, (half / 2) ** 2, {"double": 5}),
        ("ATANH_TAIL", atanh_tail, 0, mpmath.mpf(1) / 9, {"float": 6, "double": 14}),
    ):
        print(f"{name} = {{")
        for kind, degree in degrees.items():
            terms = ", ".join(mpmath.nstr(c, 18) for c in fit(function, low, high, degree))
            print(f'    "{kind}": ({terms}),')
        print("}")


if __name__ == "__main__":
    main()
