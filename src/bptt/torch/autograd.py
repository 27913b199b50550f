"""A pass of a stack as one operation that PyTorch's autograd can sweep back through."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from bptt.checks import Array
from bptt.engine import get_engine, get_threads, use_threads
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput
from bptt.interop.pytorch_arrays import gradients_to_pytorch, parameters_from_pytorch, pytorch_names
from bptt.network import Recurrent


# Without PyTorch's types its classes are Any, and a class of ours under them is nothing that mypy can check.
class StackPass(torch.autograd.Function):  # type: ignore[misc]
    """``h, *final = StackPass.apply(stack, lengths, dropout_key, tape, x, *states, *weights)``, time first.

    x is (T, B, D), each state (L * directions, B, H), the weights in the order of `pytorch_names`. Arrays are views of
    the tensors wherever the engine reads them as they lie; weights are copied, as they are transposed.
    """

    @staticmethod
    def forward(
        ctx: Any,
        stack: Recurrent,
        lengths: Array | None,
        dropout_key: tuple[int, int] | None,
        tape: bool,
        x: Any,
        *tensors: Any,
    ) -> tuple[Any, ...]:
        """Run the stack."""
        names, states = names_of(stack), stack.states
        given = len(tensors) - len(names)
        arrays = [tensor.numpy(force=True) for tensor in tensors]
        with _held(stack):
            h, final, record = stack.run(
                # PyTorch turns the batch time first in half of NumPy's time.
                x.detach().contiguous().numpy() if tape else x.detach().numpy(),
                dict(zip(states, arrays, strict=False)) if given else None,
                lengths,
                parameters=parameters_from_pytorch(stack, dict(zip(names, arrays[given:], strict=True))),
                dropout_key=dropout_key,
                tape=tape,
            )
        assert h is not None
        ctx.stack, ctx.record, ctx.given, ctx.tensors = stack, record, given, (x, *tensors)
        # The record may show x itself: asked for again before the sweep, PyTorch tells whether x was written to.
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return torch.from_numpy(h), *(torch.from_numpy(final[name]) for name in states)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Any, ...]:
        """Sweep back from dL/dh and dL/d(final state)."""
        stack, record = ctx.stack, ctx.record
        _ = ctx.saved_tensors
        wants_x, *wants = ctx.needs_input_grad[4:]
        want = {
            name
            for name, wanted in (
                ("x", wants_x),
                ("state0", any(wants[: ctx.given])),
                ("parameters", any(wants[ctx.given :])),
            )
            if wanted
        }
        dh, *dfinal = (None if d is None else d.numpy(force=True) for d in upstream)
        dstate = {name: d for name, d in zip(stack.states, dfinal, strict=True) if d is not None}
        with _held(stack):
            found = stack.sweep(record, dh, dstate or None, want=want)
        dx = None if found.x is None else _tensor(found.x)
        dstates = [_tensor(found.state[name]) if found.state else None for name in stack.states][: ctx.given]
        names = names_of(stack)
        if "parameters" in want:
            dparameters = gradients_to_pytorch(stack, found.parameters)
            dweights = [
                _tensor(dparameters[name]) if w else None
                for name, w in zip(names, wants[ctx.given :], strict=True)
            ]
        else:
            dweights = [None] * len(names)
        gradients = [dx, *dstates, *dweights]
        if torch.is_grad_enabled():  # as for create_graph=True alone
            gradients = _refusing(gradients, (*upstream, *ctx.tensors))
        return None, None, None, None, *gradients


class _Once(torch.autograd.Function):  # type: ignore[misc]
    """The first `count` tensors as they are, to autograd a function of the others too, which it cannot sweep through.

    PyTorch's `once_differentiable` looks at the upstream gradient alone: where that is a constant, as of a plain sum,
    what it returns is constant as well, and a penalty on it would teach nothing without a word.
    """

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Any) -> tuple[Any, ...]:  # noqa: ARG004  # PyTorch's signature
        """Return the first tensors."""
        return tuple(tensor.clone() for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Any, ...]:  # noqa: ARG004  # PyTorch's signature
        """Refuse."""
        raise InvalidInput(
            "gradients of a module of bptt.torch must be differentiated no further. Got a second derivative: "
            "use PyTorch's own module, which has the same weights"
        )


def _refusing(gradients: list[Any], of: tuple[Any, ...]) -> list[Any]:
    """Return gradients that say so when they are differentiated again."""
    there = [each for each in gradients if each is not None]
    found = iter(_Once.apply(len(there), *there, *(each for each in of if each is not None)))
    return [None if each is None else next(found) for each in gradients]


@lru_cache(maxsize=64)
def names_of(stack: Recurrent) -> tuple[str, ...]:
    """Return the names of PyTorch's parameters, in the order of `StackPass`'s weights."""
    return tuple(pytorch_names(stack))


def _held(stack: Recurrent) -> AbstractContextManager[object]:
    """Use as many threads as PyTorch does, and one of BLAS where there is any BLAS to hold, which takes a while."""
    threads = use_threads(min(get_threads(), torch.get_num_threads()))
    if get_engine(stack.engine).NAME == "compiled":
        return threads
    both = ExitStack()
    both.enter_context(one_blas_thread())
    both.enter_context(threads)
    return both


def _tensor(array: Array) -> Any:
    # A view with a negative stride (a sequence turned around) is one that PyTorch does not have.
    return torch.from_numpy(array if min(array.strides) >= 0 else np.ascontiguousarray(array))
