"""What could not be loaded again, or not be written, is not saved."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import FileMissing, InvalidInput, InvalidType
from bptt.losses import Squared
from bptt.models import save
from bptt.network import Network
from tests.models.made import H, K, refused, stack


def test_weights_that_are_not_finite(saved: Path) -> None:
    raw = bytearray(saved.read_bytes())
    raw[-8:] = struct.pack("<d", np.nan)
    saved.write_bytes(raw)
    assert " must be finite. Got nan at " in refused(saved)


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
