"""Looking into training: what gradients are made of. Functions return frozen records that can draw themselves."""

from bptt.diagnostics.path_lengths import PathLengths, gradient_by_path_length, sliding_gradient

__all__ = ["PathLengths", "gradient_by_path_length", "sliding_gradient"]
