"""A trained forecaster's numbers, and what they say of a line that is known to its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding, backward, encode, to_unit
from bptt.forecast.features.targets import CHUNK
from bptt.forecast.features.window_path import read_window
from bptt.forecast.fitting.members import run_states
from bptt.forecast.fitting.ridge_path import Linear
from bptt.forecast.panel import Line
from bptt.network import Network

KINDS = ("network", "ridge", "last", "season")


@dataclass(frozen=True, eq=False)
class Trained:
    """The mean of some networks' readouts, plus the linear path.

    Attributes
    ----------
    kind : {"network", "ridge", "last", "season"}
        What validation chose. "ridge" has no network; "last" and "season" have no linear path either.
    encoding : Encoding
    nets : tuple of Network
        Float64, readout at every step, without a bias.
    linear : Linear or None
        The mean of the members' linear paths.
    """

    kind: str
    encoding: Encoding
    nets: tuple[Network, ...]
    linear: Linear | None

    def forecast(self, line: Encoded, rows: Array) -> Array:
        """Return the forecasts made after these rows of a line, (n, K), in the scaled target's unit.

        The state is carried from the line's first row.
        """
        y_hat = np.zeros((len(rows), self.encoding.horizon))
        for net in self.nets:
            ((_, h, _),) = run_states(net, [line.x])
            y_hat += h[rows] @ net.parameters["readout.W_hy"] / len(self.nets)
        return to_unit(self.encoding, line, rows, y_hat + self.window_part(line, rows))

    def window_part(self, line: Encoded, rows: Array) -> Array:
        """Return what the linear path says after these rows (n, K), in the network's units."""
        if self.linear is None:
            return np.zeros((len(rows), self.encoding.horizon))
        linear = self.linear
        if not linear.weights.any():
            return np.tile(linear.intercept, (len(rows), 1))
        parts = [
            linear(read_window(self.encoding, line, rows[k : k + CHUNK])) for k in range(0, len(rows), CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.encoding.horizon))

    def in_units(self, line: Encoded, z: Array) -> Array:
        """Return scaled forecasts in the unit of the source."""
        return self.to_source(z, line.centre, line.scale)

    def to_source(self, z: Array, centre: float, scale: float) -> Array:
        """Return scaled values of a line with this centre and scale in the unit of the source."""
        return backward(z * scale + centre, self.encoding.transform)


def forecast_line(trained: Trained, line: Line, rows: Array) -> Array:
    """Return the forecasts (n, K) made after these rows of a line, in the unit of the source."""
    encoded = encode(trained.encoding, line)
    return trained.in_units(encoded, trained.forecast(encoded, rows))
