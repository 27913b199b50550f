"""The two default models for the next hour, and how each is trained.

Both predict the change from the last value with a GRU, and end with the closed form over readout and linear path.
`WINDOW` sees the 24 newest rows from a zero state. `CARRIED` learns on long sequences with a loss at every step
after a warm-up, and carries its state over everything it has seen. ``scripts/choose_default_models.py`` compares
their rate, length of training, size and cell with others on the last 20 % of the training part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checks import Array
from bptt.data import Scaler, Sequences, Windows
from bptt.errors import DataError
from bptt.forecast.fitting.readouts.closed_form import predict_windows, solve_readout, with_linear_path
from bptt.network import Network, Recurrent
from bptt.optim import Adam, ClipNorm, Cosine
from bptt.training import History, train

# The newest rows that a model may see at once: a day of hours.
WINDOW_ROWS = 24

# What the readout's ridge is chosen from; the largest leaves the linear path alone at work.
RIDGES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 1e12)


@dataclass(frozen=True)
class Recipe:
    """Everything that the training of a default model depends on, but data and seed.

    Attributes
    ----------
    carried : bool
        Whether the state is carried through the series.
    cell, hidden_size
        Of the recurrent layer.
    length, warmup : int
        Steps of a training sequence, and those at its start without a loss.
    batch_size : int
    examples_per_row : float
        Training length: updates = examples_per_row * rows / batch_size.
    learning_rate, warmup_updates
        Adam's rate at its highest, and the updates until then; half a cosine leads down to 0.
    clip : float
        Global norm of the gradient at most, for a loss in units of the change's variance.
    ridge_window : float
        Of the closed form, for the linear path.
    dtype : str
    """

    carried: bool
    cell: str = "gru"
    hidden_size: int = 32
    length: int = WINDOW_ROWS
    warmup: int = 0
    batch_size: int = 64
    examples_per_row: float = 10.0
    learning_rate: float = 0.01
    warmup_updates: int = 100
    clip: float = 1.0
    ridge_window: float = 10.0
    dtype: str = "float32"

    def updates(self, rows: int) -> int:
        """Return the number of updates for so many training rows."""
        return max(1, round(self.examples_per_row * rows / self.batch_size))


WINDOW = Recipe(carried=False)
CARRIED = Recipe(carried=True, length=192, warmup=24, batch_size=32, examples_per_row=32 / 28)


@dataclass(frozen=True)
class Fitted:
    """A trained default model.

    Attributes
    ----------
    net : Network
    history : History
        Of the gradient steps; losses are mean squared errors in scaled units.
    ridge_state : float
        What the closed form was given for the readout.
    """

    net: Network
    history: History
    ridge_state: float


def fit(
    values: Array,
    target: int,
    recipe: Recipe,
    *,
    seed: int,
    ridge_state: float,
    callbacks: tuple[Callable[[Any], object], ...] = (),
) -> Fitted:
    """Train a default model on scaled rows.

    Parameters
    ----------
    values : ndarray (N, C)
        Training rows, scaled.
    target : int
        The column whose next value is predicted.
    recipe : Recipe
    seed : int
        Of the starting weights and of the order of the examples.
    ridge_state : float
        See `choose_ridge`.
    callbacks : tuple of callables
        Handed to `bptt.train`.

    Raises
    ------
    DataError
        Fewer rows than one training sequence.
    """
    net, history = _train(values, target, recipe, seed, callbacks)
    net = with_linear_path(net, WINDOW_ROWS)
    solve_readout(
        net, _windows(values, target, recipe), ridge_window=recipe.ridge_window, ridge_state=ridge_state
    )
    return Fitted(net, history, ridge_state)


def choose_ridge(
    values: Array,
    target: int,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: tuple[Callable[[Any], object], ...] = (),
) -> tuple[float, dict[float, float]]:
    """Choose how much of the recurrent part to let in, on the last 20 % of the training rows.

    A network is trained on the rows before, scaled by these alone; of `RIDGES` the one with the smallest error on the
    rest wins.

    Returns
    -------
    ridge : float
    errors : dict of ridge to mean squared error (scaled units)
    """
    cut = int(0.8 * len(values)) // WINDOW_ROWS * WINDOW_ROWS
    # Scaled again, so that the held-out rows are as unknown here as a test part.
    values = Scaler.fit(values[:cut], constant="keep").transform(values)
    net, _ = _train(values[:cut], target, recipe, seed, callbacks)
    net = with_linear_path(net, WINDOW_ROWS)
    training = _windows(values[:cut], target, recipe)
    starts = np.arange(cut, len(values) - WINDOW_ROWS)
    held_out = Windows(values, targets=[target], length=WINDOW_ROWS, starts=starts, dtype=recipe.dtype)
    errors = {}
    for ridge in RIDGES:
        solve_readout(net, training, ridge_window=recipe.ridge_window, ridge_state=ridge)
        errors[ridge] = float(np.mean((predict_windows(net, held_out) - held_out.y) ** 2))
    return min(errors, key=errors.__getitem__), errors


def updates_of_both(rows: int, recipe: Recipe) -> tuple[int, int]:
    """Return the updates that `choose_ridge` and `fit` make on so many rows: for a progress bar."""
    return recipe.updates(int(0.8 * rows) // WINDOW_ROWS * WINDOW_ROWS), recipe.updates(rows)


def _train(
    values: Array, target: int, recipe: Recipe, seed: int, callbacks: tuple[Callable[[Any], object], ...]
) -> tuple[Network, History]:
    rows, columns = values.shape
    if rows <= recipe.length + WINDOW_ROWS:
        raise DataError(
            f"the default model needs more than {recipe.length + WINDOW_ROWS} training rows "
            f"({recipe.length} for one sequence, {WINDOW_ROWS} for a window). Got {rows}"
        )
    scale = float(np.diff(values[:, target]).std())
    stack = Recurrent(recipe.cell, columns, recipe.hidden_size, dtype=recipe.dtype, seed=seed)
    net = Network(
        stack,
        readout="every" if recipe.carried else "last",
        change_of=[target],
        change_scale=scale if scale > 0 else 1.0,
        seed=seed,
    )
    source = (
        Sequences(values, targets=[target], length=recipe.length, warmup=recipe.warmup, dtype=recipe.dtype)
        if recipe.carried
        else _windows(values, target, recipe)
    )
    steps = recipe.updates(rows)
    history = train(
        net,
        source,
        optimizer=Adam(Cosine(recipe.learning_rate, steps, min(recipe.warmup_updates, steps - 1))),
        steps=steps,
        batch_size=recipe.batch_size,
        sampling="random" if recipe.carried else "shuffled",
        clip=ClipNorm(recipe.clip * net.change_scale**2),
        seed=seed,
        callbacks=callbacks,
        progress=False,
    )
    if history.stopped_because == "interrupted":
        # Half a schedule is no default model, and whoever pressed Ctrl-C wants the whole command to end.
        raise KeyboardInterrupt
    return net, history


def _windows(values: Array, target: int, recipe: Recipe) -> Windows:
    return Windows(values, targets=[target], length=WINDOW_ROWS, dtype=recipe.dtype)
