"""Every error message of stacks and networks, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.cells import CELLS
from bptt.errors import BpttError, InvalidInput, InvalidType
from bptt.losses import CrossEntropy
from bptt.network import Network, Recurrent

B, T, D, H, K = 4, 7, 3, 5, 2
X = np.zeros((B, T, D))


def stack(**settings: Any) -> Recurrent:
    return Recurrent(settings.pop("cell", "lstm"), D, H, **settings)


def net(**settings: Any) -> Network:
    return Network(stack(direction=settings.pop("direction", "forward")), K, **settings)


def fed(**settings: Any) -> Network:
    """Return a network with feedback that reads D columns beside."""
    return Network(Recurrent("gru", D + K, H), K, feedback=True, **settings)


def free(columns: int = 0, **settings: Any) -> Network:
    """Return a network that `generate` can run."""
    return Network(Recurrent("gru", columns + K, H), K, **settings)


def swept(made: Recurrent, dh: Any = None, dstate: Any = None) -> Any:
    return made.backward(made.forward(X)[2], dh, dstate)


Case = tuple[str, Callable[[], Any], type[BpttError], str]

STACKS: list[Case] = [
    ("cell", lambda: stack(cell="ltsm"), InvalidInput,
     f"cell must be one of {', '.join(CELLS)}. Got 'ltsm'"),
    ("cell_type", lambda: stack(cell=3), InvalidType, "cell must be a name, a Cell or a Cell class. Got 3"),
    ("option", lambda: stack(cell="elman", activatoin="relu"), InvalidInput,
     "option of the elman cell must be one of activation. Got 'activatoin'"),
    ("no_options", lambda: stack(activation="relu"), InvalidInput,
     "option of the lstm cell must be one of (it takes none). Got 'activation'"),
    ("input_size", lambda: Recurrent("gru", 0, H), InvalidInput, "input_size must be at least 1. Got 0"),
    ("hidden_size", lambda: Recurrent("gru", D, 2.5), InvalidType,
     "hidden_size must be a whole number. Got 2.5"),
    ("num_layers", lambda: stack(num_layers=0), InvalidInput, "num_layers must be at least 1. Got 0"),
    ("direction", lambda: stack(direction="both"), InvalidInput,
     "direction must be one of forward, reverse, bidirectional. Got 'both'"),
    ("dropout", lambda: stack(dropout=1.0, num_layers=2), InvalidInput, "dropout must be below 1. Got 1.0"),
    ("dropout_negative", lambda: stack(dropout=-0.1), InvalidInput, "dropout must be at least 0. Got -0.1"),
    ("dropout_one_layer", lambda: stack(dropout=0.2), InvalidInput,
     "dropout acts between layers and needs num_layers >= 2. Got num_layers = 1"),
    ("dtype", lambda: stack(dtype="float16"), InvalidInput,
     "dtype must be one of float32, float64. Got 'float16'"),
    ("seed", lambda: stack(seed=-1), InvalidInput, "seed must be at least 0. Got -1"),
    ("engine", lambda: stack(engine="cuda"), InvalidInput, "engine must be one of auto, numpy, compiled. Got 'cuda'"),
    ("initializers", lambda: stack(initializers={"W_hx": "glorot"}), InvalidInput,
     "initializers must name parameters of the lstm cell: W_hh, W_xh, b_h. Got 'W_hx'"),
    ("mask_shape", lambda: stack(mask=np.ones((H, D))), InvalidInput,
     "mask must have shape (H, H) = (5, 5). Got (5, 3)"),
    ("mask_values", lambda: stack(mask=np.full((H, H), 0.5)), InvalidInput,
     "mask must hold only 0 (no connection) and 1 (a connection). Got other numbers"),
    ("signs_shape", lambda: stack(signs=[1, -1]), InvalidInput, "signs must have shape (H) = (5). Got (2,)"),
    ("signs_values", lambda: stack(signs=[1, -1, 0, 1, 1]), InvalidInput,
     "signs must hold only +1 (excites) and -1 (inhibits). Got other numbers"),
    ("features", lambda: stack().forward(np.zeros((B, T, D + 1))), InvalidInput,
     "x must have shape (B, T, D) = (*, *, 3). Got (4, 7, 4): the layer was made with input_size = 3"),
    ("axes", lambda: stack().forward(np.zeros((T, D))), InvalidInput,
     "x must have shape (B, T, D) = (*, *, 3). Got (7, 3): the layer was made with input_size = 3"),
    ("empty", lambda: stack().forward(np.zeros((B, 0, D))), InvalidInput,
     "x must hold at least one row and one step. Got shape (4, 0, 3)"),
    ("text", lambda: stack().forward([[["a", "b", "c"]]]), InvalidType, "x must hold numbers. Got dtype <U1"),
    ("nested", lambda: stack().forward([[[1.0, 2, 3]], [[1.0, 2, 3], [4, 5, 6]]]), InvalidType,
     "x must be a rectangular array of numbers. Got nested sequences of unequal length: "
     "pad them and pass lengths="),
    ("lengths_shape", lambda: stack().forward(X, None, [7, 2, 5]), InvalidInput,
     "lengths must have shape (B,) = (4,). Got (3,)"),
    ("lengths_zero", lambda: stack().forward(X, None, [7, 2, 0, 1]), InvalidInput,
     "lengths must lie in 1..T = 1..7. Got 0 in row 2: drop empty sequences, or pass a longer x"),
    ("lengths_long", lambda: stack().forward(X, None, [7, 8, 5, 1]), InvalidInput,
     "lengths must lie in 1..T = 1..7. Got 8 in row 1: drop empty sequences, or pass a longer x"),
    ("lengths_float", lambda: stack().forward(X, None, [7.0, 2, 5, 1]), InvalidType,
     "lengths must be whole numbers. Got dtype float64"),
    ("state_type", lambda: stack().forward(X, np.zeros((1, B, H))), InvalidInput,
     "state must be a mapping with keys h, c. Got ndarray"),
    ("state_key", lambda: stack(cell="gru").forward(X, {"c": np.zeros((1, B, H))}), InvalidInput,
     "state must have only the keys h of the gru cell. Got 'c'"),
    ("state_shape", lambda: stack(num_layers=2).forward(X, {"h": np.zeros((B, H))}), InvalidInput,
     "state['h'] must have shape (L * directions, B, H) = (2, 4, 5). Got (4, 5)"),
    ("state_rows", lambda: stack().forward(X, {"c": np.zeros((1, B + 1, H))}), InvalidInput,
     "state['c'] must have shape (L * directions, B, H) = (1, 4, 5). Got (1, 5, 5)"),
    ("dh", lambda: swept(stack(direction="bidirectional"), np.zeros((B, T, H))), InvalidInput,
     "dh must have shape (B, T, H) = (4, 7, 10). Got (4, 7, 5)"),
    ("dstate_key", lambda: swept(stack(cell="gru"), None, {"y": np.zeros((1, B, H))}), InvalidInput,
     "dstate must have only the keys h of the gru cell. Got 'y'"),
    ("dstate_shape", lambda: swept(stack(), None, {"c": np.zeros((B, H))}), InvalidInput,
     "dstate['c'] must have shape (L * directions, B, H) = (1, 4, 5). Got (4, 5)"),
]  # fmt: skip

NETWORKS: list[Case] = [
    ("recurrent", lambda: Network("gru"), InvalidType, "recurrent must be a Recurrent stack. Got str"),
    ("output_size", lambda: Network(stack(), 0), InvalidInput, "output_size must be at least 1. Got 0"),
    ("readout", lambda: net(readout="first"), InvalidInput, "readout must be one of last, every. Got 'first'"),
    ("loss", lambda: net(loss="rmse"), InvalidInput,
     "loss must be one of squared, half_squared, absolute, huber, pinball, gaussian, cross_entropy, "
     "soft_cross_entropy, mse, mae, softmax_cross_entropy. Got 'rmse'"),
    ("output_activation", lambda: net(output_activation="softmax"), InvalidInput,
     "output_activation must be one of tanh, relu, sigmoid, identity, softplus. Got 'softmax'"),
    ("linear_lags", lambda: net(linear_lags=-1), InvalidInput, "linear_lags must be at least 0. Got -1"),
    ("change_scale", lambda: net(change_scale=0.0), InvalidInput, "change_scale must be above 0. Got 0.0"),
    ("seed", lambda: net(seed=1.5), InvalidType, "seed must be a whole number. Got 1.5"),
    ("change_count", lambda: net(change_of=[0]), InvalidInput,
     "change_of must name K = 2 columns of 0..2. Got [0]"),
    ("change_column", lambda: net(change_of=[0, 3]), InvalidInput,
     "change_of must name K = 2 columns of 0..2. Got [0, 3]"),
    ("change_negative", lambda: net(change_of=[0, -1]), InvalidInput, "change_of must be at least 0. Got -1"),
    ("change_float", lambda: net(change_of=[0, 1.7]), InvalidType,
     "change_of must be a whole number. Got 1.7"),
    ("change_number", lambda: net(change_of=1), InvalidType,
     "change_of must be a sequence of column numbers, such as [0]. Got 1"),
    ("change_text", lambda: net(change_of="01"), InvalidType,
     "change_of must be a sequence of column numbers, such as [0]. Got '01'"),
    ("change_reverse", lambda: net(direction="reverse", change_of=[0, 1]), InvalidInput,
     "change_of needs a stack that ends at the last value. Got direction 'reverse'"),
    ("scores_activation", lambda: net(loss=CrossEntropy(), output_activation="tanh"), InvalidInput,
     "change_of and output_activation must be left out with cross_entropy, which takes plain scores. "
     "Got None and 'tanh'"),
    ("scores_change", lambda: net(loss=CrossEntropy(), change_of=[0, 1]), InvalidInput,
     "change_of and output_activation must be left out with cross_entropy, which takes plain scores. "
     "Got [0, 1] and 'identity'"),
    ("feedback_size", lambda: Network(stack(), D + 1, feedback=True), InvalidInput,
     "feedback: the stack's input_size must be the columns of x plus K = output_size. "
     "Got input_size 3 with K = 4"),
    ("feedback_direction", lambda: net(direction="bidirectional", feedback=True), InvalidInput,
     "feedback must run forward in time: an output can only be fed on. Got 'bidirectional'"),
    ("feedback_lags", lambda: net(linear_lags=2, feedback=True), InvalidInput,
     "linear_lags must be 0 with feedback: there is no window. Got 2"),
    ("feedback_lengths", lambda: fed().forward(X, None, [7, 2, 5, 1]), InvalidInput,
     "lengths must be left out with feedback: weight the steps instead. Got lengths"),
    ("feedback_x", lambda: fed().forward(np.zeros((B, T, D + K))), InvalidInput,
     "x must have shape (B, T, D) = (*, *, 3). Got (4, 7, 5): the stack's input_size less the K = 2 fed back"),
    ("feedback_empty", lambda: fed().forward(np.zeros((B, 0, D))), InvalidInput,
     "x must hold at least one row and one step. Got shape (4, 0, 3)"),
    ("y_start_shape", lambda: fed().forward(X, y_start=np.zeros(K)), InvalidInput,
     "y_start must have shape (B, K) = (4, 2). Got (2,)"),
    ("y_start_alone", lambda: net().forward(X, y_start=np.zeros((B, K))), InvalidInput,
     "y_start must be left out of a network without feedback. Got one"),
    ("features", lambda: net().predict(np.zeros((B, T, D + 1))), InvalidInput,
     "x must have shape (B, T, D) = (*, *, 3). Got (4, 7, 4): the layer was made with input_size = 3"),
    ("nested", lambda: net().predict([[[1.0, 2, 3]], [[1.0, 2, 3], [4, 5, 6]]]), InvalidType,
     "x must be a rectangular array of numbers. Got nested sequences of unequal length: "
     "pad them and pass lengths="),
    ("nothing", lambda: net().predict(np.zeros((0, T, D))), InvalidInput,
     "x must hold at least one row and one step. Got shape (0, 7, 3)"),
    ("batch_size", lambda: net().predict(X, batch_size=0), InvalidInput, "batch_size must be at least 1. Got 0"),
    ("lengths_in_batches", lambda: net().predict(X, [7, 2, 5, 1, 3], batch_size=2), InvalidInput,
     "lengths must have shape (B,) = (4,). Got (5,)"),
    ("state_in_batches", lambda: net().predict(X, state={"h": np.zeros((1, 6, H))}, batch_size=2), InvalidInput,
     "state['h'] must have shape (L * directions, B, H) = (1, 4, 5). Got (1, 6, 5)"),
    ("targets", lambda: net().loss_value(X, np.zeros((B, 3))), InvalidInput,
     "y must have shape (B, K) = (4, 2). Got (4, 3): one target beside each prediction"),
    ("weights_shape", lambda: net(readout="every").loss_value(X, np.zeros((B, T, K)), weights=np.ones(T)),
     InvalidInput, "weights must have shape (B,) = (4,) or (B, T) = (4, 7). Got (7,)"),
    ("weights_with_lengths",
     lambda: net(readout="every").loss_value(X, np.zeros((B, T, K)), weights=np.ones(T), lengths=[7, 2, 5, 1]),
     InvalidInput, "weights must have shape (B,) = (4,) or (B, T) = (4, 7). Got (7,)"),
    ("weights_text",
     lambda: net(readout="every").loss_value(X, np.zeros((B, T, K)), weights=["a"] * B, lengths=[7, 2, 5, 1]),
     InvalidType, "weights must hold real numbers. Got dtype <U1"),
    ("weights_in_padding",
     lambda: net(readout="every").loss_value(
         X, np.zeros((B, T, K)), weights=np.arange(T) == [[6]] * B, lengths=[6, 2, 5, 1]),
     InvalidInput, "weights must hold at least one number above 0. Got only zeros: nothing would count"),
    ("dy_hat_last", lambda: net().backward(net().forward(X), np.zeros((B, T, K))), InvalidInput,
     "dy_hat must have shape (B, K) = (4, 2). Got (4, 7, 2)"),
    ("dy_hat_every", lambda: net(readout="every").backward(net(readout="every").forward(X), np.zeros((B, K))),
     InvalidInput, "dy_hat must have shape (B, T, K) = (4, 7, 2). Got (4, 2)"),
    ("dstate", lambda: net().backward(net().forward(X), None, {"h": np.zeros((B, H))}), InvalidInput,
     "dstate['h'] must have shape (L * directions, B, H) = (1, 4, 5). Got (4, 5)"),
    ("no_tape", lambda: net().backward(net().forward(X, tape=False), np.zeros((B, K))), InvalidInput,
     "record must come from a forward pass with tape=True. Got one without a tape"),
    ("generate_other_columns", lambda: fed(readout="every").generate(np.zeros((B, K)), 3), InvalidInput,
     "generate cannot know the other inputs of the coming steps: this network reads D = 3 columns "
     "beside what is fed back. Pass them to forward"),
    ("generate_last", lambda: free(feedback=True).generate(np.zeros((B, K)), 3), InvalidInput,
     "generate needs readout='every' with feedback, to show each step. Got readout='last'"),
    ("generate_start", lambda: free(feedback=True, readout="every").generate(np.zeros((B, D)), 3), InvalidInput,
     "x0 must have shape (B, K) = (*, 2). Got (4, 3)"),
    ("generate_sizes", lambda: net().generate(X, 3), InvalidInput,
     "generate feeds predictions back as inputs and needs K = D. Got K = 2 and D = 3"),
    ("generate_direction",
     lambda: Network(Recurrent("gru", K, H, direction="bidirectional"), K).generate(np.zeros((B, T, K)), 3),
     InvalidInput, "generate must run forward in time. Got a bidirectional network"),
    ("generate_window", lambda: free().generate(np.zeros((B, K)), 3), InvalidInput,
     "x0 must have shape (B, T, D) = (*, *, 2). Got (4, 2)"),
    ("generate_steps", lambda: free().generate(np.zeros((B, T, K)), 0), InvalidInput,
     "steps must be at least 1. Got 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        pytest.param(*case[1:], id=f"{where}-{case[0]}")
        for where, cases in (("stack", STACKS), ("network", NETWORKS))
        for case in cases
    ],
)
def test_message(call: Callable[[], Any], kind: type[BpttError], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
    assert "\n" not in message


def test_targets_of_unequal_length() -> None:
    ragged: Any = [[[1.0, 2.0]] * T] * (B - 1) + [[[1.0, 2.0]]]
    told = r"^y must be a rectangular array of numbers\. Got nested sequences of unequal length: pad them and pass"
    for call in (net(readout="every").loss_and_gradients, net(readout="every").loss_value):
        with pytest.raises(InvalidType, match=told):
            call(X, ragged)
