"""sktime's interface: `bptt.Forecaster` as a forecaster for its pipelines, splitters and evaluations."""

from bptt.errors import LibraryMissing

try:
    from bptt.sktime.recurrent_forecaster import RecurrentForecaster
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] not in ("sktime", "skbase", "pandas"):
        raise
    raise LibraryMissing("bptt.sktime needs sktime. Got none: pip install 'bptt[sktime]'") from None

__all__ = ["RecurrentForecaster"]
