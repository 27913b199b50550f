"""Drop-in modules for PyTorch models: `nn.RNN`, `nn.GRU` and `nn.LSTM` that train with bptt's kernels, on the CPU."""

from bptt.errors import LibraryMissing

try:
    from bptt.torch.modules import GRU, LSTM, RNN
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise LibraryMissing("bptt.torch needs PyTorch. Got none: pip install 'bptt[torch]'") from None

__all__ = ["GRU", "LSTM", "RNN"]
