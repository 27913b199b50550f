"""Optimisers, learning-rate schedules, gradient clipping, penalties and norms."""

from bptt.optim.adam import Adam, AdamW
from bptt.optim.clipping import CLIPPINGS, ClipNorm, Clipping, ClipValue, clipping_from_config
from bptt.optim.norms import global_norm, largest_magnitude, norm, norms
from bptt.optim.optimizer import Optimizer, Slots
from bptt.optim.penalties import L1, L2, PENALTIES, Penalty, penalty_from_config
from bptt.optim.registry import OPTIMIZERS, get_optimizer
from bptt.optim.rmsprop import RMSProp
from bptt.optim.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    InverseTime,
    Schedule,
    StepDecay,
    schedule_from_config,
)
from bptt.optim.sgd import SGD
from bptt.optim.slots import fill_slots, slot_arrays

__all__ = [
    "CLIPPINGS",
    "L1",
    "L2",
    "OPTIMIZERS",
    "PENALTIES",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "ClipNorm",
    "ClipValue",
    "Clipping",
    "Constant",
    "Cosine",
    "InverseTime",
    "Optimizer",
    "Penalty",
    "RMSProp",
    "Schedule",
    "Slots",
    "StepDecay",
    "clipping_from_config",
    "fill_slots",
    "get_optimizer",
    "global_norm",
    "largest_magnitude",
    "norm",
    "norms",
    "penalty_from_config",
    "schedule_from_config",
    "slot_arrays",
]
