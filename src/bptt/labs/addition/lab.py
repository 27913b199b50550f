"""The addition lab: a network that reads two numbers digit by digit and writes their sum.

Follows the assignment "Backpropagation in Recurrent Neural Networks": an Elman network of 100 units without biases,
one digit a step in 10 numbers, softmax and cross-entropy, plain SGD. `run` trains and counts exact sums, checks the
gradient as the assignment does, and takes the gradient apart by the length of its paths; the comparisons of truncation
and the limits are in files of their own. `bptt.labs.addition.report` draws the records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bptt.checks import Array, check_whole
from bptt.data import Arrays
from bptt.diagnostics import Diagnosis, PathLengths, diagnose, gradient_by_path_length
from bptt.labs.addition.data import (
    TEN,
    Digits,
    Encoding,
    Examples,
    carry_through,
    draw_pairs,
    get_encoding,
    keys,
)
from bptt.labs.watched import RECORDED, Watched, look_every, watch
from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, Optimizer
from bptt.training import Event, History, TrainingDivergedError, train
from bptt.verify import GradientReport, gradient_check

HIDDEN, BATCH = 100, 32
# Trained on sums of numbers of up to 5 digits, judged on numbers of 10 and 20.
TRAIN_DIGITS, TRAIN_PAIRS, STEPS = 5, 20_000, 4000
SCORED = (10, 20)
BAR = 0.99

# Called with what is being trained, updates made and updates to make.
Notify = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recipe:
    """How to train: an optimiser, and the largest norm of a gradient, if any."""

    title: str
    optimizer: Optimizer
    clip: float | None = None


RECIPES = {
    "default": Recipe("SGD 0.5, clipped at norm 1", SGD(0.5), 1.0),
    "sgd": Recipe("plain SGD 0.5", SGD(0.5)),
    "sgd_slow": Recipe("plain SGD 0.1", SGD(0.1)),
    "sgd_fast": Recipe("plain SGD 2.0", SGD(2.0)),
    "adam": Recipe("Adam 0.003, clipped at norm 1", Adam(0.003), 1.0),
}
ENCODED = ("side_by_side", "concatenated", "most_significant")


@dataclass(frozen=True)
class Trained:
    """One row of a table; lists have one entry a seed.

    Attributes
    ----------
    losses, norms : list of ndarray (steps,)
        Loss and gradient norm (before clipping) of each step.
    exact : dict of str to list of float
        Share of sums with every digit right: of unseen pairs of 10 and 20 digits ("10", "20"), of sums that carry
        through all 20 ("carry"), of pairs of the training's length ("trained").
    digits : list of float
        Share of digits that are right, at the training's length.
    diverged : list of bool
    seconds : list of float
    diagnoses : list of Diagnosis
        What the training doctor says, of the run with snapshots alone.
    histories : list of History
        Of that run, with what it recorded.
    """

    title: str
    losses: list[Array] = field(default_factory=list)
    norms: list[Array] = field(default_factory=list)
    exact: dict[str, list[float]] = field(default_factory=dict)
    digits: list[float] = field(default_factory=list)
    diverged: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)


@dataclass(frozen=True)
class Adding:
    """What training found.

    Attributes
    ----------
    recipes : dict of str to Trained
        On the interleaved digits.
    encodings : dict of str to Trained
        The default recipe on each way to write the numbers.
    check : GradientReport
        Of the untrained network on a small batch.
    profiles : dict of int to PathLengths
        By updates made: the first seed's default network, on pairs of 10 digits.
    snapshots : dict of int to Network
        The same networks.
    parts_error : float
        Largest difference of the parts' sum to the full gradient, over each tensor's largest entry.
    watched : Watched or None
        The first seed's default run, for the sliders.
    """

    recipes: dict[str, Trained]
    encodings: dict[str, Trained]
    check: GradientReport
    profiles: dict[int, PathLengths]
    snapshots: dict[int, Network]
    parts_error: float
    watched: Watched | None = None


def make_network(seed: int, *, inputs: int = TEN, cell: str = "elman", dtype: str = "float32") -> Network:
    """Return the assignment's network: 100 units, no biases, a softmax of 10 digits at every step."""
    stack = Recurrent(cell, input_size=inputs, hidden_size=HIDDEN, bias=False, dtype=dtype, seed=seed)
    return Network(stack, output_size=TEN, readout="every", loss="cross_entropy", bias=False, seed=seed)


