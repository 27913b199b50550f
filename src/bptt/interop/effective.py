"""The weights that the equations use, of a whole network and of one layer."""

from __future__ import annotations

from collections.abc import Mapping

from bptt.checks import Array
from bptt.network import Network, Recurrent


def effective_parameters(net: Network | Recurrent) -> dict[str, Array]:
    """Return a network's parameters, those of recurrent weights behind a mask or signs as they act."""
    stack = net if isinstance(net, Recurrent) else net.recurrent
    if stack.constraint is None:
        return dict(net.parameters)
    recurrent = {name for name, (rows, _) in stack.cell.plan.weights.items() if rows == "h"}
    return {
        name: stack.constraint.effective(a)
        if name in stack.parameters and name.rpartition(".")[2] in recurrent
        else a
        for name, a in net.parameters.items()
    }


def bare(parameters: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return one layer's parameters by their bare names."""
    return {
        name[len(prefix) :]: a
        for name, a in parameters.items()
        if name.startswith(prefix) and "." not in name[len(prefix) :]
    }
