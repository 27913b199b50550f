"""The compiled engine: cells as machine code, emitted from their equations.

See docs/engine.md. It offers what `bptt.engine.reference` offers, for float32 and float64.
"""

from bptt.engine.compiled.passes import CompiledTape, backward, forward
from bptt.engine.compiled.streams.runner import CompiledStream
from bptt.engine.compiled.training.step import CompiledStep
from bptt.engine.compiled.training.training_steps import CompiledTraining

NAME = "compiled"

__all__ = [
    "NAME",
    "CompiledStep",
    "CompiledStream",
    "CompiledTape",
    "CompiledTraining",
    "backward",
    "forward",
]
