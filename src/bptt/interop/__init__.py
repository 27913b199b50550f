"""Weights and whole networks to and from other programs: PyTorch, Keras, ONNX, plain NumPy.

Nothing here is needed to train or to predict, and no other library is loaded before a function needs it.
"""

from bptt.interop.keras import from_keras, to_keras
from bptt.interop.numpy_script import to_numpy_script
from bptt.interop.onnx_export import to_onnx
from bptt.interop.onnx_forecaster import forecaster_to_onnx
from bptt.interop.pytorch import from_pytorch, to_pytorch, to_pytorch_module
from bptt.interop.pytorch_arrays import gradients_to_pytorch

__all__ = [
    "forecaster_to_onnx",
    "from_keras",
    "from_pytorch",
    "gradients_to_pytorch",
    "to_keras",
    "to_numpy_script",
    "to_onnx",
    "to_pytorch",
    "to_pytorch_module",
]
