"""Weights of PyTorch's `nn.RNN`, `nn.GRU` and `nn.LSTM`, in and out: of modules, or as arrays without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from bptt.checks import Array, check_choice
from bptt.errors import InvalidInput, InvalidType, LibraryMissing
from bptt.interop.pytorch_arrays import parameters_from_pytorch, parameters_to_pytorch, pytorch_names
from bptt.interop.pytorch_source import KINDS, ModuleShape, open_source
from bptt.network import Network, Recurrent


@overload
def from_pytorch(
    source: Any,
    *,
    recurrent: str = "",
    linear: None = None,
    nonlinearity: str | None = None,
    dropout: float | None = None,
    reset_after: bool = True,
    direction: str | None = None,
    dtype: str | None = None,
    engine: str = "auto",
) -> Recurrent: ...


@overload
def from_pytorch(
    source: Any,
    *,
    recurrent: str = "",
    linear: str,
    nonlinearity: str | None = None,
    dropout: float | None = None,
    reset_after: bool = True,
    direction: str | None = None,
    dtype: str | None = None,
    engine: str = "auto",
    **network: Any,
) -> Network: ...


def from_pytorch(
    source: Any,
    *,
    recurrent: str = "",
    linear: str | None = None,
    nonlinearity: str | None = None,
    dropout: float | None = None,
    reset_after: bool = True,
    direction: str | None = None,
    dtype: str | None = None,
    engine: str = "auto",
    **network: Any,
) -> Recurrent | Network:
    """Return a stack, or a network, with the weights of PyTorch's.

    Parameters
    ----------
    source : torch.nn.Module, or mapping of str to array_like or tensor
        An `nn.RNN`, `nn.GRU` or `nn.LSTM` (or one of their cell modules), a module that holds one, or a
        ``state_dict`` of either. Arrays do: PyTorch is not needed. Cell, sizes, layers, directions and bias are read
        off the names and shapes.
    recurrent : str
        Where the recurrent module is inside `source`: ``"encoder.rnn"`` for ``encoder.rnn.weight_ih_l0``.
    linear : str, optional
        Where the `nn.Linear` is that reads the outputs; a `Network` is then returned.
    nonlinearity : {"tanh", "relu"}, optional
        Of an `nn.RNN`; read off a module, tanh for a state_dict, which does not have it.
    dropout : float, optional
        Between layers, while training; read off a module, 0 for a state_dict.
    reset_after : bool
        False for GRU weights of other origin that reset before the product. PyTorch's always reset after it.
    direction : {"forward", "reverse"}, optional
        Of a stack that runs one way.
    dtype : {"float64", "float32"}, optional
        That of the arrays where it is one of the two, else float32.
    engine : str
        See `Recurrent`.
    **network
        With `linear`: what `Network` takes, ``readout="every"``, ``loss=...``.

    Returns
    -------
    Recurrent or Network
        Batch first, whatever ``batch_first`` was.

    Raises
    ------
    InvalidInput, InvalidType
        Names, shapes or settings that do not fit; projections (``proj_size``), which our cells do not have.
    """
    module, arrays = open_source(source)
    part = _inside(arrays, recurrent, "recurrent")
    if module is not None and recurrent:
        module = module.get_submodule(recurrent)
    shape = ModuleShape.read(part, recurrent)
    if nonlinearity is not None and shape.cell != "elman":
        raise InvalidInput(f"nonlinearity must be left out for a {shape.cell}. Got {nonlinearity!r}")
    options: dict[str, Any] = {}
    if shape.cell == "elman":
        found = nonlinearity or getattr(module, "nonlinearity", "tanh")
        options["activation"] = check_choice("nonlinearity", found, ("tanh", "relu"))
    if not reset_after and shape.cell != "gru":
        raise InvalidInput(f"reset_after must be left out for a {shape.cell}. Got False")
    if shape.both and direction is not None:
        raise InvalidInput(f"direction must be left out where there are weights of both. Got {direction!r}")
    rate = float(getattr(module, "dropout", 0.0)) if dropout is None else dropout
    stack = Recurrent(
        shape.cell if reset_after else "gru_reset_before",
        shape.inputs,
        shape.hidden,
        num_layers=shape.layers,
        direction="bidirectional" if shape.both else check_choice(
            "direction", direction or "forward", ("forward", "reverse")
        ),
        bias=shape.bias,
        # PyTorch only warns of dropout with one layer, and drops nothing.
        dropout=rate if shape.layers > 1 else 0.0,
        dtype=dtype or _dtype(part),
        engine=engine,
        **options,
    )  # fmt: skip
    shape.check(part, pytorch_names(stack))
    stack.parameters.update(
        parameters_from_pytorch(stack, {shape.plain(name): a for name, a in part.items()})
    )
    if linear is None:
        if network:
            raise InvalidInput(
                f"{', '.join(network)} must be left out without linear: a stack alone is returned. Got linear=None"
            )
        return stack
    return _network(stack, _inside(arrays, linear, "linear"), linear, network)


def to_pytorch(net: Recurrent | Network) -> dict[str, Array]:
    """Return the weights under PyTorch's names: what ``load_state_dict`` takes, once each is a tensor.

    Parameters
    ----------
    net : Recurrent or Network
        An Elman of tanh or relu, a GRU or an LSTM. A network may have a readout and nothing else that learns; its
        names begin with ``recurrent.`` and ``readout.``.

    Returns
    -------
    dict of str to ndarray
        Copies. The second bias is zero, but for what the GRU keeps apart. Of missing connections and units of one
        sign the weights are written that the equations use.

    Raises
    ------
    InvalidInput
        What PyTorch's modules cannot express.
    """
    if isinstance(net, Recurrent):
        check_expressible(net, "PyTorch")
        return parameters_to_pytorch(net, net.parameters)
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Recurrent or a Network. Got {type(net).__name__}")
    check_plain_readout(net, "PyTorch's modules")
    check_expressible(net.recurrent, "PyTorch")
    found = {
        f"recurrent.{name}": array
        for name, array in parameters_to_pytorch(net.recurrent, net.parameters).items()
    }
    found["readout.weight"] = np.array(net.parameters["readout.W_hy"].T, order="C")
    if net.bias:
        found["readout.bias"] = net.parameters["readout.b_y"].copy()
    return found


def to_pytorch_module(net: Recurrent | Network) -> Any:
    """Return an `nn.RNN`, `nn.GRU` or `nn.LSTM` with a stack's weights, batch first, in evaluation mode.

    Of a network: an `nn.ModuleDict` of ``recurrent`` and the `nn.Linear` ``readout``.

    Raises
    ------
    InvalidInput
        What PyTorch's modules cannot express.
    LibraryMissing
        Without PyTorch.
    """
    arrays = to_pytorch(net)
    try:
        import torch
    except ModuleNotFoundError:
        raise LibraryMissing(
            "to_pytorch_module needs PyTorch. Got none: pip install 'bptt[torch]', or take the arrays of to_pytorch"
        ) from None
    stack = net if isinstance(net, Recurrent) else net.recurrent
    settings: dict[str, Any] = {
        "num_layers": stack.num_layers,
        "bias": stack.bias,
        "batch_first": True,
        "dropout": stack.dropout,
        "bidirectional": stack.direction == "bidirectional",
        "dtype": getattr(torch, stack.dtype.name),
    }
    if stack.cell.name == "elman":
        settings["nonlinearity"] = stack.cell.options["activation"]
    kind = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[stack.cell.name]
    module = kind(stack.input_size, stack.hidden_size, **settings)
    if isinstance(net, Network):
        readout = torch.nn.Linear(stack.output_size, net.output_size, bias=net.bias, dtype=settings["dtype"])
        module = torch.nn.ModuleDict({"recurrent": module, "readout": readout})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module.eval()


def check_expressible(stack: Recurrent, whose: str) -> None:
    """Raise unless PyTorch has a module for a stack."""
    cell = stack.cell
    if cell.name not in KINDS.values() or cell.options.get("activation") not in (None, "tanh", "relu"):
        raise InvalidInput(
            f"net must be an elman of tanh or relu, a gru or an lstm: {whose} has no other. Got {cell!r}"
        )
    if stack.direction == "reverse":
        raise InvalidInput(
            f"net must run forward or both ways: {whose} has no stack that only runs back. Got direction 'reverse'"
        )


def check_plain_readout(net: Network, whose: str) -> None:
    """Raise unless a network is a stack and a readout, and nothing else."""
    extra = [
        name
        for name, there in (
            ("linear_lags", net.linear_lags),
            ("change_of", net.change_of is not None),
            ("feedback", net.feedback),
            ("learned_initial_state", net.learned_initial_state),
            (f"output_activation {net.output_activation!r}", net.output_activation != "identity"),
        )
        if there
    ]
    if extra:
        raise InvalidInput(
            f"net must be a stack and a readout: {whose} have no place for more. Got {', '.join(extra)}: "
            "hand over net.recurrent, or use to_onnx or to_numpy_script"
        )


# ---------------------------------------------------------------- inside


def _inside(arrays: Mapping[str, Array], where: str, argument: str) -> dict[str, Array]:
    """Return the arrays of the part at `where`, under their names there."""
    if not isinstance(where, str):
        raise InvalidType(f"{argument} must be the name of a part, such as 'rnn'. Got {where!r}")
    if not where:
        return dict(arrays)
    found = {name[len(where) + 1 :]: a for name, a in arrays.items() if name.startswith(f"{where}.")}
    if not found:
        parts = sorted({name.rpartition(".")[0] for name in arrays})
        raise InvalidInput(
            f"{argument} must name a part of source. Got {where!r}: there are {', '.join(parts)}"
        )
    return found


def _dtype(arrays: Mapping[str, Array]) -> str:
    return "float64" if any(array.dtype == np.float64 for array in arrays.values()) else "float32"


def _network(stack: Recurrent, part: Mapping[str, Array], where: str, settings: dict[str, Any]) -> Network:
    weight = part.get("weight")
    if (
        weight is None
        or weight.ndim != 2
        or weight.shape[1] != stack.output_size
        or set(part) - {"weight", "bias"}
    ):
        got = ", ".join(f"{name} {array.shape}" for name, array in part.items())
        raise InvalidInput(
            f"linear={where!r} must hold weight (K, H) = (*, {stack.output_size}) and at most a bias. Got {got}"
        )
    K = weight.shape[0]
    net = Network(stack, K, bias="bias" in part, **settings)
    net.parameters["readout.W_hy"][...] = weight.T
    if net.bias:
        if part["bias"].shape != (K,):
            raise InvalidInput(f"linear={where!r}: bias must have shape ({K},). Got {part['bias'].shape}")
        net.parameters["readout.b_y"][...] = part["bias"]
    return net
