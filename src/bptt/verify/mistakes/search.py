"""Which mistake gives, to rounding, the numbers that somebody's code gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.verify.mistakes.mistake import Mistake, both

Array = npt.NDArray[Any]
Results = Mapping[str, Array]

# Largest difference over the largest entry. Two orders of adding a few float64 numbers agree far better, and the
# mistakes are far apart.
ROUNDING = 1e-9
# Numerical differences and single precision come this near.
NEAR = 1e-4
# The mistake of a result that is nothing but zeros, which several others would give as well.
ZERO = "zero"
# Of a result that is right, in another one's place.
EXCHANGED = "exchanged"


@dataclass(frozen=True)
class Verdict:
    """What is said of one tensor.

    Attributes
    ----------
    passed : bool
    mistake : str
        Name of the mistake that gives these numbers; empty where there is none, or none was found.
    says : str
        For a person.
    """

    passed: bool
    mistake: str = ""
    says: str = ""


def judge(
    found: Sequence[Results],
    right: Sequence[Results],
    mistakes: Sequence[Mistake],
    predict: Callable[[Mistake], Sequence[Results]],
    *,
    pairs: bool = False,
) -> dict[str, Verdict]:
    """Compare every tensor on every problem, and search the mistake behind each that is wrong.

    Parameters
    ----------
    found, right : sequence of mapping of tensor name to ndarray
        One entry a problem. Where our result is a vector a column will do; of one number any shape will.
    mistakes : sequence
        The likelier first.
    predict : callable (mistake) -> results
        What each problem would give with this mistake made.
    pairs : bool
        Where no single mistake gives a tensor, try any two of them.

    Returns
    -------
    dict of tensor name to Verdict
        Of several mistakes that give a wrong tensor, the one that gives most of the other tensors too.
    """
    names = list(right[0])
    wrong = [name for name in names if not _agree(found, right, name)]
    verdicts = {name: Verdict(True) for name in names}
    if not wrong:
        return verdicts
    zero = [name for name in wrong if all(largest(each[name]) == 0 for each in found) and found[0][name].size]
    exchanged = {
        name: other for name in wrong for other in names if other != name and _is(found, name, right, other)
    }
    best: dict[str, tuple[int, Mistake]] = {}

    def search(hypotheses: Iterable[Mistake], unknown: Sequence[str]) -> None:
        for hypothesis in hypotheses if unknown else ():
            try:
                predicted = predict(hypothesis)
            except (ValueError, IndexError):
                continue  # two mistakes that cannot be made together: their shapes do not fit
            explained = [name for name in names if _agree(found, predicted, name, right)]
            for name in unknown:
                if name in explained and (name not in best or len(explained) > best[name][0]):
                    best[name] = (len(explained), hypothesis)
            if len(explained) == len(names):
                return

    search(mistakes, wrong)
    if pairs:
        # In both orders: of two in the same place the second may take the first one in, or undo it.
        twos = chain(combinations(mistakes, 2), combinations(reversed(mistakes), 2))
        search((both(*two) for two in twos), [n for n in wrong if n not in {*best, *zero, *exchanged}])
    for name in wrong:
        if name in zero:
            verdicts[name] = Verdict(False, ZERO, "is zero everywhere: is anything added to it?")
        elif name in best:
            verdicts[name] = Verdict(False, best[name][1].name, best[name][1].says)
        elif name in exchanged:
            says = f"this is our {exchanged[name]}: the order is {', '.join(names)}"
            verdicts[name] = Verdict(False, EXCHANGED, says)
        else:
            verdicts[name] = Verdict(False, "", _unexplained(found, right, name))
    return verdicts


def _agree(
    found: Sequence[Results], other: Sequence[Results], name: str, scale: Sequence[Results] | None = None
) -> bool:
    """Return whether a tensor agrees on all problems; `scale` gives the size of what is expected."""
    sizes = other if scale is None else scale
    return all(
        same(a[name], b[name], ROUNDING, floor=1e-3 * largest(c[name]))
        for a, b, c in zip(found, other, sizes, strict=True)
    )


def _is(found: Sequence[Results], name: str, right: Sequence[Results], other: str) -> bool:
    """Return whether what was found for one tensor is, on all problems, ours for another."""
    return all(same(a[name], b[other], ROUNDING) for a, b in zip(found, right, strict=True))


def same(found: Array, wanted: Array, tolerance: float, *, floor: float = 0.0) -> bool:
    """Return whether two arrays have fitting shapes and agree to `tolerance` of the larger of entry and floor."""
    if not fits(found.shape, wanted.shape):
        return False
    apart = largest(found.reshape(wanted.shape) - wanted)
    return bool(apart <= tolerance * max(largest(wanted), floor))


def fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether a shape will do: the same one; a column for a vector; any for a single number."""
    if int(np.prod(wanted)) == 1:
        return int(np.prod(found)) == 1
    return found == wanted or (len(wanted) == 1 and found == (*wanted, 1))


def largest(array: Array) -> float:
    """Return the largest magnitude, NaN if there is one."""
    return float(np.max(np.abs(array), initial=0.0))


def _unexplained(found: Sequence[Results], right: Sequence[Results], name: str) -> str:
    for a, b in zip(found, right, strict=True):
        if not fits(a[name].shape, b[name].shape):
            return f"must have shape {_shape(b[name].shape)}. Got {_shape(a[name].shape)}: none of the usual mistakes"
    if all(same(a[name], b[name], NEAR) for a, b in zip(found, right, strict=True)):
        return (
            "right to a few digits only: numerical differences or float32? The equations in float64 agree to "
            f"{ROUNDING:.0e}"
        )
    factor = _factor(found, right, name)
    if factor is not None:
        return f"{factor:.6g} times ours everywhere: a constant factor that is none of the usual mistakes"
    for a, b in zip(found, right, strict=True):
        mine = a[name].reshape(b[name].shape)
        off = np.argwhere(~(np.abs(mine - b[name]) <= ROUNDING * largest(b[name])))
        if len(off):
            index = tuple(int(i) for i in off[0])
            inside = ", ".join(map(str, index))
            at = f"entry [{inside}] of shape {_shape(b[name].shape)}" if index else "it"
            return (
                f"matches none of the usual mistakes; the first to differ, {at}, is {mine[index]:.6g} where ours is "
                f"{b[name][index]:.6g}"
            )
    return "matches none of the usual mistakes"


def _factor(found: Sequence[Results], right: Sequence[Results], name: str) -> float | None:
    """Return the one number that our results are to be multiplied with, or None."""
    mine = np.concatenate([a[name].reshape(-1) for a in found])
    ours = np.concatenate([b[name].reshape(-1) for b in right])
    square = float(ours @ ours)
    factor = float(mine @ ours) / square if square and np.all(np.isfinite(mine)) else 0.0
    return factor if factor and same(mine, factor * ours, ROUNDING) else None


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
