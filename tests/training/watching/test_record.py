"""What `train(record=)` looks at, when, and that looking changes nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bptt.data import Arrays
from bptt.engine.availability import find_obstacle
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.training import Event, train
from bptt.training.steps import fused as fused_module
from bptt.training.watching.callbacks import steps_until_look
from tests.training.setups import N, Trail, assert_same_bits, copy_of, make_data, make_net

KINDS = ["gradient_norms", "weight_norms", "spectral_radius", "snapshots"]


def test_rows_are_those_of_the_network_at_these_steps(rng: np.random.Generator) -> None:
    x, y = make_data(rng)
    trail = Trail(net := make_net("lstm"))
    history = train(
        net, (x, y), steps=23, batch_size=5, record=KINDS, every=7, callbacks=[trail], progress=False
    )
    seen = history.recorded
    assert seen is not None
    assert seen.steps.tolist() == [0, 7, 14, 21, 23]
    probe = np.linspace(0, N - 1, 32).astype(int)
    for row, made in enumerate(seen.steps):
        weights = trail.weights[made]
        assert_same_bits(seen.snapshots[row], weights)
        then = make_net("lstm")
        for name, p in weights.items():
            then.parameters[name][...] = p
            assert seen.weight_norms[name][row] == pytest.approx(np.linalg.norm(p), rel=1e-12)
        gradients = then.loss_and_gradients(x[probe], y[probe]).gradients.parameters
        for name, d in gradients.items():
            assert seen.gradient_norms[name][row] == pytest.approx(np.linalg.norm(d), rel=1e-12)
        blocks = np.split(weights["layers.0.W_hh"], 4, axis=1)
        for gate, block in zip("ifgo", blocks, strict=True):
            radius = np.abs(np.linalg.eigvals(block)).max()
            assert seen.spectral_radius[f"layers.0.W_hh[{gate}]"][row] == pytest.approx(radius, rel=1e-10)
    assert not any(p.flags.writeable for copies in seen.snapshots for p in copies.values())
    kept = json.loads(json.dumps(history.to_dict()))["recorded"]
    assert set(kept) == {"steps", *KINDS[:3]}


def test_only_what_was_asked_for_is_kept(rng: np.random.Generator) -> None:
    history = train(make_net("elman"), make_data(rng), steps=3, record=["spectral_radius"], progress=False)
    seen = history.recorded
    assert seen is not None
    assert (seen.gradient_norms, seen.weight_norms, seen.snapshots) == ({}, {}, ())
    assert list(seen.spectral_radius) == ["layers.0.W_hh"]
    assert seen.steps.tolist() == [0, 1, 2, 3]
    assert train(make_net("elman"), make_data(rng), steps=3, progress=False).recorded is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_looking_changes_no_bit(rng: np.random.Generator, dtype: str) -> None:
    data = make_data(rng, dtype)
    plain, watched = make_net(dtype=dtype), make_net(dtype=dtype)
    first = train(plain, data, steps=17, seed=4, progress=False)
    second = train(watched, data, steps=17, seed=4, record=KINDS, every=5, progress=False)
    np.testing.assert_array_equal(first.losses, second.losses)
    assert_same_bits(copy_of(watched), copy_of(plain))


@pytest.mark.skipif(find_obstacle() is not None, reason="needs the compiled engine")
def test_steps_between_two_looks_are_made_in_one_call(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_module, "_CALL_SECONDS", 1e9)
    calls: list[int] = []
    play = fused_module.Fused.play

    def counted(self: Any, block: Any, most: int) -> int:
        before = self.made
        flag = play(self, block, most)
        calls.append(self.made - before)
        return flag

    monkeypatch.setattr(fused_module.Fused, "play", counted)
    x, y = make_data(rng)
    train(make_net(), Arrays(x, y), steps=23, record=KINDS, every=10, progress=False)
    assert calls == [1, 9, 10, 3]  # the first call finds out how long a step takes


def test_the_nearest_look_of_all_callbacks_counts() -> None:
    class Every:
        def __init__(self, spacing: int) -> None:
            self.looks_every = spacing

        def __call__(self, event: Event) -> None:
            pass

    assert steps_until_look([Every(10), Every(4)], 6) == 2
    assert steps_until_look([Every(10), Every(4)], 8) == 2
    assert steps_until_look([Every(10), lambda event: None], 8) == 1
    assert steps_until_look([], 8) > 10**9


def test_layers_and_directions_have_a_radius_each(rng: np.random.Generator) -> None:
    net = Network(Recurrent("gru", 3, 5, num_layers=2, direction="bidirectional"), 2)
    history = train(net, make_data(rng), steps=1, record=["spectral_radius"], progress=False)
    assert history.recorded is not None
    prefixes = ["layers.0.", "layers.0.reverse.", "layers.1.", "layers.1.reverse."]
    assert list(history.recorded.spectral_radius) == [f"{p}W_hh[{g}]" for p in prefixes for g in "rzn"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"record": "snapshots"}, InvalidType, "record must be a sequence of names"),
        ({"record": 3}, InvalidType, "record must be a sequence of names"),
        ({"record": []}, InvalidInput, "record must name at least one of"),
        ({"record": ["norms"]}, InvalidInput, "record must be one of"),
        ({"record": ["snapshots"], "every": 0}, InvalidInput, "every must be"),
        ({"every": 5}, InvalidInput, "every must come with something to record"),
    ],
)
def test_messages(rng: np.random.Generator, settings: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        train(make_net(), make_data(rng), steps=2, progress=False, **settings)


@pytest.mark.parametrize(("steps", "looks"), [(37, 38), (120, 61), (5_300, 54)])
def test_a_run_of_any_length_is_looked_at_often_enough(
    steps: int, looks: int, rng: np.random.Generator
) -> None:
    x, y = make_data(rng)
    history = train(
        make_net("elman"), (x[:5], y[:5]), steps=steps, batch_size=2, record=["weight_norms"], progress=False
    )
    assert history.recorded is not None
    assert len(history.recorded.steps) == looks
    assert history.recorded.steps[-1] == steps


def test_a_longer_run_goes_on_with_the_looks_it_began_with(rng: np.random.Generator, tmp_path: Any) -> None:
    settings: dict[str, Any] = {"record": ["weight_norms"], "checkpoint": tmp_path / "run", "progress": False}
    data = make_data(rng)
    train(make_net("elman"), data, steps=120, **settings)
    history = train(make_net("elman"), data, steps=300, resume=True, **settings)
    assert history.recorded is not None
    assert history.recorded.steps.tolist() == list(range(0, 301, 2))  # not every 6th
