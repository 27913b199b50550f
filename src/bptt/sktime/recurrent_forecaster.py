"""`RecurrentForecaster`: `bptt.Forecaster` behind sktime's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sktime.forecasting.base import BaseForecaster

from bptt.checks import Array
from bptt.errors import DataError, InvalidInput
from bptt.forecast import Forecaster, Recipe
from bptt.sktime.clock import Clock
from bptt.sktime.history import History, Made, make_panel, series_name

_FRAMES = ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"]


class RecurrentForecaster(BaseForecaster):  # type: ignore[misc]  # sktime has no types
    """Recurrent networks with honest intervals, as an sktime forecaster.

    All instances of a panel or hierarchy, and all columns of a multivariate y, are series of one global model, each
    forecast from its own past. Columns of X are known ahead, unless they are named as `inputs`.

    Parameters
    ----------
    inputs : sequence of str, optional
        Columns of X that are measured together with y: what they will be is not known, and not read.
    window, cell, hidden, layers, ensemble, transform, calendar, recipe, search, threads
        As for `bptt.Forecaster`.
    sp : int, optional
        Rows of a season; by the step of the index where left out (24 of an hour). Rows that are only counted have none.
    random_state : int, RandomState instance or None
        The same number gives the same forecasts.

    Attributes
    ----------
    model_ : bptt.Forecaster
        Trained; `model_.verdict` says what validation chose.

    Raises
    ------
    InvalidInput, InvalidType, DataError
        From `fit`, `update` and `predict`: settings out of range, rows beside the clock of the index, values of X that
        were to be known and are not given.

    Notes
    -----
    `fh` is asked for in `fit`: the network is trained for its farthest step. There are no forecasts of rows it was
    trained on (in-sample): `bptt.Forecaster.backtest` judges by rows that were held out.

    `update` with `update_params=False` carries the state on and trains nothing; with True, sktime's default, it trains
    again on all rows seen.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from bptt.sktime import RecurrentForecaster
    >>> hours = pd.period_range("2021-03-01", periods=300, freq="h")
    >>> y = pd.Series(np.sin(np.arange(300) * 2 * np.pi / 24), hours, name="load")
    >>> forecaster = RecurrentForecaster(ensemble=1, hidden=5).fit(y[:-3], fh=[1, 2, 3])
    >>> bool((forecaster.predict() - y[-3:]).abs().max() < 0.1)
    True
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "The bptt authors",
        "maintainers": "The bptt authors",
        "y_inner_mtype": _FRAMES,
        "X_inner_mtype": _FRAMES,
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:missing_values": True,
        "capability:unequal_length": True,
        "capability:non_contiguous_X": True,
        "capability:pred_int": True,
        "capability:update": True,
        # The networks were trained on those rows: what they say of them is no forecast.
        "capability:insample": False,
        "capability:pred_int:insample": False,
        "capability:categorical_in_X": False,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "requires-fh-in-fit": True,
        "X-y-must-have-same-index": True,
    }
    # What was seen is kept here, once, for predictions with X and for training again.
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}

    def __init__(
        self,
        inputs: Sequence[str] | None = None,
        *,
        sp: int | None = None,
        window: int | None = None,
        cell: str | None = None,
        hidden: int | None = None,
        layers: int | None = None,
        ensemble: int | None = None,
        transform: str | None = None,
        calendar: str | Sequence[str] | None = "auto",
        recipe: Recipe | None = None,
        search: int = 0,
        threads: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.inputs = inputs
        self.sp = sp
        self.window = window
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.ensemble = ensemble
        self.transform = transform
        self.calendar = calendar
        self.recipe = recipe
        self.search = search
        self.threads = threads
        self.random_state = random_state
        super().__init__()
        # Where a user asks for it to be remembered, sktime looks for both before anything was seen.
        self._y = self._X = None

    # ---------------------------------------------------------------- what sktime calls

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: Any) -> Self:
        self._roles(X)
        self._history = History(y, X)
        self._clock = Clock.of(self._history.indices())
        self._train(fh)
        return self

    def _update(self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True) -> Self:
        new = History(y, X)
        self._history = self._history.joined(new)
        if update_params:
            self._train(self._fh)
        elif not self._future:  # else each forecast is made from the first row on, with what is known then
            self.model_.update(make_panel(new, self._clock, self._past, ()).panel)
        return self

    def _predict(self, fh: Any, X: pd.DataFrame | None) -> pd.DataFrame:
        made = self._made(fh, X)
        forecast = self.model_.forecast(self._frame(made))
        found = dict(zip(forecast.ids, forecast.y_hat[:, :, None], strict=True))
        return self._rows(fh, made, found, self._get_columns("predict"))

    def _predict_quantiles(self, fh: Any, X: pd.DataFrame | None, alpha: list[float]) -> pd.DataFrame:
        made = self._made(fh, X)
        levels = sorted(set(alpha))
        forecast = self.model_.forecast(self._frame(made), levels=levels)
        order = [levels.index(level) for level in alpha]
        values = np.moveaxis(forecast.quantiles[order], 0, -1)
        found = dict(zip(forecast.ids, values, strict=True))
        return self._rows(fh, made, found, self._get_columns("predict_quantiles", alpha=alpha))

    def _predict_interval(self, fh: Any, X: pd.DataFrame | None, coverage: list[float]) -> pd.DataFrame:
        # Not by quantiles: these bounds always hold the forecast itself.
        made = self._made(fh, X)
        frame, horizon = self._frame(made), self.model_.asked.horizon
        parts: list[Array] = []
        names: list[str] = []
        for share in coverage:
            table = self.model_.predict_interval(frame, share)
            names = list(table["unique_id"][::horizon])
            parts += [np.asarray(column).reshape(-1, horizon) for column in list(table.values())[3:]]
        found = dict(zip(names, np.stack(parts, axis=-1), strict=True))
        return self._rows(fh, made, found, self._get_columns("predict_interval", coverage=coverage))

    @classmethod
    def get_test_params(
        cls,
        parameter_set: str = "default",  # noqa: ARG003  # sktime's signature
    ) -> list[dict[str, Any]]:
        """Return settings for sktime's checks: small ones."""
        quick = Recipe(updates=20, shorter=(), ensemble=1, trial_members=1)
        return [
            {"hidden": 3, "recipe": quick, "threads": 1},
            {"cell": "lstm", "hidden": 2, "sp": 4, "calendar": None, "recipe": quick, "random_state": 7},
        ]

    # ---------------------------------------------------------------- inside

    def _roles(self, X: pd.DataFrame | None) -> None:
        """Settle which columns of X are only measured, and which are known ahead."""
        columns = [] if X is None else list(X.columns)
        inputs = [self.inputs] if isinstance(self.inputs, str) else list(self.inputs or ())
        missing = [name for name in inputs if name not in columns]
        if missing:
            raise InvalidInput(
                f"inputs must be columns of X, {', '.join(map(str, columns)) or 'none'}. Got {missing[0]!r}"
            )
        self._past: tuple[Any, ...] = tuple(name for name in columns if name in inputs)
        self._future: tuple[Any, ...] = tuple(name for name in columns if name not in inputs)

    def _train(self, fh: Any) -> None:
        """Train on what was seen until the cutoff."""
        clock = self._clock
        if clock.counted and self.calendar not in ("auto", None):
            raise InvalidInput(
                f"calendar must be 'auto' or None where rows are only counted. Got {self.calendar!r}"
            )
        made = make_panel(self._seen(), clock, self._past, self._future)
        recipe = self.recipe
        if self.sp is not None:
            recipe = Forecaster(recipe=recipe).asked.recipe
            recipe = Recipe.from_config({**recipe.to_config(), "period": self.sp})
        self.model_ = Forecaster(
            horizon=max(int(self._steps(fh, end).max()) for end in made.ends.values()),
            window=self.window,
            cell=self.cell,
            hidden=self.hidden,
            layers=self.layers,
            ensemble=self.ensemble,
            transform=self.transform,
            calendar=self.calendar,
            recipe=recipe,
            search=self.search,
            seed=self._seed(),
            threads=self.threads,
        ).fit(made.panel, progress=False)

    def _seed(self) -> int:
        state = self.random_state
        if isinstance(state, (int, np.integer)):
            return int(state)
        drawn = np.random.RandomState() if state is None else state
        return int(drawn.randint(2**31 - 1))

    def _seen(self) -> History:
        """Return the history up to the cutoff, which sktime may have set back."""
        return self._history.until(self.cutoff[0])

    def _made(self, fh: Any, X: pd.DataFrame | None) -> Made:
        """Return the panel to be forecast from."""
        future, seen = self._future, self._seen()
        if not future:
            return make_panel(seen, self._clock, self._past, ())
        known = None
        if X is not None:
            lacking = [name for name in future if name not in X.columns]
            if lacking:
                raise DataError(f"X must hold the columns of fit. Got none called {lacking[0]!r}")
            known = X.reindex(columns=[*self._past, *future])
        made = make_panel(seen, self._clock, self._past, future, self.model_.asked.horizon, known)
        self._check_known(fh, made, seen.X if known is None else known)
        return made

    def _check_known(self, fh: Any, made: Made, X: pd.DataFrame | None) -> None:
        """Raise DataError where X has no row at a time to be forecast, neither now nor before."""
        there = set() if X is None else set(X.index)
        if self._history.X is not None:
            there |= set(self._history.X.index)
        for key, end in made.ends.items():
            for time in self._wanted(fh, end):
                row = (*key, time) if key else time
                if row not in there:
                    raise DataError(
                        f"X must have a row for every time to be forecast. Got none for {row}: pass X to predict, "
                        "or name columns not known ahead as inputs"
                    )

    def _frame(self, made: Made) -> Any:
        """Return the panel, or None where the model stands at the end of each of its series."""
        if self._future:
            return made.panel
        followed = self.model_._places_now().followed
        stands = len(followed) == len(made.panel) and all(
            line.id in followed and followed[line.id].time == line.times[-1] for line in made.panel
        )
        return None if stands else made.panel

    def _wanted(self, fh: Any, end: Any) -> pd.Index:
        """Return the times to be forecast of a series that ends here."""
        steps = self._steps(fh, end)
        return self._clock.after(end, int(steps.max())).take(steps - 1)

    def _steps(self, fh: Any, end: Any) -> Array:
        """Return how many rows after its end a series is to be forecast, int (F,)."""
        index = fh.to_pandas()
        if fh.is_relative and pd.api.types.is_integer_dtype(index.dtype):
            return np.asarray(index, np.int64)
        times = fh.to_absolute_index(self.cutoff)
        return self._clock.places(self._clock.between(end, times.max()), times)

    def _rows(self, fh: Any, made: Made, found: dict[str, Array], columns: pd.Index) -> pd.DataFrame:
        """Return what was found of each series (K, V) as sktime lays it out: columns of y, each with V of its own."""
        names = list(self._get_varnames())
        blocks, indices = [], []
        for key, end in made.ends.items():
            steps = self._steps(fh, end)
            several = [series_name(key, name if len(names) > 1 else None) for name in names]
            blocks.append(np.concatenate([found[each][steps - 1] for each in several], axis=1))
            times = self._wanted(fh, end)
            indices.append(times if not key else pd.MultiIndex.from_tuples([(*key, time) for time in times]))
        index = indices[0]
        for more in indices[1:]:
            index = index.append(more)
        index.names = self._history.y.index.names
        return pd.DataFrame(np.concatenate(blocks), index=index, columns=columns)
