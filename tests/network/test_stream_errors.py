"""What a stream refuses, in one line, and that it is afterwards as it was."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from bptt.errors import BpttError, InvalidInput, InvalidType
from bptt.network import Network, Recurrent, Stream
from tests.network.streams import ENGINES, make_pair

D, K, H = 3, 2, 11

pytestmark = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


def remembered(stream: Stream) -> dict[str, Any]:
    return {name: array.tobytes() for name, array in stream.memory.items()}


def holes(*shape: int, at: tuple[int, ...], value: float = np.nan) -> Any:
    x = np.ones(shape)
    x[at] = value
    return x


FINITE = "must be finite: the state would never forget it. Got"
STEPS: list[tuple[int, Any, type[BpttError], str]] = [
    (1, np.ones(D + 1), InvalidInput, "x_t must have shape (D) = (3). Got (4,)"),
    (1, np.ones(1), InvalidInput, "x_t must have shape (D) = (3). Got (1,)"),
    (1, 1.0, InvalidInput, "x_t must have shape (D) = (3). Got ()"),
    (1, np.ones((1, D)), InvalidInput, "x_t must have shape (D) = (3). Got (1, 3)"),
    (2, np.ones(D), InvalidInput, "x_t must have shape (S, D) = (2, 3). Got (3,)"),
    (2, np.ones((3, D)), InvalidInput, "x_t must have shape (S, D) = (2, 3). Got (3, 3)"),
    (1, None, InvalidType, "x_t must hold numbers. Got dtype object"),
    (1, ["a", "b", "c"], InvalidType, "x_t must hold numbers. Got dtype <U1"),
    (1, np.array(["1", "2", "3"]), InvalidType, "x_t must hold numbers. Got dtype <U1"),
    (1, np.ones(D) + 1j, InvalidType, "x_t must hold real numbers. Got dtype complex128"),
    (1, [1.0, np.nan, 2.0], InvalidInput, f"x_t {FINITE} nan in column 1: fill the gap before it gets here"),
    (1, holes(D, at=(2,), value=-np.inf), InvalidInput, f"x_t {FINITE} -inf in column 2: "),
    (1, holes(D, at=(0,), value=1e200), InvalidInput, f"x_t {FINITE} inf in column 0: "),  # beyond float32
    (2, holes(2, D, at=(1, 0)), InvalidInput, f"x_t {FINITE} nan in column 0, stream 1: "),
]
BLOCKS: list[tuple[int, Any, type[BpttError], str]] = [
    (1, np.ones(D), InvalidInput, "X must have shape (T, D) = (*, 3). Got (3,)"),
    (1, np.ones((4, D + 1)), InvalidInput, "X must have shape (T, D) = (*, 3). Got (4, 4)"),
    (1, np.ones((1, 4, D)), InvalidInput, "X must have shape (T, D) = (*, 3). Got (1, 4, 3)"),
    (2, np.ones((4, D)), InvalidInput, "X must have shape (S, T, D) = (2, *, 3). Got (4, 3)"),
    (2, np.ones((3, 4, D)), InvalidInput, "X must have shape (S, T, D) = (2, *, 3). Got (3, 4, 3)"),
    (1, [[1.0, 2.0], [1.0]], InvalidType, "X must be a rectangular array of numbers"),
    (1, np.ones((4, D)) + 1j, InvalidType, "X must hold real numbers. Got dtype complex128"),
    # The last number of the last step: nothing before it may have been taken in.
    (1, holes(29, D, at=(28, 2)), InvalidInput, f"X {FINITE} nan in column 2, step 28: "),
    (1, holes(4, D, at=(0, 0), value=1e60), InvalidInput, f"X {FINITE} inf in column 0, step 0: "),
    (2, holes(2, 4, D, at=(1, 3, 1)), InvalidInput, f"X {FINITE} nan in column 1, step 3, stream 1: "),
]


@pytest.mark.parametrize("method", ["step", "push"])
def test_rows_that_are_refused_change_nothing(method: str, engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("lstm", rng, dtype="float32", engine=engine, linear_lags=2, readout="every")
    cases = STEPS if method == "step" else BLOCKS
    with np.errstate(over="ignore"):
        # The network's own dtype takes the short way.
        cases = cases + [
            (streams, x.astype(np.float32), kind, message)
            for streams, x, kind, message in cases
            if isinstance(x, np.ndarray) and x.dtype == np.float64
        ]
    for streams, x, kind, message in cases:
        stream = net.stream(streams)
        stream.push(rng.standard_normal((streams, 3, D) if streams > 1 else (3, D)))
        before = remembered(stream)
        with pytest.raises(kind, match=f"^{re.escape(message)}") as caught:
            getattr(stream, method)(x)
        assert "\n" not in str(caught.value)
        assert remembered(stream) == before
        good = rng.standard_normal((streams, D) if streams > 1 else D)
        assert np.isfinite(stream.step(good)).all()


def test_a_network_that_does_not_run_forward_is_refused(engine: str) -> None:
    for direction in ("bidirectional", "reverse"):
        net = Network(Recurrent("gru", D, H, direction=direction, engine=engine), K)
        with pytest.raises(
            InvalidInput, match=f"stream must run forward in time: .*Got a {direction} network$"
        ):
            net.stream()


def test_settings_that_are_refused(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("lstm", rng, engine=engine, readout="every")
    fed, _ = make_pair("lstm", rng, engine=engine, inputs=D + K, feedback=True)
    wrong: list[tuple[Network, dict[str, Any], type[BpttError], str]] = [
        (net, {"streams": 0}, InvalidInput, "streams must be at least 1. Got 0"),
        (net, {"streams": 1.5}, InvalidType, "streams must be a whole number. Got 1.5"),
        (net, {"state": {"h": np.ones((1, 2, H))}}, InvalidInput, "state['h'] must have shape"),
        (net, {"state": {"q": np.ones((1, 1, H))}}, InvalidInput, "state must have only the keys h, c"),
        (net, {"state": {"h": np.full((1, 1, H), np.nan)}}, InvalidInput, "state['h'] must be finite. Got nan"),
        (net, {"state": {"h": np.ones((1, 1, H)) * 1j}}, InvalidType, "state['h'] must hold real numbers."),
        (net, {"y_start": np.ones((1, K))}, InvalidInput, "y_start must be left out of a network without feedback"),
        (fed, {"y_start": np.ones((2, K))}, InvalidInput, "y_start must have shape (S, K) = (1, 2). Got (2, 2)"),
        (fed, {"y_start": np.full((1, K), np.inf)}, InvalidInput, "y_start must be finite. Got inf"),
        (fed, {"y_start": np.ones((1, K)) * 1j}, InvalidType, "y_start must hold real numbers."),
    ]  # fmt: skip
    for each, given, kind, message in wrong:
        with pytest.raises(kind, match=f"^{re.escape(message)}"):
            each.stream(**given)
        if "streams" not in given:
            stream = each.stream()
            stream.step(rng.standard_normal(D))
            before = remembered(stream)
            with pytest.raises(kind, match=f"^{re.escape(message)}"):
                stream.reset(**given)
            assert remembered(stream) == before


def test_states_and_memories_that_are_refused(engine: str, rng: np.random.Generator) -> None:
    net, _ = make_pair("lstm", rng, engine=engine, linear_lags=2, readout="every")
    stream = net.stream()
    stream.push(rng.standard_normal((3, D)))
    before, memory = remembered(stream), stream.memory
    states: list[tuple[Any, str]] = [
        (None, "state must be a mapping of state name to array. Got None: reset() starts anew"),
        (3, "state must be a mapping with keys h, c. Got int"),
        ({"h": np.ones((1, 1, H)), "c": np.ones(H)}, "state['c'] must have shape"),
        ({"h": np.full((1, 1, H), np.inf)}, "state['h'] must be finite. Got inf"),
    ]
    entries = "memory must have the entries state.h, state.c, rows, steps. Got "
    memories: list[tuple[Any, str]] = [
        (None, f"{entries}NoneType"),
        ({"steps": 3}, f"{entries}steps"),
        ({**memory, "fed": 1}, f"{entries}state.h, state.c, rows, steps, fed"),
        ({**memory, "steps": -1}, "memory['steps'] must be at least 0. Got -1"),
        (
            {**memory, "rows": np.ones((1, 3, D))},
            "memory['rows'] must have shape (S, lags, D) = (1, 2, 3). Got",
        ),
        ({**memory, "state.c": np.ones(H)}, "memory['state.c'] must have shape (L, S, H) = (1, 1, 11). Got"),
        ({**memory, "rows": np.full((1, 2, D), np.nan)}, "memory['rows'] must be finite. Got nan"),
    ]
    for name, cases in (("state", states), ("memory", memories)):
        for value, message in cases:
            with pytest.raises(InvalidInput, match=f"^{re.escape(message)}"):
                setattr(stream, name, value)
            assert remembered(stream) == before


def test_a_diverged_stream_is_seen(engine: str, rng: np.random.Generator) -> None:
    # Only what comes in is refused; what a network makes of it is shown.
    net, _ = make_pair("elman", rng, engine=engine, stack={"activation": "identity"}, readout="every")
    net.parameters["layers.0.W_hh"][...] = np.eye(H) * 1e200
    with np.errstate(all="ignore"):
        y = net.stream().push(np.ones((5, D)))
    assert np.isfinite(y[0]).all()
    assert not np.isfinite(y[-1]).any()
