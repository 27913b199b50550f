"""`RNN`, `GRU` and `LSTM`: PyTorch's modules with bptt's passes.

They inherit from PyTorch's, so constructor, starting weights, ``state_dict`` and ``repr`` are PyTorch's own; what is
replaced is the computation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from bptt.checks import check_choice, check_lengths
from bptt.engine.choice import ENGINES
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Recurrent
from bptt.torch.autograd import StackPass, names_of

DTYPES = {torch.float32: "float32", torch.float64: "float64"}


# mypy knows no class of PyTorch where that is not installed, hence the ignores.
class _Module(nn.Module):  # type: ignore[misc]
    """What the three share; the cell's name comes from the class."""

    cell: str

    def __init__(self, *args: Any, engine: str = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.engine = check_choice("engine", engine, ENGINES)
        if getattr(self, "proj_size", 0):
            raise InvalidInput(f"proj_size must be 0: bptt's cells have no projection. Got {self.proj_size}")

    def forward(self, input: Any, hx: Any = None, *, lengths: Any = None) -> Any:  # noqa: A002  # PyTorch's name
        """Run the module as PyTorch's own is run.

        Parameters
        ----------
        input : Tensor (T, B, D), with batch_first (B, T, D), unbatched (T, D), or PackedSequence
            On the CPU, in the weights' dtype.
        hx : Tensor (L * directions, B, H), for the LSTM a pair (h_0, c_0), optional
            The initial state; zeros if absent.
        lengths : sequence of int (B,), optional
            In place of packing: valid steps of each row, in any order. Outputs past the end are 0.

        Returns
        -------
        output : Tensor or PackedSequence, as the input
        state : Tensor h_n, or a pair (h_n, c_n)
        """
        if torch.compiler.is_compiling():
            return _uncompiled()(self, input, hx, lengths)
        return self._run(input, hx, lengths)

    # ---------------------------------------------------------------- inside

    def _run(self, input: Any, hx: Any, lengths: Any) -> Any:  # noqa: A002  # PyTorch's name
        packed = input if isinstance(input, PackedSequence) else None
        x = input
        if packed is not None:
            if lengths is not None:
                raise InvalidInput("lengths must be left out of a packed sequence, which has them. Got both")
            # Rows stay in the order they were packed in, longest first.
            x, lengths = pad_packed_sequence(PackedSequence(packed.data, packed.batch_sizes))
        dtype = self._check(x)
        batched = x.dim() == 3
        if not batched:
            if lengths is not None:
                raise InvalidInput("lengths must be left out of an input without a batch. Got lengths")
            x = x.unsqueeze(1)
        elif self.batch_first and packed is None:
            x = x.transpose(0, 1)
        T, B, _ = x.shape
        order = None if packed is None else packed.sorted_indices
        states = self._states(hx, B, batched, order, x.dtype)
        stack = self._stack(dtype)
        weights = [getattr(self, name) for name in names_of(stack)]
        tape = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *states, *weights))
        key = None
        if self.training and stack.dropout:
            key = int(torch.randint(2**62, ())), 0  # so that torch.manual_seed decides
        ends = None if lengths is None else check_lengths(np.asarray(lengths), B, T)
        output, *final = StackPass.apply(stack, ends, key, tape, x, *states, *weights)
        if packed is not None:
            data = pack_padded_sequence(output, lengths).data
            output = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
            if packed.unsorted_indices is not None:
                final = [state.index_select(1, packed.unsorted_indices) for state in final]
        elif not batched:
            output, final = output.squeeze(1), [state.squeeze(1) for state in final]
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, (tuple(final) if len(final) > 1 else final[0])

    def _stack(self, dtype: str) -> Recurrent:
        options = (("activation", self.nonlinearity),) if self.cell == "elman" else ()
        return _make_stack(
            self.cell, self.input_size, self.hidden_size, self.num_layers, bool(self.bidirectional),
            bool(self.bias), float(self.dropout), dtype, self.engine, options,
        )  # fmt: skip

    def _check(self, x: Any) -> str:
        """Return the dtype's name; raise unless the input is one that the module takes."""
        if not isinstance(x, torch.Tensor):
            raise InvalidType(f"input must be a tensor or a PackedSequence. Got {type(x).__name__}")
        weight = self.weight_ih_l0
        for name, each in (("input", x), ("weights", weight)):
            if each.device.type != "cpu":
                raise InvalidInput(
                    f"{name} must lie on the CPU, where bptt computes. Got device {str(each.device)!r}: "
                    "move it with .cpu(), or keep PyTorch's module there"
                )
        if weight.dtype not in DTYPES:
            raise InvalidInput(f"weights must be float32 or float64. Got {weight.dtype}")
        if x.dtype != weight.dtype:
            raise InvalidInput(
                f"input must have the weights' dtype {weight.dtype}. Got {x.dtype}: "
                f"move it with .to({weight.dtype})"
            )
        D = self.input_size
        if x.dim() not in (2, 3) or x.shape[-1] != D:
            symbols = "(B, T, D)" if self.batch_first else "(T, B, D)"
            raise InvalidInput(
                f"input must have shape {symbols} = (*, *, {D}), or (T, D) without a batch. Got {tuple(x.shape)}"
            )
        if 0 in x.shape:
            raise InvalidInput(f"input must hold at least one row and one step. Got shape {tuple(x.shape)}")
        return DTYPES[weight.dtype]

    def _states(self, hx: Any, batch: int, batched: bool, order: Any, dtype: Any) -> list[Any]:
        """Return the initial states (L * directions, B, H) in the order of the rows, or none."""
        if hx is None:
            return []
        names = ("h_0", "c_0") if self.cell == "lstm" else ("hx",)
        if len(names) == 2 and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise InvalidType(f"hx must be a pair (h_0, c_0). Got {type(hx).__name__}")
        rows = self.num_layers * (2 if self.bidirectional else 1)
        found = []
        for name, state in zip(names, hx if len(names) == 2 else (hx,), strict=True):
            if not isinstance(state, torch.Tensor):
                raise InvalidType(f"{name} must be a tensor. Got {type(state).__name__}")
            shape = (rows, batch, self.hidden_size) if batched else (rows, self.hidden_size)
            if tuple(state.shape) != shape:
                symbols = "(L * directions, B, H)" if batched else "(L * directions, H)"
                raise InvalidInput(f"{name} must have shape {symbols} = {shape}. Got {tuple(state.shape)}")
            if state.device.type != "cpu" or state.dtype != dtype:
                raise InvalidInput(
                    f"{name} must lie on the CPU in dtype {dtype}. Got device {str(state.device)!r}, {state.dtype}"
                )
            state = state if batched else state.unsqueeze(1)
            found.append(state if order is None else state.index_select(1, order))
        return found


