"""Two ways to truncate backpropagation through time: per output, and at the borders of chunks.

The assignment's `bptt_truncate` is the first: every output looks back over so many steps, wherever it stands. Most
programs do the second: the sequence is cut into chunks, so what an output sees depends on its place in its chunk.
Both are set against the full gradient, and networks are trained with each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt.checks import Array
from bptt.diagnostics import PathLengths, chunked_gradient, sliding_gradient
from bptt.labs.addition.data import Examples, draw_pairs, get_encoding, keys
from bptt.labs.addition.lab import BATCH, RECIPES, TRAIN_PAIRS, Notify, count_right, make_network, profile
from bptt.network import Network
from bptt.optim import ClipNorm

# One number after the other: each digit of the second needs the one that was read DIGITS steps before it.
LAYOUT, DIGITS = "concatenated", 3
TRUNCATED, STEPS, TEST_PAIRS = (1, 2, 3), 2000, 5000

WAYS = {"sliding": "per output", "chunked": "in chunks"}


@dataclass(frozen=True)
class Bias:
    """Truncated gradients of W_hh against the full one, on one batch.

    Attributes
    ----------
    lengths : ndarray (T,)
        Longest path kept, k; the chunks have k + 1 steps.
    cosine, ratio : dict of "sliding", "chunked" to ndarray (T,)
        Cosine of the angle to the full gradient, and length over its length.
    """

    lengths: Array
    cosine: dict[str, Array]
    ratio: dict[str, Array]


@dataclass(frozen=True)
class Cut:
    """A network trained with truncated gradients.

    Attributes
    ----------
    way : str
        "sliding", "chunked" or "full".
    longest : int
        Longest path kept; -1 for the full gradient.
    exact : float
        Share of exact sums on unseen pairs.
    losses : ndarray (steps,)
    """

    way: str
    longest: int
    exact: float
    losses: Array

    @property
    def title(self) -> str:
        """What tables call it."""
        if self.way == "full":
            return "the full gradient"
        if self.way == "sliding":
            return f"bptt_truncate = {self.longest}, per output"
        return f"chunks of {self.longest + 1} steps"


@dataclass(frozen=True)
class Truncation:
    """What was found.

    Attributes
    ----------
    bias : Bias
        Of an untrained network.
    cuts : tuple of Cut
        The full gradient first.
    sliding_error : float
        Largest difference between `sliding_gradient` and the sum of the parts of at most that length, over each
        tensor's largest entry.
    """

    bias: Bias
    cuts: tuple[Cut, ...]
    sliding_error: float


def run(*, seed: int, steps: int = STEPS, notify: Notify | None = None) -> Truncation:
    """Compare the gradients, and train with each.

    Parameters
    ----------
    seed : int
    steps : int
        Updates of each run.
    notify : callable, optional
        Told of progress.
    """
    tell = notify or (lambda *_: None)
    encoding = get_encoding(LAYOUT)
    pairs = draw_pairs(np.random.default_rng([seed, 4]), TRAIN_PAIRS, DIGITS)
    examples = encoding.encode(pairs)
    test = draw_pairs(np.random.default_rng([seed, 5]), TEST_PAIRS, DIGITS, unlike=frozenset(keys(pairs)))
    batch = Examples(examples.x[:256], examples.y[:256], examples.weights[:256])
    start = make_network(seed, dtype="float64")
    bias, worst = _bias(start, batch, profile(start, batch))
    cuts = []
    todo = [("full", -1), *((way, k) for k in TRUNCATED for way in WAYS)]
    for number, (way, longest) in enumerate(todo):
        tell("truncated gradients", number, len(todo))
        net = make_network(seed)
        losses = train_truncated(net, examples, way, longest, steps=steps, seed=seed)
        cuts.append(Cut(way, longest, count_right(net, encoding, test)[0], losses))
    tell("truncated gradients", len(todo), len(todo))
    return Truncation(bias, tuple(cuts), worst)


def train_truncated(
    net: Network, examples: Examples, way: str, longest: int, *, steps: int, seed: int
) -> Array:
    """Train in place by the lab's recipe with a truncated gradient; return the losses.

    The loop is written out, since what `bptt.train` follows is the full gradient.
    """
    recipe = RECIPES["default"]
    clip = ClipNorm(recipe.clip) if recipe.clip is not None else None
    slots = recipe.optimizer.init(net.parameters)
    rng = np.random.default_rng([seed, 6])
    losses = np.empty(steps)
    for step in range(steps):
        chosen = rng.integers(len(examples.x), size=BATCH)
        x, y, weights = examples.x[chosen], examples.y[chosen], examples.weights[chosen]
        if way == "sliding":
            losses[step], gradients = sliding_gradient(net, x, y, truncate=longest, weights=weights)
        elif way == "chunked":
            losses[step], gradients = chunked_gradient(net, x, y, chunk=longest + 1, weights=weights)
        else:
            found = net.loss_and_gradients(x, y, weights=weights)
            losses[step], gradients = found.loss, found.gradients.parameters
        gradients = {name: d.astype(net.dtype, copy=False) for name, d in gradients.items()}
        if clip is not None:
            clip(gradients)
        recipe.optimizer.update(net.parameters, gradients, slots, step)
    return losses


def _bias(net: Network, batch: Examples, parts: PathLengths) -> tuple[Bias, float]:
    """Compare both ways with the full gradient; also return how far the sliding one is from the sum of its parts."""
    name, steps = "layers.0.W_hh", batch.x.shape[1]
    full = parts.total()[name]
    found: dict[str, list[Array]] = {way: [] for way in WAYS}
    worst = 0.0
    for k in range(steps):
        _, sliding = sliding_gradient(net, batch.x, batch.y, truncate=k, weights=batch.weights)
        for each, d in parts.up_to(k).items():
            worst = max(worst, float(np.abs(sliding[each] - d).max() / np.abs(d).max()))
        found["sliding"].append(sliding[name])
        found["chunked"].append(
            chunked_gradient(net, batch.x, batch.y, chunk=k + 1, weights=batch.weights)[1][name]
        )
    norm = np.linalg.norm
    ratios = {way: np.array([norm(d) / norm(full) for d in ds]) for way, ds in found.items()}
    cosines = {way: np.array([cosine(d, full) for d in ds]) for way, ds in found.items()}
    return Bias(np.arange(steps), cosines, ratios), worst


def cosine(one: Array, other: Array) -> float:
    """Return the cosine of the angle between two gradients."""
    return float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))
