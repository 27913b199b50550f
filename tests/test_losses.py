"""Losses: values against plain loops, gradients against two independent derivatives, weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bptt.losses import (
    LOSSES,
    Absolute,
    CrossEntropy,
    HalfSquared,
    Huber,
    Pinball,
    Squared,
    get_loss,
)

B, T, K = 4, 3, 6
QUANTILES = (0.1, 0.35, 0.9)
EXACT = 1e-14  # float64 rounding of a few dozen operations
COMPLEX_STEP = 1e-13  # the complex step has rounding error only
CENTRAL = 1e-8  # central differences with a step of 1e-5: truncation 1e-10, rounding 1e-11 over the step
SINGLE = 2e-6  # float32 rounding of a few operations, of numbers near 1
KINDS = (
    "squared",
    "half_squared",
    "absolute",
    "huber",
    "pinball",
    "gaussian",
    "cross_entropy",
    "soft_cross_entropy",
)
WEIGHTS = ("none", "rows", "steps", "mask")


def make(kind, time="mean"):
    if kind == "huber":
        return Huber(0.7, time=time)
    if kind == "pinball":
        return Pinball(QUANTILES, time=time)
    return LOSSES[kind](time=time)


def one(kind, y_hat, y):
    """One prediction's loss, written with if and abs."""
    e = y_hat - y
    if kind == "squared":
        return e**2
    if kind == "half_squared":
        return e**2 / 2
    if kind == "absolute":
        return abs(e)
    return e**2 / 2 if abs(e) < 0.7 else 0.7 * (abs(e) - 0.35)


