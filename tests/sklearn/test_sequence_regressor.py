"""`SequenceRegressor`: scikit-learn's own checks, the shapes of a sequence, searches, and what is refused."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput, InvalidType, LibraryMissing

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'bptt[sklearn]'")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from bptt.sklearn import SequenceRegressor

SMALL: dict[str, Any] = {"hidden": 7, "updates": 200, "random_state": 3}
# Other layouts of the same numbers are the same bits; a pickled float is too.
EXACT: dict[str, float] = {"rtol": 0.0, "atol": 0.0}


@parametrize_with_checks([SequenceRegressor(hidden=7, updates=200)])
def test_scikit_learn_takes_it_for_one_of_its_own(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture
def rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return 211 sequences of 5 steps and 3 features in units of their own, and two numbers after each."""
    X = rng.standard_normal((211, 5, 3)) * np.array([1.0, 300.0, 1e-3]) + np.array([0.0, 1e4, 5.0])
    z = (X - X.mean(axis=(0, 1))) / X.std(axis=(0, 1))
    y = np.stack([np.tanh(2 * z[:, 4, 0] * z[:, 3, 1]) + z[:, 0, 2], 50 + 9 * z[:, 1, 0]], axis=1)
    return X, y


def test_a_sequence_is_learnt_better_than_by_its_linear_path(rows: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = rows
    made = SequenceRegressor(hidden=12, updates=900, random_state=1).fit(X[:170], y[:170])
    assert made.predict(X[170:]).shape == (41, 2)
    assert made.score(X[170:], y[170:]) > 0.75
    design = np.column_stack([np.ones(170), X[:170].reshape(170, -1)])
    linear = np.column_stack([np.ones(41), X[170:].reshape(41, -1)]) @ np.linalg.lstsq(design, y[:170])[0]
    errors = [np.abs(y_hat - y[170:])[:, 0].mean() for y_hat in (made.predict(X[170:]), linear)]
    assert errors[0] < 0.8 * errors[1]


def test_flat_rows_with_a_window_are_the_same_sequences(rows: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = rows
    a = SequenceRegressor(**SMALL).fit(X, y[:, 0])
    b = SequenceRegressor(5, **SMALL).fit(X.reshape(211, 15), y[:, 0])
    assert a.sequence_shape_ == b.sequence_shape_ == (5, 3)
    assert a.predict(X).shape == (211,)
    np.testing.assert_allclose(b.predict(X.reshape(211, 15)), a.predict(X), **EXACT)


def test_early_stopping_looks_at_the_last_rows_and_trains_on_none_of_them(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    X, y = rows
    made = SequenceRegressor(validation_fraction=0.2, patience=1, **SMALL).fit(X, y)
    assert made.n_iter_ == made.history_.steps <= 200
    assert made.history_.validation
    other = X.copy()
    other[169:] *= 7.0  # 42 rows are kept: what they hold changes neither scales nor gradients
    scales = SequenceRegressor(validation_fraction=0.2, patience=99, **SMALL).fit(other, y)
    full = SequenceRegressor(validation_fraction=0.2, patience=99, **SMALL).fit(X, y)
    np.testing.assert_allclose(scales.history_.losses, full.history_.losses, **EXACT)
    assert not SequenceRegressor(**SMALL).fit(X[:60], y[:60]).history_.validation


def test_clone_pickle_pipeline_and_search(rows: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = rows
    made = SequenceRegressor(5, **{**SMALL, "updates": 40})
    assert clone(made).set_params(cell="lstm").get_params()["cell"] == "lstm"
    flat = X.reshape(211, 15)
    pipeline = make_pipeline(StandardScaler(), made)
    search = GridSearchCV(pipeline, {"sequenceregressor__hidden": [3, 5]}, cv=TimeSeriesSplit(2)).fit(flat, y)
    assert search.best_params_["sequenceregressor__hidden"] in (3, 5)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_allclose(again.predict(flat), search.predict(flat), **EXACT)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (
            {"window": 4},
            InvalidInput,
            r"^window must divide the columns of X = 15. Got 4: a row holds whole steps$",
        ),
        ({"linear": "yes"}, InvalidType, r"^linear must be True or False. Got 'yes'$"),
        ({"cell": "rnn5"}, InvalidInput, r"^cell must be "),
    ],
)
def test_what_is_refused(
    rows: tuple[np.ndarray, np.ndarray], settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    X, y = rows
    with pytest.raises(error, match=words):
        SequenceRegressor(**settings).fit(X.reshape(211, 15), y)


def test_shapes_that_do_not_fit_are_refused(rows: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = rows
    with pytest.raises(InvalidInput, match=r"^window must be the steps of X = 5, or None. Got 3$"):
        SequenceRegressor(3).fit(X, y)
    with pytest.raises(
        InvalidInput, match=r"^X must have shape \(N, T, D\) or \(N, T \* D\). Got \(211, 5, 3, 1\)$"
    ):
        SequenceRegressor().fit(X[..., None], y)
    made = SequenceRegressor(**{**SMALL, "updates": 2}).fit(X, y)
    with pytest.raises(InvalidInput, match=r"^X must have shape \(N, 5, 3\), as in fit. Got \(211, 5, 2\)$"):
        made.predict(X[:, :, :2])


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("sklearn", "bptt.sklearn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(LibraryMissing, match=r"^bptt.sklearn needs scikit-learn. Got none: pip install"):
        import bptt.sklearn  # noqa: F401  # the import itself fails
