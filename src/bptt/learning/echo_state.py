"""Echo state networks: a recurrent layer that stays as it was drawn, and a readout in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_array, check_number, check_whole
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput, InvalidType
from bptt.learning.leaky import LeakyElman
from bptt.learning.ridge import solve_ridge
from bptt.network import Network, Recurrent

# Steps of states held at once while a readout is solved.
CHUNK = 2048
# Of weights as they are drawn: far beyond any use, and within float32.
_LARGEST = 1e30


@dataclass(frozen=True)
class ReadoutFit:
    """What `fit_readout` found.

    Attributes
    ----------
    rmse : ndarray (K,)
        On the steps that were fitted, in the unit of y.
    steps : int
        How many counted: B (T - washout).
    largest_weight : float
        Of the readout and the linear path: numbers far above 1 / (size of a state) will not run freely for long.
    """

    rmse: Array
    steps: int
    largest_weight: float


def echo_state_network(
    input_size: int,
    output_size: int,
    hidden_size: int,
    *,
    spectral_radius: float = 0.9,
    leak: float = 1.0,
    input_scaling: float = 1.0,
    bias_scaling: float = 0.0,
    density: float = 1.0,
    linear_lags: int = 1,
    dtype: str = "float64",
    seed: int = 0,
    engine: str = "auto",
) -> Network:
    """Return a network with a fixed random reservoir; `fit_readout` gives it its readout.

    Parameters
    ----------
    input_size, output_size, hidden_size : int
        D, K and the units of the reservoir, H.
    spectral_radius : float
        At least 0: largest absolute eigenvalue of the recurrent weights. Longer memory towards 1; beyond, only inputs
        that keep the units saturated hold the states together.
    leak : float
        In (0, 1]: share of a state that is new at each step.
    input_scaling : float
        Input weights are uniform in -input_scaling..input_scaling.
    bias_scaling : float
        Biases are uniform in -bias_scaling..bias_scaling.
    density : float
        In (0, 1]: share of the recurrent weights that are not 0; those are normal.
    linear_lags : int
        Newest rows of the input that the readout sees beside the states.
    dtype : {"float64", "float32"}
    seed : int
        Of the reservoir.
    engine : {"auto", "numpy", "compiled"}

    Returns
    -------
    Network
        One layer of `LeakyElman`, read out at every step, the readout at 0. It predicts, streams, generates and is
        saved as any network is (`load(..., cells=[LeakyElman])`).

    Raises
    ------
    InvalidInput, InvalidType
        A setting that does not fit.

    References
    ----------
    Jaeger 2001, "The echo state approach to analysing and training recurrent neural networks", GMD report 148.
    Lukosevicius 2012, "A practical guide to applying echo state networks".
    """
    radius = check_number("spectral_radius", spectral_radius, least=0.0)
    share = check_number("density", density, above=0.0)
    rate = check_number("leak", leak, above=0.0)
    for name, value in (("density", share), ("leak", rate)):
        if value > 1:
            raise InvalidInput(f"{name} must be at most 1. Got {value:g}")
    sizes = {
        "W_xh": check_number("input_scaling", input_scaling, least=0.0),
        "b_h": check_number("bias_scaling", bias_scaling, least=0.0),
    }
    named = {"spectral_radius": radius, "input_scaling": sizes["W_xh"], "bias_scaling": sizes["b_h"]}
    for name, value in named.items():
        if value > _LARGEST:
            raise InvalidInput(f"{name} must be at most {_LARGEST:g}. Got {value:g}")
    stack = Recurrent(
        LeakyElman, input_size, hidden_size, dtype=dtype, seed=seed, engine=engine, leak=rate,
        initializers={"W_hh": "zeros"},
    )  # fmt: skip
    net = Network(stack, output_size, readout="every", linear_lags=linear_lags, seed=seed)
    rng = np.random.default_rng([seed, 2])
    for name, size in sizes.items():
        p = net.parameters[f"layers.0.{name}"]
        p[...] = rng.uniform(-size, size, p.shape)
    net.parameters["layers.0.W_hh"][...] = _recurrent_weights(rng, hidden_size, radius, share)
    net.parameters["readout.W_hy"][...] = 0
    return net


def fit_readout(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    ridge: float = 1e-6,
    washout: int = 0,
) -> ReadoutFit:
    """Solve readout, bias and linear path by ridge regression, in place; the recurrent part stays as it is.

    Parameters
    ----------
    net : Network
        Forward in time, read out at every step, with an identity output and a bias: of `echo_state_network`, or one
        that was trained, whatever its cell.
    x : array_like (T, D), or (B, T, D) for several series
    y : array_like (T, K), or (B, T, K)
        The target of every step.
    ridge : float
        At least 0: added to the diagonal of the normal equations (sums over steps). The bias is not penalised.
    washout : int
        First steps of each series that are not fitted, while the state forgets where it started.

    Returns
    -------
    ReadoutFit

    Raises
    ------
    InvalidInput, InvalidType
        A network, shape or setting that does not fit; numbers that are not finite; equations that are singular.

    Notes
    -----
    In float64, with states, newest inputs and a constant as features. The targets of a network that predicts a change
    are first turned into its readout's unit.
    """
    _check_readout(net)
    D, K = net.input_size, net.output_size
    inputs = _series("x", x, "D", D)
    rows, steps = inputs.shape[:2]
    targets = _series("y", y, "K", K)
    if targets.shape[:2] != (rows, steps):
        raise InvalidInput(
            f"y must have a target beside each step of x, (B, T) = {(rows, steps)}. Got {targets.shape[:2]}"
        )
    strength = check_number("ridge", ridge, least=0.0)
    skipped = check_whole("washout", washout, least=0)
    if skipped >= steps:
        raise InvalidInput(f"washout must be below T = {steps}. Got {skipped}: nothing would be left to fit")
    for name, array in (("x", inputs), ("y", targets)):
        if not np.isfinite(array).all():
            raise InvalidInput(
                f"{name} must be finite. Got nan or inf: cut the series there, or fill the gap"
            )
    size = len(net.parameters["readout.W_hy"]) + net.linear_lags * D
    # What leaves the range of numbers is found below, before anything is written.
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        try:
            weights, intercept = solve_ridge(
                _features(net, inputs, targets, skipped), np.full(size, strength), K
            )
        except np.linalg.LinAlgError:
            raise InvalidInput(
                f"ridge must be large enough for {size} features of {rows * (steps - skipped)} steps. "
                f"Got {strength:g}, and singular equations: raise it"
            ) from None
        _check_range(net, weights, intercept)
        H = net.recurrent.output_size
        net.parameters["readout.W_hy"][...] = weights[:H]
        net.parameters["readout.b_y"][...] = intercept
        if net.linear_lags:
            net.parameters["linear.W_xy"][...] = weights[H:]
        squares, count = np.zeros(K), 0
        for features, z in _features(net, inputs, targets, skipped):
            squares += np.sum((features @ weights + intercept - z) ** 2, axis=0)
            count += len(z)
    scale = net.change_scale if net.change_of is not None else 1.0
    return ReadoutFit(scale * np.sqrt(squares / count), count, float(np.abs(weights).max()))


def _check_range(net: Network, *solved: Array) -> None:
    most = float(np.finfo(net.dtype).max)
    largest = max(float(np.abs(each).max(initial=0.0)) for each in solved)
    if not largest <= most:  # nan is not, either
        raise InvalidInput(
            f"x and y must be of a size whose readout {net.dtype} can hold, up to {most:.2g}. Got {largest:.2g}: "
            "scale them"
        )


def _recurrent_weights(rng: np.random.Generator, H: int, radius: float, density: float) -> Array:
    W_hh = rng.standard_normal((H, H))
    if density < 1:
        W_hh *= rng.random((H, H)) < density
    if radius == 0:
        return np.zeros((H, H))
    found = float(np.abs(np.linalg.eigvals(W_hh)).max())
    if found < 1e-6:  # a sparse matrix without a cycle is nilpotent, and its eigenvalues are rounding
        raise InvalidInput(
            f"density must leave recurrent weights with a loop among H = {H} units. Got {density:g} and none: raise it"
        )
    return W_hh * (radius / found)


def _check_readout(net: object) -> None:
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    if net.readout != "every" or net.recurrent.direction != "forward" or net.feedback:
        raise InvalidInput(
            "net must run forward, be read out at every step and have no feedback. "
            f"Got readout {net.readout!r}, direction {net.recurrent.direction!r}, feedback={net.feedback}"
        )
    if net.output_activation != "identity" or not net.bias or net.loss.class_targets:
        raise InvalidInput(
            "net must have an identity output, a bias and a loss of numbers for a readout in closed form. "
            f"Got {net.output_activation!r}, bias={net.bias}, {net.loss.kind}"
        )


def _series(name: str, value: Any, symbol: str, size: int) -> Array:
    """Return (B, T, size) float64; one series may come without the axis of series."""
    axes: list[tuple[str, int | None]] = [("B", None), ("T", None), (symbol, size)]
    try:
        flat = np.ndim(value) == 2
    except ValueError:
        flat = False  # ragged: `check_array` says so
    array = check_array(name, value, axes[1:] if flat else axes, dtype=np.dtype("float64"))
    return array[None] if flat else array


def _features(net: Network, x: Array, y: Array, washout: int) -> Iterator[tuple[Array, Array]]:
    """Yield features (n, H + lags * D) and targets (n, K) in pieces, the state carried from one to the next."""
    stack, lags, D = net.recurrent, net.linear_lags, net.input_size
    B, T, _ = x.shape
    x_t, state, _ = stack.check_inputs(x, None, None, copy=False)
    if net.learned_initial_state:
        shape = stack.state_shape(B)
        state = {n: np.broadcast_to(net.parameters[f"initial.{n}"][:, None], shape) for n in stack.states}
    padded = np.concatenate([np.zeros((B, max(lags - 1, 0), D)), x], axis=1)
    size = max(1, CHUNK // B)
    own = {name: net.parameters[name] for name in stack.parameters}
    for first in range(0, T, size):
        last = min(T, first + size)
        h, state, _ = stack.run(x_t[first:last], state, None, parameters=own, tape=False)
        assert h is not None
        begin = max(first, washout)
        if begin >= last:
            continue
        parts = [h[begin - first :].transpose(1, 0, 2).astype(np.float64)]
        parts += [padded[:, begin + k : last + k] for k in range(lags)]
        features = np.concatenate(parts, axis=2)
        target = y[:, begin:last]
        if net.change_of is not None:
            target = (target - x[:, begin:last, list(net.change_of)]) / net.change_scale
        yield features.reshape(-1, features.shape[2]), target.reshape(-1, y.shape[2])
