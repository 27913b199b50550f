"""What the lanes are, units or rows: the rule, and what both have to keep beyond `test_compiled`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.activations import log, tanh
from bptt.cells import Cell, Stage, get_cell
from bptt.cells.registry import CELLS
from bptt.engine import compiled, reference, set_threads, threads
from bptt.engine.compiled import route
from bptt.engine.compiled.kernels import lanes_of
from bptt.engine.compiled.llvm.target import host
from bptt.engine.compiled.rows.gather import GATHER_LINES, gather_lines_kernel
from bptt.engine.compiled.training.layer_calls import LayerCalls
from bptt.engine.compiled.workspace import address
from bptt.network import Network, Recurrent
from tests.engine.own_cells import OWN
from tests.engine.test_compiled import agree, double, draw, run

# A loss and gradients of float64, summed in another order.
RTOL, ATOL = 1e-10, 1e-12


class Hollow(Cell):
    """Padding rows, whose input and state are zeros, give NaN here; it must reach no sum over rows."""

    name = "hollow"
    gates = ("n",)
    vectors = {"s": 0.5}

    @staticmethod
    def forward(a_xn: Any, a_hn: Any, s: Any, h_prev: Any) -> Any:
        k = a_hn * log(a_hn * a_hn) / 10
        h = tanh(a_xn + k + s * h_prev)
        return h  # noqa: RET504  # a formula names its last value


class _First(Stage):
    gates = ("r",)

    @staticmethod
    def forward(a_xr: Any, a_hr: Any) -> Any:
        k = a_hr * log(a_hr * a_hr) / 5 + a_xr
        return k  # noqa: RET504  # a formula names its last value


class _Second(Stage):
    gates = ("n",)
    products = {"W_xh": "x", "W_kh": "k"}

    @staticmethod
    def forward(a_n: Any, h_prev: Any) -> Any:
        h = tanh(a_n) + h_prev / 3
        return h  # noqa: RET504  # a formula names its last value


class HollowStages(Cell):
    """The same in a value that a weight multiplies."""

    name = "hollow_stages"
    stages = (_First, _Second)


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.mark.parametrize(
    ("B", "H", "lanes", "expected"),
    [
        (32, 10, 16, "rows"),  # 6 of 16 lanes idle, or none
        (32, 16, 16, "units"),  # none either way
        (1, 10, 16, "units"),  # 6 idle, or 15
        (24, 10, 16, "rows"),
        (175, 100, 16, "rows"),
        (64, 256, 16, "units"),
        (1000, 1, 4, "rows"),
    ],
)
def test_the_layout_that_leaves_fewer_lanes_idle(B: int, H: int, lanes: int, expected: str) -> None:
    assert route.choose_layout(B, H, lanes) == expected


def test_a_route_says_which_layout_it_is(rng: np.random.Generator) -> None:
    cell = get_cell("elman")
    for B, H, name in ((64, 3, "rows"), (3, 64, "units")):
        _, _, tape = compiled.forward(*_case(cell, (2, B, 4, H), rng))
        assert tape.route.layout.name == name


def _case(cell: Cell, sizes: tuple[int, int, int, int], rng: np.random.Generator) -> tuple[Any, ...]:
    drawn = draw(cell, sizes, "float32", rng)
    return cell, drawn["parameters"], drawn["x"]


@pytest.mark.parametrize("cell", [Hollow(), HollowStages()], ids=repr)
@pytest.mark.parametrize("ragged", [False, True])
def test_padding_rows_reach_nothing(
    cell: Cell, ragged: bool, force_layout: Callable[[str], None], rng: np.random.Generator
) -> None:
    force_layout("rows")
    for sizes in ((5, 3, 2, 4), (4, 19, 3, 5)):
        drawn = draw(cell, sizes, "float64", rng)
        lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
        found = run(compiled, cell, drawn, lengths)
        agree(found, run(reference, cell, double(drawn), lengths), "float64")


@pytest.mark.parametrize("settings", [{}, {"readout": "every"}, {"linear_lags": 2}], ids=repr)
@pytest.mark.parametrize("name", ["elman", "lstm", "gru_reset_before"])
def test_compiled_steps_agree(
    name: str, settings: dict[str, Any], layout: str, rng: np.random.Generator
) -> None:
    B, T, D, H, K = 19, 6, 3, 5, 2
    losses, gradients = [], []
    x = rng.standard_normal((B, T, D))
    y = rng.standard_normal((B, T, K) if "readout" in settings else (B, K))
    for engine in ("compiled", "numpy"):
        recurrent = Recurrent(name, D, H, num_layers=2, seed=1, engine=engine)
        net = Network(recurrent, output_size=K, seed=1, **settings)
        found = net.loss_and_gradients(x, y)
        losses.append(found.loss)
        gradients.append({**found.gradients.parameters, **{f"final {s}": a for s, a in found.state.items()}})
    np.testing.assert_allclose(losses[0], losses[1], rtol=RTOL)
    for key, expected in gradients[1].items():
        np.testing.assert_allclose(gradients[0][key], expected, rtol=RTOL, atol=ATOL, err_msg=key)


@pytest.fixture
def _shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every pass be shared, by more threads than there are cores."""
    monkeypatch.setattr(route, "WORTH", 0)
    monkeypatch.setattr(threads, "available_cpus", lambda: 16)
    yield
    set_threads(None)


