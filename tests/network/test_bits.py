"""Same bits whatever BLAS could use: at sizes where one thread and two give different sums."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from bptt.network import Network, Recurrent
from bptt.training import train


def gradients(threads: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    net = Network(Recurrent("elman", 16, 256, dtype="float32", seed=1), readout="every", seed=1)
    x = rng.standard_normal((64, 24, 16)).astype(np.float32)
    y = rng.standard_normal((64, 24, 1)).astype(np.float32)
    with threadpool_limits(threads, user_api="blas"):
        found = net.loss_and_gradients(x, y).gradients.parameters
        stack, _, tape = net.recurrent.forward(x)
        layer = net.recurrent.backward(tape, stack).parameters
        train(net, (x, y), optimizer="sgd", steps=2, batch_size=64, seed=0, progress=False)
    return {
        **found,
        **{f"layer {k}": g for k, g in layer.items()},
        **{f"after {k}": p for k, p in net.parameters.items()},
    }


def test_gradients_and_weights_do_not_depend_on_blas_threads() -> None:
    one, two = gradients(1), gradients(2)
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name], err_msg=name)


def test_stack_readout_and_batches_have_streams_of_their_own() -> None:
    # An Elman layer and a readout of one shape: a shared stream would give equal numbers.
    net = Network(Recurrent("elman", 4, 4, seed=3, initializers={"W_xh": "glorot"}), output_size=4, seed=3)
    assert not np.allclose(net.parameters["layers.0.W_xh"], net.parameters["readout.W_hy"], rtol=0.1, atol=0)
    other = Network(Recurrent("elman", 4, 4, seed=3), output_size=4, seed=4)
    np.testing.assert_array_equal(net.parameters["layers.0.W_hh"], other.parameters["layers.0.W_hh"])
    assert not np.array_equal(net.parameters["readout.W_hy"], other.parameters["readout.W_hy"])


def test_recurrent_weights_start_orthogonal() -> None:
    layer = Recurrent("gru", 3, 5, num_layers=2, seed=2)
    for name in ("layers.0.W_hh", "layers.1.W_hh"):
        for block in np.split(layer.parameters[name], 3, axis=1):
            np.testing.assert_allclose(block.T @ block, np.eye(5), rtol=0, atol=1e-12)