def train_adder(
    net: Network, examples: Examples, recipe: Recipe, *, steps: int, seed: int,
    callbacks: tuple[Callable[[Event], object], ...] = (), record: bool = False,
) -> tuple[History, bool]:  # fmt: skip
    """Train in place; return the history, and whether the run diverged: it then ends at its last good weights."""
    source = Arrays(examples.x, examples.y, weights=examples.weights)
    try:
        history = train(
            net, source, optimizer=recipe.optimizer, clip=recipe.clip, steps=steps, batch_size=BATCH, seed=seed,
            callbacks=callbacks, progress=False, record=RECORDED if record else None,
            every=look_every(steps) if record else None,
        )  # fmt: skip
    except TrainingDivergedError as error:
        return error.history, True
    if history.stopped_because == "interrupted":
        raise KeyboardInterrupt
    return history, False


def count_right(net: Network, encoding: Encoding, pairs: Digits) -> tuple[float, float]:
    """Return the share of sums with every digit right, and the share of digits that are right."""
    examples = encoding.encode(pairs)
    said = net.predict(examples.x).argmax(axis=2)
    due = examples.weights > 0
    right = said == examples.y
    return float(np.all(right | ~due, axis=1).mean()), float(right[due].mean())


def run(
    *,
    seed: int = 0,
    seeds: int = 3,
    steps: int = STEPS,
    test_pairs: int = 10_000,
    notify: Notify | None = None,
) -> Adding:
    """Train every recipe and every encoding, and look into the default recipe's gradients.

    Parameters
    ----------
    seed, seeds : int
        First seed and their number.
    steps : int
        Updates of each run.
    test_pairs : int
        Unseen pairs of each length.
    notify : callable, optional
        Told of progress.
    """
    tell = notify or (lambda *_: None)
    all_seeds = tuple(check_whole("seed", seed, least=0) + k for k in range(check_whole("seeds", seeds)))
    snapshots: dict[int, Network] = {}
    wanted = (0, steps // 4, steps // 2, steps)
    recipes = {name: Trained(recipe.title) for name, recipe in RECIPES.items()}
    encodings = {name: Trained(get_encoding(name).title) for name in ENCODED}
    for k in all_seeds:
        pairs = draw_pairs(np.random.default_rng([k, 0]), TRAIN_PAIRS, TRAIN_DIGITS)
        tests = _test_pairs(pairs, k, test_pairs)
        for name, recipe in RECIPES.items():
            first = name == "default" and k == all_seeds[0]
            _train_one(recipes[name], "interleaved", recipe, pairs, tests, k, steps, tell,
                       snapshots if first else None, wanted)  # fmt: skip
        # Each encoding's own numbers say enough with fewer pairs; the bars are the recipes'.
        fewer = {name: test[:, : max(1, test.shape[1] // 5)] for name, test in tests.items()}
        for name in ENCODED:
            _train_one(encodings[name], name, RECIPES["default"], pairs, fewer, k, steps, tell)
    encodings = {"interleaved": recipes["default"], **encodings}
    profiles, worst = _profiles(snapshots, np.random.default_rng([all_seeds[0], 2]))
    return Adding(
        recipes=recipes,
        encodings=encodings,
        check=check_as_assigned(all_seeds[0]),
        profiles=profiles,
        snapshots=snapshots,
        parts_error=worst,
        watched=_look_back(recipes["default"].histories, all_seeds[0]),
    )


def check_as_assigned(seed: int = 0) -> GradientReport:
    """Check the gradients of U, V and W, as the assignment asks: by central differences, and by the complex step."""
    net = make_network(seed, dtype="float64")
    examples = get_encoding("interleaved").encode(draw_pairs(np.random.default_rng([seed, 3]), 3, 4))
    return gradient_check(net, examples.x, examples.y, weights=examples.weights, raise_on_failure=False)


def profile(net: Network, examples: Examples) -> PathLengths:
    """Return the gradient by path length: the part at k is the assignment's `only_paths_of_size` = k."""
    return gradient_by_path_length(net, examples.x, examples.y, weights=examples.weights)


def _test_pairs(training: Digits, seed: int, count: int) -> dict[str, Digits]:
    """Draw the pairs to judge by, none of which was trained on."""
    seen = frozenset(keys(training))
    rng = np.random.default_rng([seed, 1])
    found = {str(n): draw_pairs(rng, count, n, full=True, unlike=seen) for n in SCORED}
    found["carry"] = carry_through(rng, -(-count // 10), max(SCORED))
    found["trained"] = draw_pairs(rng, count, TRAIN_DIGITS, unlike=seen)
    return found


def _train_one(
    row: Trained, layout: str, recipe: Recipe, pairs: Digits, tests: dict[str, Digits], seed: int, steps: int,
    tell: Notify, snapshots: dict[int, Network] | None = None, wanted: tuple[int, ...] = (),
) -> None:  # fmt: skip
    """Train one network and add its scores to the row."""
    encoding = get_encoding(layout)
    net = make_network(seed, inputs=encoding.inputs)
    watcher = _Watch(tell, f"{row.title}, seed {seed}", steps, {} if snapshots is None else snapshots, wanted)
    watcher.keep(0, net)
    history, diverged = train_adder(
        net, encoding.encode(pairs), recipe, steps=steps, seed=seed, callbacks=(watcher,),
        record=snapshots is not None,
    )  # fmt: skip
    if snapshots is not None:
        examples = encoding.encode(pairs)
        row.histories.append(history)
        row.diagnoses.append(diagnose(history, net, Arrays(examples.x, examples.y, weights=examples.weights)))
    row.losses.append(history.losses)
    row.norms.append(history.gradient_norms)
    row.diverged.append(diverged)
    row.seconds.append(history.seconds)
    for name, test in tests.items():
        exact, digits = count_right(net, encoding, test)
        row.exact.setdefault(name, []).append(exact)
        if name == "trained":
            row.digits.append(digits)


class _Watch:
    """A training callback: tells of progress, and keeps copies of the network at some steps."""

    def __init__(
        self, tell: Notify, title: str, total: int, kept: dict[int, Network], wanted: tuple[int, ...]
    ) -> None:
        self.tell, self.title, self.total = tell, title, total
        self.kept, self.wanted = kept, wanted
        self.looks_at_net = bool(wanted)
        tell(title, 0, total)

    def __call__(self, event: Event) -> None:
        done = event.step + 1
        self.keep(done, event.net)
        if done % max(1, self.total // 100) == 0 or done == self.total:
            self.tell(self.title, done, self.total)

    def keep(self, done: int, net: Network) -> None:
        """Copy the network if this is one of the steps."""
        if done in self.wanted:
            copied = make_network(0)
            for name, p in net.parameters.items():
                copied.parameters[name][...] = p
            self.kept[done] = copied


def _look_back(histories: list[History], seed: int) -> Watched:
    examples = get_encoding("interleaved").encode(draw_pairs(np.random.default_rng([seed, 4]), 64, SCORED[0]))
    return watch(
        f"the default training, seed {seed}", make_network(0), histories[0], examples.x, examples.y,
        f"64 pairs of {SCORED[0]} digits, interleaved", weights=examples.weights,
    )  # fmt: skip


def _profiles(
    snapshots: dict[int, Network], rng: np.random.Generator
) -> tuple[dict[int, PathLengths], float]:
    """Take each network's gradient apart, and compare the sum of the parts with the full gradient."""
    examples = get_encoding("interleaved").encode(draw_pairs(rng, 256, SCORED[0]))
    found, worst = {}, 0.0
    for steps, net in snapshots.items():
        found[steps] = profile(net, examples)
        exact = make_network(0, dtype="float64")
        for name, p in net.parameters.items():
            exact.parameters[name][...] = p
        full = exact.loss_and_gradients(examples.x, examples.y, weights=examples.weights)
        for name, d in full.gradients.parameters.items():
            worst = max(worst, float(np.abs(found[steps].total()[name] - d).max() / np.abs(d).max()))
    return found, worst
