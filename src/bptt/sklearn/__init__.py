"""scikit-learn's interface: a recurrent network as a regressor for pipelines, searches and cross-validation."""

from bptt.errors import LibraryMissing

try:
    from bptt.sklearn.sequence_regressor import SequenceRegressor
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("sklearn"):
        raise
    raise LibraryMissing("bptt.sklearn needs scikit-learn. Got none: pip install 'bptt[sklearn]'") from None

__all__ = ["SequenceRegressor"]
