"""The usual mistakes in a hand-written backward pass, and the search for the one that was made."""

from bptt.verify.mistakes.mistake import Mistake, mistake
from bptt.verify.mistakes.search import Verdict, judge
from bptt.verify.mistakes.sums import SUMS
from bptt.verify.mistakes.sweep import RIGHT, Case, Rules, gradient_of_paths, gradients, state_gradients
from bptt.verify.mistakes.upstream import GIVEN, HALF_SQUARED, SOFTMAX, SQUARED
from bptt.verify.mistakes.way_back import WAY_BACK

__all__ = [
    "GIVEN",
    "HALF_SQUARED",
    "RIGHT",
    "SOFTMAX",
    "SQUARED",
    "SUMS",
    "WAY_BACK",
    "Case",
    "Mistake",
    "Rules",
    "Verdict",
    "gradient_of_paths",
    "gradients",
    "judge",
    "mistake",
    "state_gradients",
]
