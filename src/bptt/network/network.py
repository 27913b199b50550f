"""A recurrent stack with a readout and a loss: what is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.checks import Array, check_array, check_whole
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput, InvalidType
from bptt.initializers import Glorot, Initializer, get_initializer
from bptt.losses import Loss
from bptt.network import feedback, windowed
from bptt.network.border import check_dropout_key, check_parameters, check_record
from bptt.network.design import Design
from bptt.network.generate import generate
from bptt.network.records import Gradients, LossGradients, Pass, State
from bptt.network.recurrent import Recurrent, check_filled
from bptt.network.steps import IdleSteps, step_gradients
from bptt.network.stream import Stream
from bptt.network.summary import summarise
from bptt.network.weights import step_weights


class Network(Design):
    """A recurrent stack, a readout, and the loss it is trained with.

    The prediction of one step is ``y_hat = output_activation(h W_hy + b_y)``, plus, where asked for, a linear path
    from the newest rows of the window and the last value of the columns whose *change* is predicted.

    Parameters
    ----------
    recurrent : Recurrent
        The stack; its dtype is the network's.
    output_size : int
        K.
    readout : {"last", "every"}
        "last" reads each row's final state (both directions' where there are two), "every" each step's output.
    loss : str or Loss
        ``"mse"``, ``Huber(1.0)``, ``Squared(time="sum")``, ...
    output_activation : {"identity", "tanh", "sigmoid", "relu", "softplus"}
        Of the readout.
    bias : bool
        Whether there is ``b_y``.
    linear_lags : int
        How many of the newest rows the linear path reads; 0: none.
    change_of : sequence of int, optional
        K columns of x: the network then predicts the change from their last value.
    change_scale : float
        What the readout is multiplied by before that value is added: a typical size of one change, in x's unit.
    feedback : bool
        Whether the output of each step is part of the next step's input: the stack's input_size is then the number
        of columns of x plus K. The first step gets `y_start` or zeros.
    learned_initial_state : bool
        Whether the state before the first step is trained (parameters ``initial.h``, ...).
    readout_initializer : str or Initializer
        Of ``W_hy``; Glorot uniform by default.
    seed : int
        Of the readout's starting weights.

    Attributes
    ----------
    parameters : dict of str to ndarray
        The live arrays: the stack's, ``readout.W_hy`` (H, K), ``readout.b_y`` (K,), ``linear.W_xy`` (lags * D, K),
        ``initial.h`` (L * directions, H).

    Raises
    ------
    InvalidInput, InvalidType
        A setting that does not fit; the message names it.
    """

    def __init__(
        self,
        recurrent: Recurrent,
        output_size: int = 1,
        *,
        readout: str = "last",
        loss: str | Loss = "mse",
        output_activation: str = "identity",
        bias: bool = True,
        linear_lags: int = 0,
        change_of: Sequence[int] | None = None,
        change_scale: float = 1.0,
        feedback: bool = False,
        learned_initial_state: bool = False,
        readout_initializer: str | Initializer | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            recurrent,
            output_size,
            readout=readout,
            loss=loss,
            output_activation=output_activation,
            bias=bias,
            linear_lags=linear_lags,
            change_of=change_of,
            change_scale=change_scale,
            feedback=feedback,
            learned_initial_state=learned_initial_state,
        )
        self.parameters: dict[str, Array] = dict(recurrent.parameters)
        self._idle_steps = IdleSteps()
        self._start(readout_initializer, check_whole("seed", seed, least=0))

    # ---------------------------------------------------------------- passes

    def forward(
        self,
        x: npt.ArrayLike,
        state: Mapping[str, npt.ArrayLike] | None = None,
        lengths: npt.ArrayLike | None = None,
        *,
        y_start: npt.ArrayLike | None = None,
        parameters: Mapping[str, Array] | None = None,
        dropout_key: tuple[int, int] | None = None,
        tape: bool = True,
    ) -> Pass:
        """Predict, and keep what `backward` needs.

        Parameters
        ----------
        x : array_like (B, T, D)
            With feedback and no other input, D = 0.
        state : mapping of state name to array_like (L * directions, B, H), optional
            Initial state; the learned one, or zeros, where absent.
        lengths : array_like of int (B,), optional
            Valid steps of each row.
        y_start : array_like (B, K), optional
            With feedback: what the first step is fed. Zeros by default.
        parameters : mapping, optional
            Used in place of the network's own.
        dropout_key : (seed, step), optional
            Draws dropout.
        tape : bool
            Without one less memory is used, and `backward` cannot follow.

        Returns
        -------
        Pass
            `y_hat` (B, K) or (B, T, K), the final state and the tape.
        """
        used = check_parameters(self.parameters, parameters)
        dropout_key = check_dropout_key(dropout_key)
        x_t, state0, checked = self._check_inputs(x, state, lengths, copy=tape)
        batch = x_t.shape[1]
        if y_start is not None and not self.feedback:
            raise InvalidInput("y_start must be left out of a network without feedback. Got one")
        given = frozenset(state0 or ())
        if self.learned_initial_state:
            learned = {
                name: np.repeat(used[f"initial.{name}"][:, None, :], batch, axis=1)
                for name in self.recurrent.states
            }
            state0 = {**learned, **(state0 or {})}
        with one_blas_thread():
            if self.feedback:
                start = None
                if y_start is not None:
                    start = check_array(
                        "y_start", y_start, [("B", batch), ("K", self.output_size)], dtype=self.dtype
                    )
                return feedback.forward(self, used, x_t, state0, start, given, dropout_key)
            return windowed.forward(self, used, x_t, state0, checked, given, dropout_key, tape)

    def backward(
        self,
        record: Pass,
        dy_hat: npt.ArrayLike | None,
        dstate: Mapping[str, npt.ArrayLike] | None = None,
        *,
        want_x: bool = True,
    ) -> Gradients:
        """Sweep back from dL/dy_hat and dL/d(final state).

        Parameters
        ----------
        record : Pass
            From `forward`.
        dy_hat : array_like, of y_hat's shape, or None
        dstate : mapping of state name to array_like (L * directions, B, H), optional
        want_x : bool
            Whether dL/dx is returned.

        Returns
        -------
        Gradients
        """
        check_record("record", record, Pass, "forward")
        if record.tape is None:
            raise InvalidInput("record must come from a forward pass with tape=True. Got one without a tape")
        axes = "BTK" if record.y_hat.ndim == 3 else "BK"
        shape = list(zip(axes, record.y_hat.shape, strict=True))
        if dy_hat is None:
            checked = np.zeros_like(record.y_hat)
        else:
            checked = check_array("dy_hat", dy_hat, shape, dtype=record.y_hat.dtype)
        batch = record.y_hat.shape[0]
        dstate_checked = self.recurrent.check_state("dstate", dstate, batch, self.dtype)
        sweep = feedback.backward if self.feedback else windowed.backward
        with one_blas_thread():
            return sweep(self, record, checked, dstate_checked, want_x)

    def loss_and_gradients(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        weights: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        state: Mapping[str, npt.ArrayLike] | None = None,
        y_start: npt.ArrayLike | None = None,
        parameters: Mapping[str, Array] | None = None,
        dropout_key: tuple[int, int] | None = None,
        want_x: bool = False,
    ) -> LossGradients:
        """Return the loss on a batch and its gradients.

        Parameters
        ----------
        x : array_like (B, T, D)
        y : array_like
            (B, K), with readout "every" (B, T, K); class numbers (B,) or (B, T) for the cross-entropy.
        weights : array_like (B,) or (B, T), optional
            0 leaves an entry out. Steps past a row's length never count.
        lengths, state, y_start, parameters, dropout_key
            As for `forward`.
        want_x : bool
            Whether dL/dx is returned too.

        Returns
        -------
        LossGradients
        """
        # Only a plain pass has a compiled step, and it is the one that training makes many times.
        if all(each is None for each in (lengths, state, y_start, parameters)) and not want_x:
            check_dropout_key(dropout_key)
            x_t, _, _ = self._check_inputs(x, None, None, copy=False)
            stepped = step_gradients(self, self.parameters, self._idle_steps, x_t, self._targets(y), weights)
            if stepped is not None:
                return stepped
        found = self.forward(
            x, state, lengths, y_start=y_start, parameters=parameters, dropout_key=dropout_key
        )
        counted = step_weights(weights, lengths, found.y_hat.shape)
        loss, dy_hat = self.loss.value_and_gradient(found.y_hat, self._targets(y), counted)
        return LossGradients(loss, self.backward(found, dy_hat, want_x=want_x), found.y_hat, found.state)

    def loss_value(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        weights: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        state: Mapping[str, npt.ArrayLike] | None = None,
        y_start: npt.ArrayLike | None = None,
        parameters: Mapping[str, Array] | None = None,
        dropout_key: tuple[int, int] | None = None,
    ) -> Any:
        """Return the loss alone; arguments as for `loss_and_gradients`. Complex where an input is."""
        found = self.forward(
            x, state, lengths, y_start=y_start, parameters=parameters, dropout_key=dropout_key, tape=False
        )
        return self.loss.value(
            found.y_hat, self._targets(y), step_weights(weights, lengths, found.y_hat.shape)
        )

    def predict(
        self,
        x: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        state: Mapping[str, npt.ArrayLike] | None = None,
        batch_size: int = 1024,
    ) -> Array:
        """Return predictions (B, K), or (B, T, K) with readout "every", a batch at a time."""
        size = check_whole("batch_size", batch_size)
        # Checked whole: a slice of what is too long would fit.
        x_t, state0, ends = self._check_inputs(x, state, lengths, copy=False)
        rows = x_t.shape[1]
        parts = [
            self.forward(
                x_t[:, i : i + size].transpose(1, 0, 2),
                None if state0 is None else {key: s[:, i : i + size] for key, s in state0.items()},
                None if ends is None else ends[i : i + size],
                tape=False,
            ).y_hat
            for i in range(0, rows, size)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def generate(self, x0: npt.ArrayLike, steps: int) -> Array:
        """Run freely: feed each prediction back as the next input.

        Parameters
        ----------
        x0 : array_like
            (B, T, D): a history to start from; K must be D. With feedback and no other input (D = 0): (B, K), the
            value that the first step is fed.
        steps : int
            How many steps to produce.

        Returns
        -------
        ndarray (B, steps, K)
            With readout "every" the state is carried on; with "last" the window slides on, as it was trained.
        """
        return generate(self, self.parameters, self.forward, x0, check_whole("steps", steps))

    def stream(
        self,
        streams: int = 1,
        state: Mapping[str, npt.ArrayLike] | None = None,
        *,
        y_start: npt.ArrayLike | None = None,
    ) -> Stream:
        """Return a `Stream`, which keeps a state and predicts row by row; see docs/streaming.md.

        Parameters
        ----------
        streams : int
            S, how many advance together.
        state : mapping of state name to array_like (L, S, H), optional
            As for `forward`.
        y_start : array_like (S, K), optional
            As for `forward`.
        """
        return Stream(self, streams, state, y_start)

    def summary(self) -> str:
        """Return a table of the parameters and the path of a number through the network."""
        return summarise(self, self.parameters)

    def __repr__(self) -> str:
        return (
            f"Network({self.recurrent!r}, output_size={self.output_size}, readout={self.readout!r}, "
            f"loss={self.loss!r})"
        )

    # ---------------------------------------------------------------- inside

    def _start(self, initializer: str | Initializer | None, seed: int) -> None:
        made = Glorot() if initializer is None else get_initializer(initializer)
        H, K = self.recurrent.output_size, self.output_size
        # A stream of its own, so that the stack's weights do not depend on the readout's.
        rng = np.random.default_rng([seed, 1])
        self.parameters["readout.W_hy"] = np.asarray(made(rng, (H, K), self.dtype), self.dtype)
        if self.bias:
            self.parameters["readout.b_y"] = np.zeros(K, self.dtype)
        if self.linear_lags:
            self.parameters["linear.W_xy"] = np.zeros((self.linear_lags * self.input_size, K), self.dtype)
        if self.learned_initial_state:
            for name in self.recurrent.states:
                rows, _, H_state = self.recurrent.state_shape(1)
                self.parameters[f"initial.{name}"] = np.zeros((rows, H_state), self.dtype)

    def _check_inputs(
        self,
        x: npt.ArrayLike,
        state: Mapping[str, npt.ArrayLike] | None,
        lengths: npt.ArrayLike | None,
        *,
        copy: bool,
    ) -> tuple[Array, State | None, npt.NDArray[np.int64] | None]:
        if not self.feedback:
            return self.recurrent.check_inputs(x, state, lengths, copy=copy)
        if lengths is not None:
            raise InvalidInput(
                "lengths must be left out with feedback: weight the steps instead. Got lengths"
            )
        reason = f"the stack's input_size less the K = {self.output_size} fed back"
        array = check_array(
            "x", x, [("B", None), ("T", None), ("D", self.input_size)], dtype=self.dtype, reason=reason
        )
        check_filled(array)
        checked = self.recurrent.check_state("state", state, array.shape[0], self.dtype)
        return array.transpose(1, 0, 2), checked, None

    def _targets(self, y: npt.ArrayLike) -> npt.ArrayLike:
        try:
            array = np.asarray(y)
        except ValueError:
            raise InvalidType(
                "y must be a rectangular array of numbers. Got nested sequences of unequal length: pad them and pass "
                "lengths= (or weights=)"
            ) from None
        if self.loss.class_targets or array.dtype.kind not in "fiub":
            return array
        return array.astype(self.dtype, copy=False)
