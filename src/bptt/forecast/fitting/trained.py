"""A trained forecaster's numbers, and what they say of a line that is known to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, Encoding, backward, encode, to_unit
from bptt.forecast.features.targets import CHUNK
from bptt.forecast.features.window_path import read_window
from bptt.forecast.fitting.networks.decoder import decode, read_segments
from bptt.forecast.fitting.networks.members import run_states
from bptt.forecast.fitting.readouts.ridge_path import Linear
from bptt.forecast.fitting.readouts.rolling import Walk, roll, start_of, states_at
from bptt.forecast.panel import Line
from bptt.network import Network, Recurrent
from bptt.network.records import State

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
    decoders : tuple of Recurrent
        Of a head by segments, one for each network.
    """

    kind: str
    encoding: Encoding
    nets: tuple[Network, ...]
    linear: Linear | None
    decoders: tuple[Recurrent, ...] = ()

    def forecast(self, line: Encoded, rows: Array) -> Array:
        """Return the forecasts made after these rows of a line, (n, K), in the scaled target's unit.

        The state is carried from the line's first row.
        """
        return self.ahead(line, rows, self.states(line, rows))

    def states(self, line: Encoded, rows: Array) -> list[State]:
        """Return each network's state after these rows (L, n, H), carried from the line's first row."""
        if self.walks:
            return [states_at(net.recurrent, line.x, rows) for net in self.nets]
        found = [run_states(net, [line.x]) for net in self.nets]
        return [{"h": h[None, rows]} for ((_, h, _),) in found]

    @property
    def walks(self) -> bool:
        """Whether forecasts are fed back, row by row."""
        return self.encoding.head == "recursive" and self.linear is not None

    def ahead(self, line: Encoded, rows: Array, states: Sequence[State]) -> Array:
        """Return the forecasts made after these rows, (n, K), scaled, from each network's state there (L, n, H).

        Only a recursive head needs more than the top layer's h.
        """
        readouts = [net.parameters["readout.W_hy"] for net in self.nets]
        if self.walks:
            assert self.linear is not None
            start = start_of(self.encoding, line, rows)
            walks = [
                Walk(self.encoding, start, net.recurrent, state)
                for net, state in zip(self.nets, states, strict=True)
            ] or [Walk(self.encoding, start, None, {})]
            return to_unit(self.encoding, line, rows, roll(walks, readouts, self.linear))
        y_hat, own = self.window_part(line, rows), self.own(line)
        for m, state in enumerate(states):
            h, readout = state["h"][-1], readouts[m][:, own] / len(states)
            if self.decoders:
                decoded = decode(self.encoding, self.decoders[m], h, line.local[rows])
                y_hat = y_hat + read_segments(decoded, readout, self.encoding.horizon)
            else:
                y_hat = y_hat + h @ readout
        return to_unit(self.encoding, line, rows, y_hat)

    def own(self, line: Encoded) -> slice:
        """Return which columns of the readouts are a line's: those of its group."""
        K = self.encoding.outputs
        return slice(line.part * K, (line.part + 1) * K)

    def window_part(self, line: Encoded, rows: Array) -> Array:
        """Return what the linear path says after these rows (n, K), in the network's units."""
        if self.linear is None:
            return np.zeros((len(rows), self.encoding.horizon))
        linear = self.linear.part(line.part, self.encoding.parts)
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
