"""What is kept of a network's training, so that a fit that was interrupted need not train it again.

Everything after the gradient steps, the closed form among it, follows from the weights to the bit and is computed anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.errors import FileFormatError
from bptt.training.steps.weights import overwrite


@dataclass(frozen=True, eq=False)
class Learnt:
    """A training that has come to its end.

    Attributes
    ----------
    weights : dict of str to ndarray float32
        As the last update left them.
    rows : ndarray float64 (updates, 3)
        Loss, gradient norm and learning rate of each update; of a head by segments (updates, 1), the loss.
    """

    weights: dict[str, Array]
    rows: Array

    @property
    def losses(self) -> Array:
        """Of each update, (updates,)."""
        return self.rows[:, 0].copy()

    def restore(self, parameters: Mapping[str, Array], shape: tuple[int, int]) -> None:
        """Write the weights into a network's parameters.

        Parameters
        ----------
        parameters : mapping of str to ndarray
        shape : tuple of int
            That `rows` must have.

        Raises
        ------
        FileFormatError
            They are not those of such a network.
        """
        wanted = {"rows": shape, **{name: p.shape for name, p in parameters.items()}}
        found = {"rows": self.rows.shape, **{name: w.shape for name, w in self.weights.items()}}
        odd = next((name for name in (*wanted, *found) if wanted.get(name) != found.get(name)), None)
        if odd is None:
            odd = next((name for name, p in parameters.items() if p.dtype != self.weights[name].dtype), None)
        if odd is not None:
            raise FileFormatError(
                f"checkpoint must hold the networks of its fit, {odd} of shape {wanted.get(odd, 'none')}. "
                f"Got {found.get(odd, 'none')}: delete the file to begin anew"
            )
        overwrite(parameters, self.weights)


def check_count(known: tuple[Learnt, ...], count: int) -> None:
    """Refuse another number of networks than a job has, or none."""
    if known and len(known) != count:
        raise FileFormatError(
            f"checkpoint must hold all networks of a job, {count}. Got {len(known)}: delete the file to begin anew"
        )


def stacked(losses: Array, *others: Array) -> Array:
    """Return the rows of a training from its columns, (updates, C)."""
    return np.stack([losses, *others], axis=1)
