"""The weather lab: the next hour's temperature from 24 hours of weather.

Follows "Lab 9" (H. A. Guenduez, 2022): a many-to-one Elman network, every gradient by hand, plain SGD on random
windows. Beside it stand the baselines that it must be judged by, and a model that beats them. Every trained method is
run with several seeds; `run` returns records, `bptt.labs.weather.report` draws them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from bptt.checks import Array, check_whole
from bptt.data import Scaler, WeatherData, Windows, split_days
from bptt.diagnostics import Diagnosis, diagnose
from bptt.errors import DataError
from bptt.forecast.default_models import (
    CARRIED,
    WINDOW,
    WINDOW_ROWS,
    Recipe,
    choose_ridge,
    fit,
    updates_of_both,
)
from bptt.forecast.fitting.readouts.closed_form import predict_windows, silenced
from bptt.forecast.scoring.baselines import least_squares, persistence, seasonal_naive
from bptt.initializers import Normal
from bptt.labs.edges import Edges, edges
from bptt.labs.watched import RECORDED, Watched, look_every, watch
from bptt.labs.weather.facts import Fact, lab_facts
from bptt.network import Network, Recurrent
from bptt.optim import SGD
from bptt.training import History, train

# The lab's recipe, to the letter.
LAB_HIDDEN, LAB_SD, LAB_BATCH, LAB_RATE, LAB_STEPS, LAB_BAR = 10, 0.001, 32, 0.01, 500, 0.05

HOURS_A_DAY = 24
FLOW_WINDOWS = 256

TITLES = {
    "persistence": "repeat the last hour",
    "previous_day": "same hour of the day before",
    "least_squares": "least squares on the window",
    "lab_recipe": "the lab's recipe (Elman 10)",
    "default": "default model, 24 hours",
    "default_silenced": "24 hours, recurrent part silenced",
    "default_carried": "default model, state carried",
    "default_carried_silenced": "carried, recurrent part silenced",
}
BASELINES = ("persistence", "previous_day", "least_squares")
TRAINED = ("lab_recipe", "default", "default_carried")

# Called with what is being trained, updates made and updates to make.
Notify = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Method:
    """One row of the table; lists have one entry a seed, baselines have one entry.

    Attributes
    ----------
    predictions : list of ndarray (N,)
        Of the test windows, in the target's unit.
    rmse, mse_scaled : list of float
        In the target's unit; squared scaled units.
    losses : list of ndarray (steps,)
        Training losses, scaled; empty for baselines.
    seconds : list of float
        Of training, the choice on validation included.
    """

    name: str
    predictions: list[Array] = field(default_factory=list)
    rmse: list[float] = field(default_factory=list)
    mse_scaled: list[float] = field(default_factory=list)
    losses: list[Array] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What tables and pictures call it."""
        return TITLES[self.name]

    @property
    def mean_rmse(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.rmse))

    @property
    def last_25(self) -> list[float]:
        """Mean of the last 25 training losses of each seed: what the lab asks to be below 0.05."""
        return [float(np.mean(losses[-25:])) for losses in self.losses]


@dataclass(frozen=True)
class WeatherResult:
    """What the lab found.

    Attributes
    ----------
    data : WeatherData
    seeds : tuple of int
    methods : dict of name to Method
        In the order of the table.
    truth : ndarray (N,)
        Test targets in the target's unit.
    rows : ndarray (N,)
        Row of each test target in the data.
    train_rows : int
    scaler : Scaler
    ridges : dict of name to list of float
        What was chosen for each default model on the last 20 % of the training part.
    nets : dict of name to Network
        The first seed's trained networks.
    flows : dict of str to Edges
        The gradient on the edges of the lab's network, unrolled: of the first seed, before training ("start") and
        after ("trained"), over windows spread evenly over the training part.
    facts : list of Fact
        What the lab prints, where its own file was used; else empty.
    seconds : float
        Of the whole run.
    diagnoses : dict of name to Diagnosis
        What the training doctor says of the first seed's runs.
    watched : Watched or None
        The first seed's run of the lab's recipe, for the sliders.
    """

    data: WeatherData
    seeds: tuple[int, ...]
    methods: dict[str, Method]
    truth: Array
    rows: Array
    train_rows: int
    scaler: Scaler
    ridges: dict[str, list[float]]
    nets: dict[str, Network]
    flows: dict[str, Edges]
    facts: list[Fact]
    seconds: float
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
    watched: Watched | None = None


