"""What models say, as plain arrays: the same for those that write golden files and those that read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.forecast import Forecaster
from bptt.network import Network, Recurrent

Arrays = dict[str, npt.NDArray[Any]]


def outputs(model: Recurrent | Network, x: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Arrays:
    """Return outputs and final states; of a network without feedback, of rows of different lengths."""
    if isinstance(model, Recurrent):
        h, state, _ = model.forward(x, lengths=lengths)
        return {"h": h, **{f"state.{name}": final for name, final in state.items()}}
    found = model.forward(x, lengths=None if model.feedback else lengths)
    return {"y_hat": found.y_hat, **{f"state.{name}": final for name, final in found.state.items()}}


def forecasts(model: Forecaster, table: dict[str, Any]) -> Arrays:
    """Return what is forecast from where the model stands, from a table, and after part of one."""
    end = {name: values[:150] for name, values in table.items()}
    found: Arrays = {}
    for place, frame in (("standing", None), ("table", table), ("earlier", end)):
        for kind, told in (
            ("predict", model.predict(frame)),
            ("interval", model.predict_interval(frame, coverage=0.8)),
        ):
            for column, values in told.items():
                array = np.asarray(values)
                found[f"{place}.{kind}.{column}"] = array.astype(str) if array.dtype.kind in "OM" else array
    return found
