"""The functions of `bptt.activations` as vector instructions; tests hold each against its NumPy form.

tanh, sigmoid and exp are within 2.5 units in the last place. Limits are chosen so that NaN passes through every
comparison unchanged, and no conversion from NaN to an integer is ever asked for (its result is undefined): the
power of two comes out of the bits of x / ln 2 + 1.5 * 2^mantissa instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bptt.engine.compiled.llvm.emitter import Emitter, Value
from bptt.engine.compiled.llvm.polynomials import ATANH_TAIL, EXPM1_TAIL, TANH_TAIL

# ln 2 in two parts; the first has trailing zeros, so that n times it is exact.
_LN2_HIGH = {"float": 0.693359375, "double": 6.93147180369123816490e-01}
_LN2_LOW = {"float": -2.12194440054690583e-4, "double": 1.90821492927058770002e-10}
# Beyond these exp overflows, or vanishes below the smallest subnormal number.
_EXP_RANGE = {"float": (-105.0, 89.0), "double": (-747.0, 710.0)}
# exp(-a) is a normal number up to here.
_DECAY_LIMIT = {"float": 87.3, "double": 708.3}
# tanh rounds to 1 well before half of this.
_TANH_LIMIT = {"float": 20.0, "double": 40.0}
# What ln 2 / 2, rounded, adds to r is taken back by a term in r^3 where r < 0 and n is small: tanh would be 2.6 units
# off. Where r > 0 errors are smaller, and leave room for it.
_TANH_EXTRA = 3e-15
# Vectors of more numbers than these are only used where a multiply-add rounds once.
_UNFUSED = {"float": 4, "double": 2}
# The s of a sigmoid: s + t and s - t then stay well inside of 2 and 4, where rounding takes least. With 2 it would be
# 2.52 units off where four roundings meet.
_SPAN = 3.25
# Beyond these a sigmoid is 0 or 1. Below the lower one 2^n comes out as infinity, at the upper one as 0: both are what
# is wanted.
_SIGMOID_RANGE = {"float": (-88.9, 88.3), "double": (-710.0, 709.0)}


def _round_power(e: Emitter, x: Value) -> tuple[Value, Value]:
    """Return n = round(x), and 2^n by its bits (for -126 <= n <= 127, or the double's range)."""
    mantissa = e.lanes.mantissa
    magic = e.const(1.5 * 2.0**mantissa)
    shifted = e.b.fadd(x, magic)
    bias = 127 if e.lanes.kind == "float" else 1023
    bits = e.b.add(e.to_bits(shifted), e.const_bits(bias))
    return e.b.fsub(shifted, magic), e.from_bits(e.b.shl(bits, e.const_bits(mantissa)))


def _reduce(e: Emitter, x: Value) -> tuple[Value, Value, Value]:
    """Return n, 2^n and exp(r) - 1 where x = n ln 2 + r and |r| <= ln(2) / 2."""
    n, power = _round_power(e, e.b.fmul(x, e.const(1 / math.log(2))))
    high = e.fma(n, e.const(-_LN2_HIGH[e.lanes.kind]), x)
    low = e.const(-_LN2_LOW[e.lanes.kind])
    r = e.fma(n, low, high)
    tail = e.polynomial(r, EXPM1_TAIL[e.lanes.kind])
    if e.lanes.kind == "float":
        return n, power, e.fma(e.b.fmul(r, r), tail, r)
    # What rounding took from r: without it tanh would be 2.6 units off in double precision.
    lost = e.fma(n, low, e.b.fsub(high, r))
    return n, power, e.b.fadd(r, e.fma(e.b.fmul(r, r), tail, lost))


def _expm1(e: Emitter, x: Value) -> Value:
    """exp(x) - 1 without cancellation, for moderate x."""
    _, power, p = _reduce(e, x)
    return e.fma(power, p, e.b.fsub(power, e.const(1)))


def _decay(e: Emitter, a: Value) -> Value:
    """exp(-|a|); 0 where that is below the smallest normal number."""
    size = e.abs(a)
    limit = _DECAY_LIMIT[e.lanes.kind]
    _, power, p = _reduce(e, e.neg(e.at_most(size, limit)))
    kept = e.fma(power, p, power)
    return e.select(e.compare(">", size, e.const(limit)), e.const(0), kept)


def _scaled_power(e: Emitter, x: Value, scale: float) -> tuple[Value, Value]:
    """Return n = round(x * scale) and 2^n, in four instructions; n may be one beyond the exponents of normal numbers.

    The exponent's bias is part of the number that rounds, so the sum's low bits are the power's exponent.
    """
    mantissa = e.lanes.mantissa
    magic = e.const(1.5 * 2.0**mantissa + (127 if e.lanes.kind == "float" else 1023))
    shifted = e.fma(x, e.const(scale), magic)
    power = e.from_bits(e.b.shl(e.to_bits(shifted), e.const_bits(mantissa)))
    return e.b.fsub(shifted, magic), power


def tanh(e: Emitter, a: Value) -> Value:
    """tanh(r + n ln(2) / 2) by the sum's formula, with the sign of a: odd to the bit, never above 1.

    With t = tanh(r) and p = 2^n it is (p - 1 + (p + 1) t) / (p + 1 + (p - 1) t): exactly t for n = 0, and t, being odd,
    takes half the coefficients of an exponential as accurate. In single precision there are too few to save.
    """
    kind = e.lanes.kind
    if kind == "float":
        return _tanh_by_exp(e, a)
    size = e.at_most(e.abs(a), _TANH_LIMIT[kind] / 2)
    n, power = _scaled_power(e, size, 2 / math.log(2))
    if e.lanes.count > _UNFUSED[kind]:
        # An error of n ln 2 counts for less the larger |a| is: one part of it is enough if its product is not rounded.
        r, extra = e.fma(n, e.const(-math.log(2) / 2), size), _TANH_EXTRA
    else:
        r = e.fma(n, e.const(-_LN2_LOW[kind] / 2), e.fma(n, e.const(-_LN2_HIGH[kind] / 2), size))
        extra = 0.0
    square = e.b.fmul(r, r)
    first, *others = TANH_TAIL[kind]
    t = e.fma(e.b.fmul(r, square), e.polynomial(square, (first + extra, *others)), r)
    less, more = e.b.fsub(power, e.const(1)), e.b.fadd(power, e.const(1))
    return e.with_sign(e.div(e.fma(more, t, less), e.fma(less, t, more)), a)


def _tanh_by_exp(e: Emitter, a: Value) -> Value:
    """(exp(2|a|) - 1) / (exp(2|a|) + 1), halved above and below, with the sign of a; in single precision."""
    kind = e.lanes.kind
    size = e.at_most(e.abs(a), _TANH_LIMIT[kind] / 2)
    n, power = _scaled_power(e, size, 2 / math.log(2))
    tail = [c * 2.0 ** (k + 1) for k, c in enumerate(EXPM1_TAIL[kind])]
    if e.lanes.count > _UNFUSED[kind]:
        # One part of ln 2 is enough, as in `tanh`.
        r = e.fma(n, e.const(-math.log(2) / 2), size)
        p = e.fma(e.b.fmul(r, r), _in_two_chains(e, r, tail), r)
    else:
        high, low = e.fma(n, e.const(-_LN2_HIGH[kind] / 2), size), e.const(-_LN2_LOW[kind] / 2)
        r = e.fma(n, low, high)
        lost = e.fma(n, low, e.b.fsub(high, r))  # what rounding took from r
        p = e.b.fadd(r, e.fma(e.b.fmul(r, r), _in_two_chains(e, r, tail), lost))
    grown = e.fma(power, p, e.fma(power, e.const(0.5), e.const(-0.5)))
    return e.with_sign(e.div(grown, e.b.fadd(grown, e.const(1))), a)


def _in_two_chains(e: Emitter, x: Value, coefficients: Sequence[float]) -> Value:
    """Even and odd powers side by side: half as many steps that wait for one another as Horner's rule."""
    square = e.b.fmul(x, x)
    even, odd = (e.polynomial(square, coefficients[k::2]) for k in (0, 1))
    return e.fma(odd, x, even)


def sigmoid(e: Emitter, a: Value) -> Value:
    """1 / (1 + 2^n exp(-r)) where -a = n ln 2 - r: also below the normal numbers, as far as the machine has them.

    With t = s tanh(r / 2), exp(-r) = (s - t) / (s + t), so that one division does for both; t, being odd, takes half
    the coefficients. In single precision there are too few to save, and exp(-r) is a polynomial of its own.
    """
    kind = e.lanes.kind
    low, high = _SIGMOID_RANGE[kind]
    size = e.at_least(e.at_most(a, high), low)
    n, power = _scaled_power(e, size, -1 / math.log(2))
    r = e.fma(n, e.const(_LN2_LOW[kind]), e.fma(n, e.const(_LN2_HIGH[kind]), size))
    if kind == "float":
        signs = [(-1.0) ** k * c for k, c in enumerate((1.0, 1.0, *EXPM1_TAIL[kind]))]
        return e.div(e.const(1), e.fma(e.polynomial(r, signs), power, e.const(1)))
    tail = [_SPAN * c / 2 ** (2 * k + 3) for k, c in enumerate(TANH_TAIL[kind])]
    t = e.b.fmul(r, e.polynomial(e.b.fmul(r, r), (_SPAN / 2, *tail)))
    above = e.b.fadd(e.const(_SPAN), t)
    return e.div(above, e.fma(power, e.b.fsub(e.const(_SPAN), t), above))


def exp(e: Emitter, a: Value) -> Value:
    """Exponential; the power of two is applied in halves, so that it may leave the normal range."""
    low, high = _EXP_RANGE[e.lanes.kind]
    n, _, p = _reduce(e, e.at_least(e.at_most(a, high), low))
    half, first = _round_power(e, e.b.fmul(n, e.const(0.5)))
    _, second = _round_power(e, e.b.fsub(n, half))
    return e.b.fmul(e.b.fmul(e.b.fadd(p, e.const(1)), first), second)


def _twice_atanh(e: Emitter, s: Value) -> Value:
    """2 atanh(s) for |s| <= 1/3."""
    u = e.b.fmul(s, s)
    tail = e.b.fmul(u, e.polynomial(u, ATANH_TAIL[e.lanes.kind]))
    twice = e.b.fadd(s, s)
    return e.fma(twice, tail, twice)


def log(e: Emitter, a: Value) -> Value:
    """Natural logarithm: a = 2^k m with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1))."""
    kind, mantissa = e.lanes.kind, e.lanes.mantissa
    smallest = 2.0**-126 if kind == "float" else 2.0**-1022
    tiny = e.compare("<", a, e.const(smallest))
    lifted = e.select(tiny, e.b.fmul(a, e.const(2.0**mantissa)), a)
    root = e.to_bits(e.const(math.sqrt(0.5)))
    power = e.b.ashr(e.b.sub(e.to_bits(lifted), root), e.const_bits(mantissa))
    m = e.from_bits(e.b.sub(e.to_bits(lifted), e.b.shl(power, e.const_bits(mantissa))))
    magic = e.const(1.5 * 2.0**mantissa)
    k = e.b.fsub(e.from_bits(e.b.add(power, e.to_bits(magic))), magic)
    k = e.b.fsub(k, e.select(tiny, e.const(mantissa), e.const(0)))
    f = e.b.fsub(m, e.const(1))
    part = _twice_atanh(e, e.div(f, e.b.fadd(f, e.const(2))))
    value = e.fma(k, e.const(_LN2_HIGH[kind]), e.fma(k, e.const(_LN2_LOW[kind]), part))
    other = e.select(e.compare("==", a, e.const(0)), e.const(-math.inf), e.const(math.nan))
    value = e.select(e.compare(">", a, e.const(0)), value, other)
    return e.select(e.compare("==", a, e.const(math.inf)), a, value)


def softplus(e: Emitter, a: Value) -> Value:
    """max(a, 0) + log(1 + exp(-|a|))."""
    small = _decay(e, a)
    return e.b.fadd(relu(e, a), _twice_atanh(e, e.div(small, e.b.fadd(small, e.const(2)))))


def softplus_derivative(e: Emitter, y: Value) -> Value:
    """1 - exp(-y)."""
    return e.neg(_expm1(e, e.neg(e.at_most(y, _TANH_LIMIT[e.lanes.kind]))))


def sqrt(e: Emitter, a: Value) -> Value:
    """Square root."""
    return e.sqrt(a)


def relu(e: Emitter, a: Value) -> Value:
    """max(a, 0); NaN stays NaN."""
    return e.at_least(a, 0.0)


def step(e: Emitter, a: Value) -> Value:
    """1 where a > 0, else 0."""
    return e.select(e.compare(">", a, e.const(0)), e.const(1), e.const(0))


def identity(_: Emitter, a: Value) -> Value:
    """A itself."""
    return a


def tanh_derivative(e: Emitter, y: Value) -> Value:
    """1 - y^2."""
    return e.sub(e.const(1), e.mul(y, y))


def sigmoid_derivative(e: Emitter, y: Value) -> Value:
    """Y (1 - y)."""
    return e.mul(y, e.sub(e.const(1), y))


def identity_derivative(e: Emitter, y: Value) -> Value:
    """1, or NaN for NaN."""
    return e.add(e.mul(y, e.const(0)), e.const(1))


def spike_derivative(e: Emitter, a: Value) -> Value:
    """1 / (1 + (pi a)^2)."""
    scaled = e.mul(a, e.const(math.pi))
    return e.div(e.const(1), e.add(e.mul(scaled, scaled), e.const(1)))


EMITTED: dict[str, Callable[[Emitter, Value], Value]] = {
    "tanh": tanh, "tanh_derivative": tanh_derivative,
    "sigmoid": sigmoid, "sigmoid_derivative": sigmoid_derivative,
    "relu": relu, "relu_derivative": step,
    "identity": identity, "identity_derivative": identity_derivative,
    "softplus": softplus, "softplus_derivative": softplus_derivative,
    "exp": exp, "exp_derivative": identity,
    "log": log, "sqrt": sqrt, "step": step, "spike": step, "spike_derivative": spike_derivative,
}  # fmt: skip
