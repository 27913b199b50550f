"""A checkpoint to be refused, and what is said then: shared by the tests of other runs and of damaged files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import FileFormatError
from bptt.network import Network
from bptt.optim import L2, Adam, Cosine
from bptt.training import EarlyStopping, train
from tests.training.setups import assert_same_bits, copy_of, make_data, make_net

DATA = make_data(np.random.default_rng(0))
HELD_OUT = make_data(np.random.default_rng(1), count=9)

SETTINGS: dict[str, Any] = {
    "optimizer": Adam(Cosine(0.01, 20)), "steps": 6, "batch_size": 8, "sampling": "shuffled", "seed": 4,
    "validation": HELD_OUT, "evaluate_every": 2, "early_stopping": EarlyStopping(5, 0.0), "clip": 0.5,
    "penalty": [L2(0.01)], "record": ["weight_norms"], "every": 3, "progress": False,
}  # fmt: skip


def write_one(folder: Path) -> Path:
    """Return the checkpoint of a run with a little of everything."""
    path = folder / "run.ckpt"
    train(make_net(), DATA, **SETTINGS, checkpoint=path)
    return path


def refused(path: Path, net: Network | None = None, data: Any = DATA, **other: Any) -> str:
    """Return what is said, without the folder; the network keeps its weights."""
    net = make_net() if net is None else net
    before = copy_of(net)
    with pytest.raises(FileFormatError) as caught:
        train(net, data, **SETTINGS | other, resume=path)
    assert_same_bits(net.parameters, before)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 350
    return text.replace(f"{path.parent}/", "")
