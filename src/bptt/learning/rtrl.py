"""Real-time recurrent learning: exact gradients carried forward in time, so that every step can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidType
from bptt.learning.forward_pass import ForwardPass, check_net
from bptt.learning.online import Online
from bptt.network import Network
from bptt.network.border import check_parameters
from bptt.network.records import Gradients, LossGradients
from bptt.network.weights import step_weights
from bptt.optim import ClipNorm, Clipping, Optimizer, get_optimizer


class RTRL(Online):
    """Learn online: one exact gradient and one update a step, in memory that does not grow with the series.

    Parameters
    ----------
    net : Network
        Any cell, any number of layers; forward in time, without feedback and dropout. Its parameters are changed in
        place.
    optimizer : str or Optimizer
        ``SGD(0.01)`` by default.
    clip : Clipping or float, optional
        As for `bptt.train`: a number is the largest global norm.
    streams : int
        S series that advance together; the loss of a step is their mean.
    influence : {"full", "diagonal"}
        "full" is exact: n P numbers a stream for n states and P parameters, n^2 P multiplications a step. "diagonal"
        keeps what each unit owes to the parameters that enter it and drops what returns through other units: some
        P numbers, another gradient (see Notes).
    state : mapping of state name to array_like (L, S, H), optional
        Before the first row.

    Raises
    ------
    InvalidInput, InvalidType
        A network or a setting that does not fit.

    Notes
    -----
    With M_t = ds_t/dtheta, M_t = J_t M_{t-1} + F_t, and dL_t/dtheta = (dL_t/ds_t) M_t: nothing is swept back.
    For fixed weights the sum over the steps is BPTT's gradient (`rtrl_gradients`). Weights that move at every step
    make M_t the derivative along the path that was really taken, of one shift of all the weights used on it: the
    smaller the learning rate, the nearer to the gradient at the present weights.

    The diagonal form is exact where no recurrent weight joins two units, and else biased: it is SnAp-1 for cells of
    one stage.

    References
    ----------
    Williams and Zipser 1989, "A learning algorithm for continually running fully recurrent neural networks", Neural
    Computation 1; 1995, "Gradient-based learning algorithms for recurrent networks and their computational
    complexity". Menick et al. 2021, "Practical real time recurrent learning with a sparse approximation".
    """

    _remedy = "lower the learning rate, clip the gradients, or scale the data"

    def __init__(
        self,
        net: Network,
        optimizer: str | Optimizer | None = None,
        *,
        clip: Clipping | float | None = None,
        streams: int = 1,
        influence: str = "full",
        state: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        super().__init__(net, streams, state, influence)
        from_default = "sgd" if optimizer is None else optimizer
        self.optimizer = get_optimizer(from_default)
        self.clip = _as_clipping(clip)
        self._slots = self.optimizer.init(net.parameters)

    def _learn(self, y_hat: Array, y: Array, dy_hat: Array, weights: npt.ArrayLike | None) -> None:  # noqa: ARG002
        parameters = self.net.parameters
        gradients = self._pass.gradients(dy_hat, parameters)
        if self.clip is not None:
            self.clip(gradients)
        for name, gradient in gradients.items():
            if not np.isfinite(gradient).all():
                self._check_finite(f"the gradient of {name}", float(np.max(np.abs(gradient))))
        self.optimizer.update(parameters, gradients, self._slots, self.updates)


def rtrl_gradients(
    net: Network,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    parameters: Mapping[str, Array] | None = None,
    influence: str = "full",
) -> LossGradients:
    """Return a batch's loss and gradients by real-time recurrent learning, with no sweep back.

    Parameters
    ----------
    net : Network
        Forward in time, without feedback and dropout.
    x, y, weights, lengths, state, parameters
        As for `Network.loss_and_gradients`, whose gradients these are.
    influence : {"full", "diagonal"}
        See `RTRL`.

    Returns
    -------
    LossGradients
        Without the gradients of x and of the initial state.

    Raises
    ------
    InvalidInput, InvalidType
        As for `Network.loss_and_gradients`; a network that runs in another direction.

    Notes
    -----
    For the weighted mean over steps the divisor must be known before the first; it comes from a plain pass.
    """
    check_net(net)
    used = check_parameters(net.parameters, parameters)
    first = net.forward(x, state, lengths, parameters=used, tape=False)
    counted = step_weights(weights, lengths, first.y_hat.shape)
    loss, dy_hat = net.loss.value_and_gradient(first.y_hat, np.asarray(y), counted)
    rows, state0, ends = net.recurrent.check_inputs(x, state, lengths)
    every = net.readout == "every"
    total: dict[str, Array] = {name: np.zeros_like(p, dtype=net.dtype) for name, p in used.items()}
    with one_blas_thread():
        run = ForwardPass(net, rows.shape[1], parameters=used, state=state0, kind=influence)
        for t, x_t in enumerate(rows):
            run.step(x_t, used, None if ends is None else t < ends)
            if every:
                _add(total, run.gradients(dy_hat[:, t], used))
        if not every:
            _add(total, run.gradients(dy_hat, used))
    return LossGradients(loss, Gradients(total, None, None), first.y_hat, first.state)


def _add(total: dict[str, Array], found: Mapping[str, Array]) -> None:
    for name, gradient in found.items():
        total[name] += gradient


def _as_clipping(clip: Any) -> Clipping | None:
    if clip is None or isinstance(clip, Clipping):
        return clip
    if isinstance(clip, (int, float, np.number)) and not isinstance(clip, bool):
        return ClipNorm(float(clip))
    raise InvalidType(f"clip must be a number or a Clipping such as ClipNorm(1.0). Got {clip!r}")