def row(kind, y_hat, y):
    """The loss of one row of K predictions."""
    if kind == "cross_entropy":
        p = [np.exp(z) for z in y_hat]
        return -np.log(p[y] / sum(p))
    if kind == "soft_cross_entropy":
        p = [np.exp(z) for z in y_hat]
        return -sum(q * np.log(each / sum(p)) for q, each in zip(y, p, strict=True))
    if kind == "pinball":
        parts = []
        for k, z in enumerate(y_hat):
            target, q = y[k // len(QUANTILES)], QUANTILES[k % len(QUANTILES)]
            parts.append(max(q * (target - z), (q - 1) * (target - z)))
        return sum(parts) / len(parts)
    if kind == "gaussian":
        pairs = zip(y_hat[0::2], y_hat[1::2], y, strict=True)
        parts = [np.log(np.sqrt(2 * np.pi * np.exp(s))) + (m - t) ** 2 / (2 * np.exp(s)) for m, s, t in pairs]
        return sum(parts) / len(parts)
    return sum(one(kind, a, b) for a, b in zip(y_hat, y, strict=True)) / len(y)


def problem(rng, kind, steps=True, weights="none"):
    """Random predictions of every size on both sides of the targets, targets and weights."""
    rows = (B, T) if steps else (B,)
    y_hat = rng.normal(size=(*rows, K))
    if kind == "cross_entropy":
        y = rng.integers(K, size=rows)
    elif kind == "soft_cross_entropy":
        y = rng.dirichlet(np.ones(K), rows)
    else:
        y = rng.normal(size=(*rows, {"pinball": K // 3, "gaussian": K // 2}.get(kind, K)))
    w = {
        "none": None,
        "rows": rng.uniform(0.2, 3, size=B),
        "steps": rng.uniform(0.2, 3, size=rows),
        "mask": np.arange(rows[-1]) < rng.integers(1, rows[-1], size=(B, 1)) if steps else np.arange(B) != 2,
    }[weights]
    if weights == "mask" and steps:
        w[1] = False  # a row that has nothing at all
    return y_hat, y, w


def expected(kind, time, y_hat, y, w):
    rows = y_hat.shape[:-1]
    if w is None:
        w = np.ones(rows)
    w = np.asarray(w, dtype=float)
    if w.ndim < len(rows):
        w = np.repeat(w[:, None], rows[1], axis=1)
    total = sum(w[place] * row(kind, y_hat[place], y[place]) for place in np.ndindex(rows) if w[place] > 0)
    if time == "sum" and len(rows) == 2:
        return total / sum(max(w[b]) for b in range(rows[0]))
    return total / w.sum()


def cases():
    for kind in KINDS:
        for time in ("mean", "sum"):
            for steps in (True, False):
                for weights in WEIGHTS:
                    if steps or weights != "steps":
                        yield pytest.param(kind, time, steps, weights, id=f"{kind}-{time}-{steps}-{weights}")


@pytest.mark.parametrize(("kind", "time", "steps", "weights"), list(cases()))
def test_value_and_gradient(rng, kind, time, steps, weights):
    y_hat, y, w = problem(rng, kind, steps, weights)
    loss = make(kind, time)
    value, gradient = loss.value_and_gradient(y_hat, y, w)
    assert isinstance(value, float)
    np.testing.assert_allclose(value, expected(kind, time, y_hat, y, w), rtol=EXACT, atol=0)
    assert loss.value(y_hat, y, w) == value

    largest = np.abs(gradient).max()
    assert largest > 0.001  # of 72 entries; there is something to compare
    assert gradient.shape == y_hat.shape
    by_complex_step, by_differences = np.empty_like(gradient), np.empty_like(gradient)
    for place in np.ndindex(y_hat.shape):
        moved = y_hat.astype(complex)
        moved[place] += 1e-30j
        by_complex_step[place] = loss.value(moved, y, w).imag / 1e-30
        up, down = y_hat.copy(), y_hat.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        by_differences[place] = (loss.value(up, y, w) - loss.value(down, y, w)) / 2e-5
    np.testing.assert_allclose(gradient, by_complex_step, rtol=0, atol=COMPLEX_STEP * largest)
    np.testing.assert_allclose(gradient, by_differences, rtol=0, atol=CENTRAL * largest)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_complex_predictions_is_the_second_derivative(rng, kind):
    # The gradient is analytic too: its complex step is the row of the Hessian that differences give.
    y_hat, y, w = problem(rng, kind, True, "steps")
    loss = make(kind)
    at = (1, 2, 3)
    moved, up, down = y_hat.astype(complex), y_hat.copy(), y_hat.copy()
    moved[at] += 1e-30j
    up[at] += 1e-5
    down[at] -= 1e-5
    hessian = loss.value_and_gradient(moved, y, w)[1].imag / 1e-30
    differences = (loss.value_and_gradient(up, y, w)[1] - loss.value_and_gradient(down, y, w)[1]) / 2e-5
    np.testing.assert_allclose(hessian, differences, rtol=0, atol=CENTRAL)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(rng, kind, weights):
    y_hat, y, w = problem(rng, kind, True, weights)
    loss = make(kind)
    value, gradient = loss.value_and_gradient(y_hat.astype(np.float32), y, w)
    assert gradient.dtype == np.float32
    right_value, right = loss.value_and_gradient(y_hat, y, w)
    np.testing.assert_allclose(value, right_value, rtol=SINGLE, atol=0)
    np.testing.assert_allclose(gradient, right, rtol=0, atol=SINGLE * np.abs(right).max())


@pytest.mark.parametrize("time", ["mean", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_weight_zero_takes_an_entry_out_even_where_it_is_nan(rng, kind, time):
    y_hat, y, w = problem(rng, kind, True, "mask")
    loss = make(kind, time)
    value, gradient = loss.value_and_gradient(y_hat, y, w)
    y_hat[~w] = np.nan
    y[~w] = -100 if kind == "cross_entropy" else np.nan
    same, same_gradient = loss.value_and_gradient(y_hat, y, w)
    assert same == value
    np.testing.assert_array_equal(same_gradient, gradient)
    assert (same_gradient[~w] == 0).all()
    y_hat[w] = np.inf
    assert not np.isfinite(loss.value(y_hat, y, w))


@pytest.mark.parametrize("time", ["mean", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_of_whole_rows_is_the_batch_without_them(rng, kind, time):
    y_hat, y, _ = problem(rng, kind)
    keep = np.array([True, False, True, True])
    loss = make(kind, time)
    value, gradient = loss.value_and_gradient(y_hat, y, keep)
    short, short_gradient = loss.value_and_gradient(y_hat[keep], y[keep])
    np.testing.assert_allclose(value, short, rtol=EXACT, atol=0)
    np.testing.assert_allclose(gradient[keep], short_gradient, rtol=EXACT, atol=0)


@pytest.mark.parametrize("time", ["mean", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_two_is_the_row_twice_and_their_scale_is_free(rng, kind, time):
    y_hat, y, _ = problem(rng, kind)
    loss = make(kind, time)
    twice = loss.value(np.concatenate([y_hat, y_hat[:1]]), np.concatenate([y, y[:1]]))
    np.testing.assert_allclose(loss.value(y_hat, y, [2, 1, 1, 1]), twice, rtol=EXACT, atol=0)
    np.testing.assert_allclose(loss.value(y_hat, y, [0.2, 0.1, 0.1, 0.1]), twice, rtol=EXACT, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_sum_over_time_is_t_times_the_mean(rng, kind):
    y_hat, y, _ = problem(rng, kind)
    mean, sum_ = make(kind).value(y_hat, y), make(kind, "sum").value(y_hat, y)
    np.testing.assert_allclose(sum_, T * mean, rtol=EXACT, atol=0)
    flat = make(kind, "sum").value(y_hat[:, 0], y[:, 0])
    np.testing.assert_allclose(flat, make(kind).value(y_hat[:, 0], y[:, 0]), rtol=0, atol=0)


def test_half_squared_is_the_lectures(rng):
    y_hat, y = rng.normal(size=(1, 50, 1)), rng.normal(size=(1, 50, 1))
    dY = (y_hat - y)[0]
    value, gradient = HalfSquared(time="sum").value_and_gradient(y_hat, y)
    np.testing.assert_allclose(value, 0.5 * (dY.T @ dY).item(), rtol=EXACT, atol=0)
    np.testing.assert_allclose(gradient[0], dY, rtol=EXACT, atol=0)
    np.testing.assert_allclose(
        HalfSquared().value(y_hat, y), 0.5 * (dY.T @ dY).item() / 50, rtol=EXACT, atol=0
    )


def test_the_best_constant_under_pinball_is_the_quantile(rng):
    y = rng.normal(size=(1001, 1))
    grid = np.linspace(-2, 2, 401)
    losses = [Pinball((0.8,)).value(np.full_like(y, z), y) for z in grid]
    assert abs(grid[np.argmin(losses)] - np.quantile(y, 0.8)) <= 0.02


def test_slopes_at_the_target():
    same = np.array([[0.5]])
    assert Absolute().value_and_gradient(same, same)[1] == 0
    assert Huber().value_and_gradient(same, same)[1] == 0
    assert Pinball((0.3,)).value_and_gradient(same, same)[1] == -0.3


def test_huber_keeps_its_slope_far_out_in_float32():
    far = np.array([[3e9], [-3e9], [np.inf]], dtype=np.float32)
    _, gradient = Huber(0.5).value_and_gradient(far, np.zeros_like(far))
    np.testing.assert_allclose(gradient[:2, 0] * 3, [0.5, -0.5], rtol=SINGLE, atol=0)
    assert np.isnan(gradient[2, 0])


def test_cross_entropy_of_large_logits(rng):
    logits = (1e4 * rng.normal(size=(B, K))).astype(np.float32)
    y = logits.argmax(-1)
    value, gradient = CrossEntropy().value_and_gradient(logits, y)
    assert value == 0
    assert (gradient == 0).all()
    value = CrossEntropy().value(logits, logits.argmin(-1))
    np.testing.assert_allclose(value, (logits.max(-1) - logits.min(-1)).mean(), rtol=SINGLE, atol=0)


def test_cross_entropy_of_equal_logits_is_log_k():
    value = CrossEntropy().value(np.full((B, K), 7.0), np.zeros(B, dtype=np.uint8))
    np.testing.assert_allclose(value, np.log(K), rtol=EXACT, atol=0)


def test_overflow_shows_and_does_not_warn():
    assert Squared().value(np.array([[1e30]], dtype=np.float32), np.zeros((1, 1))) == np.inf
    assert np.isnan(CrossEntropy().value(np.array([[np.inf, 0.0]]), np.array([0])))


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_may_be_read_only_and_strided_and_stay_as_they_were(rng, kind):
    y_hat, y, w = problem(rng, kind, True, "mask")
    loss = make(kind)
    right = loss.value_and_gradient(y_hat, y, w)
    turned = np.asfortranarray(y_hat)
    before = y_hat.copy(), y.copy(), w.copy()
    for array in (turned, y, w):
        array.flags.writeable = False
    value, gradient = loss.value_and_gradient(turned, y, w)
    np.testing.assert_allclose(value, right[0], rtol=EXACT, atol=0)
    np.testing.assert_allclose(gradient, right[1], rtol=EXACT, atol=0)
    for now, then in zip((turned, y, w), before, strict=True):
        np.testing.assert_array_equal(now, then)
    time_first = np.ascontiguousarray(y_hat.swapaxes(0, 1)).swapaxes(0, 1)
    np.testing.assert_allclose(loss.value_and_gradient(time_first, y, w)[1], right[1], rtol=EXACT, atol=0)


def test_integer_predictions_and_lists_are_numbers():
    assert Squared().value([[1, 2]], [[3, 2]]) == 2.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["none", "steps", "mask"])
@pytest.mark.parametrize("time", ["mean", "sum"])
def test_against_pytorch(rng, kind, weights, time):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    y_hat, y, w = problem(rng, kind, True, weights)
    value, gradient = make(kind, time).value_and_gradient(y_hat, y, w)
    z = torch.tensor(y_hat, requires_grad=True)
    target = torch.tensor(y)
    functional = torch.nn.functional
    if kind == "cross_entropy":
        rows = functional.cross_entropy(z.reshape(-1, K), target.reshape(-1), reduction="none").reshape(B, T)
    elif kind == "soft_cross_entropy":
        flat = functional.cross_entropy(z.reshape(-1, K), target.reshape(-1, K), reduction="none")
        rows = flat.reshape(B, T)
    else:
        if kind == "pinball":
            e = target[..., None] - z.reshape(B, T, -1, len(QUANTILES))
            q = torch.tensor(QUANTILES, dtype=torch.float64)
            each = torch.maximum(q * e, (q - 1) * e).reshape(B, T, K)
        elif kind == "gaussian":
            apart = z.reshape(B, T, -1, 2)
            each = functional.gaussian_nll_loss(
                apart[..., 0], target, apart[..., 1].exp(), full=True, reduction="none", eps=0.0
            )
        elif kind == "absolute":
            each = functional.l1_loss(z, target, reduction="none")
        elif kind == "huber":
            each = functional.huber_loss(z, target, reduction="none", delta=0.7)
        else:
            each = functional.mse_loss(z, target, reduction="none") * (0.5 if kind == "half_squared" else 1)
        rows = each.mean(-1)
    scale = torch.ones(B, T, dtype=torch.float64) if w is None else torch.tensor(np.asarray(w, dtype=float))
    divisor = scale.sum() if time == "mean" else scale.max(dim=1).values.sum()
    found = (scale * rows).sum() / divisor
    found.backward()
    np.testing.assert_allclose(value, found.item(), rtol=1e-13, atol=0)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=0, atol=1e-14)


def test_plain_means_against_pytorch(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'bptt[torch]'")
    y_hat, y, w = problem(rng, "squared")
    pairs = [
        (Squared(), torch.nn.MSELoss()),
        (Absolute(), torch.nn.L1Loss()),
        (Huber(0.7), torch.nn.HuberLoss(delta=0.7)),
    ]
    for ours, theirs in pairs:
        right = theirs(torch.tensor(y_hat), torch.tensor(y)).item()
        np.testing.assert_allclose(ours.value(y_hat, y), right, rtol=1e-13, atol=0)
    y_hat, y, w = problem(rng, "cross_entropy", True, "mask")
    target = torch.tensor(np.where(w, y, -100)).reshape(-1)
    right = torch.nn.CrossEntropyLoss()(torch.tensor(y_hat).reshape(-1, K), target).item()
    np.testing.assert_allclose(CrossEntropy().value(y_hat, y, w), right, rtol=1e-13, atol=0)


def test_scales_are_what_a_fused_step_multiplies_by(rng):
    y_hat, y, w = problem(rng, "squared", True, "steps")
    loss = Squared()
    scales = loss.scales(y_hat.shape, w)
    assert scales.shape == (B, T)
    slope = loss.formula(y_hat, y)[1]
    np.testing.assert_array_equal(loss.value_and_gradient(y_hat, y, w)[1], scales[..., None] * slope)
    np.testing.assert_allclose(loss.scales((B, K)), np.full(B, 1 / (B * K)), rtol=EXACT, atol=0)
    np.testing.assert_allclose(CrossEntropy().scales((B, K)), np.full(B, 1 / B), rtol=EXACT, atol=0)


def test_target_shapes():
    assert Squared().target_shape((5, 2)) == (5, 2)
    assert CrossEntropy().target_shape((5, 7, 4)) == (5, 7)
    assert Pinball(QUANTILES).target_shape((5, 7, 6)) == (5, 7, 2)


def test_by_name_and_configuration():
    assert get_loss("mse") == get_loss("squared") == Squared()
    assert get_loss("mae") == Absolute()
    assert get_loss("softmax_cross_entropy") == CrossEntropy()
    huber = Huber(2, time="sum")
    assert get_loss(huber) is huber
    for kind in KINDS:
        loss = make(kind, "sum")
        written = json.loads(json.dumps(loss.to_config()))
        assert written == loss.to_config()
        assert get_loss(written) == loss
        assert hash(get_loss(written)) == hash(loss)
