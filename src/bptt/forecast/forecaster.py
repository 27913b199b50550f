"""`bptt.Forecaster`: a table in, forecasts with honest intervals out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from bptt.checks import check_choice, check_whole
from bptt.data.tables.parsing import DECIMALS
from bptt.diagnostics.doctor.finding import Diagnosis
from bptt.errors import InvalidInput
from bptt.forecast.asking import (
    Asked,
    Names,
    check_calendar,
    check_coverage,
    check_quantiles,
    check_seed,
    check_together,
    drawn_recipes,
    make_recipe,
)
from bptt.forecast.fitting.fit import fit_panel
from bptt.forecast.fitting.running.given_executor import open_workers
from bptt.forecast.fitting.running.progress import show_progress
from bptt.forecast.fitting.shelf import Shelf
from bptt.forecast.given import read_new
from bptt.forecast.predicting.alignment import Alignment, check_alignment
from bptt.forecast.predicting.picture import plot_forecasts
from bptt.forecast.predicting.places import Places
from bptt.forecast.predicting.predictor import Predictor
from bptt.forecast.recipe import Recipe
from bptt.forecast.saving import container
from bptt.forecast.saving.fit_file import Resume, describe_fit, kept_fit
from bptt.forecast.scoring.backtest import run_backtest
from bptt.forecast.scoring.backtest_result import Backtest
from bptt.forecast.scoring.scorecard import Scorecard


class Forecaster(Predictor):
    """Forecasts a column of a table some rows ahead.

    An ensemble of recurrent networks learns on long stretches of all series, with a loss at every step and a carried
    state; readout and a linear path over the newest rows are then solved in closed form. How long it trains, how much
    of each part is let in, and whether it steps back to a simpler method is decided on the newest rows of the history.
    Intervals are calibrated on rows that were held out, by hour, season and the unrest of the moment.

    Parameters
    ----------
    target : str, optional
        The column to forecast; found where there is only one candidate.
    horizon : int
        K, rows ahead.
    inputs, future, static, group, time : str or sequence of str, optional
        Columns measured together with the target, known ahead, constant in each series, naming the series, and of the
        time; found where not given.
    without : str or sequence of str, optional
        Columns that are not looked at.
    missing : str or mapping, optional
        What is done where a value is missing: "forward", "mask", "drop", "error"; for all columns or by column.
    step, zone : str, optional
        From row to row, as "10 min"; whose clock times without an offset show.
    decimal : {".", ","}
        The decimal mark of CSV files; numbers with thousands marks are refused with either.
    window : int, optional
        Newest values of the target that the linear path reads; a week of hours by default.
    cell : {"gru", "lstm", "elman"}
    hidden, layers, ensemble : int
        Size and number of recurrent layers, and of networks that are averaged.
    updates : int, optional
        Of each network, just so many; by default as many as the rows ask for, or 0.4 of that, as validation says.
    validation : float, optional
        Share of the rows, the newest ones, on which choices are made; 0.2 by default. With 0 nothing is tried or
        chosen: networks are trained on all rows at once, and no simpler method takes their place.
    head : {"auto", "direct", "recursive", "segments"}
        How a state becomes `horizon` forecasts: all at once, one fed back for the next, or segment after segment.
    intervals : {"conformal", "gaussian", "none"}
        Of the quantiles of errors on rows held out, or of the normal distribution that is likeliest there. Both are as
        wide as the hour, the season and the newest changes ask for. With "none" the model forecasts without intervals,
        and the networks that would be trained for them are spared.
    quantiles : sequence of float, optional
        Probabilities whose quantiles `predict` adds, as 0.1.
    coverage : float
        Of `predict_interval` where it does not say.
    transform : {None, "none", "log1p", "nonnegative"}
        "log1p" for what is never negative: forecasts and intervals are then not either. "nonnegative" stops them at 0
        and changes nothing else; None does so for a target that is never below 0 and often there.
    calendar : "auto", None, or sequence of {"day", "week", "year"}
        Cycles among the inputs; "auto" takes those that the rows show.
    recipe : Recipe, optional
        Everything else; the settings above win.
    search : int
        Variations of the recipe that are tried on the validation rows too.
    seed : int
        The same seed gives the same forecasts, on one machine and version, for any number of threads.
    threads : int, optional
        Networks trained at the same time; by default one for each processor.

    Attributes
    ----------
    fitted : Fitted
        Everything that training found.
    verdict : str
        One sentence: what validation chose, and by how much.
    diagnosis : Diagnosis or None
        The training doctor's: `print` shows it; `.line` is a single one.
    findings : tuple of Finding
        What is odd about the table that it was trained on.
    tested : Scorecard or None
        How a model of the same settings did on rows kept aside, where `bptt fit` made such a test.

    Raises
    ------
    InvalidInput, InvalidType
        A setting out of range; the message names it.

    Notes
    -----
    `predict`, `update` and `step` carry the same state: after the same history they agree to 1e-6, and better.

    ``Forecaster(ensemble=1, updates=900, validation=0, intervals="none")`` trains one network once, by 900 updates.
    """

    def __init__(
        self,
        target: str | None = None,
        horizon: int = 1,
        *,
        inputs: Names = None,
        future: Names = None,
        static: Names = None,
        group: Names = None,
        time: Names = None,
        without: Names = None,
        missing: str | Mapping[str, str] | None = None,
        step: str | None = None,
        zone: str | None = None,
        decimal: str = ".",
        window: int | None = None,
        cell: str | None = None,
        hidden: int | None = None,
        layers: int | None = None,
        ensemble: int | None = None,
        updates: int | None = None,
        validation: float | None = None,
        head: str | None = None,
        intervals: str | None = None,
        quantiles: Sequence[float] | None = None,
        coverage: float = 0.9,
        transform: str | None = None,
        calendar: str | Sequence[str] | None = "auto",
        recipe: Recipe | None = None,
        search: int = 0,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            check_together(
                Asked(
                    target=target,
                    horizon=check_whole("horizon", horizon),
                    time=time,
                    group=group,
                    inputs=inputs,
                    future=future,
                    static=static,
                    missing=missing,
                    step=step,
                    zone=zone,
                    calendar=check_calendar(calendar),
                    quantiles=check_quantiles(quantiles),
                    coverage=check_coverage(coverage),
                    recipe=make_recipe(
                        recipe,
                        {
                            "window": window,
                            "cell": cell,
                            "hidden": hidden,
                            "layers": layers,
                            "ensemble": ensemble,
                            "updates": updates,
                            "validation": validation,
                            "head": head,
                            "intervals": intervals,
                            "transform": transform,
                        },
                    ),
                    search=check_whole("search", search, least=0),
                    seed=check_seed(seed),
                    threads=None if threads is None else check_whole("threads", threads),
                    without=without,
                    decimal=check_choice("decimal", decimal, DECIMALS),
                )
            )
        )
        self.tested: Scorecard | None = None

    # ---------------------------------------------------------------- training

    def fit(
        self,
        frame: object,
        progress: object = None,
        executor: object = None,
        *,
        checkpoint: str | os.PathLike[str] | Shelf | None = None,
        resume: Resume = False,
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        frame : path, data frame, dict, array, or Panel
        progress : bool, callable or None
            A bar on stderr; None draws it on a terminal only; a function is told (updates made, updates to make).
        executor : concurrent.futures.Executor, dask.distributed.Client or str, optional
            Who trains the networks; the threads of this process by default. A text is the address of a Dask scheduler.
            The forecasts are the same to the bit.
        checkpoint : path, optional
            Where every network is kept as soon as it is trained.
        resume : bool or path
            True goes on with the fit in `checkpoint` where there is one, a path with the one in that file; the
            forecasts are those of a fit that was never interrupted, to the bit.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        FileMissing, FileFormatError, DataError, InvalidInput, InvalidType
            Data that cannot be read or learnt from, or a checkpoint of another fit; the message says where and why.
        LibraryMissing, WorkerLost
            Dask is not installed; a process that trains ended.
        """
        asked = self.asked
        with open_workers(executor, asked.threads) as workers, show_progress(progress) as notify:
            panel, source = read_new(frame, asked)
            kept = checkpoint is not None or resume is not False
            with kept_fit(checkpoint, resume, describe_fit(panel, asked) if kept else {}) as shelf:
                self._fitted = fit_panel(
                    panel,
                    horizon=asked.horizon,
                    recipe=asked.recipe,
                    calendar=asked.calendar,
                    seed=asked.seed,
                    search=drawn_recipes(asked.recipe, asked.search, asked.seed),
                    workers=workers,
                    notify=notify,
                    doctor=True,
                    shelf=shelf,
                )
        self._source, self._history, self._places, self.tested = source, panel, None, None
        return self

    @property
    def verdict(self) -> str:
        """What validation chose, and by how much, in one sentence."""
        return self.fitted.choice.verdict()

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the training doctor says of the fit; None of one that was loaded, or where nothing could be learnt.

        Diseases of training are looked for in the first network, as the gradient left it; that the forecast only
        repeats the last value is judged of the whole, on the validation rows.
        """
        return self.fitted.diagnosis

    @property
    def findings(self) -> tuple[Any, ...]:
        """What is odd about the table that it was trained on."""
        return () if self._source is None else self._source.findings

    # ---------------------------------------------------------------- checks

    def backtest(
        self,
        frame: object,
        folds: int = 5,
        refit: bool = True,
        progress: object = None,
        trees: bool = True,
        executor: object = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: Resume = False,
    ) -> Backtest:
        """Forecast parts of a table from what came before them, beside the baselines.

        Parameters
        ----------
        frame : as for `fit`
        folds : int
            Parts at the end of the history, each as long as the others.
        refit : bool
            Whether a new model is trained before each part; else one before the first.
        progress : as for `fit`
        trees : bool
            Whether boosted trees take part, where scikit-learn is installed.
        executor : as for `fit`
            Each fold is a task of its own.
        checkpoint, resume : as for `fit`
            Of all folds together.

        Returns
        -------
        Backtest
            `print` shows a table.
        """
        asked = self.asked
        with open_workers(executor, asked.threads) as workers, show_progress(progress) as notify:
            panel, _ = read_new(frame, asked)
            count, kept = check_whole("folds", folds), checkpoint is not None or resume is not False
            identity = describe_fit(panel, asked, folds=count, refit=bool(refit)) if kept else {}
            with kept_fit(checkpoint, resume, identity) as shelf:
                return run_backtest(
                    panel,
                    horizon=asked.horizon,
                    recipe=asked.recipe,
                    calendar=asked.calendar,
                    coverage=asked.coverage,
                    folds=count,
                    refit=bool(refit),
                    seed=asked.seed,
                    workers=workers,
                    trees=bool(trees),
                    notify=notify,
                    search=drawn_recipes(asked.recipe, asked.search, asked.seed),
                    shelf=shelf,
                )

    def check_alignment(self, frame: object = None) -> Alignment:
        """Prove by gradient which rows each step of the horizon sees, and that none lies in the future.

        Parameters
        ----------
        frame : as for `fit`, optional
            A history; without one the training rows, where they are still at hand.
        """
        panel = self._history_or(frame)
        return check_alignment(self.fitted.trained, max(panel, key=len))

    # ---------------------------------------------------------------- pictures, files

    def plot(self, frame: object = None, *, series: str | None = None, rows: int | None = None) -> Any:
        """Draw the end of every series and its forecast with its intervals; return the matplotlib figure.

        Parameters
        ----------
        frame : as for `fit`, optional
            The history; without one the training rows.
        series : str, optional
            That one alone; by default a small panel each, of the first 12.
        rows : int, optional
            Of the history; by default four times the horizon, and at least 48.
        """
        panel = self._history_or(frame)
        lines = [each for each in panel if series in (None, each.id)]
        if not lines:
            raise InvalidInput(f"series must be one of the history's. Got {series!r}")
        return plot_forecasts(self.fitted, lines, panel, rows)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the forecaster, its intervals and its place in every series to one file; `bptt.load` reads it."""
        followed = self._places_now().followed
        contents = container.Contents(self.asked, self.fitted, self._source, followed, self.tested)
        return container.write(path, contents)

    def without_rows(self) -> Self:
        """Let the training rows go; where the series stand is kept, as in a file."""
        self._places_now()
        self._history = None
        _ = self.fitted.diagnosis  # whose examples are rows too
        return self

    @classmethod
    def _from_contents(cls, contents: container.Contents) -> Self:
        made = cls()
        made.asked, made._fitted, made._source = contents.asked, contents.fitted, contents.source
        made._places = Places(contents.fitted, contents.followed)
        made.tested = contents.tested
        return made

    def __repr__(self) -> str:
        state = "not trained" if self._fitted is None else self._fitted.trained.kind
        return f"Forecaster(target={self.asked.target!r}, horizon={self.asked.horizon}, {state})"
