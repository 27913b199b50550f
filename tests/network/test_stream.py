"""A stream gives what `forward` gives on the whole history, however the rows arrive."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest

from bptt.activations import ACTIVATIONS
from bptt.cells import Cell
from bptt.cells.registry import CELLS
from bptt.errors import InvalidType
from tests.engine.own_cells import OWN
from tests.network.streams import ENGINES, agree, agree_state, draw, draw_state, every_step, make_pair

T, D, K, H = 9, 3, 2, 11

pytestmark = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


def mask(rng: np.random.Generator) -> dict[str, Any]:
    return {"mask": rng.integers(0, 2, (H, H)), "signs": rng.choice([-1, 1], H)}


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "last": {"readout": "last", "linear_lags": 2},
    "no bias": {"bias": False, "stack": {"bias": False}},
    "three layers": {"stack": {"num_layers": 3}},
    "one lag": {"linear_lags": 1},
    "some lags": {"linear_lags": 4},
    "lags before the first step": {"linear_lags": T + 8},
    "change": {"change_of": [2, 0], "change_scale": 0.3},
    "change of one column": {"change_of": [1, 1], "change_scale": 1.7, "output_activation": "tanh"},
    "learned start": {"learned_initial_state": True, "stack": {"num_layers": 2}},
    "constraint": {"stack": {"num_layers": 2}},
    "dropout": {"stack": {"num_layers": 2, "dropout": 0.4}},
    "scores": {"loss": "cross_entropy"},
    "fed back": {"feedback": True, "change_of": [3, 1], "output_activation": "tanh"},
    "fed back, last": {"feedback": True, "readout": "last"},
    "all": {
        "linear_lags": 3, "change_of": [2, 1], "change_scale": 2.5, "output_activation": "softplus",
        "learned_initial_state": True, "stack": {"num_layers": 2},
    },
}  # fmt: skip
SETTINGS.update({f"output {name}": {"output_activation": name} for name in ACTIVATIONS})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", [cls() for cls in (*CELLS.values(), *OWN)], ids=repr)
def test_every_cell_follows_the_whole_history(
    cell: Cell, dtype: str, engine: str, rng: np.random.Generator
) -> None:
    for streams, hidden in ((1, 19), (5, 11)):
        net, twin = make_pair(
            cell, rng, dtype=dtype, engine=engine, hidden=hidden, stack={"num_layers": 2}, readout="every"
        )
        state, x = draw_state(net, streams, rng), draw(rng, streams, T, D)
        wanted = twin.forward(x, state)
        stream = net.stream(streams, state)
        given = x if streams > 1 else x[0]
        found = [stream.step(given[..., t, :]) for t in range(4)]
        rest = stream.push(given[..., 4:, :])
        y = np.concatenate([np.stack(found, axis=-2), rest], axis=-2)
        agree(y.reshape(streams, T, K), wanted.y_hat, dtype)
        agree_state(stream.state, wanted.state, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("streams", [1, 3])
def test_every_part_of_a_network(
    case: str, streams: int, dtype: str, engine: str, rng: np.random.Generator
) -> None:
    settings = {"readout": "every", **SETTINGS[case]}
    stack = settings.pop("stack", {})
    if case == "constraint":
        stack = {**stack, **mask(rng)}
    inputs = D + (K if settings.get("feedback") else 0)
    net, twin = make_pair(
        "gru", rng, dtype=dtype, engine=engine, inputs=inputs, hidden=H, stack=stack, **settings
    )
    x = draw(rng, streams, T, D)
    given = {"y_start": draw(rng, streams, K)} if net.feedback else {}
    wanted = every_step(twin, x, **given)
    stream = net.stream(streams, **given)
    rows = x if streams > 1 else x[0]
    y = np.stack([stream.step(rows[..., t, :]) for t in range(T)], axis=-2)
    agree(y.reshape(streams, T, K), wanted, dtype)
    agree_state(stream.state, twin.forward(x, **given).state, dtype)
    stream.reset(**given)
    blocks = np.split(rows, [1, 4, 4, 6], axis=-2)  # one row, several, none
    y = np.concatenate([stream.push(block) for block in blocks], axis=-2)
    agree(y.reshape(streams, T, K), wanted, dtype)
    agree_state(stream.state, twin.forward(x, **given).state, dtype)


@pytest.mark.parametrize(
    ("streams", "inputs", "hidden", "outputs"), [(2, 1, 1, 1), (70, 5, 9, 3), (131, 2, 17, 1)]
)
def test_many_streams(
    streams: int, inputs: int, hidden: int, outputs: int, engine: str, rng: np.random.Generator
) -> None:
    # More streams than go through a step together, and a remainder of them.
    net, twin = make_pair(
        "lstm",
        rng,
        engine=engine,
        inputs=inputs,
        hidden=hidden,
        outputs=outputs,
        linear_lags=2,
        readout="every",
    )
    x, state = draw(rng, streams, T, inputs), draw_state(net, streams, rng)
    stream = net.stream(streams, state)
    y = np.concatenate([stream.push(x[:, :3]), stream.step(x[:, 3])[:, None], stream.push(x[:, 4:])], axis=1)
    wanted = twin.forward(x, state)
    agree(y, wanted.y_hat, "float64")
    agree_state(stream.state, wanted.state, "float64")


def test_wide_layers_and_readouts(engine: str, rng: np.random.Generator) -> None:
    # Several panels of weights, several vectors of outputs; a step so long that other threads may run meanwhile.
    for streams in (1, 3):
        net, twin = make_pair(
            "lstm", rng, engine=engine, inputs=37, hidden=230, outputs=35, linear_lags=3,
            output_activation="sigmoid", readout="every",
        )  # fmt: skip
        x = draw(rng, streams, 5, 37)
        rows = x if streams > 1 else x[0]
        stream = net.stream(streams)
        y = np.stack([stream.step(rows[..., t, :]) for t in range(5)], axis=-2)
        agree(y.reshape(streams, 5, 35), twin.forward(x).y_hat, "float64")


def test_a_network_fed_by_itself_alone(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("elman", rng, engine=engine, inputs=K, readout="every", feedback=True)
    y_start = rng.standard_normal((1, K))
    wanted = net.generate(y_start, T)
    stream = net.stream(y_start=y_start)
    found = [stream.step(), stream.step([]), stream.step(np.zeros(0)), *stream.push(np.zeros((T - 3, 0)))]
    agree(np.stack(found)[None], wanted, "float64")


def test_streams_do_not_meet(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("gru", rng, engine=engine, linear_lags=2, readout="every")
    x = draw(rng, 6, T, D)
    together = net.stream(6).push(x)
    for s in range(6):
        # A product of one row adds in another order than one of several.
        agree(net.stream().push(x[s])[None], together[s][None], "float64")


def test_what_is_returned_and_given_stays(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("lstm", rng, engine=engine, readout="every")
    stream, x = net.stream(), draw(rng, D)
    x.flags.writeable = False
    first = stream.step(x)
    kept, state = first.copy(), stream.state
    state_kept = {name: s.copy() for name, s in state.items()}
    second = stream.step(x)
    assert first is not second
    np.testing.assert_array_equal(first, kept)
    first[...] = np.nan
    for name, s in state.items():
        np.testing.assert_array_equal(s, state_kept[name])
        s[...] = np.nan
    assert np.isfinite(stream.step(x)).all()


def test_inputs_of_every_kind(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("gru", rng, dtype="float32", engine=engine, readout="every")
    x = rng.integers(-3, 4, (T, D))
    wanted = net.stream().push(x.astype("float32"))
    ways: list[Any] = [
        x, x.astype("float64"), x.astype(">f4"), x.tolist(), np.repeat(x.astype("float32"), 2, axis=1)[:, ::2],
        np.asfortranarray(x.astype("float32")), x.astype("float32")[::-1].copy()[::-1], x.astype("float16"),
    ]  # fmt: skip
    packed = np.zeros(T * D * 4 + 1, np.uint8)[1:].view("float32").reshape(T, D)  # not aligned
    packed[...] = x
    for way in (*ways, packed):
        np.testing.assert_array_equal(net.stream().push(way), wanted)
        stream = net.stream()
        for t in range(T):
            # One step at a time takes the same way as a block of one stream.
            np.testing.assert_array_equal(stream.step(way[t]), wanted[t])


def test_steps_state_and_reset(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("lstm", rng, engine=engine, linear_lags=3, learned_initial_state=True, readout="every")
    stream, x = net.stream(2), draw(rng, 2, T, D)
    for name, s in stream.state.items():
        np.testing.assert_array_equal(s, np.repeat(net.parameters[f"initial.{name}"][:, None], 2, axis=1))
    wanted = stream.push(x)
    assert stream.steps == T
    assert "streams=2, steps=9" in repr(stream)
    assert repr(net.recurrent.cell) in repr(stream)
    stream.reset()
    assert stream.steps == 0
    np.testing.assert_array_equal(stream.push(x), wanted)
    # One state given, the other learned.
    c = draw(rng, 1, 2, 11)
    stream.reset({"c": c})
    agree(stream.push(x), net.forward(x, {"c": c}).y_hat, "float64")
    # Set after an odd and an even number of steps: the other state, and the linear path's rows, stay.
    for steps in (3, 4):
        stream.reset()
        stream.push(x[:, :steps])
        h = stream.state["h"]
        stream.state = {"c": c}
        np.testing.assert_array_equal(stream.state["c"], c)
        np.testing.assert_array_equal(stream.state["h"], h)
        rows = stream.memory["rows"]
        np.testing.assert_array_equal(rows, x[:, steps - 3 : steps])
        assert stream.steps == steps


def test_memory_goes_on_elsewhere(engine: str, rng: np.random.Generator) -> None:
    for settings in ({"linear_lags": 3, "change_of": [1, 0]}, {"feedback": True, "inputs": D + K}):
        net, _ = make_pair("lstm", rng, engine=engine, readout="every", **settings)
        for seen in (2, 5):
            stream, x = net.stream(2), draw(rng, 2, T, D)
            stream.push(x[:, :seen])
            file = io.BytesIO()
            np.savez(file, **stream.memory)
            wanted = stream.push(x[:, seen:])
            file.seek(0)
            other = net.stream(2)
            with np.load(file) as kept:
                other.memory = kept
            assert other.steps == seen
            np.testing.assert_array_equal(other.push(x[:, seen:]), wanted)


def test_weights_are_read_when_asked(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair(
        "lstm_peephole", rng, engine=engine, linear_lags=2, learned_initial_state=True, readout="every",
        stack={"num_layers": 2},
    )  # fmt: skip
    x = draw(rng, 1, T, D)
    before = net.forward(x)
    stream = net.stream()
    stream.push(x[0, :4])
    for p in net.parameters.values():
        p[...] = rng.standard_normal(p.shape) * 0.3
    agree(stream.push(x[0, 4:])[None], before.y_hat[:, 4:], "float64")
    stream.reset()
    agree(stream.push(x[0])[None], before.y_hat, "float64")
    stream.reset()
    stream.push(x[0, :4])
    state = stream.state
    stream.refresh()
    for name, s in stream.state.items():
        np.testing.assert_array_equal(s, state[name])
    wanted = net.stream(state=state)
    wanted.memory = stream.memory
    np.testing.assert_array_equal(stream.push(x[0, 4:]), wanted.push(x[0, 4:]))
    stream.reset()
    agree(stream.push(x[0])[None], net.forward(x).y_hat, "float64")


def test_a_stream_is_not_copied(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("elman", rng, engine=engine, readout="every")
    stream = net.stream()
    message = (
        "a stream cannot be copied or pickled, only its memory. Got a request for one: assign stream.memory"
    )
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(InvalidType, match=message):
            way(stream)
