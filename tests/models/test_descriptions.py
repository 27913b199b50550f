"""What a model file says of itself must be known, complete, and fit the arrays beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bptt.activations import tanh
from bptt.cells import Cell
from bptt.errors import FileFormatError, FileMissing
from bptt.models import read_extra, save
from tests.models.made import D, H, drop, edit, put, refused, stack

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
