"""What a model file keeps, and the network in words."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

from bptt.cells import CELLS, Elman, get_cell
from bptt.losses import Huber
from bptt.network import Network, Recurrent
from tests.network.build import randomise

B, T, D, H, K = 4, 7, 3, 5, 2

# Not kept: they say how the arrays came to be, or who runs the equations; the arrays themselves are in the file.
OF_THE_START = {"seed", "initializers", "engine", "options", "readout_initializer"}


def rebuilt(config: dict[str, Any]) -> Network:
    stack = dict(config.pop("recurrent"))
    cell = dict(stack.pop("cell"))
    return Network(Recurrent(get_cell(cell.pop("name"), cell), **stack), **config)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "every_option"])
def test_a_network_is_rebuilt_from_its_configuration(
    cell: str, plain: bool, rng: np.random.Generator
) -> None:
    if plain:
        net = Network(Recurrent(cell, D, H))
    else:
        stack = Recurrent(
            cell,
            D,
            H,
            num_layers=2,
            direction="bidirectional",
            bias=False,
            dropout=0.25,
            dtype="float32",
            mask=(rng.random((H, H)) < 0.6).astype(int),
            signs=rng.choice([-1, 1], H),
        )
        net = Network(
            stack,
            K,
            readout="every",
            loss=Huber(0.7, time="sum"),
            output_activation="tanh",
            bias=False,
            linear_lags=4,
            change_of=(2, 0),
            change_scale=0.3,
            learned_initial_state=True,
        )
    randomise(net, rng)
    written = json.loads(json.dumps(net.config()))
    assert written == net.config(), "plain JSON values"
    made = rebuilt(json.loads(json.dumps(net.config())))
    assert made.config() == written
    assert {n: (p.shape, p.dtype) for n, p in made.parameters.items()} == {
        n: (p.shape, p.dtype) for n, p in net.parameters.items()
    }
    for name, p in made.parameters.items():
        p[...] = net.parameters[name]
    x = rng.standard_normal((B, T, D))
    np.testing.assert_array_equal(made.predict(x), net.predict(x))


def test_a_feedback_network_is_rebuilt_too() -> None:
    net = Network(Recurrent("gru", D + K, H), K, feedback=True)
    made = rebuilt(net.config())
    assert made.feedback
    assert made.input_size == net.input_size == D


def test_cell_options_are_kept() -> None:
    net = Network(Recurrent(Elman(activation="relu"), D, H))
    assert net.config()["recurrent"]["cell"] == {"name": "elman", "activation": "relu"}
    assert rebuilt(net.config()).recurrent.cell == Elman(activation="relu")


@pytest.mark.parametrize(
    "made",
    [Network(Recurrent("gru", D, H, mask=np.ones((H, H)))), Recurrent("gru", D, H, mask=np.ones((H, H)))],
    ids=["network", "stack"],
)
def test_every_setting_is_kept(made: Network | Recurrent) -> None:
    settings = set(inspect.signature(type(made).__init__).parameters) - {"self"} - OF_THE_START
    assert set(made.config()) == settings


def test_summary_of_a_plain_network() -> None:
    net = Network(Recurrent("gru", 6, 10))
    # 3 gates of 10: 6 * 30 + 10 * 30 + 30 + 10 in the cell, 10 + 1 in the readout; 8 bytes each.
    assert net.summary().splitlines() == [
        "input       (B, T, 6)",
        "recurrent   GRU(), 1 layer(s), forward, hidden 10",
        "readout     last, identity -> 1",
        "loss        Squared(time='mean')",
        "",
        "parameter               shape    numbers",
        "layers.0.W_xh         (6, 30)        180",
        "layers.0.W_hh        (10, 30)        300",
        "layers.0.b_h            (30,)         30",
        "layers.0.b_hn           (10,)         10",
        "readout.W_hy          (10, 1)         10",
        "readout.b_y              (1,)          1",
        "total                 float64        531   4.1 KiB",
    ]


def test_summary_names_every_part() -> None:
    stack = Recurrent("elman", D + K, H, num_layers=2, activation="relu", dtype="float32")
    text = Network(
        stack,
        K,
        readout="every",
        feedback=True,
        change_of=(D, 0),
        change_scale=0.25,
        learned_initial_state=True,
    ).summary()
    assert "input       (B, T, 3) + 2 fed back" in text
    assert "Elman(activation='relu'), 2 layer(s), forward, hidden 5" in text
    assert "change      added to the last value of columns [3, 0], x 0.25" in text
    assert "initial.h" in text
    assert "float32" in text
    linear = Network(Recurrent("lstm", D, H, direction="bidirectional"), linear_lags=4).summary()
    assert "linear path newest 4 rows -> 1" in linear
    assert "layers.0.reverse.W_hh" in linear


def test_repr_names_the_settings() -> None:
    net = Network(Recurrent("lstm", D, H, num_layers=2, direction="reverse", dtype="float32"), K)
    assert repr(net) == (
        "Network(Recurrent(LSTM(), input_size=3, hidden_size=5, num_layers=2, direction='reverse', "
        "dtype='float32'), output_size=2, readout='last', loss=Squared(time='mean'))"
    )
