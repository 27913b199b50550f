"""Walking along one line, a row at a time, with the networks' states resident in their streams."""

from __future__ import annotations

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoded, encode, to_unit
from bptt.forecast.fitting.intervals.bounds import Intervals
from bptt.forecast.fitting.intervals.moments import moment
from bptt.forecast.fitting.trained import Trained
from bptt.forecast.panel import Line
from bptt.forecast.predicting.following import Followed

_NEWEST = np.zeros(1, np.int64)


class Walker:
    """What `follow` does to a line, for single rows and many times as fast.

    Parameters
    ----------
    trained : Trained
    intervals : Intervals
    followed : Followed
        Where it starts.
    """

    def __init__(self, trained: Trained, intervals: Intervals, followed: Followed) -> None:
        self._trained, self._intervals = trained, intervals
        self.place = followed
        self._streams = [
            net.stream(state=state) for net, state in zip(trained.nets, followed.states, strict=True)
        ]
        self._line: Line | None = None
        self._encoded: Encoded | None = None
        self._z: Array | None = None

    def step(self, line: Line) -> Array:
        """Take the next row, a line of one, in; return the forecast after it (K,), in the unit of the source."""
        trained = self._trained
        memory = self.place.memory if self._encoded is None else self._encoded.memory
        encoded = encode(trained.encoding, line, memory)
        if trained.encoding.head == "direct":
            y_hat, own = trained.window_part(encoded, _NEWEST), trained.own(encoded)
            for stream in self._streams:
                y_hat += stream.step(encoded.x[0])[own] / len(self._streams)
            z = to_unit(trained.encoding, encoded, _NEWEST, y_hat)[0]
        else:
            for stream in self._streams:
                stream.step(encoded.x[0])
            z = trained.ahead(encoded, _NEWEST, [stream.state for stream in self._streams])[0]
        self._line, self._encoded, self._z = line, encoded, z
        return trained.to_source(z, memory.centre, memory.scale)

    @property
    def time(self) -> np.datetime64:
        """Of the newest row."""
        return self.place.time if self._line is None else self._line.times[0]

    @property
    def local(self) -> np.datetime64:
        """The wall's clock at the newest row."""
        return self.place.local if self._line is None else self._line.local[0]

    def followed(self) -> Followed:
        """Return where the line is now."""
        if self._line is not None and self._encoded is not None and self._z is not None:
            encoding = self._trained.encoding
            self.place = Followed(
                self.place.id,
                self.time,
                self.local,
                self._encoded.memory,
                tuple(stream.state for stream in self._streams),
                self._z,
                moment(encoding.calendar, self._intervals.floor, self._encoded, _NEWEST)[0],
                self.place.static,
                0,
            )
            self._line = self._encoded = self._z = None
        return self.place