@pytest.mark.usefixtures("_shared")
@pytest.mark.parametrize(("ragged", "dtype"), [(False, "float32"), (True, "float64")])
@pytest.mark.parametrize("cell", [cls() for cls in (*CELLS.values(), *OWN)], ids=repr)
def test_any_number_of_threads_gives_the_same_bits(
    cell: Cell, dtype: str, ragged: bool, force_layout: Callable[[str], None], rng: np.random.Generator
) -> None:
    force_layout("rows")
    for sizes in ((5, 70, 19, 7), (9, 130, 3, 11), (1, 33, 2, 3)):
        drawn = draw(cell, sizes, dtype, rng)
        lengths = rng.integers(1, sizes[0] + 1, sizes[1]) if ragged else None
        set_threads(1)
        alone = run(compiled, cell, drawn, lengths)
        for count in (2, 3, 8):
            set_threads(count)
            found = run(compiled, cell, drawn, lengths)
            for key, value in alone.items():
                np.testing.assert_array_equal(found[key], value, err_msg=f"{key}, {sizes}, {count}")


@pytest.mark.parametrize("kind", ["float", "double"])
def test_windows_gathered_into_lines(kind: str, rng: np.random.Generator) -> None:
    dtype = {"float": np.float32, "double": np.float64}[kind]
    lanes = lanes_of(kind, host()).count
    for B, T, D in ((1, 3, 2), (lanes - 1, 5, 3), (2 * lanes + 1, 4, 6)):
        S = -(-B // lanes) * lanes
        source = rng.standard_normal((40, D)).astype(dtype)
        starts, indices = np.arange(3, 30), rng.integers(0, 27, (4, B))
        control = np.array([7, 0, 0])
        room = np.full(T * D * S + 2, 12345, dtype)
        arguments = np.zeros(len(GATHER_LINES), np.int64)
        values = {
            "control": address(control), "indices": address(indices), "first": 5, "starts": address(starts),
            "source": address(source), "width": D, "count": T * D, "B": B, "target": address(room[1:]), "S": S,
        }  # fmt: skip
        for name, value in values.items():
            arguments[GATHER_LINES[name]] = value
        gather_lines_kernel(kind)(address(arguments))
        found = room[1:-1].reshape(T, D, S)
        windows = np.stack([source[starts[i] : starts[i] + T] for i in indices[2]])  # step 7 of 5, 6, 7, ...
        np.testing.assert_array_equal(found[..., :B], windows.transpose(1, 2, 0))
        assert not found[..., B:].any()
        assert room[0] == room[-1] == 12345


@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_a_layer_reads_lines_that_others_wrote(
    name: str, force_layout: Callable[[str], None], rng: np.random.Generator
) -> None:
    T, B, D, H = 4, 19, 3, 5
    cell, parameters, x = _case(get_cell(name), (T, B, D, H), rng)
    outputs = []
    for layout, lines in (("rows", True), ("rows", False), ("units", False)):
        force_layout(layout)
        gradients = {key: np.empty_like(p) for key, p in parameters.items()}
        layer = LayerCalls(cell, parameters, gradients, address(x), (T, B, D))
        place = layer.take_lines() if lines or layout == "units" else None
        if layout == "units":
            assert place is None
        elif place is not None:
            view = np.ctypeslib.as_array(
                (ctypes.c_float * (place.count * place.stride)).from_address(place.address)
            )
            view[:] = 0
            view.reshape(T, D, place.stride)[..., :B] = x.transpose(0, 2, 1)
        for call in layer.calls("pack_forward", "forward_rows"):
            call.kernel(address(call.arguments))
        outputs.append(layer.final("h"))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_allclose(outputs[0], outputs[2], rtol=0, atol=1e-6)
