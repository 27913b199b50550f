"""`SequenceRegressor`: a recurrent network that reads a sequence of each row and predicts numbers after it."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from bptt.checks import Array, check_number, check_whole
from bptt.data import Arrays
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.optim import AdamW, Cosine
from bptt.training import train

# Rows that are predicted at once.
_CHUNK = 4096
# Validation rows below which early stopping would follow chance: all rows are trained on then.
_LEAST_KEPT = 10
# Looks at the validation rows in a full training.
_LOOKS = 40


class SequenceRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A recurrent network with a linear path beside it, as a scikit-learn regressor.

    Inputs and targets are standardised inside, by the rows trained on.

    Parameters
    ----------
    window : int, optional
        Steps T in a row of a two-dimensional X, whose columns are then T blocks of D features, the oldest step first;
        by default each column is a step of one feature. A three-dimensional X brings its steps along.
    cell : str or Cell
        "gru", "lstm", "elman", ...
    hidden, layers : int
        Size and number of recurrent layers.
    linear : bool
        Whether a linear path over all steps is trained beside the recurrent one.
    updates : int
        Of the longest training; the learning rate falls to 0 along half a cosine.
    batch_size : int
        Rows an update, drawn at random.
    learning_rate, weight_decay, clip : float
        AdamW's, and the largest norm of the gradient.
    loss : str
        "mse", "mae", "huber".
    validation_fraction : float
        Share of the rows, the last ones, on which early stopping looks; 0 trains on all. Left out where that is fewer
        than 10 rows.
    patience : int
        Looks, of 40 in a full training, without a lower validation loss before it ends. The best weights are kept.
    dtype : {"float64", "float32"}
        Of the network.
    threads : int, optional
        At most; the result does not depend on it.
    random_state : int, RandomState instance or None
        The same number gives the same regressor.

    Attributes
    ----------
    network_ : Network
    history_ : History
    sequence_shape_ : tuple of int
        (T, D).
    n_iter_ : int
        Updates made.
    n_features_in_ : int
        Columns of a two-dimensional X; steps of a three-dimensional one.

    Raises
    ------
    InvalidInput, InvalidType
        From `fit` and `predict`: a setting out of range, a shape that does not fit. Both are ValueErrors or TypeErrors.

    Notes
    -----
    `predict` raises scikit-learn's own NotFittedError before `fit`, which its tools look for.
    """

    def __init__(
        self,
        window: int | None = None,
        *,
        cell: Any = "gru",
        hidden: int = 32,
        layers: int = 1,
        linear: bool = True,
        updates: int = 1000,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        loss: str = "mse",
        validation_fraction: float = 0.1,
        patience: int = 10,
        dtype: str = "float64",
        threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.window = window
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.linear = linear
        self.updates = updates
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip = clip
        self.loss = loss
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.dtype = dtype
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Train on rows in the order of time, where they have one.

        Parameters
        ----------
        X : array_like (N, T, D) or (N, T * D)
        y : array_like (N,) or (N, K)

        Returns
        -------
        SequenceRegressor
            Itself.
        """
        checked, wanted = validate_data(
            self, X, y, allow_nd=True, multi_output=True, y_numeric=True, dtype=np.float64
        )
        self._input_shape = checked.shape[1:]
        x = self._sequences(checked)
        targets = np.asarray(wanted, np.float64).reshape(len(wanted), -1)
        self._one_output = np.ndim(wanted) == 1
        self.sequence_shape_ = x.shape[1:]
        share = check_number("validation_fraction", self.validation_fraction, least=0.0, below=1.0)
        kept = int(share * len(x))
        kept = kept if kept >= _LEAST_KEPT else 0
        first = len(x) - kept
        self._centre, self._scale = _standard(x[:first].reshape(-1, x.shape[2]))
        self._y_centre, self._y_scale = _standard(targets[:first])
        x, targets = (x - self._centre) / self._scale, (targets - self._y_centre) / self._y_scale
        self.network_ = self._network(x.shape, targets.shape[1])
        updates = check_whole("updates", self.updates)
        rate = check_number("learning_rate", self.learning_rate, above=0.0)
        self.history_ = train(
            self.network_,
            Arrays(x[:first], targets[:first]),
            optimizer=AdamW(Cosine(rate, updates, min(50, updates // 4)), weight_decay=self.weight_decay),
            steps=updates,
            batch_size=self.batch_size,
            sampling="random",
            clip=self.clip,
            seed=self._seed,
            validation=Arrays(x[first:], targets[first:]) if kept else None,
            evaluate_every=max(1, updates // _LOOKS) if kept else None,
            early_stopping=check_whole("patience", self.patience) if kept else None,
            progress=False,
            threads=self.threads,
        )
        self.n_iter_ = self.history_.steps
        return self

    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the predictions, float64 (N,) or (N, K) as the targets of `fit` were.

        Parameters
        ----------
        X : array_like (N, T, D) or (N, T * D)
            As for `fit`.
        """
        check_is_fitted(self, "network_")
        checked: Any = validate_data(self, X, reset=False, allow_nd=True, dtype=np.float64)
        if checked.shape[1:] != self._input_shape:
            raise InvalidInput(
                f"X must have shape (N, {', '.join(map(str, self._input_shape))}), as in fit. Got {checked.shape}"
            )
        x = (self._sequences(checked) - self._centre) / self._scale
        parts = [
            self.network_.forward(x[k : k + _CHUNK].astype(self.network_.dtype), tape=False).y_hat
            for k in range(0, len(x), _CHUNK)
        ]
        y_hat: Array = np.concatenate(parts).astype(np.float64) * self._y_scale + self._y_centre
        return y_hat[:, 0] if self._one_output else y_hat

    def _sequences(self, X: Array) -> Array:
        """Return X as (N, T, D)."""
        if X.ndim == 3:
            if self.window not in (None, X.shape[1]):
                raise InvalidInput(
                    f"window must be the steps of X = {X.shape[1]}, or None. Got {self.window!r}"
                )
            return X
        if X.ndim != 2:
            raise InvalidInput(f"X must have shape (N, T, D) or (N, T * D). Got {X.shape}")
        steps = X.shape[1] if self.window is None else check_whole("window", self.window)
        if X.shape[1] % steps:
            raise InvalidInput(
                f"window must divide the columns of X = {X.shape[1]}. Got {steps}: a row holds whole steps"
            )
        return X.reshape(len(X), steps, -1)

    def _network(self, shape: tuple[int, ...], outputs: int) -> Network:
        if not isinstance(self.linear, (bool, np.bool_)):
            raise InvalidType(f"linear must be True or False. Got {self.linear!r}")
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        stack = Recurrent(
            self.cell, shape[2], self.hidden, num_layers=self.layers, dtype=self.dtype, seed=self._seed
        )
        lags = shape[1] if self.linear else 0
        return Network(stack, outputs, readout="last", loss=self.loss, linear_lags=lags, seed=self._seed)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags


def _standard(values: Array) -> tuple[Array, Array]:
    """Return mean and deviation of each column, a deviation of 1 where nothing changes."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(deviation > 1e-12 * np.maximum(1.0, np.abs(mean)), deviation, 1.0)
