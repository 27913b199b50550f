"""A network as one Python file with its equations and weights, which predicts with NumPy alone."""

from __future__ import annotations

import base64
import os
import re
import textwrap
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

import numpy as np

from bptt.atomic import write_atomic
from bptt.errors import InvalidType
from bptt.interop.effective import effective_parameters
from bptt.interop.equations import functions_text, step_text
from bptt.interop.numpy_template import TEMPLATE
from bptt.network import Network, Recurrent

DIGITS = {"float32": 9, "float64": 17}  # that tell any two numbers apart


def to_numpy_script(net: Network, path: str | os.PathLike[str]) -> Path:
    """Write a network as a Python file that predicts with nothing but NumPy.

    Parameters
    ----------
    net : Network
        Of any cell, the user's own among them: the file has its equations as text.
    path : str or path
        The file to write, ``"predict.py"``. An existing one is replaced.

    Returns
    -------
    Path
        Of the file. It has ``predict(x, lengths=None, state=None)``, which gives what `Network.predict` gives to
        1e-12 in float64 and 1e-6 in float32, ``run``, which returns the final state too, and a command line.

    Raises
    ------
    InvalidType, InvalidInput, FileMissing
        Not a network, or a path that cannot be written.

    Notes
    -----
    The weights are bytes in base64: the file has 1.4 times their size. It runs from NumPy 1.22 on.
    """
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}: a stack alone predicts nothing")
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidType(f"path must be text or a path. Got {path!r}")
    found = Path(os.fsdecode(path))
    write_atomic(found, script_text(net, found.name).encode())
    return found


def script_text(net: Network, file: str) -> str:
    """Return the text of the script that is to be called `file`."""
    file = _word(file)
    stack = net.recurrent
    arrays = effective_parameters(net)
    bare = {name[len(stack.prefixes[0]) :] for name in stack.parameters if name.startswith(stack.prefixes[0])}
    raw = b"".join(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays.values())
    states = ", ".join(f'"{name}"' for name in stack.states)
    return Template(TEMPLATE).substitute(
        about=_about(net),
        file=file,
        module=Path(file).stem,
        version=_version(),
        dtype=net.dtype.name,
        D=net.input_size,
        H=stack.hidden_size,
        K=net.output_size,
        rows=len(stack.prefixes),
        states=f"({states},)",
        state_names=", ".join(stack.states),
        directions=repr(stack.directions),
        every=net.readout == "every",
        shape="(B, T, K)" if net.readout == "every" else "(B, K)",
        lags=net.linear_lags,
        change_of=None if net.change_of is None else list(net.change_of),
        change_scale=repr(net.change_scale),
        feedback=net.feedback,
        functions=functions_text(stack.cell, net.output_activation),
        activation=net.output_activation,
        step=step_text(stack.cell, stack.hidden_size, bare),
        digits=DIGITS[net.dtype.name],
        table="\n".join(f"    ({name!r}, {a.shape!r})," for name, a in arrays.items()),
        weights="\n".join(textwrap.wrap(base64.b64encode(raw).decode(), 110)),
        prefixes=repr([prefix.removesuffix(".") for prefix in stack.prefixes]),
    )


def _about(net: Network) -> str:
    stack: Recurrent = net.recurrent
    return (
        f"Cell {_word(stack.cell.name)}, {stack.num_layers} layer(s) of {stack.hidden_size} units, {stack.direction}; "
        f"{net.readout} step read, {net.output_size} output(s)."
    )


def _word(name: str) -> str:
    """Return a name that cannot end the text that it stands in."""
    return re.sub(r"[^\w.-]", "_", name)


def _version() -> str:
    try:
        return version("bptt")
    except PackageNotFoundError:
        return "(from its source)"
