"""Recurrent stacks, and networks with a readout and a loss."""

from bptt.network.network import Network
from bptt.network.records import Gradients, LossGradients, Pass, StackTape
from bptt.network.recurrent import Recurrent
from bptt.network.stream import Stream

__all__ = ["Gradients", "LossGradients", "Network", "Pass", "Recurrent", "StackTape", "Stream"]
