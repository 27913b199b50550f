"""Streams against PyTorch: predictions and states after each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.network.streams import ENGINES, agree, agree_state, draw, draw_state, make_pair
from tests.pytorch_names import pytorch_weights
from tests.torch_twin import make_module, torch

T, D, K, H = 11, 3, 2, 13


@pytest.fixture(autouse=True, scope="module")
def _kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_each_step_agrees(kind: str, dtype: str, engine: str, rng: np.random.Generator) -> None:
    cell, options = ("elman", {"activation": kind[4:]}) if kind.startswith("rnn") else (kind, {})
    net, twin = make_pair(
        cell, rng, dtype=dtype, engine=engine, inputs=D, hidden=H, outputs=K, readout="every",
        stack={"num_layers": 2, **options},
    )  # fmt: skip
    module = make_module(kind, D, H, 2, False, True)
    tensors = {name: torch.from_numpy(p) for name, p in twin.parameters.items()}
    weights = pytorch_weights(
        twin.recurrent, tensors, torch.cat, lambda n: torch.zeros(n, dtype=torch.float64)
    )
    names = net.recurrent.states
    for streams in (1, 5):
        x, start = draw(rng, streams, T, D), draw_state(net, streams, rng)
        stream = net.stream(streams, start)
        carried = [torch.from_numpy(start[name]) for name in names]
        for t in range(T):
            given = carried[0] if len(carried) == 1 else tuple(carried)
            with torch.no_grad():
                h, after = torch.func.functional_call(
                    module, weights, (torch.from_numpy(x[:, t : t + 1]), given)
                )
                y = h @ tensors["readout.W_hy"] + tensors["readout.b_y"]
            carried = list(after) if isinstance(after, tuple) else [after]
            found = stream.step(x[:, t] if streams > 1 else x[0, t])
            agree(found.reshape(streams, 1, K), y.numpy(), dtype)
            agree_state(
                stream.state, {name: c.numpy() for name, c in zip(names, carried, strict=True)}, dtype
            )
