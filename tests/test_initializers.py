"""Initialisers: sizes, blocks, seeds, dtypes, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.initializers import (
    Constant,
    Glorot,
    Identity,
    Normal,
    Orthogonal,
    SpectralRadius,
    Uniform,
    get_initializer,
)

EXACT = 1e-13  # float64 rounding of a QR decomposition or an eigenvalue problem of 40 rows
SPREAD = 0.05  # a sample deviation of 4,000 numbers is within 4 standard errors, 4.5 %
N, H, G = 40, 25, 4

EVERY = [
    Normal(0.3),
    Uniform(0.2),
    Uniform(),
    Glorot(),
    Glorot(uniform=False),
    Orthogonal(),
    Orthogonal(2.5),
    Orthogonal(spectral_radius=0.8),
    Identity(0.5),
    Constant(0.25),
    SpectralRadius(Normal(1.0), 0.95),
    SpectralRadius(Uniform(1.0), 1.2),
]


def blocks(weight, gates):
    return np.split(weight, gates, axis=-1)


def seeded():
    return np.random.default_rng(7)


@pytest.mark.parametrize("initializer", EVERY, ids=repr)
def test_same_seed_same_bits_and_dtypes_agree(initializer):
    first = initializer(seeded(), (H, 3 * H), "float64", gates=3)
    again = initializer(seeded(), (H, 3 * H), "float64", gates=3)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float64
    assert first.flags.c_contiguous
    assert first.flags.writeable
    single = initializer(seeded(), (H, 3 * H), "float32", gates=3)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, first.astype(np.float32))


@pytest.mark.parametrize("initializer", EVERY, ids=repr)
def test_each_gate_is_drawn_on_its_own(initializer):
    # G gates at once are G draws of one gate, one after the other.
    packed = initializer(seeded(), (H, 3 * H), gates=3)
    rng = seeded()
    for block in blocks(packed, 3):
        np.testing.assert_array_equal(block, initializer(rng, (H, H)))
    if not isinstance(initializer, (Identity, Constant)):
        assert len({block[0, 0] for block in blocks(packed, 3)}) == 3


def test_normal():
    weight = Normal(0.3)(seeded(), (N, G * H), gates=G)
    np.testing.assert_allclose(weight.std(), 0.3, rtol=SPREAD, atol=0)
    assert abs(weight.mean()) < 4 * 0.3 / np.sqrt(weight.size)
    assert (Normal(0)(seeded(), (3, 2)) == 0).all()


def test_uniform():
    weight = Uniform(0.2)(seeded(), (N, G * H), gates=G)
    assert 0.19 < np.abs(weight).max() <= 0.2
    np.testing.assert_allclose(weight.std(), 0.2 / np.sqrt(3), rtol=SPREAD, atol=0)


@pytest.mark.parametrize(
    ("initializer", "shape", "gates", "bound"),
    [
        (Uniform(), (N, G * H), G, 1 / np.sqrt(H)),
        (Uniform(), (G * H,), G, 1 / np.sqrt(H)),
        (Uniform(fan="in"), (N, H), 1, 1 / np.sqrt(N)),
        (Glorot(), (N, G * H), G, np.sqrt(6 / (N + H))),
    ],
)
def test_bounds_follow_the_fans_of_one_gate(initializer, shape, gates, bound):
    largest = np.abs(initializer(seeded(), shape, gates=gates)).max()
    assert 0.93 * bound < largest <= bound


def test_glorot_normal():
    weight = Glorot(uniform=False)(seeded(), (N, G * H), gates=G)
    np.testing.assert_allclose(weight.std(), np.sqrt(2 / (N + H)), rtol=SPREAD, atol=0)


@pytest.mark.parametrize(("rows", "columns"), [(H, H), (N, H), (H, N)])
def test_orthogonal(rows, columns):
    for q in blocks(Orthogonal(2.5)(seeded(), (rows, 3 * columns), gates=3), 3):
        product = q.T @ q if rows >= columns else q @ q.T
        np.testing.assert_allclose(product, 2.5**2 * np.eye(min(rows, columns)), rtol=0, atol=EXACT * 10)


def test_orthogonal_has_no_preferred_sign():
    # Without the correction of the signs the diagonal of Q is biased: LAPACK makes its first entry negative.
    rng = np.random.default_rng(3)
    corners = [Orthogonal()(rng, (2, 2))[0, 0] for _ in range(400)]
    assert abs(np.mean(corners)) < 4 * np.sqrt(0.5 / 400)


@pytest.mark.parametrize(
    "initializer",
    [Orthogonal(spectral_radius=0.8), SpectralRadius(Normal(3.0), 0.8)],
    ids=["orthogonal", "normal"],
)
def test_spectral_radius_of_every_gate(initializer):
    for block in blocks(initializer(seeded(), (H, 3 * H), gates=3), 3):
        radius = np.abs(np.linalg.eigvals(block)).max()
        np.testing.assert_allclose(radius, 0.8, rtol=EXACT * 10, atol=0)


def test_spectral_radius_zero_is_a_zero_matrix():
    assert (SpectralRadius(Normal(1.0), 0)(seeded(), (4, 4)) == 0).all()


def test_spectral_radius_keeps_the_direction():
    scaled, plain = SpectralRadius(Normal(1.0), 0.8)(seeded(), (H, H)), Normal(1.0)(seeded(), (H, H))
    np.testing.assert_allclose(scaled / scaled[0, 0], plain / plain[0, 0], rtol=EXACT, atol=0)


def test_identity_and_constant():
    weight = Identity(0.5)(seeded(), (3, 6), gates=2)
    np.testing.assert_array_equal(weight, [[0.5, 0, 0] * 2, [0, 0.5, 0] * 2, [0, 0, 0.5] * 2])
    np.testing.assert_array_equal(Constant(0.25)(seeded(), (2, 3)), np.full((2, 3), 0.25))
    bias = Constant((0, 1, 0, -2))(seeded(), (12,), gates=4)
    np.testing.assert_array_equal(bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, -2, -2, -2])


def test_by_name_and_configuration():
    assert get_initializer("orthogonal") == Orthogonal()
    assert get_initializer("glorot_normal") == Glorot(uniform=False)
    assert get_initializer("zeros") == Constant(0.0)
    for initializer in [*EVERY, Constant((0.0, 1.0, 0.0))]:
        assert get_initializer(initializer) is initializer
        assert get_initializer(json.loads(json.dumps(initializer.to_config()))) == initializer


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: Normal(1.0)(0, (2, 2)),
            InvalidType,
            "rng must be a NumPy Generator, such as numpy.random.default_rng(0). Got 0",
        ),
        (
            lambda: Normal(1.0)(seeded(), (2, 3, 4)),
            InvalidInput,
            "shape must be (n, G*H) or (G*H,). Got (2, 3, 4)",
        ),
        (
            lambda: Normal(1.0)(seeded(), (2, 7), gates=3),
            InvalidInput,
            "shape must end in G*H columns with G = 3 gates. Got (2, 7)",
        ),
        (lambda: Normal(1.0)(seeded(), (2, 0)), InvalidInput, "shape must be at least 1. Got 0"),
        (
            lambda: Normal(1.0)(seeded(), (2, 2), "int32"),
            InvalidInput,
            "dtype must be one of float32, float64. Got 'int32'",
        ),
        (lambda: Normal(-1), InvalidInput, "sd must be at least 0. Got -1"),
        (lambda: Uniform(-1), InvalidInput, "bound must be at least 0. Got -1"),
        (lambda: Uniform(fan="both"), InvalidInput, "fan must be one of out, in. Got 'both'"),
        (
            lambda: Uniform(fan="in")(seeded(), (6,), gates=2),
            InvalidInput,
            'shape must have rows for fan="in". Got (3,): set the bound for a vector',
        ),
        (
            lambda: Glorot()(seeded(), (6,), gates=2),
            InvalidInput,
            "shape must be (n, G*H) for glorot. Got a vector, (3,) a gate",
        ),
        (lambda: Glorot(uniform=1), InvalidType, "uniform must be True or False. Got 1"),
        (lambda: Orthogonal(0), InvalidInput, "gain must be above 0. Got 0"),
        (lambda: Orthogonal(spectral_radius=0), InvalidInput, "spectral_radius must be above 0. Got 0"),
        (
            lambda: Orthogonal(2, spectral_radius=0.9),
            InvalidInput,
            "gain must stay 1 where spectral_radius is set. Got gain 2",
        ),
        (
            lambda: Orthogonal(spectral_radius=0.9)(seeded(), (3, 8), gates=2),
            InvalidInput,
            "shape must be (H, G*H), square a gate, for orthogonal. Got (3, 4) a gate: "
            "take another initialiser for this weight",
        ),
        (
            lambda: Identity()(seeded(), (3, 8), gates=2),
            InvalidInput,
            "shape must be (H, G*H), square a gate, for identity. Got (3, 4) a gate: "
            "take another initialiser for this weight",
        ),
        (
            lambda: SpectralRadius(Normal(1.0), 0.9)(seeded(), (3, 4)),
            InvalidInput,
            "shape must be (H, G*H), square a gate, for spectral_radius. Got (3, 4) a gate: "
            "take another initialiser for this weight",
        ),
        (
            lambda: SpectralRadius(Constant(0.0), 0.9)(seeded(), (3, 3)),
            InvalidInput,
            "inner must give a matrix with an eigenvalue other than 0. Got only zeros",
        ),
        (
            lambda: SpectralRadius("normal", 0.9),
            InvalidType,
            "inner must be an initialiser such as Normal(1.0). Got 'normal'",
        ),
        (lambda: Constant("x"), InvalidType, "value must be a number. Got 'x'"),
        (
            lambda: Constant((0, 1))(seeded(), (6,), gates=3),
            InvalidInput,
            "value must hold one number a gate, G = 3. Got 2 numbers",
        ),
        (
            lambda: get_initializer("he"),
            InvalidInput,
            "initializer must be one of uniform, glorot, glorot_normal, orthogonal, identity, zeros, "
            "or an object such as Normal(0.1). Got 'he'",
        ),
        (
            lambda: get_initializer(0.1),
            InvalidType,
            "initializer must be a name or an object such as Normal(0.1). Got 0.1",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
