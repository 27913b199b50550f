r"""The segment-wise head: a second recurrence goes on from the last state, a step for each segment of the horizon.

With h_t the network's state after row t and q_m the place of segment m (which one it is, and the calendar of its first
row), ::

    d_{t,0} = h_t,    d_{t,m} = cell(q_m, d_{t,m-1}),    r_{t,m} = W_y^T d_{t,m} + b_y

where r_{t,m} are the L rows of the segment. Readout and cell are the same for all segments: 720 rows ahead take 30
steps and a readout of 24, where one state would need a readout of 720. The idea of going on by segments is SegRNN's.

References
----------
Lin et al. 2023, "SegRNN: segment recurrent neural network for long-term time series forecasting", arXiv:2308.11200.
There the encoder reads segments too; here it reads every row, so that its state can be carried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.cells import get_cell
from bptt.checks import Array
from bptt.engine.blas import one_blas_thread
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.pieces import after
from bptt.initializers import Constant
from bptt.losses import get_loss
from bptt.network import Network, Recurrent
from bptt.network.parameters import cell_shapes, prefixes

# Forecasts that go through the decoder together.
_TOGETHER = 4096


@dataclass(frozen=True, eq=False)
class Segmented:
    """A network, and the decoder that goes on from its state.

    Attributes
    ----------
    net : Network
        Its readout (H, L) reads the decoder's states.
    decoder : Recurrent
        One GRU layer of as many units.
    """

    net: Network
    decoder: Recurrent

    @property
    def recurrent(self) -> Recurrent:
        """The part that reads the rows."""
        return self.net.recurrent

    @property
    def output_size(self) -> int:
        """Rows of a segment, L."""
        return self.net.output_size

    @property
    def parameters(self) -> dict[str, Array]:
        """All, the decoder's under "decoder."; the arrays themselves."""
        return {
            **self.net.parameters,
            **{f"decoder.{name}": each for name, each in self.decoder.parameters.items()},
        }


def make_decoder(
    encoding: Encoding, hidden: int, dtype: str, *, seed: int = 0, empty: bool = False
) -> Recurrent:
    """Return a decoder for states of this size, with random weights or, `empty`, with zeros."""
    size = encoding.segments + encoding.calendar.features
    if not empty:
        return Recurrent("gru", size, hidden, dtype=dtype, seed=seed)
    made = Recurrent("gru", size, hidden, dtype=dtype)
    zeros = dict.fromkeys(made.cell.plan.weights, Constant(0.0))
    return Recurrent("gru", size, hidden, dtype=dtype, initializers=zeros)


def decoder_shapes(encoding: Encoding, hidden: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of a decoder's arrays, without making any."""
    size = encoding.segments + encoding.calendar.features
    (prefix,) = prefixes(1, ("forward",))
    return {prefix + name: shape for name, shape in cell_shapes(get_cell("gru"), size, hidden, True)}


def places(encoding: Encoding, local: Array) -> Array:
    """Return q_m of every segment, float64 (M, n, M + C), after rows whose next one has this clock (n,)."""
    M, n = encoding.segments, len(local)
    found = np.zeros((M, n, M + encoding.calendar.features))
    for m in range(M):
        found[m, :, m] = 1.0
        if encoding.calendar.cycles:
            first = after(local, encoding.step * (m * encoding.segment)) if m else local
            found[m, :, M:] = encoding.calendar.encode(first)
    return found


def decode(encoding: Encoding, decoder: Recurrent, h: Array, local: Array) -> Array:
    """Return the decoder's states (n, M, H) after rows with these states (n, H) and clocks (n,)."""
    M, H = encoding.segments, decoder.hidden_size
    found = np.zeros((len(h), M, H))
    with one_blas_thread():
        for k in range(0, len(h), _TOGETHER):
            rows = slice(k, k + _TOGETHER)
            q = places(encoding, local[rows]).astype(decoder.dtype)
            d, _, _ = decoder.run(q, {"h": h[None, rows].astype(decoder.dtype)}, None, tape=False)
            assert d is not None
            found[rows] = d.transpose(1, 0, 2)
    return found


def read_segments(states: Array, readout: Array, horizon: int) -> Array:
    """Return forecasts (n, K) from the decoder's states (n, M, H) by one readout (H, L)."""
    found: Array = (states @ readout).reshape(len(states), -1)[:, :horizon]
    return found


def loss_and_gradients(
    reader: Segmented, x: Array, picked: tuple[Array, Array], q: Array, y: Array, weights: Array, loss: str
) -> tuple[float, dict[str, Array]]:
    """Return the loss of a batch and its gradient by every parameter.

    Parameters
    ----------
    reader : Segmented
    x : ndarray (B, T, D)
        Stretches of rows, read from a state of zeros.
    picked : tuple of ndarray int (n,)
        Stretch and row, from 0, of each state that is gone on from; a pair may occur twice.
    q : ndarray (M, n, M + C)
        See `places`.
    y : ndarray (n, K)
        What is to be said, in units of its variance; K <= M L.
    weights : ndarray (n,)
        How much each counts.
    loss : str

    Notes
    -----
    Backwards: dd = dr W_y^T for every segment, the decoder's sweep gives dL/dh_t at the rows picked, and these go
    into the network's sweep as upstream gradients.
    """
    net, decoder = reader.net, reader.decoder
    W, b = net.parameters["readout.W_hy"], net.parameters["readout.b_y"]
    n, K = y.shape
    stretch, row = picked
    with one_blas_thread():
        h, _, tape = net.recurrent.run(x.transpose(1, 0, 2).copy(), None, None)
        assert h is not None
        assert tape is not None
        d, _, steps = decoder.run(q, {"h": h[row, stretch][None]}, None)
        assert d is not None
        assert steps is not None
        said = (d @ W + b).transpose(1, 0, 2).reshape(n, -1)  # (n, M L)
        value, dr = get_loss(loss).value_and_gradient(said[:, :K], y, weights)
        whole = np.zeros_like(said)
        whole[:, :K] = dr
        dr = whole.reshape(n, len(q), -1).transpose(1, 0, 2)
        later = decoder.sweep(steps, dr @ W.T, None, want={"parameters", "state0"})
        assert later.state is not None
        dh = np.zeros_like(h)
        np.add.at(dh, (row, stretch), later.state["h"][0])
        earlier = net.recurrent.sweep(tape, dh, None, want={"parameters"})
    found = {
        **earlier.parameters,
        "readout.W_hy": np.einsum("mnh,mnl->hl", d, dr, optimize=True),
        "readout.b_y": dr.sum(axis=(0, 1)),
        **{f"decoder.{name}": each for name, each in later.parameters.items()},
    }
    return float(value), {name: found[name] for name in reader.parameters}
