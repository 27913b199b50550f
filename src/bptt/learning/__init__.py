"""Other learning rules on the same cells: real-time recurrent learning, echo states, the extended Kalman filter."""

from bptt.learning.echo_state import ReadoutFit, echo_state_network, fit_readout
from bptt.learning.kalman import EKF
from bptt.learning.leaky import LeakyElman
from bptt.learning.online import Online, OnlineStep
from bptt.learning.rtrl import RTRL, rtrl_gradients
from bptt.learning.tasks import mackey_glass, narma10

__all__ = [
    "EKF",
    "RTRL",
    "LeakyElman",
    "Online",
    "OnlineStep",
    "ReadoutFit",
    "echo_state_network",
    "fit_readout",
    "mackey_glass",
    "narma10",
    "rtrl_gradients",
]
