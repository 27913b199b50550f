"""Bengio, Simard and Frasconi 1994: one neuron that is to latch a bit, and why that is hard to learn over long times.

The neuron is h_t = tanh(w h_(t-1) + u_t). With w > 1 it has two resting states, and a bit is held in the sign of h.
At the first steps u_t carries the bit, as a number that is *learnt*, one for each class; afterwards u_t is noise. The
target at the last step is +0.8 or -0.8. All that has to be learnt is to make |u| larger than w holds against; the
gradient for it comes over every step between, and shrinks as the neuron latches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array, check_number, check_whole

TARGET = 0.8
# As in the paper, section III: noise of deviation 0.2; the weight starts so that the neuron can latch.
NOISE, WEIGHT, BIT_STEPS = 0.2, 1.25, 3
# Two that latch: the second withstands the noise, and its gradients vanish the faster for it.
WEIGHTS = (WEIGHT, 2.0)
LENGTHS = (5, 10, 20, 40, 80)
STEPS, BATCH, RATE = 300, 32, 0.1


@dataclass(frozen=True)
class RestingStates:
    """Where the neuron comes to rest without input, and what it takes to move it.

    Attributes
    ----------
    high : float
        h* > 0 with h* = tanh(w h*); the other is -h*; 0 where w <= 1.
    slope : float
        dh_t/dh_(t-1) there, w (1 - h*^2): what each step of rest multiplies a gradient by, below 1.
    threshold : float
        u*: a constant input beyond -u* tips the neuron from the high state to the low one, for w > 1.
    """

    high: float
    slope: float
    threshold: float


def resting_states(weight: float) -> RestingStates:
    """Return the resting states of h = tanh(w h).

    Parameters
    ----------
    weight : float
        w, above 0.

    Notes
    -----
    The high state disappears where tanh(w h + u) touches the diagonal: w (1 - h^2) = 1 gives h_s = sqrt(1 - 1/w) and
    u* = w h_s - atanh(h_s).

    References
    ----------
    Bengio, Simard and Frasconi 1994, "Learning long-term dependencies with gradient descent is difficult", section III.
    """
    w = check_number("weight", weight, above=0)
    if w <= 1:
        return RestingStates(0.0, w, 0.0)
    high = 1.0
    for _ in range(200):  # a contraction towards the upper fixed point, as the slope there is below 1
        high = math.tanh(w * high)
    touching = math.sqrt(1 - 1 / w)
    return RestingStates(high, w * (1 - high * high), w * touching - math.atanh(touching))


def latch(weight: complex, bits: Array, inputs: Array, noise: Array) -> Array:
    """Run the neuron from h_0 = 0.

    Parameters
    ----------
    weight : float
        w; complex for the complex-step check.
    bits : ndarray of int (B,)
        0 or 1.
    inputs : ndarray (2, S)
        What u_t is for each bit at the first S steps, without its noise.
    noise : ndarray (T, B)

    Returns
    -------
    ndarray (T + 1, B)
    """
    u = noise.astype(np.result_type(noise, inputs))
    u[: inputs.shape[1]] += inputs[bits].T
    h = np.zeros((len(u) + 1, u.shape[1]), np.result_type(u, type(weight)))
    for t, u_t in enumerate(u):
        h[t + 1] = np.tanh(weight * h[t] + u_t)
    return h


def latch_loss(weight: complex, bits: Array, inputs: Array, noise: Array) -> tuple[Any, Any, Array, Array]:
    """Return the mean of half the squared error at the last step, and its gradients.

    Returns
    -------
    loss, dweight : float
        Complex where an argument is.
    dinputs : ndarray (2, S)
    dh : ndarray (T + 1, B)
        dL/dh_t.
    """
    h = latch(weight, bits, inputs, noise)
    error = h[-1] - TARGET * (2 * bits - 1)
    loss = 0.5 * np.mean(error * error)
    dh = np.zeros_like(h)
    dh[-1] = error / len(bits)
    dweight, dinputs = 0.0, np.zeros(inputs.shape, h.dtype)
    for t in range(len(noise), 0, -1):
        da = dh[t] * (1 - h[t] * h[t])
        dweight = dweight + (da * h[t - 1]).sum()
        dh[t - 1] = da * weight
        if t <= inputs.shape[1]:
            np.add.at(dinputs[:, t - 1], bits, da)
    return loss, dweight, dinputs, dh


@dataclass(frozen=True, eq=False)
class Latching:
    """What was found.

    Attributes
    ----------
    resting : dict of float to RestingStates
        By weight: the one that training starts from, and a larger one.
    lengths : tuple of int
        T, steps of the sequences.
    learnt : ndarray (len(lengths),)
        Share of the neurons that end with at least 95 % of fresh bits held.
    ratios : dict of float to ndarray (T + 1,)
        By weight, at the longest length: |dL/dh_t| over |dL/dh_T|, the median over fresh bits, inputs of +-1.
    held : dict of float to ndarray (len(lengths),)
        Share of bits that these neurons hold.
    """

    resting: dict[float, RestingStates]
    lengths: tuple[int, ...]
    learnt: Array
    ratios: dict[float, Array]
    held: dict[float, Array]


def run_latch(*, seed: int = 0, neurons: int = 20, steps: int = STEPS) -> Latching:
    """Train neurons at each length, with weight and inputs learnt, and look at the gradient of one that latches.

    Parameters
    ----------
    seed, neurons : int
        First seed, and how many neurons start from different inputs.
    steps : int
        Updates of plain SGD, each on 32 fresh bits.
    """
    first, count = check_whole("seed", seed, least=0), check_whole("neurons", neurons)
    learnt = [
        np.mean([_train(np.random.default_rng([first, k, length]), length, steps) for k in range(count)])
        for length in LENGTHS
    ]
    inputs = np.array([[-1.0], [1.0]]) * np.ones(BIT_STEPS)
    held: dict[float, Array] = {}
    ratios: dict[float, Array] = {}
    for weight in WEIGHTS:
        shares = []
        for length in LENGTHS:
            bits, noise = _draw(np.random.default_rng([first, 9, length]), 500, length)
            shares.append(_held(weight, bits, inputs, noise))
        held[weight] = np.array(shares)
        _, _, _, dh = latch_loss(weight, bits, inputs, noise)
        ratios[weight] = np.asarray(np.median(np.abs(dh) / np.abs(dh[-1]), axis=1))
    return Latching({w: resting_states(w) for w in WEIGHTS}, LENGTHS, np.array(learnt), ratios, held)


def _train(rng: np.random.Generator, length: int, steps: int) -> bool:
    """Train one neuron; return whether it holds its bits."""
    weight, inputs = WEIGHT, 0.1 * rng.standard_normal((2, BIT_STEPS))
    for _ in range(steps):
        bits, noise = _draw(rng, BATCH, length)
        _, dweight, dinputs, _ = latch_loss(weight, bits, inputs, noise)
        weight -= RATE * dweight
        inputs -= RATE * dinputs
    bits, noise = _draw(rng, 500, length)
    return _held(weight, bits, inputs, noise) >= 0.95


def _draw(rng: np.random.Generator, count: int, length: int) -> tuple[Array, Array]:
    return rng.integers(0, 2, count), NOISE * rng.standard_normal((length, count))


def _held(weight: float, bits: Array, inputs: Array, noise: Array) -> float:
    return float(np.mean((latch(weight, bits, inputs, noise)[-1] > 0) == (bits == 1)))
