"""A sample of the data, and the network's answers to it. Each is computed when first asked for."""

from __future__ import annotations

import numpy as np

from bptt.cached import cached_property
from bptt.checks import Array
from bptt.data.examples.batch import Batch, Source
from bptt.diagnostics.doctor.evidence.constant import constant_loss
from bptt.diagnostics.doctor.evidence.likelihood import as_error
from bptt.engine.blas import one_blas_thread
from bptt.losses import Gaussian
from bptt.network import LossGradients, Network
from bptt.training.steps.sources import fetch
from bptt.training.watching.history import History

# Examples looked at: at 512 a correlation of 0.13 stands out at three deviations.
_EXAMPLES = 512
# Multiplications that all forward passes over the examples may take, and that one gradient may: some 0.1 s and 10 ms.
_FORWARD_WORK = 4e8
GRADIENT_WORK = 6e7


class Sample:
    """A run, seen through some of its examples.

    Parameters
    ----------
    history : History
    net : Network
        As the run left it.
    source : source of batches
        What it was trained on.

    Attributes
    ----------
    batch : Batch
        Up to 512 examples, evenly spaced; fewer where they are long or the network is large.
    some : ndarray of int
        Places in the batch of those whose gradient is taken: at most 128.
    """

    def __init__(self, history: History, net: Network, source: Source) -> None:
        self.history, self.net, self.source = history, net, source
        steps = fetch(source, [0]).x.shape[1]
        stack = net.recurrent
        gates, H = len(stack.cell.plan.gates), stack.hidden_size
        layers = stack.num_layers * len(stack.directions)
        self.work = float(steps * layers * gates * H * (H + stack.input_size))
        count = int(min(_EXAMPLES, len(source), max(4, _FORWARD_WORK // self.work)))
        self.indices = np.unique(np.linspace(0, len(source) - 1, count).astype(np.intp))
        self.batch = fetch(source, self.indices)
        fewer = int(min(128, len(self.indices), max(2, GRADIENT_WORK // self.work)))
        self.some = np.unique(np.linspace(0, len(self.indices) - 1, fewer).astype(np.intp))

    def part(self, chosen: Array) -> Batch:
        """Return some examples of the batch, by their places in it."""
        batch = self.batch
        return Batch(
            batch.x[chosen],
            batch.y[chosen],
            None if batch.lengths is None else batch.lengths[chosen],
            None if batch.weights is None else batch.weights[chosen],
        )

    @cached_property
    def y_hat(self) -> Array:
        """The predictions (n, K) or (n, T, K), float64."""
        with one_blas_thread(), np.errstate(all="ignore"):
            found = self.net.forward(self.batch.x, lengths=self.batch.lengths, tape=False)
        return np.asarray(found.y_hat, np.float64)

    @cached_property
    def counted(self) -> Array:
        """Which predictions count, boolean (n,) or (n, T)."""
        rows, batch = self.y_hat.shape[:-1], self.batch
        counts = np.ones(rows, bool)
        if batch.weights is not None:
            counts &= np.reshape(
                batch.weights > 0, batch.weights.shape + (1,) * (len(rows) - batch.weights.ndim)
            )
        if batch.lengths is not None and len(rows) == 2:
            counts &= np.arange(rows[1]) < batch.lengths[:, None]
        return counts

    @cached_property
    def answers(self) -> Array:
        """The counted predictions, one a row (R, K)."""
        return np.asarray(self.y_hat[self.counted])

    @cached_property
    def targets(self) -> Array:
        """The target beside each answer: (R, M), or class numbers (R,)."""
        return np.asarray(self.batch.y[self.counted])

    @cached_property
    def loss(self) -> float:
        """On the examples."""
        with np.errstate(all="ignore"):
            return float(as_error(self.net.loss, self.net.loss.value(self.answers, self._as_targets)))

    @cached_property
    def constant(self) -> float:
        """The loss of the best constant prediction."""
        found = constant_loss(self.net.loss, self._as_targets, self.answers.shape[1])
        return float(as_error(self.net.loss, found))

    @property
    def explained(self) -> float:
        """1 - loss / constant; minus infinity where the loss is not finite, 1 where nothing is to explain."""
        if not np.isfinite(self.loss):
            return -np.inf
        if self.constant <= 0:
            return 1.0 if self.loss <= 0 else -np.inf
        return 1.0 - self.loss / self.constant

    @property
    def has_classes(self) -> bool:
        """Whether targets are class numbers."""
        return bool(self.net.loss.class_targets)

    @cached_property
    def errors(self) -> Array:
        """Target minus prediction (R, K): of classes 1 or 0 minus the probability; of quantiles for each of them.

        Of a normal distribution minus its mean, (R, M).
        """
        if self.has_classes:
            shifted = np.exp(self.answers - self.answers.max(axis=1, keepdims=True))
            shares = shifted / shifted.sum(axis=1, keepdims=True)
            return np.asarray(np.eye(shares.shape[1])[self.targets] - shares)
        if isinstance(self.net.loss, Gaussian):
            return np.asarray(self.targets - self.answers[:, 0::2])
        repeats = self.answers.shape[1] // self.targets.shape[1]
        return np.asarray(np.repeat(self.targets, repeats, axis=1) - self.answers)

    @cached_property
    def gradients(self) -> LossGradients:
        """Loss and gradients on `some` of the examples, dL/dx included, in the network's dtype."""
        batch = self.part(self.some)
        with one_blas_thread(), np.errstate(all="ignore"):
            return self.net.loss_and_gradients(
                batch.x, batch.y, weights=batch.weights, lengths=batch.lengths, want_x=True
            )

    @cached_property
    def places(self) -> tuple[Array, Array]:
        """Of each answer: its example, and the step that it is given at, both (R,)."""
        if self.counted.ndim == 2:
            examples, steps = np.nonzero(self.counted)
            return examples, steps
        examples = np.flatnonzero(self.counted)
        T, lengths = self.batch.x.shape[1], self.batch.lengths
        return examples, np.full(len(examples), T - 1) if lengths is None else np.asarray(lengths)[
            examples
        ] - 1

    @cached_property
    def newest(self) -> Array:
        """The newest input beside each answer, float64 (R, D)."""
        return np.asarray(self.batch.x[self.places], np.float64)

    @property
    def _as_targets(self) -> Array:
        return self.targets if self.has_classes else self.targets.astype(np.float64)
