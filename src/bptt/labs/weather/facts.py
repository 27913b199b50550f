"""The facts that Lab 9 prints, beside the same on its file: what does not hang on R's random numbers.

The lab prints the first rows, shapes, scaled means and deviations, and the loss and gradients of one untrained network
on one window. Weights and window are drawn there, so that these last numbers are others here; what they have in common
is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.data import Windows
from bptt.network import Network

# As printed: lines 174-182, 215, 325, 341 and 378 of the document, and of 395-505 the ten numbers of b beside the
# first columns of W and U.
FIRST_ROWS = (
    (-21, -11, 1021, 1.79, 0, 0), (-21, -12, 1020, 4.92, 0, 0), (-21, -11, 1019, 6.71, 0, 0),
    (-21, -14, 1019, 9.84, 0, 0), (-20, -12, 1018, 12.97, 0, 0), (-19, -10, 1017, 16.10, 0, 0),
)  # fmt: skip
ROWS, COLUMNS, HOURS, HIDDEN = 42_984, 6, 24, 10
LOSS, GRADIENT_C = 0.2081229, -0.9124098
GRADIENT_B = (
    1.044980e-03, 1.615254e-03, -4.100665e-05, 1.107673e-04, 6.895755e-04, -8.515769e-05, 1.618337e-04, 1.010655e-03,
    7.944422e-04, 1.179439e-03,
)  # fmt: skip
GRADIENT_W = (
    1.748333e-06, 2.702446e-06, -6.869587e-08, 1.853866e-07, 1.153601e-06, -1.423598e-07, 2.707910e-07, 1.690802e-06,
    1.329236e-06, 1.973329e-06,
)  # fmt: skip
GRADIENT_U = (
    6.442675e-04, 9.958669e-04, -2.585113e-05, 6.870507e-05, 4.244197e-04, -5.176188e-05, 9.996948e-05, 6.224331e-04,
    4.902663e-04, 7.273914e-04,
)  # fmt: skip
# Rounding of the printed digits; what "near 0" and "in the same proportions" are to mean.
SEVEN_DIGITS, NEARLY_ZERO, SAME = 2e-7, 1e-12, 0.05


@dataclass(frozen=True)
class Fact:
    """One thing that the lab prints.

    Attributes
    ----------
    lines, what, printed, here : str
        Where it stands; then in words, as printed, and as found.
    holds : bool
    """

    lines: str
    what: str
    printed: str
    here: str
    holds: bool


def lab_facts(values: Array, scaled: Array, net: Network, windows: Windows) -> list[Fact]:
    """Compare the lab's file and an untrained network with what the lab prints.

    Parameters
    ----------
    values : ndarray (N, 6)
        The table, before scaling.
    scaled : ndarray (M, 6)
        Its training part, scaled.
    net : Network
        The lab's, before training.
    windows : Windows
        Of the training part.
    """
    one = windows.batch([len(windows) // 2])
    states = net.recurrent.forward(one.x)[0]
    hidden = (states.shape[1] + 1, states.shape[2])  # the initial state stands before them
    found = net.loss_and_gradients(one.x, one.y)
    d = {name.rpartition(".")[2]: g for name, g in found.gradients.parameters.items()}
    half = float(d["b_y"][0] / 2) ** 2
    first = values[: len(FIRST_ROWS)]
    means, deviations = np.abs(scaled.mean(axis=0)).max(), scaled.std(axis=0, ddof=1)
    printed_spread = max(
        spread(np.array(column), np.array(GRADIENT_B)) for column in (GRADIENT_W, GRADIENT_U)
    )
    here_spread = max(spread(row, d["b_h"]) for name in ("W_hh", "W_xh") for row in d[name])
    return [
        Fact("174-182", "the six first rows", "-21 -11 1021 1.79 0 0; ...", _row(first[0]) + "; ...",
             np.array_equal(first, FIRST_ROWS)),
        Fact("215", "rows of whole days, columns", f"{ROWS} {COLUMNS}", " ".join(map(str, values.shape)),
             values.shape == (ROWS, COLUMNS)),
        Fact("250-257", "means of the scaled training part", "5.3e-15 at most", f"{means:.1e} at most",
             bool(means < NEARLY_ZERO)),
        Fact("258-262", "their deviations", "1 1 1 1 1 1", " ".join(f"{s:.6g}" for s in deviations),
             bool(np.allclose(deviations, 1, rtol=0, atol=NEARLY_ZERO))),
        Fact("280", "shape of a window", f"{HOURS} {COLUMNS}", " ".join(map(str, one.x.shape[1:])),
             one.x.shape[1:] == (HOURS, COLUMNS)),
        Fact("325", "shape of the hidden states", f"{HOURS + 1} {HIDDEN}", " ".join(map(str, hidden)),
             hidden == (HOURS + 1, HIDDEN)),
        Fact("419", "shape of the gradient of V", f"1 {HIDDEN}", " ".join(map(str, d["W_hy"].T.shape)),
             d["W_hy"].T.shape == (1, HIDDEN)),
        Fact("341, 378", "the loss, and the square of half the gradient of c",
             f"{LOSS:.7f}, {(GRADIENT_C / 2) ** 2:.7f}", f"{found.loss:.7f}, {half:.7f}",
             abs((GRADIENT_C / 2) ** 2 - LOSS) < SEVEN_DIGITS and abs(half - found.loss) < 1e-12 * max(1, half)),
        Fact("395-505", "gradients of b, W and U: columns in the same proportions, up to",
             f"{printed_spread:.1%}", f"{here_spread:.1%}", max(printed_spread, here_spread) < SAME),
    ]  # fmt: skip


def spread(column: Array, other: Array) -> float:
    """Return how far a column is from a multiple of another, relative to its length."""
    along = (column @ other) / (other @ other)
    return float(np.linalg.norm(column - along * other) / np.linalg.norm(column))


def _row(values: Array) -> str:
    return " ".join(f"{value:g}" for value in values)
