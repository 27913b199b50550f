"""Looking into training: what gradients are made of. Functions return frozen records that can draw themselves."""

from bptt.diagnostics.path_lengths import PathLengths, gradient_by_path_length, sliding_gradient
from bptt.diagnostics.truncation import chunked_gradient

__all__ = ["PathLengths", "chunked_gradient", "gradient_by_path_length", "sliding_gradient"]
