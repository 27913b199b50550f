"""Checks of gradients and engines, for our cells and for yours."""

from bptt.verify.cells import check_cell
from bptt.verify.engines import ENGINE_TOLERANCES, compare_engines
from bptt.verify.formulas import check_formulas
from bptt.verify.gradients import TOLERANCES, check_gradients
from bptt.verify.networks import gradient_check
from bptt.verify.report import GradientReport, TensorCheck
from bptt.verify.samples import random_parameters
from bptt.verify.table import Configuration, ConfigurationCheck, configurations, gradcheck_table

__all__ = [
    "ENGINE_TOLERANCES",
    "TOLERANCES",
    "Configuration",
    "ConfigurationCheck",
    "GradientReport",
    "TensorCheck",
    "check_cell",
    "check_formulas",
    "check_gradients",
    "compare_engines",
    "configurations",
    "gradcheck_table",
    "gradient_check",
    "random_parameters",
]
