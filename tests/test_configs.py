"""Configuration dictionaries: what is refused, and that only known classes are built."""

from __future__ import annotations

import pytest

from bptt.configs import from_config
from bptt.errors import InvalidInput, InvalidType
from bptt.initializers import INITIALIZERS, Normal, SpectralRadius, get_initializer
from bptt.losses import LOSSES, Huber


def test_absent_fields_take_their_defaults():
    assert from_config("loss", {"kind": "huber"}, LOSSES) == Huber()


def test_nested_configurations():
    made = SpectralRadius(Normal(0.3), 0.9)
    config = made.to_config()
    assert config == {
        "kind": "spectral_radius",
        "inner": {"kind": "normal", "sd": 0.3},
        "radius": 0.9,
    }
    assert get_initializer(config) == made


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: from_config("loss", "mse", LOSSES),
            InvalidType,
            "loss configuration must be a dictionary. Got 'mse'",
        ),
        (
            lambda: from_config("loss", {"kind": "os.system"}, LOSSES),
            InvalidInput,
            "loss kind must be one of squared, half_squared, absolute, huber, pinball, gaussian, cross_entropy, "
            "soft_cross_entropy. "
            "Got 'os.system'",
        ),
        (
            lambda: from_config("loss", {"kind": "huber", "gamma": 1}, LOSSES),
            InvalidInput,
            "loss 'huber' must have only the fields time, delta. Got 'gamma': written by another version?",
        ),
        (
            lambda: from_config("initializer", {"kind": "normal"}, INITIALIZERS),
            InvalidInput,
            "initializer 'normal' must have the field sd. Got none",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