def run(data: WeatherData, *, seed: int = 0, seeds: int = 3, notify: Notify | None = None) -> WeatherResult:
    """Train and score everything.

    Parameters
    ----------
    data : WeatherData
        From `bptt.data.load_weather`.
    seed, seeds : int
        First seed and their number; each trained method runs with seed, seed + 1, ...
    notify : callable, optional
        Told of progress.

    Raises
    ------
    DataError
        Too few rows; a target that does not change. An input that is constant in the training part is only shifted.
    """
    began = time.perf_counter()
    all_seeds = tuple(check_whole("seed", seed, least=0) + k for k in range(check_whole("seeds", seeds)))
    split = split_days(len(data.values))
    if split.test.stop - split.test.start <= WINDOW_ROWS:
        raise DataError(
            f"the test part, the last 20 % of whole days, must have more than {WINDOW_ROWS} rows. "
            f"Got {split.test.stop - split.test.start} of {len(data.values)}: use at least 10 days"
        )
    for part, rows in (("training", split.train), ("test", split.test)):
        if np.ptp(data.values[rows, data.target_index]) == 0:
            raise DataError(
                f"target {data.target} must change in the {part} part. "
                f"Got {data.values[rows.start, data.target_index]:g} in every row: choose another column"
            )
    scaler = Scaler.fit(data.values[split.train], data.columns, constant="keep")
    scaled = scaler.transform(data.values)
    training = scaled[split.train]
    target = data.target_index
    # The test windows lie wholly in the test part, as in the lab; the series before them is there for a carried state.
    first = split.train.stop
    starts = np.arange(first, split.test.stop - WINDOW_ROWS)
    test = Windows(scaled[: split.test.stop], targets=[target], length=WINDOW_ROWS, starts=starts)
    board = _Scores(data, scaler, test)

    train_windows = Windows(training, targets=[target], length=WINDOW_ROWS)
    board.add("persistence", persistence(test))
    board.add("previous_day", seasonal_naive(test, HOURS_A_DAY))
    board.add("least_squares", least_squares(train_windows, test))

    tell = notify or (lambda *_: None)
    nets: dict[str, Network] = {}
    diagnoses: dict[str, Diagnosis] = {}
    spread = train_windows.batch(np.linspace(0, len(train_windows) - 1, FLOW_WINDOWS).astype(np.intp))
    watched = None
    for k in all_seeds:
        net, history = _train_lab_recipe(train_windows, k, tell, record=k == all_seeds[0])
        board.add("lab_recipe", predict_windows(net, test), history.losses, history.seconds)
        if k == all_seeds[0]:
            nets["lab_recipe"] = net
            diagnoses["lab_recipe"] = diagnose(history, net, train_windows).named(data.columns)
            watched = watch(
                f"{TITLES['lab_recipe']}, seed {k}", net, history, spread.x, spread.y,
                f"{FLOW_WINDOWS} windows spread evenly over the training part",
            )  # fmt: skip
    ridges: dict[str, list[float]] = {}
    for name, recipe in (("default", WINDOW), ("default_carried", CARRIED)):
        for k in all_seeds:
            clock = time.perf_counter()
            # The whole procedure belongs to a seed, its choice on validation too: else the spread would leave it out.
            ridge = _choose(training, target, recipe, k, name, tell)
            ticks = _Ticks(tell, f"{TITLES[name]}, seed {k}", updates_of_both(len(training), recipe)[1])
            fitted = fit(training, target, recipe, seed=k, ridge_state=ridge, callbacks=(ticks,))
            ridges.setdefault(name, []).append(ridge)
            seconds = time.perf_counter() - clock
            board.add(name, predict_windows(fitted.net, test), fitted.history.losses, seconds)
            mute = silenced(
                fitted.net, Windows(training, targets=[target], length=WINDOW_ROWS, dtype=recipe.dtype)
            )
            board.add(f"{name}_silenced", predict_windows(fitted.net, test, mute))
            if name == "default" and name not in nets:
                diagnoses[name] = diagnose(fitted.history, fitted.net, train_windows).named(data.columns)
            nets.setdefault(name, fitted.net)
    untrained = lab_network(len(data.columns), all_seeds[0])
    looked_at = {"start": untrained, "trained": nets["lab_recipe"]}
    on_labs_file = data.name == "beijing"
    return WeatherResult(
        data=data,
        seeds=all_seeds,
        methods={name: board.methods[name] for name in TITLES},
        truth=board.truth,
        rows=test.target_rows,
        train_rows=len(training),
        scaler=scaler,
        ridges=ridges,
        nets=nets,
        flows={name: edges(net, spread.x, spread.y) for name, net in looked_at.items()},
        facts=lab_facts(data.values, training, untrained, train_windows) if on_labs_file else [],
        seconds=time.perf_counter() - began,
        diagnoses=diagnoses,
        watched=watched,
    )


