"""The text of the script that `to_numpy_script` writes, around the network's own equations and weights."""

from __future__ import annotations

TEMPLATE = '''"""Predictions of a trained recurrent network, with NumPy and nothing else.

$about

    python $file x.npy y.npy      x (B, T, $D), y $shape
    python $file window.csv       T rows of $D numbers with commas between: prints the prediction

or ``from $module import predict``. Written by bptt $version; the weights are at the end of this file.
"""

import base64
import sys

import numpy as np

DTYPE = np.dtype("$dtype")
D, H, K = $D, $H, $K  # columns of x, units, outputs
STATES = $states
DIRECTIONS = $directions
READS_EVERY_STEP = $every
LINEAR_LAGS = $lags  # newest rows that also reach the output directly
CHANGE_OF = $change_of  # columns whose change is predicted
CHANGE_SCALE = $change_scale
FEEDBACK = $feedback  # whether each output is part of the next input


# ---------------------------------------------------------------- the equations

$functions


def step(p, x, s):
    """Return the states (B, H) after one step from x (B, inputs) and the states `s` before it."""
    v = {}
$step
    return {name: v[name] for name in STATES}


# ---------------------------------------------------------------- the network


def run_layer(p, x, s, ends, backwards):
    """Return outputs (T, B, H), 0 past each row's end, and the final states; x is (T, B, inputs)."""
    T, B = x.shape[:2]
    order, rows = np.arange(T)[:, None], np.arange(B)
    if backwards:  # each row turned around within its own length
        order = np.where(order < ends, ends - 1 - order, order)
        x = x[order, rows]
    h = np.zeros((T, B, H), DTYPE)
    for t in range(T):
        active = (t < ends)[:, None]
        new = step(p, x[t], s)
        s = {name: np.where(active, new[name], s[name]) for name in STATES}
        h[t] = np.where(active, new["h"], 0)
    return (h[order, rows] if backwards else h), s


def run_stack(x, state, ends):
    """Return the top layer's outputs (T, B, H * directions) and the final state (layers * directions, B, H)."""
    finals = []
    for k in range(0, len(LAYERS), len(DIRECTIONS)):
        found = []
        for d, direction in enumerate(DIRECTIONS):
            s = {name: state[name][k + d] for name in STATES}
            h, final = run_layer(LAYERS[k + d], x, s, ends, direction == "reverse")
            found.append(h)
            finals.append(final)
        x = np.concatenate(found, axis=2)
    return x, {name: np.stack([final[name] for final in finals]) for name in STATES}


def read(features, linear, newest):
    """Return predictions from the outputs, the linear path and the newest row of x."""
    a = features @ READOUT["W_hy"]
    if "b_y" in READOUT:
        a = a + READOUT["b_y"]
    if linear is not None:
        a = a + linear
    y = $activation(a)
    if CHANGE_OF is not None:
        y = newest[..., CHANGE_OF] + y * CHANGE_SCALE
    return y


def windows(x):
    """Return the newest rows of every step, oldest first, with zeros before the first (T, B, lags * D)."""
    padded = np.concatenate([np.zeros((LINEAR_LAGS - 1, *x.shape[1:]), DTYPE), x])
    return np.concatenate([padded[k : k + len(x)] for k in range(LINEAR_LAGS)], axis=2)


def run(x, lengths=None, state=None, y_start=None):
    """Return predictions and the final state; arguments as for `predict`."""
    x = np.asarray(x, DTYPE)
    if x.ndim != 3 or x.shape[2] != D or 0 in x.shape[:2]:
        raise ValueError(f"x must have shape (B, T, D) = (*, *, {D}) and hold a step. Got {x.shape}")
    x = x.transpose(1, 0, 2)
    T, B = x.shape[:2]
    ends = np.full(B, T) if lengths is None else np.asarray(lengths)
    if ends.shape != (B,) or ends.dtype.kind not in "iu" or ends.min() < 1 or ends.max() > T:
        raise ValueError(f"lengths must be B = {B} whole numbers in 1..T = 1..{T}. Got {lengths}")
    start = {name: np.repeat(INITIAL[name][:, None], B, axis=1) for name in STATES}
    for name, value in (state or {}).items():
        if name not in start or np.shape(value) != start[name].shape:
            raise ValueError(f"state must have {', '.join(STATES)} of shape {start['h'].shape}. Got {name}")
        start[name] = np.asarray(value, DTYPE)
    if FEEDBACK:
        if lengths is not None:
            raise ValueError("lengths must be left out: each output is part of the next input. Got lengths")
        y = np.zeros((B, K), DTYPE) if y_start is None else np.asarray(y_start, DTYPE)
        outputs = []
        for x_t in x:
            fed = np.concatenate([x_t, y], axis=1)
            h, start = run_stack(fed[None], start, np.ones(B, int))
            y = read(h[0], None, fed)
            outputs.append(y)
        return (np.stack(outputs, axis=1) if READS_EVERY_STEP else y), start
    inside = (np.arange(T)[:, None] < ends)[:, :, None]
    x = np.where(inside, x, 0).astype(DTYPE)
    h, final = run_stack(x, start, ends)
    linear = windows(x) @ READOUT["W_xy"] if LINEAR_LAGS else None
    if READS_EVERY_STEP:
        y = np.where(inside, read(h, linear, x), 0)
        return y.transpose(1, 0, 2).astype(DTYPE), final
    features = np.concatenate(list(final["h"][-len(DIRECTIONS) :]), axis=1)
    last = (ends - 1, np.arange(B))
    return read(features, None if linear is None else linear[last], x[last]), final


def predict(x, lengths=None, state=None, y_start=None):
    """Return predictions $shape.

    Parameters
    ----------
    x : array (B, T, $D)
        B sequences of T steps.
    lengths : whole numbers (B,), optional
        Valid steps of each sequence; all T unless given.
    state : dict of arrays ($rows, B, $H), optional
        ${state_names} before the first step, as `run` returns them: so that a long series can come in pieces.
    y_start : array (B, $K), optional
        What the first step is fed, where outputs are fed back.
    """
    return run(x, lengths, state, y_start)[0]


def main(arguments):
    """Predict from a file; see the top of this one."""
    if not 1 <= len(arguments) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    if arguments[0].endswith(".npy"):
        x = np.load(arguments[0], allow_pickle=False)
    else:
        x = np.loadtxt(arguments[0], delimiter=",", ndmin=2)[None]
    y = predict(x)
    if len(arguments) == 2:
        np.save(arguments[1], y)
    else:
        np.savetxt(sys.stdout, y.reshape(-1, K), delimiter=",", fmt="%.$digits" + "g")
    return 0


# ---------------------------------------------------------------- the weights


def unpack(text, shapes):
    """Return the arrays of which `text` holds the bytes, one after the other."""
    numbers = np.frombuffer(base64.b64decode(text), DTYPE.newbyteorder("<")).astype(DTYPE)
    found, place = {}, 0
    for name, shape in shapes:
        size = int(np.prod(shape))
        found[name] = numbers[place : place + size].reshape(shape)
        place += size
    return found


SHAPES = [
$table
]
WEIGHTS = """
$weights
"""

_arrays = unpack(WEIGHTS, SHAPES)
LAYERS = [
    {name.rpartition(".")[2]: a for name, a in _arrays.items() if name.rpartition(".")[0] == prefix}
    for prefix in $prefixes
]
READOUT = {name.partition(".")[2]: a for name, a in _arrays.items() if name.startswith(("readout.", "linear."))}
INITIAL = {name: _arrays.get("initial." + name, np.zeros((len(LAYERS), H), DTYPE)) for name in STATES}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''
