from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.activations import sigmoid, tanh
from bptt.cells import CELLS, LSTM, Cell, Elman
from bptt.data.examples.arrays import Arrays
from bptt.errors import FileFormatError, FileMissing, InvalidInput, InvalidType
from bptt.losses import LOSSES, CrossEntropy, Huber, Pinball, Squared
from bptt.models import cell_digest, load, read_extra, save
from bptt.network import Network, Recurrent
from bptt.training import train
from tests.files.sealing import joined, parts_of

D, H, K, B, T = 3, 5, 2, 4, 6


class Minimal(Cell):
    """A minimal gated unit with a constant and a function of its own choosing."""

    name = "minimal"
    gates = ("f", "n")
    products = {"W_xh": "x", "W_hh": "h"}  # as the protocol has it
    vectors = {"p_f": 0.5}
    constants = {"leak": 0.25}
    functions = {"squash": "tanh"}

    @staticmethod
    def forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, leak: Any, squash: Any) -> Any:
        f = sigmoid(a_f + p_f * h_prev)
        n = squash(a_n)
        h = leak * h_prev + f * n
        return h, f, n


def other_minimal(**changes: Any) -> type[Cell]:
    """Return a class of the same name and forward with other declarations."""
    return type("Minimal", (Minimal,), changes)


def randomised(model: Any, rng: np.random.Generator) -> Any:
    for p in model.parameters.values():
        p[...] = 0.5 * rng.standard_normal(p.shape)
    return model


def stack(cell: Any = "lstm", **options: Any) -> Recurrent:
    return Recurrent(cell, options.pop("input_size", D), H, **options)


MASK = (np.arange(H * H).reshape(H, H) % 3 > 0).astype(int)
SIGNS = np.array([1, -1, 1, 1, -1])

MODELS: dict[str, Callable[[], Any]] = {
    **{f"stack_{name}": lambda name=name: stack(name) for name in CELLS},
    **{f"no_bias_{name}": lambda name=name: stack(name, bias=False, dtype="float32") for name in CELLS},
    "relu": lambda: stack("elman", activation="relu"),
    "reverse": lambda: stack("gru", direction="reverse", num_layers=2),
    "bidirectional": lambda: stack("lstm", direction="bidirectional", num_layers=3, dropout=0.25),
    "mask": lambda: stack("gru", mask=MASK),
    "signs": lambda: stack("elman", signs=SIGNS),
    "mask_and_signs": lambda: stack("lstm", mask=MASK, signs=SIGNS, direction="bidirectional"),
    "own_cell": lambda: stack(Minimal(leak=0.1, squash="relu"), num_layers=2),
    "net": lambda: Network(stack(), K),
    "net_every": lambda: Network(stack(dtype="float32"), K, readout="every", output_activation="sigmoid", bias=False),
    "net_both": lambda: Network(stack(direction="bidirectional"), K, linear_lags=4, learned_initial_state=True),
    "net_change": lambda: Network(stack("gru"), K, change_of=(2, 0), change_scale=0.1 + 0.2, linear_lags=2),
    "net_feedback": lambda: Network(stack("elman", input_size=D + K), K, readout="every", feedback=True),
    "net_fed_back_alone": lambda: Network(
        stack("lstm", input_size=K), K, feedback=True, readout="every", learned_initial_state=True
    ),
    "net_classes": lambda: Network(stack(), K, loss=CrossEntropy(time="sum")),
    "net_huber": lambda: Network(stack(), K, loss=Huber(0.1 + 0.2)),
    "net_pinball": lambda: Network(stack(), K, loss=Pinball((0.1, 0.9))),
    "net_own_cell": lambda: Network(stack(Minimal), K, linear_lags=1),
}  # fmt: skip