def lab_network(inputs: int, seed: int) -> Network:
    """Return the lab's network before training: 10 units, weights of deviation 0.001, biases 0."""
    stack = Recurrent(
        "elman",
        input_size=inputs,
        hidden_size=LAB_HIDDEN,
        initializers={"W_xh": Normal(LAB_SD), "W_hh": Normal(LAB_SD)},
        seed=seed,
    )
    return Network(stack, readout_initializer=Normal(LAB_SD), loss="mse", seed=seed)


def lab_recipe(windows: Windows, *, seed: int, notify: Notify | None = None) -> tuple[Network, Array, float]:
    """Train the lab's network as the lab does; return it, its losses and the seconds.

    Hidden size 10, weights normal with deviation 0.001, biases 0, mini-batches of 32 windows drawn with replacement,
    SGD at 0.01, 500 steps, mean squared error, float64.
    """
    net, history = _train_lab_recipe(windows, seed, notify or (lambda *_: None))
    return net, history.losses, history.seconds


def _train_lab_recipe(
    windows: Windows, seed: int, notify: Notify, *, record: bool = False
) -> tuple[Network, History]:
    net = lab_network(len(windows.inputs), seed)
    ticks = _Ticks(notify, f"{TITLES['lab_recipe']}, seed {seed}", LAB_STEPS)
    history = train(
        net,
        windows,
        optimizer=SGD(LAB_RATE),
        steps=LAB_STEPS,
        batch_size=LAB_BATCH,
        sampling="random",
        seed=seed,
        callbacks=(ticks,),
        progress=False,
        record=RECORDED if record else None,
        every=look_every(LAB_STEPS) if record else None,
    )
    if history.stopped_because == "interrupted":
        raise KeyboardInterrupt
    return net, history


class _Ticks:
    """A training callback that passes the number of updates on, a hundred times at most."""

    looks_at_net = False

    def __init__(self, notify: Notify, title: str, total: int) -> None:
        self.notify, self.title, self.total = notify, title, total
        self.every = max(1, total // 100)
        notify(title, 0, total)

    def __call__(self, event: object) -> None:
        done = int(getattr(event, "step", 0)) + 1
        if done % self.every == 0 or done == self.total:
            self.notify(self.title, done, self.total)


class _Scores:
    """Collects predictions (scaled) and scores them."""

    def __init__(self, data: WeatherData, scaler: Scaler, test: Windows) -> None:
        self.column, self.scaler = data.target, scaler
        self.scaled_truth = test.y[:, 0]
        self.truth = data.values[test.target_rows, data.target_index]
        self.methods: dict[str, Method] = {}

    def add(
        self, name: str, predicted: Array, losses: Array | None = None, seconds: float | None = None
    ) -> None:
        method = self.methods.setdefault(name, Method(name))
        scaled = np.asarray(predicted, np.float64).reshape(-1)
        in_unit = self.scaler.inverse_column(self.column, scaled)
        method.predictions.append(in_unit)
        method.rmse.append(float(np.sqrt(np.mean((in_unit - self.truth) ** 2))))
        method.mse_scaled.append(float(np.mean((scaled - self.scaled_truth) ** 2)))
        if losses is not None:
            method.losses.append(losses)
        if seconds is not None:
            method.seconds.append(seconds)


def _choose(training: Array, target: int, recipe: Recipe, seed: int, name: str, tell: Notify) -> float:
    total, _ = updates_of_both(len(training), recipe)
    ticks = _Ticks(tell, f"{TITLES[name]}, seed {seed}, choosing on validation", total)
    return choose_ridge(training, target, recipe, seed=seed, callbacks=(ticks,))[0]


def methods_by_rmse(result: WeatherResult) -> Iterator[Method]:
    """Yield the methods, the best first."""
    yield from sorted(result.methods.values(), key=lambda m: m.mean_rmse)