def _uncompiled() -> Any:
    """Return `_Module._run` as `torch.compile` leaves it alone.

    Else it would compile the engine, line by line, for minutes. Not a decorator, as that loads a compiler that takes
    longer to import than PyTorch itself.
    """
    return torch.compiler.disable(_Module._run)


@lru_cache(maxsize=64)
def _make_stack(
    cell: str, inputs: int, hidden: int, layers: int, both: bool, bias: bool, dropout: float, dtype: str,
    engine: str, options: tuple[tuple[str, Any], ...],
) -> Recurrent:  # fmt: skip
    """Return the stack that runs a module; its own weights are never used."""
    return Recurrent(
        cell,
        inputs,
        hidden,
        num_layers=layers,
        direction="bidirectional" if both else "forward",
        bias=bias,
        dropout=dropout if layers > 1 else 0.0,
        dtype=dtype,
        initializers={"W_hh": "uniform"},  # not the orthogonal one, which takes a while at large sizes
        engine=engine,
        **dict(options),
    )


class RNN(_Module, nn.RNN):  # type: ignore[misc]
    """`torch.nn.RNN` computed by bptt: same constructor, call, names and starting weights.

    Parameters
    ----------
    *args, **kwargs
        Those of `torch.nn.RNN`.
    engine : {"auto", "numpy", "compiled"}
        See `bptt.Recurrent`.

    Raises
    ------
    InvalidInput, InvalidType
        An input that is not on the CPU, or not float32 or float64, or of another shape.

    Notes
    -----
    Gradients flow to the input, the initial state and every parameter, from the outputs and from the final state.
    They cannot be differentiated again. Dropout draws from PyTorch's generator, but other numbers than PyTorch's
    module. The threads used are at most ``torch.get_num_threads()``.
    """

    cell = "elman"


class GRU(_Module, nn.GRU):  # type: ignore[misc]
    """`torch.nn.GRU` computed by bptt; see `RNN`."""

    cell = "gru"


class LSTM(_Module, nn.LSTM):  # type: ignore[misc]
    """`torch.nn.LSTM` computed by bptt; see `RNN`. There is no ``proj_size``."""

    cell = "lstm"
