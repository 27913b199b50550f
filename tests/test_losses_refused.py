"""What losses refuse, in one line each."""

from __future__ import annotations

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType
from bptt.losses import (
    CrossEntropy,
    Huber,
    Pinball,
    Squared,
    get_loss,
)

FLAT = np.zeros((5, 1))
QUANTILES = (0.1, 0.35, 0.9)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: get_loss("rmse"),
            InvalidInput,
            "loss must be one of squared, half_squared, absolute, huber, pinball, gaussian, cross_entropy, "
            "soft_cross_entropy, mse, mae, softmax_cross_entropy. Got 'rmse'",
        ),
        (lambda: get_loss(3), InvalidType, "loss must be a name or a Loss such as Huber(1.0). Got 3"),
        (lambda: Squared(time="last"), InvalidInput, "time must be one of mean, sum. Got 'last'"),
        (lambda: Huber(0), InvalidInput, "delta must be above 0. Got 0"),
        (lambda: Pinball(()), InvalidInput, "quantiles must hold at least one number. Got none"),
        (
            lambda: Pinball(0.5),
            InvalidType,
            "quantiles must be a sequence of numbers, e.g. (0.1, 0.5, 0.9). Got 0.5",
        ),
        (lambda: Pinball((0.5, 1.0)), InvalidInput, "quantiles must be below 1. Got 1.0"),
        (lambda: Pinball((0.5, 0.2)), InvalidInput, "quantiles must rise. Got 0.5, 0.2"),
        (
            lambda: Pinball(QUANTILES).value(np.zeros((5, 4)), FLAT),
            InvalidInput,
            "y_hat must have K = M Q outputs, Q = 3 quantiles of each target. Got K = 4",
        ),
        (
            lambda: Pinball(QUANTILES).value(np.zeros((5, 6)), np.zeros((5, 6))),
            InvalidInput,
            "y must have shape (B, M) = (5, 2). Got (5, 6): K = 6 outputs hold Q = 3 quantiles of each target",
        ),
        (
            lambda: Squared().value(FLAT, np.zeros(5)),
            InvalidInput,
            "y must have shape (B, K) = (5, 1). Got (5,): one target beside each prediction; "
            "y[..., None] adds the axis of outputs",
        ),
        (
            lambda: Squared().value(np.zeros((5, 3, 2)), np.zeros((5, 1, 2))),
            InvalidInput,
            "y must have shape (B, T, K) = (5, 3, 2). Got (5, 1, 2): one target beside each prediction",
        ),
        (
            lambda: Squared().value(np.zeros(5), np.zeros(5)),
            InvalidInput,
            "y_hat must have shape (B, K) or (B, T, K). Got (5,)",
        ),
        (
            lambda: Squared().value(np.zeros((0, 2)), np.zeros((0, 2))),
            InvalidInput,
            "y_hat must hold at least one prediction. Got shape (0, 2)",
        ),
        (
            lambda: Squared().value(np.array([["a"]]), FLAT),
            InvalidType,
            "y_hat must hold numbers. Got dtype <U1",
        ),
        (
            lambda: Squared().value(FLAT, FLAT, np.ones((5, 1))),
            InvalidInput,
            "weights must have shape (B,) = (5,). Got (5, 1)",
        ),
        (
            lambda: Squared().value(np.zeros((5, 3, 2)), np.zeros((5, 3, 2)), np.ones(3)),
            InvalidInput,
            "weights must have shape (B,) = (5,) or (B, T) = (5, 3). Got (3,)",
        ),
        (
            lambda: Squared().value(FLAT, FLAT, [1, 1, -2, 1, 1]),
            InvalidInput,
            "weights must be finite and at least 0. Got -2 at [2]",
        ),
        (
            lambda: Squared().value(FLAT, FLAT, [1, np.nan, 1, 1, 1]),
            InvalidInput,
            "weights must be finite and at least 0. Got nan at [1]",
        ),
        (
            lambda: Squared().value(FLAT, FLAT, np.zeros(5)),
            InvalidInput,
            "weights must hold at least one number above 0. Got only zeros: nothing would count",
        ),
        (
            lambda: Squared().value(FLAT, FLAT, ["a"] * 5),
            InvalidType,
            "weights must hold real numbers. Got dtype <U1",
        ),
        (
            lambda: CrossEntropy().value(np.zeros((5, 3)), np.zeros(5)),
            InvalidType,
            "y must hold class numbers, integers 0..K-1 = 0..2. Got dtype float64: "
            "y.astype(int) if they are whole",
        ),
        (
            lambda: CrossEntropy().value(np.zeros((5, 3)), np.array([0, 1, 2, 3, 0])),
            InvalidInput,
            "y must hold class numbers 0..K-1 = 0..2. Got 3 at [3]: give it weight 0 if it is not to count",
        ),
        (
            lambda: CrossEntropy().value(np.zeros((1, 2, 3)), np.array([[0, -1]])),
            InvalidInput,
            "y must hold class numbers 0..K-1 = 0..2. Got -1 at [0, 1]: give it weight 0 if it is not to count",
        ),
        (
            lambda: CrossEntropy().value(np.zeros((5, 3)), np.eye(5, 3, dtype=int)),
            InvalidInput,
            "y must have shape (B,) = (5,). Got (5, 3): class numbers (y.argmax(-1)); SoftCrossEntropy takes rows",
        ),
        (
            lambda: CrossEntropy().value(np.zeros((5, 7, 3)), np.zeros(5, dtype=int)),
            InvalidInput,
            "y must have shape (B, T) = (5, 7). Got (5,)",
        ),
        (
            lambda: CrossEntropy().value(np.zeros((5, 1)), np.zeros(5, dtype=int)),
            InvalidInput,
            "y_hat must have at least 2 outputs for cross-entropy, one a class. Got K = 1",
        ),
    ],
)
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