def outputs(model: Any, rng: np.random.Generator) -> list[Any]:
    """Return everything that a model computes from some input."""
    lengths = [6, 2, 5, 1]
    if isinstance(model, Recurrent):
        h, state, _ = model.forward(rng.standard_normal((B, T, model.input_size)), lengths=lengths)
        return [h, *state.values()]
    x = rng.standard_normal((B, T, model.input_size))
    found = model.forward(x, lengths=None if model.feedback else lengths)
    rows = (B, T) if model.readout == "every" else (B,)
    if model.loss.class_targets:
        y = rng.integers(0, K, rows)
    else:
        y = rng.standard_normal((*rows, 1 if isinstance(model.loss, Pinball) else K))
    loss = model.loss_and_gradients(x, y)
    return [found.y_hat, *found.state.values(), loss.loss, *loss.gradients.parameters.values()]


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_is_the_saved_one_to_the_bit(
    rng: np.random.Generator, tmp_path: Path, name: str
) -> None:
    model = randomised(MODELS[name](), rng)
    assert save(model, tmp_path / "m.bptt") == tmp_path / "m.bptt"
    found = load(str(tmp_path / "m.bptt"), cells=[Minimal])
    assert type(found) is type(model)
    assert found.config() == model.config()
    assert list(found.parameters) == list(model.parameters)
    for key, p in model.parameters.items():
        assert found.parameters[key].dtype == p.dtype
        np.testing.assert_array_equal(found.parameters[key], p)
    for mine, its in zip(outputs(model, _same(rng)), outputs(found, _same(rng)), strict=True):
        np.testing.assert_array_equal(its, mine)
    # Saved again, it is the same file.
    save(found, tmp_path / "again.bptt")
    assert (tmp_path / "again.bptt").read_bytes() == (tmp_path / "m.bptt").read_bytes()


def _same(rng: np.random.Generator) -> np.random.Generator:
    return np.random.default_rng(5)


def test_every_registered_loss_comes_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"pinball": {"quantiles": (0.3, 0.7)}}
    for kind, made in LOSSES.items():
        net = Network(stack(), K, loss=made(**settings.get(kind, {}), time="sum"))
        found = load(save(net, tmp_path / kind))
        assert found.loss == net.loss


def test_a_loaded_network_trains_on_like_the_saved_one(rng: np.random.Generator, tmp_path: Path) -> None:
    data = Arrays(rng.standard_normal((9, T, D)), rng.standard_normal((9, K)))
    net = Network(stack(dropout=0.3, num_layers=2), K)
    train(net, data, steps=3, progress=False)
    found = load(save(net, tmp_path / "m"))
    for each in (net, found):
        train(each, data, steps=3, seed=8, progress=False)
    for key, p in net.parameters.items():
        np.testing.assert_array_equal(found.parameters[key], p)
    # The parts of a loaded network are tied together as in a new one.
    assert found.parameters["layers.0.W_hh"] is found.recurrent.parameters["layers.0.W_hh"]


def test_extra_comes_back(tmp_path: Path) -> None:
    extra = {"scaler": {"mean": [0.1, 1e-300]}, "data_sha256": "ab", "none": None}
    path = save(stack(), tmp_path / "m", extra=extra)
    assert read_extra(path) == extra
    assert read_extra(save(stack(), path)) == {}


