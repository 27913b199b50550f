"""The noisy-sine lab's runs: configurations side by side, the lecture's shorter runs, other activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from bptt.activations import ACTIVATIONS
from bptt.checks import Array, check_whole
from bptt.labs.edges import Edges, edges
from bptt.labs.noisy_sine.data import NoisySine, make_series, msse, new_series
from bptt.labs.noisy_sine.frozen import run_until_frozen
from bptt.labs.noisy_sine.lab import (
    LECTURE,
    MOMENTUM,
    PLAIN,
    SANE,
    Fitted,
    Recipe,
    apply_rnn,
    make_network,
    run_rnn,
)
from bptt.labs.noisy_sine.printed import Mistakes, PrintedRun, alignment, in_names, run_printed
from bptt.network import Network

# Called with what is being computed, parts done and parts to do.
Notify = Callable[[str, int, int], None]

TITLES = {
    "letter": "as printed, to the letter",
    "printed": "as printed, weights moving",
    "corrected": "corrected",
    "sane": "sane",
}
# What the lecture shows for its plain run of 20 epochs, and for its last one.
PRINTED_LOSSES = (
    2.4421365086946225, 3.643908836529324, 0.40210259336023235, 0.36488299768980115, 0.3484465922481833,
    0.3334452208724845, 0.31965178295937685, 0.3069639694033091, 0.29528875247232894, 0.284540967482768,
    0.27464264441702246, 0.2655223998379806, 0.25711488022167345, 0.2493602543394233, 0.24220373671271936,
    0.23559518050029948, 0.22948866648462166, 0.2238421551065919, 0.21861715675530824, 0.21377843175565578,
)  # fmt: skip
PRINTED_END = 0.040
# The activation whose run is shown with sliders.
WATCHED = "tanh"
# What the sane configuration is to reach.
BAR = 0.010


@dataclass(frozen=True)
class Sizes:
    """How long and how large."""

    lecture: Recipe = LECTURE
    sane: Recipe = SANE
    plain: Recipe = PLAIN
    momentum: Recipe = MOMENTUM
    activations: Recipe = field(default_factory=lambda: replace(SANE, epochs=200, neurons=500))


FULL = Sizes(replace(LECTURE, epochs=3000), replace(SANE, epochs=3000))
QUICK = Sizes(
    replace(LECTURE, epochs=40, neurons=90),
    replace(SANE, epochs=40, neurons=90),
    replace(PLAIN, neurons=90),
    replace(MOMENTUM, neurons=90),
    replace(SANE, epochs=20, neurons=40),
)


@dataclass(frozen=True, eq=False)
class Configuration:
    """One way to train, several seeds; lists have one entry a seed.

    Attributes
    ----------
    losses : list of ndarray
        MSSE before each update and after the last.
    clean : list of float
        MSSE of the final fit against the sine without its noise.
    first_norm : list of float
        Norm of the first gradient of the sum of squares.
    applied : list of dict
        MSSE on each of `new_series`, against the sine.
    fits : dict of int to ndarray (T, 1)
        The first seed's, by updates made.
    new : dict of str to ndarray
        The first seed's predictions on `new_series`.
    diverged : list of int or None
    frozen : list of bool
        Whether the first update left a recurrent part whose gradient is exactly 0.
    """

    title: str
    losses: list[Array] = field(default_factory=list)
    clean: list[float] = field(default_factory=list)
    first_norm: list[float] = field(default_factory=list)
    applied: list[dict[str, float]] = field(default_factory=list)
    fits: dict[int, Array] = field(default_factory=dict)
    new: dict[str, Array] = field(default_factory=dict)
    diverged: list[int | None] = field(default_factory=list)
    frozen: list[bool] = field(default_factory=list)

    @property
    def ends(self) -> list[float]:
        """MSSE at the end of each run."""
        return [float(losses[-1]) for losses in self.losses]


@dataclass(frozen=True, eq=False)
class Study:
    """Everything the lab found.

    Attributes
    ----------
    seeds : tuple of int
    sizes : Sizes
    data : NoisySine
        The first seed's.
    configurations : dict of str to Configuration
        By the keys of `TITLES`.
    details : dict of str to Fitted
        The first seed's corrected and sane runs, with their snapshots.
    plain, plain_printed : Fitted, PrintedRun
        20 epochs, 500 neurons, no momentum: corrected, and the lecture's script.
    momentum : Fitted
        200 epochs with momentum.
    activations : dict of str to Fitted
        The sane recipe with each activation.
    alignment : dict of str to dict of str to float
        From `noisy_sine_printed.alignment`, at the sane start.
    flows : dict of str to Edges
        Of the first seed: at the lecture's start ("start"), and of the trained "corrected" and "sane" networks.
    """

    seeds: tuple[int, ...]
    sizes: Sizes
    data: NoisySine
    configurations: dict[str, Configuration]
    details: dict[str, Fitted]
    plain: Fitted
    plain_printed: PrintedRun
    momentum: Fitted
    activations: dict[str, Fitted]
    alignment: dict[str, dict[str, float]]
    flows: dict[str, Edges]


def run(*, seed: int = 0, seeds: int = 3, sizes: Sizes | None = None, notify: Notify | None = None) -> Study:
    """Run everything.

    Parameters
    ----------
    seed, seeds : int
        First seed and their number; each draws its own noise and weights.
    sizes : Sizes, optional
        `FULL`, `QUICK`, or your own.
    notify : callable, optional
        Told of progress.
    """
    tell = notify or (lambda *_: None)
    chosen = sizes or Sizes()
    first, count = check_whole("seed", seed, least=0), check_whole("seeds", seeds)
    all_seeds = tuple(range(first, first + count))
    configurations = {name: Configuration(title) for name, title in TITLES.items()}
    details = {}
    for k in all_seeds:
        data = make_series(k)
        for name in ("letter", "printed"):
            tell(f"{TITLES[name]}, seed {k}", 0, 1)
            wrong = Mistakes(still_with_momentum=name == "letter")
            _add_printed(configurations[name], chosen.lecture, data, k, wrong)
            tell(f"{TITLES[name]}, seed {k}", 1, 1)
        for name, recipe in (("corrected", chosen.lecture), ("sane", chosen.sane)):
            title = f"{TITLES[name]}, seed {k}"
            keep = {1} | (_shown(recipe.epochs) if k == first else set())
            fitted = run_until_frozen(
                data.x, data.y, recipe, seed=k, keep=keep, tell=lambda *n, t=title: tell(t, *n)
            )
            _add_fitted(configurations[name], fitted, data)
            if k == first:
                details[name] = fitted
    data, start = make_series(first), make_network(chosen.plain, first)
    looked_at = {"start": make_network(chosen.lecture, first)} | {
        name: fitted.net for name, fitted in details.items()
    }
    epochs = chosen.plain.epochs
    plain_printed = run_printed(
        start.parameters, data.x, data.y, epochs=epochs, learning_rate=chosen.plain.learning_rate, momentum=0.0,
        mistakes=Mistakes(bias_by_itself=True), keep=tuple(range(epochs + 1)),
    )  # fmt: skip
    return Study(
        seeds=all_seeds,
        sizes=chosen,
        data=data,
        configurations=configurations,
        details=details,
        plain=run_rnn(data.x, data.y, chosen.plain, seed=first, keep=range(epochs)),
        plain_printed=plain_printed,
        momentum=run_rnn(data.x, data.y, chosen.momentum, seed=first, keep=range(0, chosen.momentum.epochs + 1, 50)),
        activations={
            name: run_rnn(
                data.x, data.y, replace(chosen.activations, activation=name), seed=first,
                tell=lambda *n, t=name: tell(f"sane, {t}", *n),
                record=f"the sane recipe with {chosen.activations.neurons} neurons" if name == WATCHED else None,
            )
            for name in ACTIVATIONS
        },
        alignment=alignment(make_network(chosen.sane, first).parameters, data.x, data.y),
        flows={name: edges(net, data.x[None], data.y[None]) for name, net in looked_at.items()},
    )  # fmt: skip


def _shown(epochs: int) -> set[int]:
    """Return the updates after which a fit is drawn: every hundredth, or ten of a run."""
    return set(range(0, epochs + 1, max(1, epochs // 10 if epochs < 1000 else epochs // 1000 * 100)))


def _add_printed(row: Configuration, recipe: Recipe, data: NoisySine, seed: int, wrong: Mistakes) -> None:
    net = make_network(recipe, seed)
    keep = () if row.losses else tuple(_shown(recipe.epochs))
    found = run_printed(
        net.parameters, data.x, data.y, epochs=recipe.epochs, learning_rate=recipe.learning_rate,
        decay=recipe.decay, momentum=recipe.momentum, mistakes=wrong, keep=keep,
    )  # fmt: skip
    for name, p in in_names(found.parameters).items():
        net.parameters[name][...] = p
    row.first_norm.append(float(found.hidden_gradients[0]))
    row.diverged.append(None)
    row.frozen.append(not found.hidden_gradients[1:].any())
    row.fits.update(found.fits)
    _add_ends(row, net, found.losses, data)


def _add_fitted(row: Configuration, fitted: Fitted, data: NoisySine) -> None:
    row.first_norm.append(float(fitted.gradient_norms[0]) if fitted.gradient_norms.size else np.inf)
    row.diverged.append(fitted.diverged)
    row.frozen.append(1 in fitted.snapshots and fitted.snapshots[1].hidden_norm == 0)
    if not row.fits:
        row.fits.update({k: snapshot.fit for k, snapshot in fitted.snapshots.items() if k != 1})
    _add_ends(row, fitted.net, fitted.losses, data)


def _add_ends(row: Configuration, net: Network, losses: Array, data: NoisySine) -> None:
    row.losses.append(losses)
    row.clean.append(msse(apply_rnn(data.x, net), data.clean))
    applied = {name: apply_rnn(x, net) for name, x in new_series().items()}
    row.applied.append({name: msse(applied[name], np.sin(x)) for name, x in new_series().items()})
    if not row.new:
        row.new.update(applied)
