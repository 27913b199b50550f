"""What a run looks at every so many steps: norms by parameter, spectral radii, copies of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from bptt.checks import Array, check_choice, check_whole
from bptt.data.examples.batch import Source
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network
from bptt.optim.norms import norms
from bptt.training.steps.sources import fetch
from bptt.training.watching.callbacks import Event
from bptt.training.watching.recorded import KINDS, NUMBERS, Recorded

# Examples whose gradient is looked at: enough that their mean is steady, few enough to cost one small batch.
_PROBED = 32


class Recorder:
    """A callback that looks at the network every so many steps; `train(record=)` makes it.

    Parameters
    ----------
    kinds : sequence of str
        Any of "gradient_norms", "weight_norms", "spectral_radius", "snapshots".
    every : int
        Steps between two looks.
    net : Network
        As it is before training: the first look is taken here.
    source : source of batches
        The training data, for "gradient_norms".
    total : int
        Updates planned; the network is looked at after the last one too.

    Raises
    ------
    InvalidInput, InvalidType
        A kind that is not known, or none.
    """

    def __init__(self, kinds: Iterable[str], every: int, net: Network, source: Source, total: int) -> None:
        self.kinds, self.looks_every, self.total = check_kinds(kinds), check_whole("every", every), total
        self.matrices = recurrent_matrices(net) if "spectral_radius" in self.kinds else {}
        self.steps: list[int] = []
        self.series: dict[str, dict[str, list[float]]] = {kind: {} for kind in NUMBERS}
        self.snapshots: list[dict[str, Array]] = []
        self.probe = None
        if "gradient_norms" in self.kinds:
            count = min(_PROBED, len(source))
            self.probe = fetch(source, np.linspace(0, len(source) - 1, count).astype(np.intp))
        self.look(net, 0)

    def __call__(self, event: Event) -> None:
        """Look, if this is one of the steps."""
        made = event.step + 1
        if made % self.looks_every == 0 or made == self.total:
            self.look(event.net, made)

    def look(self, net: Network, made: int) -> None:
        """Take down what the network is like after `made` updates."""
        found: dict[str, dict[str, float]] = {}
        if self.probe is not None:
            # What is not finite is recorded as such: the run itself says what is wrong.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                batch = self.probe
                seen = net.loss_and_gradients(batch.x, batch.y, weights=batch.weights, lengths=batch.lengths)
                found["gradient_norms"] = norms(seen.gradients.parameters)
        if "weight_norms" in self.kinds:
            found["weight_norms"] = norms(net.parameters)
        if self.matrices:
            found["spectral_radius"] = {
                title: _radius(net.parameters[name][:, columns])
                for title, (name, columns) in self.matrices.items()
            }
        for kind, numbers in found.items():
            for name, number in numbers.items():
                self.series[kind].setdefault(name, []).append(number)
        if "snapshots" in self.kinds:
            copies = {name: p.copy() for name, p in net.parameters.items()}
            for copied in copies.values():
                copied.flags.writeable = False
            self.snapshots.append(copies)
        # Last: an interrupted look leaves no row, see `recorded`.
        self.steps.append(made)

    def arrays(self) -> dict[str, Array]:
        """Return what was seen so far as float64 arrays and stacked snapshots, by name: for a checkpoint."""
        seen = self.recorded()
        found: dict[str, Array] = {"steps": seen.steps.astype(np.float64)}
        for kind in NUMBERS:
            found |= {f"{kind}.{name}": numbers for name, numbers in getattr(seen, kind).items()}
        for name in seen.snapshots[0] if seen.snapshots else ():
            found[f"snapshots.{name}"] = np.stack([copies[name] for copies in seen.snapshots])
        return found

    def fill(self, arrays: Mapping[str, Array], net: Network, made: int) -> None:
        """Go on from what `arrays` returned, in a run whose callbacks were told of `made` steps."""
        self.steps = [int(step) for step in arrays["steps"]]
        self.series = {kind: {} for kind in NUMBERS}
        self.snapshots = [{} for _ in self.steps] if "snapshots" in self.kinds else []
        for title, numbers in arrays.items():
            kind, _, name = title.partition(".")
            if kind in NUMBERS:
                self.series[kind][name] = numbers.tolist()
            elif kind == "snapshots":
                for copies, weights in zip(self.snapshots, numbers, strict=True):
                    copies[name] = _frozen(weights.copy())
        # A look that was interrupted is taken now: no step has been made since. For steps that were made and not told
        # of, because a callback raised before, this callback is still to be called.
        if self.steps[-1:] != [made] and (made % self.looks_every == 0 or made == self.total):
            self.look(net, made)

    def recorded(self) -> Recorded:
        """Return what was seen so far."""
        rows = len(self.steps)
        series = {
            kind: {name: _frozen(np.array(numbers[:rows], np.float64)) for name, numbers in found.items()}
            for kind, found in self.series.items()
        }
        steps = np.array(self.steps, np.int64)
        steps.flags.writeable = False
        return Recorded(steps, **series, snapshots=tuple(self.snapshots[:rows]))


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return what is to be recorded, checked, in the order of `KINDS`.

    Raises
    ------
    InvalidInput, InvalidType
        A kind that is not known, or none.
    """
    if isinstance(kinds, str) or not isinstance(kinds, Iterable):
        raise InvalidType(f'record must be a sequence of names such as ["gradient_norms"]. Got {kinds!r}')
    given = {check_choice("record", kind, KINDS) for kind in kinds}
    if not given:
        raise InvalidInput(f"record must name at least one of {', '.join(KINDS)}. Got none")
    return tuple(kind for kind in KINDS if kind in given)


def recurrent_matrices(net: Network) -> dict[str, tuple[str, slice]]:
    """Return every square block of the recurrent weights: title to (parameter, columns)."""
    stack = net.recurrent
    H, found = stack.hidden_size, {}
    gates: dict[str, list[str]] = {}
    for stage in stack.cell.all_stages:
        for weight in stage.products:
            gates.setdefault(weight, []).extend(stage.gates)
    for prefix in stack.prefixes:
        for weight, (rows, blocks) in stack.cell.plan.weights.items():
            if rows == "x":
                continue
            for block, gate in enumerate(gates[weight]):
                title = prefix + weight if blocks == 1 else f"{prefix}{weight}[{gate}]"
                found[title] = (prefix + weight, slice(block * H, (block + 1) * H))
    return found


def _radius(matrix: Array) -> float:
    if not np.isfinite(matrix).all():
        return float("nan")
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix, np.float64))).max())


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
