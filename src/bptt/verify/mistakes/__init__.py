"""The usual mistakes in a hand-written backward pass, and the search for the one that was made."""

from bptt.verify.mistakes.forward import (
    CELL,
    FORWARD,
    RIGHT_FORWARD,
    ForwardNetwork,
    ForwardRules,
    forward,
)
from bptt.verify.mistakes.loss_value import LOSS_VALUE, half_squared
from bptt.verify.mistakes.mistake import Mistake, mistake
from bptt.verify.mistakes.paths import (
    PATHS,
    PROFILE,
    RIGHT_PATHS,
    PathRules,
    on_paths,
    part_of,
    profile,
)
from bptt.verify.mistakes.search import Verdict, judge
from bptt.verify.mistakes.sums import SUMS, only_the_last_step
from bptt.verify.mistakes.sweep import RIGHT, Case, Rules, gradient_of_paths, gradients, state_gradients
from bptt.verify.mistakes.upstream import GIVEN, HALF_SQUARED, SOFTMAX, SQUARED
from bptt.verify.mistakes.way_back import WAY_BACK

__all__ = [
    "CELL",
    "FORWARD",
    "GIVEN",
    "HALF_SQUARED",
    "LOSS_VALUE",
    "PATHS",
    "PROFILE",
    "RIGHT",
    "RIGHT_FORWARD",
    "RIGHT_PATHS",
    "SOFTMAX",
    "SQUARED",
    "SUMS",
    "WAY_BACK",
    "Case",
    "ForwardNetwork",
    "ForwardRules",
    "Mistake",
    "PathRules",
    "Rules",
    "Verdict",
    "forward",
    "gradient_of_paths",
    "gradients",
    "half_squared",
    "judge",
    "mistake",
    "on_paths",
    "only_the_last_step",
    "part_of",
    "profile",
    "state_gradients",
]
