"""A trained forecaster at its work: it follows new rows and says what comes after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from bptt.checks import Array
from bptt.errors import DataError, InvalidInput, InvalidType, NotFittedError
from bptt.forecast.asking import Asked, check_coverage, check_quantiles
from bptt.forecast.fitting.fitted import Fitted
from bptt.forecast.given import check_untimed, read_known, series_of, spread_row
from bptt.forecast.panel import Panel
from bptt.forecast.predicting.following import follow
from bptt.forecast.predicting.places import Places, in_units
from bptt.forecast.predicting.standing import check_known, forecast_of
from bptt.forecast.results import Forecast, as_table, interval_names, quantile_name
from bptt.forecast.saving.container import Source
from bptt.forecast.tables.layout import PanelData


class Predictor:
    """What a forecaster does once it is trained; see `bptt.Forecaster`.

    Parameters
    ----------
    asked : Asked
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._fitted: Fitted | None = None
        self._source: Source | None = None
        # What follows the lines: made of the training rows when it is first asked for.
        self._history: Panel | None = None
        self._places: Places | None = None

    @property
    def fitted(self) -> Fitted:
        """Everything that training found.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        if self._fitted is None:
            raise NotFittedError("forecaster must be trained first. Got none: call fit(frame)")
        return self._fitted

    def predict(self, frame: object = None, future: object = None) -> Any:
        """Forecast the rows after the last of each series.

        Parameters
        ----------
        frame : as for `fit`, optional
            The history; without one, the rows seen so far by `fit`, `update` and `step`.
        future : table, optional
            The columns known ahead, for the rows to be forecast.

        Returns
        -------
        frame or dict
            Columns unique_id, ds, y_hat and the quantiles asked for, of the type and time zone that came in.

        Raises
        ------
        NotFittedError, DataError, InvalidInput
            Not trained; columns missing, or not known as far ahead as the horizon.
        """
        levels = self.asked.quantiles
        return self._table(frame, future, levels, tuple(map(quantile_name, levels)))

    def predict_interval(
        self, frame: object = None, coverage: float | None = None, future: object = None
    ) -> Any:
        """Forecast with an interval that holds the truth in a share `coverage` of all cases.

        Returns
        -------
        frame or dict
            As from `predict`, with lo_90 and hi_90 for a coverage of 0.9.
        """
        share = self.asked.coverage if coverage is None else check_coverage(coverage)
        levels = ((1 - share) / 2, (1 + share) / 2)
        return self._table(frame, future, levels, interval_names(share), around=True)

    def forecast(
        self, frame: object = None, *, future: object = None, levels: Sequence[float] = ()
    ) -> Forecast:
        """Return what `predict` does as arrays, with the quantiles at these probabilities."""
        return self._forecast(frame, future, check_quantiles(levels))[0]

    def update(self, rows: object, future: object = None) -> Self:
        """Take new rows in: the state moves on, nothing is trained.

        Parameters
        ----------
        rows : as for `fit`
            Rows that were seen already are passed over, rows missing in between count as missing. A series that is
            new begins here.
        future : table, optional
            The columns known ahead.
        """
        places = self._places_now()
        panel, _ = read_known(rows, self._source, future, self.asked.horizon)
        places.update(panel)
        return self

    def step(self, row: Mapping[str, object]) -> Array:
        """Take one row in, and return the forecast after it.

        Parameters
        ----------
        row : mapping of column to value
            Of one series, the next row of its clock. Without a time it is taken to follow the last one.

        Returns
        -------
        ndarray float64 (K,)
            In the unit of the target.
        """
        places, source = self._places_now(), self._source
        assert source is not None
        if not isinstance(row, Mapping):
            raise InvalidType(
                f"row must be a mapping of column to value. Got {type(row).__name__}"
                + (": step(row.to_dict()) takes it" if hasattr(row, "to_dict") else "")
            )
        if source.future:
            raise InvalidInput(
                "step must be left to models without columns known ahead: a row does not hold them. "
                f"Got {', '.join(source.future)}: use update(rows, future=)"
            )
        name = series_of(row, source, places)
        timed = source.layout is not None and any(part in row for part in source.layout.time)
        y_hat = None if timed else places.step(name, spread_row(row, source.layout), source.target)
        if y_hat is None:
            if not timed:
                check_untimed(row, source)
            self.update({column: [value] for column, value in row.items()})
            followed = places.at(name)
            assert followed is not None
            y_hat, _ = in_units(self.fitted, followed, np.zeros(0))
        return y_hat

    # ---------------------------------------------------------------- inside

    def _forecast(
        self, frame: object, future: object, levels: tuple[float, ...], around: bool = False
    ) -> tuple[Forecast, PanelData | None]:
        fitted, source = self.fitted, self._source
        assert source is not None
        if levels and not fitted.intervals.there:
            raise InvalidInput(
                "coverage and quantiles must be asked of a model that was fitted with intervals. "
                "Got one of intervals = 'none': predict forecasts, and another fit can have them"
            )
        if frame is not None:
            panel, data = read_known(frame, source, future, self.asked.horizon)
            followed = follow(fitted.trained, fitted.intervals, panel.lines)
            return forecast_of(fitted, followed, levels, around=around), data
        if future is not None:
            raise InvalidInput(
                "future must come with the history in frame. Got it alone: predict(frame, future=), or "
                "update(rows, future=) and then predict()"
            )
        followed = list(self._places_now().followed.values())
        check_known(fitted, followed)
        data = None if source.layout is None else source.standing_for(followed)
        return forecast_of(fitted, followed, levels, around=around), data

    def _table(
        self,
        frame: object,
        future: object,
        levels: tuple[float, ...],
        names: tuple[str, ...],
        around: bool = False,
    ) -> Any:
        forecast, data = self._forecast(frame, future, levels, around)
        return as_table(forecast, names, data)

    def _history_or(self, frame: object) -> Panel:
        """Return the panel of a table, or the training rows, where they are still at hand."""
        panel = self._history if frame is None else read_known(frame, self._source)[0]
        if panel is None:
            raise DataError("frame must be given to a forecaster that was loaded. Got none: pass a history")
        return panel

    def _places_now(self) -> Places:
        """Return where the series stand; the training rows are followed to their end when it is first asked for."""
        if self._places is None:
            fitted = self.fitted
            assert self._history is not None
            self._places = Places.at_the_end(fitted, self._history.lines)
        return self._places
