"""The compiled engine: cells as machine code, emitted from their equations.

See docs/engine.md. It offers what `bptt.engine.reference` offers, for float32 and float64.
"""

from bptt.engine.compiled.passes import CompiledTape, backward, forward

NAME = "compiled"

__all__ = ["NAME", "CompiledTape", "backward", "forward"]
