"""The letters of the five documents: what each calls our names, so that a lab can be told in either."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bptt.checks import check_choice
from bptt.plots.unrolled import Nodes

NOTATIONS = ("ours", "seed")


@dataclass(frozen=True)
class Letters:
    """How a document writes.

    Attributes
    ----------
    document : str
        Whose letters they are.
    words : dict of str to str
        In running text: its letter for each of our names.
    nodes : Nodes
        In pictures of the unrolled network.
    """

    document: str
    words: Mapping[str, str] = field(default_factory=dict)
    nodes: Nodes = field(default_factory=Nodes)

    def say(self, text: str) -> str:
        """Return the text with our names replaced; a name within a longer word stays."""
        if not self.words:
            return text
        names = "|".join(re.escape(name) for name in sorted(self.words, key=len, reverse=True))
        # dL/dW_hh, dh_t and |dL/dx_t| hold names as well.
        pattern = rf"(?<![A-Za-z0-9_.])((?:dL/)?d)?({names})(?![A-Za-z0-9_])"
        return re.sub(pattern, lambda found: (found[1] or "") + self.words[found[2]], text)


OURS = Letters("bptt")

SEEDS = {
    "weather": Letters(
        "the lab",
        {
            "W_xh": "U", "W_hh": "W", "W_hy": "V", "b_h": "b", "b_y": "c",
            "x_t": "x[t]", "h_t": "h[t]", "h_T": "h[tau]", "y_hat": "ŷ",
        },
        Nodes("x^{[<t>]}", "h^{[<t>]}", r"\hat{y}"),
    ),
    "noisy-sine": Letters(
        "the lecture",
        {
            "W_xh": "W_x", "W_hh": "W_h", "W_hy": "W_y", "b_h": "b",
            "x_t": "x(t)", "h_t": "h(t)", "h_T": "h(T)", "y_hat_t": "ŷ(t)", "y_hat": "ŷ(t)",
        },
        Nodes("x(<t>)", "h(<t>)", r"\hat{y}(<t>)"),
    ),
    "sine": Letters(
        "the assignment",
        {
            "W_xh": "W_XH", "W_hh": "W_HH", "W_hy": "W_HY",
            "x_t": "X_t", "h_t": "h_t", "h_T": "h_25", "y_hat": "y_25",
        },
        Nodes("X_{<t>}", "h_{<t>}", "y_{<t>}"),
    ),
    "gradients": Letters(
        "the notes",
        {
            "W_xh": "W", "W_hh": "U", "W_hy": "V", "b_h": "b", "b_y": "c",
            "x_t": "x(t)", "h_t": "h(t)", "h_T": "h(l)", "y_hat": "o(t)",
        },
        Nodes("x^{(<t>)}", "h^{(<t>)}", "o^{(<t>)}"),
    ),
    "addition": Letters(
        "the assignment",
        {
            "W_xh": "U", "W_hh": "W", "W_hy": "V",
            "x_t": "x_t", "h_t": "s_t", "h_T": "s_T", "y_hat": "o_t",
        },
        Nodes("x_{<t>}", "s_{<t>}", "o_{<t>}"),
    ),
}  # fmt: skip


def get_letters(lab: str, notation: str = "ours") -> Letters:
    """Return the letters to tell a lab in.

    Parameters
    ----------
    lab : str
        As the command names it: one of weather, noisy-sine, sine, gradients, addition.
    notation : {"ours", "seed"}
        Ours, or those of the document that the lab follows.

    Raises
    ------
    InvalidInput
        Another lab or notation.
    """
    check_choice("lab", lab, SEEDS)
    return SEEDS[lab] if check_choice("notation", notation, NOTATIONS) == "seed" else OURS