def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = (
        "from bptt.network import Network, Recurrent; from bptt.models import save; import hashlib, sys;"
        "path = save(Network(Recurrent('lstm', 3, 5), 2), sys.argv[1], extra={'b': 1, 'a': 2});"
        "print(hashlib.sha256(path.read_bytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "m")],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_loading_draws_no_starting_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Network(stack(), K), tmp_path / "m")

    def refuse(*args: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(np.linalg, "qr", refuse)
    load(path)


# ---------------------------------------------------------------- what is refused


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the description inside a model file; its digest is made to fit."""
    header, description, data = parts_of(path.read_bytes())
    change(description)
    path.write_bytes(joined(header, description, data))
    return path


def refused(path: Path, error: type[Exception] = FileFormatError, **options: Any) -> str:
    with pytest.raises(error) as caught:
        load(path, **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(
        Network(stack("lstm", mask=MASK), K, linear_lags=4, learned_initial_state=True), tmp_path / "m.bptt"
    )


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(description: dict[str, Any]) -> None:
        inside = description
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[dict[str, Any]], object]:
    def change(description: dict[str, Any]) -> None:
        inside = description
        for key in path[:-1]:
            inside = inside[key]
        del inside[path[-1]]

    return change


STACK = ("config", "recurrent")
FIELDS = "cell, input_size, hidden_size, num_layers, direction, bias, dropout, dtype, mask, signs"
NET_FIELDS = (
    "recurrent, output_size, readout, loss, output_activation, bias, linear_lags, change_of, change_scale, feedback, "
    "learned_initial_state"
)
ABSENT = "another configuration, or damaged"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put("format", value="else"), "format must be 'bptt'. Got 'else'"),
        (drop("format"), "format must be 'bptt'. Got None"),
        (
            put("version", value=2),
            "version of the format must be at most 1. Got 2: written by a newer bptt, update yours",
        ),
        (put("version", value="1"), "version of the format must be 1. Got '1'"),
        (put("version", value=0), "version of the format must be 1. Got 0"),
        (put("version", value=True), "version of the format must be 1. Got True"),
        (drop("version"), "version of the format must be 1. Got None"),
        (
            put("kind", value="os.system"),
            "kind must be one of recurrent, network, forecaster. Got 'os.system'",
        ),
        (put("kind", value=["network"]), "kind must be of type str. Got ['network']"),
        (drop("kind"), "description must have the field kind. Got config, extra, format, version"),
        (put("config", value=[]), "config must be of type dict. Got []"),
        (put("extra", value=None), "extra must be of type dict. Got None"),
        (
            put("code", value="print()"),
            "description must have only the fields format, version, kind, config, extra, cell_digest. Got 'code'",
        ),
        (put("kind", value="recurrent"), f"recurrent must have only the fields {FIELDS}. Got 'bias'"[:-8]),
        (put("config", "hidden", value=3), f"network must have only the fields {NET_FIELDS}. Got 'hidden'"),
        (drop("config", "readout"), "network must have the field readout. Got bias, change_of, change_scale"),
        (put(*STACK, "engine", value="numpy"), f"recurrent must have only the fields {FIELDS}. Got 'engine'"),
        (drop(*STACK, "dtype"), "recurrent must have the field dtype. Got bias, cell, direction"),
        # Types: a true is no size, a 1 no yes, and nothing is converted.
        (put(*STACK, "hidden_size", value=True), "hidden_size must be of type int. Got True"),
        (put(*STACK, "hidden_size", value=5.0), "hidden_size must be of type int. Got 5.0"),
        (put(*STACK, "hidden_size", value="5"), "hidden_size must be of type int. Got '5'"),
        (put(*STACK, "bias", value=1), "bias must be of type bool. Got 1"),
        (put("config", "bias", value="no"), "bias must be of type bool. Got 'no'"),
        (put("config", "feedback", value=None), "feedback must be of type bool. Got None"),
        (put("config", "change_scale", value="1"), "change_scale must be of type int or float. Got '1'"),
        (put("config", "change_of", value="01"), "change_of must be of type list or null. Got '01'"),
        (put("config", "change_of", value=[0.5, 1]), "change_of must be a whole number. Got 0.5"),
        (put("config", "loss", value="mse"), "loss must be of type dict. Got 'mse'"),
        (put(*STACK, "mask", value={"a": 1}), "mask must be of type list or null. Got {'a': 1}"),
        # Values.
        (put(*STACK, "hidden_size", value=0), "hidden_size must be at least 1. Got 0"),
        (put(*STACK, "input_size", value=-3), "input_size must be at least 1. Got -3"),
        (put(*STACK, "num_layers", value=0), "num_layers must be at least 1. Got 0"),
        (
            put(*STACK, "direction", value="up"),
            "direction must be one of forward, reverse, bidirectional. Got 'up'",
        ),
        (put(*STACK, "dtype", value="float16"), "dtype must be one of float32, float64. Got 'float16'"),
        (put(*STACK, "dropout", value=1.5), "dropout must be below 1. Got 1.5"),
        (put("config", "readout", value="first"), "readout must be one of last, every. Got 'first'"),
        (put("config", "change_scale", value=0), "change_scale must be above 0. Got 0"),
        (put("config", "loss", "kind", value="cosh"), "loss kind must be one of squared, half_squared, "),
        (
            put("config", "loss", "delta", value=1),
            "loss 'squared' must have only the fields time. Got 'delta'",
        ),
        (put("config", "loss", "time", value="max"), "time must be one of mean, sum. Got 'max'"),
        (put(*STACK, "mask", value=[[1, 0], [0, 1]]), "mask must have shape (H, H) = (5, 5). Got (2, 2)"),
        (
            put(*STACK, "mask", value=[[2] * H] * H),
            "mask must hold only 0 (no connection) and 1 (a connection)",
        ),
        (put(*STACK, "mask", value=[["a"] * H] * H), "mask must hold numbers. Got dtype <U1"),
        # Cells.
        (
            put(*STACK, "cell", "name", value="LSTM"),
            "cell must be one of elman, gru, gru_reset_before, lstm, lstm_peephole. Got 'LSTM'",
        ),
        (put(*STACK, "cell", "name", value=3), "cell must be one of elman, gru, gru_reset_before, "),
        (drop(*STACK, "cell", "name"), "cell must be one of elman, gru, gru_reset_before, "),
        (put(*STACK, "cell", "size", value=3), "option of the lstm cell must be one of "),
        (put(*STACK, "cell", "self", value=3), "option of the lstm cell must be one of "),
        # Arrays that do not belong to the configuration.
        (
            put(*STACK, "hidden_size", value=6),
            "layers.0.W_xh must be float64 (3, 24) by the configuration. Got float64 (3, 20)",
        ),
        (
            put(*STACK, "input_size", value=10**12),
            "layers.0.W_xh must be float64 (1000000000000, 20) by the configuration. Got float64 (3, 20)",
        ),
        (
            put(*STACK, "dtype", value="float32"),
            "layers.0.W_xh must be float32 (3, 20) by the configuration. Got float64 (3, 20)",
        ),
        (
            put(*STACK, "num_layers", value=2),
            f"arrays must be those of the configuration. Got no layers.1.W_xh (5, 20): {ABSENT}",
        ),
        (
            put(*STACK, "num_layers", value=10**15),
            f"arrays must be those of the configuration. Got no layers.1.W_xh (5, 20): {ABSENT}",
        ),
        (
            put(*STACK, "direction", value="bidirectional"),
            f"arrays must be those of the configuration. Got no layers.0.reverse.W_xh (3, 20): {ABSENT}",
        ),
        (
            put(*STACK, "bias", value=False),
            "arrays must be those of the configuration. Got layers.0.b_h too, which it does not have",
        ),
        (
            put("config", "output_size", value=7),
            "readout.W_hy must be float64 (5, 7) by the configuration. Got float64 (5, 2)",
        ),
        (
            put("config", "linear_lags", value=3),
            "linear.W_xy must be float64 (9, 2) by the configuration. Got float64 (12, 2)",
        ),
        (
            put("config", "linear_lags", value=0),
            "arrays must be those of the configuration. Got linear.W_xy too, which it does not have",
        ),
        (
            put("config", "learned_initial_state", value=False),
            "arrays must be those of the configuration. Got initial.c too, which it does not have",
        ),
    ],
)
def test_descriptions_that_do_not_fit(saved: Path, change: Any, expected: str) -> None:
    text = refused(edit(saved, change))
    assert text.startswith(f"{saved}: {expected}")


def test_extra_is_read_from_fitting_files_alone(saved: Path) -> None:
    edit(saved, put("version", value=2))
    with pytest.raises(FileFormatError, match="written by a newer bptt"):
        read_extra(saved)


def test_a_huge_network_is_refused_before_it_is_built(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*args: Any, **options: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("bptt.network.Recurrent.__init__", build)
    monkeypatch.setattr("bptt.models.files.read_arrays", build)
    for field in ("input_size", "hidden_size", "num_layers"):
        edit(saved, put(*STACK, field, value=10**15))
        refused(saved)
        edit(saved, put(*STACK, field, value={"input_size": D, "hidden_size": H, "num_layers": 1}[field]))


class InputOnly(Cell):
    """One array a layer, the fewest that there can be."""

    name = "input_only"
    gates = ("h",)
    products = {"W_xh": "x"}

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = tanh(a_h)
        return h  # noqa: RET504  # a formula returns names


@pytest.mark.parametrize("layers", [2, 10**15])
def test_layers_of_one_array_are_counted_too(tmp_path: Path, layers: int) -> None:
    path = save(stack(InputOnly, bias=False), tmp_path / "m")
    edit(path, put("config", "num_layers", value=layers))
    assert refused(path, cells=[InputOnly]).endswith(f"Got no layers.1.W_xh (5, 5): {ABSENT}")


def test_files_that_are_no_models(tmp_path: Path) -> None:
    assert refused(tmp_path / "m", FileMissing) == f"model file must exist. Got {tmp_path}/m"
    (tmp_path / "m").write_text("a,b\n1,2\n3,4\n")
    assert refused(tmp_path / "m").endswith(" must be a model that bptt.save wrote. Got no safetensors file")


def test_weights_that_are_not_finite(saved: Path) -> None:
    raw = bytearray(saved.read_bytes())
    raw[-8:] = struct.pack("<d", np.nan)
    saved.write_bytes(raw)
    assert " must be finite. Got nan at " in refused(saved)


# ---------------------------------------------------------------- the user's own cells


def test_an_own_cell_must_be_handed_in(tmp_path: Path) -> None:
    path = save(stack(Minimal(leak=0.1)), tmp_path / "m")
    expected = (
        f"{path}: cell 'minimal' must be handed in, as it is none of ours: "
        "load(path, cells=[...]) with its class. Got "
    )
    assert refused(path) == expected + "none"
    assert refused(path, cells=[LSTM]) == expected + "lstm"
    assert load(path, cells=(Minimal,)).cell == Minimal(leak=0.1)
    edit(path, put("config", "cell", "lek", value=3))
    assert refused(path, cells=[Minimal]) == (
        f"{path}: option of the minimal cell must be one of leak, squash. Got 'lek'"
    )


def changed_forward(a_f: Any, a_n: Any, h_prev: Any, p_f: Any, leak: Any, squash: Any) -> Any:
    f = sigmoid(a_f + p_f * h_prev)
    n = squash(a_n)
    h = leak * h_prev + n * f
    return h, f, n


@pytest.mark.parametrize(
    "other",
    [
        other_minimal(forward=staticmethod(changed_forward)),
        other_minimal(gates=("n", "f")),
        other_minimal(stages=(type("A", (Minimal,), {"products": {"W_xh": "x", "W_hh": "x"}}),)),
    ],
    ids=["forward", "order of gates", "product"],
)
def test_an_own_cell_must_have_the_equations_of_the_file(tmp_path: Path, other: type[Cell]) -> None:
    path = save(stack(Minimal), tmp_path / "m")
    assert refused(path, cells=[other]) == (
        f"{path}: equations of cell 'minimal' must be those that it was saved with. Got others: "
        "load it with the class as it was"
    )


def test_other_constants_are_no_other_equations(tmp_path: Path) -> None:
    path = save(stack(Minimal), tmp_path / "m")
    found = load(path, cells=[other_minimal(constants={"leak": 0.75})])
    assert found.cell.options == {"leak": 0.25, "squash": "tanh"}
    assert cell_digest(Minimal(leak=0.1)) == cell_digest(Minimal())


class Impostor(Elman):
    """Has the name of one of ours."""

    @staticmethod
    def forward(a_h: Any) -> Any:
        h = tanh(a_h) - a_h
        return h  # noqa: RET504  # a formula returns names

    backward = None
    functions = {}


def test_a_cell_with_the_name_of_ours_is_no_other(tmp_path: Path) -> None:
    ours, own = save(stack("elman"), tmp_path / "ours"), save(stack(Impostor), tmp_path / "own")
    assert type(load(ours, cells=[Impostor]).cell) is Elman
    assert type(load(own, cells=[Impostor]).cell) is Impostor
    assert refused(own).endswith("cells=[...]) with its class. Got none")


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        (Minimal, InvalidType, f"cells must be a sequence of Cell classes. Got {Minimal!r}"),
        ([Minimal()], InvalidType, "cells must hold Cell classes. Got Minimal(leak=0.25, squash='tanh')"),
        (["lstm"], InvalidType, "cells must hold Cell classes. Got 'lstm'"),
        ([Minimal, other_minimal()], InvalidInput, "cells must have different names. Got 'minimal' twice"),
    ],
)
def test_what_is_handed_in_must_be_cells(
    saved: Path, cells: Any, error: type[Exception], message: str
) -> None:
    assert refused(saved, error, cells=cells) == message


# ---------------------------------------------------------------- what is not saved


class Mine(Squared):
    """A loss that no file can name."""

    kind = "mine"


def set_parameter(value: Any, name: str = "layers.0.W_hh") -> Network:
    net = Network(stack(), K)
    net.parameters[name] = value
    return net


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (3, {}, InvalidType, "model must be a Network, a Recurrent or a Forecaster. Got int"),
        (
            type("Sub", (Network,), {})(stack(), K),
            {},
            InvalidType,
            "model must be a Network, a Recurrent or a Forecaster. Got Sub",
        ),
        (
            stack(),
            {"extra": [1]},
            InvalidType,
            "extra must be a mapping of names to plain JSON values. Got [1]",
        ),
        (
            stack(),
            {"extra": {"a": np.zeros(2)}},
            InvalidType,
            "description of a model must hold plain JSON values, finite numbers among them. "
            "Got: Object of type ndarray is not JSON serializable",
        ),
        (
            set_parameter(np.full((H, 4 * H), np.nan)),
            {},
            InvalidInput,
            "every number of layers.0.W_hh must be finite to be saved. Got NaN or infinity",
        ),
        (
            set_parameter(np.zeros((H, H))),
            {},
            InvalidInput,
            "layers.0.W_hh must be float64 (5, 20) by the configuration. Got float64 (5, 5)",
        ),
        (
            set_parameter(np.zeros((H, 4 * H), np.float32)),
            {},
            InvalidInput,
            "layers.0.W_hh must be float64 (5, 20) by the configuration. Got float32 (5, 20)",
        ),
        (
            set_parameter(np.zeros(3), "mine"),
            {},
            InvalidInput,
            "arrays must be those of the configuration. Got mine too, which it does not have",
        ),
        (
            Network(stack(), K, loss=Mine()),
            {},
            InvalidInput,
            "loss kind must be one of squared, half_squared, absolute, huber, pinball, gaussian, cross_entropy, "
            "soft_cross_entropy. Got 'mine'",
        ),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(
    tmp_path: Path, model: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        save(model, tmp_path / "m", **options)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="make the folder"):
        save(stack(), tmp_path / "none" / "m")
    with pytest.raises(InvalidType, match=r"^path must be text or a path\. Got 3$"):
        save(stack(), 3)  # type: ignore[arg-type]  # what is tested
