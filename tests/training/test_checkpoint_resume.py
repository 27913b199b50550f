"""A run that goes on from a checkpoint has the bits of one that was never interrupted: from every step, every way."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.data import Sequences, Stretches, Windows
from bptt.data.arrays import Arrays
from bptt.losses import Huber
from bptt.network import Network, Recurrent
from bptt.optim import (
    L1,
    L2,
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    ClipValue,
    Cosine,
    InverseTime,
    RMSProp,
    StepDecay,
    slot_arrays,
)
from bptt.training import CSVLog, EarlyStopping, Event, TrainingDivergedError, read_checkpoint, train
from bptt.training import fused as fused_module
from tests.training.checkpoints import Make, assert_resumes, keep_every_file, run
from tests.training.setups import Recording, assert_same_bits, copy_of, differ

# Examples, steps, inputs, outputs, hidden units, batch: all different; B does not divide N.
N, T, D, K, H, B = 41, 6, 3, 2, 5, 7
STEPS = 17

OPTIMIZERS: dict[str, Any] = {
    "sgd": SGD(0.05, decay=0.1),
    "momentum": SGD(InverseTime(0.04, 0.2), momentum=0.9),
    "nesterov": SGD(StepDecay(0.03, 5, 0.5), momentum=0.8, nesterov=True),
    "adam": Adam(Cosine(0.05, STEPS, 4, 0.1)),
    "adamw": AdamW(0.03, weight_decay=0.2),
    "rmsprop": RMSProp(0.02, rho=0.8),
}
# One row an optimiser; the columns meet each other in turn.
FUSED = [
    {"optimizer": optimizer, "cell": cell, "clip": clip, "penalty": penalty, "dtype": dtype, "sampling": sampling,
     "source": source}
    for optimizer, cell, clip, penalty, dtype, sampling, source in zip(
        OPTIMIZERS,
        ("elman", "gru", "lstm", "gru", "elman", "lstm"),
        (None, ClipNorm(0.3), ClipValue(0.02), ClipNorm(0.2), None, 0.4),
        (None, L2(0.01), (L1(1e-3), L2(0.02, "readout.*")), None, L1(1e-3), None),
        itertools.cycle(("float64", "float32")),
        itertools.cycle(("random", "shuffled", "shuffled")),
        ("windows", "sequences", "arrays", "windows", "sequences", "arrays"),
        strict=False,
    )
]  # fmt: skip


def make_source(kind: str, dtype: str, seed: int = 4) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((N + T, 4)).cumsum(axis=0) / 4
    if kind == "arrays":
        return Arrays(rng.standard_normal((N, T, D)).astype(dtype), rng.standard_normal((N, K)).astype(dtype))
    made = Windows if kind == "windows" else Sequences
    return made(values, inputs=(3, 0, 1), targets=(2, 0), length=T, horizon=1, segments=(0, 19), dtype=dtype)


def make_fused(case: dict[str, Any], engine: str = "auto") -> Make:
    def make() -> tuple[Network, dict[str, Any]]:
        stack = Recurrent(case["cell"], D, H, num_layers=2, dtype=case["dtype"], seed=1, engine=engine)
        readout = "every" if case["source"] == "sequences" else "last"
        net = Network(stack, K, readout=readout, loss=Huber(0.7), linear_lags=2, seed=2)
        return net, {
            "data": make_source(case["source"], case["dtype"]), "optimizer": OPTIMIZERS[case["optimizer"]],
            "steps": STEPS, "batch_size": B, "sampling": case["sampling"], "seed": 6, "clip": case["clip"],
            "penalty": case["penalty"], "validation": make_source(case["source"], case["dtype"], 5),
            "evaluate_every": 3, "early_stopping": EarlyStopping(2),
        }  # fmt: skip

    return make


# NumPy's engine goes step by step, as the cases further down do.
@pytest.mark.parametrize(
    ("case", "engine"),
    [*((case, "compiled") for case in FUSED), (FUSED[1], "numpy"), (FUSED[5], "numpy")],
    ids=[*(case["optimizer"] for case in FUSED), "numpy, momentum", "numpy, rmsprop"],
)
def test_from_every_step(
    case: dict[str, Any], engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "compiled":
        pytest.importorskip("llvmlite")
    files = keep_every_file(monkeypatch, tmp_path / "kept")
    make = make_fused(case, engine)
    whole = run(make)
    net, history = run(make, checkpoint=tmp_path / "run.ckpt", checkpoint_every=1)
    # Keeping checkpoints changes nothing.
    assert_same_bits(net.parameters, whole[0].parameters)
    assert history.validation == whole[1].validation
    assert sorted(files) == list(range(history.steps + 1))
    for step, path in sorted(files.items()):
        assert read_checkpoint(path).step == step
        assert_resumes(make, path, whole)


def test_the_cases_end_early_and_late() -> None:
    ends = {run(make_fused(case))[1].stopped_because for case in FUSED}
    assert ends == {"finished", "early stopping"}


@pytest.mark.skipif(not find_spec("llvmlite"), reason="no llvmlite")
@pytest.mark.parametrize("every", [1, 4, 30, None])
def test_a_compiled_call_is_cut_at_checkpoints_alone(
    every: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    play = fused_module.Fused.play

    def counted(self: Any, block: Any, most: int) -> int:
        before = self.made
        flag = play(self, block, most)
        made.append(self.made - before)
        return flag

    monkeypatch.setattr(fused_module, "_CALL_SECONDS", 1e9)
    monkeypatch.setattr(fused_module.Fused, "play", counted)

    def make() -> tuple[Network, dict[str, Any]]:
        net, settings = make_fused(FUSED[3])()
        for name in ("validation", "evaluate_every", "early_stopping"):
            del settings[name]
        return net, settings | {"sampling": "random"}

    run(make, checkpoint=tmp_path / "run.ckpt", checkpoint_every=every)
    # The first call of a run measures how long a step takes.
    assert made == {1: [1] * 17, 4: [1, 3, 4, 4, 4, 1], 30: [1, 16], None: [1, 16]}[every]


def own_settings(**more: Any) -> dict[str, Any]:
    return {"steps": STEPS, "batch_size": B, "optimizer": Adam(0.03), "clip": 0.5, "seed": 3, **more}


def dropout() -> tuple[Network, dict[str, Any]]:
    stack = Recurrent("lstm", D, H, num_layers=2, dropout=0.4, direction="bidirectional", seed=1)
    return Network(stack, K, seed=2), own_settings(data=make_source("windows", "float64"))


def feedback() -> tuple[Network, dict[str, Any]]:
    stack = Recurrent("gru", D + K, H, seed=1)
    net = Network(stack, K, readout="every", feedback=True, learned_initial_state=True, seed=2)
    return net, own_settings(data=make_source("sequences", "float64"), sampling="shuffled")


def ragged() -> tuple[Network, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((N, T, D)), rng.standard_normal((N, K))
    source = Recording(x, y, lengths=rng.integers(1, T + 1, N), weights=rng.uniform(0.5, 2, N))
    return Network(Recurrent("elman", D, H, seed=1), K, seed=2), own_settings(
        data=source, validation=source, evaluate_every=4, early_stopping=3
    )


def masked() -> tuple[Network, dict[str, Any]]:
    mask = np.random.default_rng(8).random((H, H)) < 0.6
    stack = Recurrent("elman", D, H, mask=mask, signs=[1, -1, 1, 1, -1], seed=1, dtype="float32")
    return Network(stack, K, seed=2), own_settings(data=make_source("arrays", "float32"))


def recorded() -> tuple[Network, dict[str, Any]]:
    net, settings = make_fused(FUSED[1])()
    kinds = ["gradient_norms", "weight_norms", "spectral_radius", "snapshots"]
    return net, settings | {"record": kinds, "every": 5}


def make_series(**options: Any) -> Stretches:
    values = np.random.default_rng(9).standard_normal((90, D)).cumsum(axis=0) / 3
    return Stretches(values, **{"targets": (2, 0), "chunk": 7, "streams": 3, "segments": (0, 33)} | options)


def carried(cell: str, *, dtype: str = "float64", lookback: int = 0, **options: Any) -> Make:
    def make() -> tuple[Network, dict[str, Any]]:
        feeds = options.get("feedback", False)
        layers = {} if feeds else {"num_layers": 2, "dropout": 0.3}
        stack = Recurrent(cell, D + K * feeds, H, seed=1, dtype=dtype, **layers)
        net = Network(stack, K, readout="every", seed=2, **options)
        training, held_out = make_series(dtype=dtype, warmup=2, lookback=lookback).split_last(0.2)
        return net, {
            "data": training, "validation": held_out, "evaluate_every": 4, "early_stopping": 9, "epochs": 5,
            "optimizer": AdamW(0.02), "clip": 0.5, "penalty": L2(1e-3), "seed": 3,
        }  # fmt: skip

    return make


STEP_BY_STEP: dict[str, Make] = {
    "dropout, both directions": dropout,
    "feedback, learned state": feedback,
    "a source of one's own": ragged,
    "mask and signs": masked,
    "recorded": recorded,
    "carried": carried("lstm"),
    "carried, look-back": carried("gru", dtype="float32", lookback=5),
    "carried, feedback": carried("gru", feedback=True),
    "carried, learned state": carried("elman", learned_initial_state=True),
}


@pytest.mark.parametrize("make", STEP_BY_STEP.values(), ids=STEP_BY_STEP.keys())
def test_from_any_step_where_steps_are_made_one_by_one(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = keep_every_file(monkeypatch, tmp_path / "kept")
    whole = run(make)
    run(make, checkpoint=tmp_path / "run.ckpt", checkpoint_every=1)
    assert len(files) == whole[1].steps + 1
    for step, path in files.items():
        if step % 4 in (0, 3):  # where it was evaluated, and before
            assert_resumes(make, path, whole)


def test_a_carried_state_is_in_the_file_and_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the run goes on otherwise: the test above would notice."""
    make = carried("lstm")
    files = keep_every_file(monkeypatch, tmp_path / "kept")
    whole = run(make)
    run(make, checkpoint=tmp_path / "run.ckpt", checkpoint_every=1)
    kept = read_checkpoint(files[3])
    assert {name: a.shape for name, a in kept.carried.items()} == {
        "y_hat": (3, K), "state.h": (2, 3, H), "state.c": (2, 3, H),
    }  # fmt: skip
    kept.carried.clear()
    monkeypatch.setattr("bptt.training.saving.read_checkpoint", lambda path: kept)
    net, settings = make()
    with pytest.raises(ValueError, match=r"^carry must be for rows of the batch before"):
        train(net, **settings, resume=files[3], progress=False)
    assert whole[1].steps > 3


class StopAt:
    """Interrupts or breaks a run after a step."""

    looks_at_net = False

    def __init__(self, step: int, error: BaseException) -> None:
        self.step, self.error = step, error

    def __call__(self, event: Event) -> None:
        if event.step == self.step:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a callback of the user's own")])
@pytest.mark.parametrize(
    "make", [make_fused(FUSED[3]), feedback, carried("lstm")], ids=["fused", "steps", "carried"]
)
def test_an_interruption_or_an_error_writes_one(make: Make, error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    whole = run(make)
    for step in (0, 5, 11):
        path.unlink(missing_ok=True)
        stop = StopAt(step, error)
        stop.looks_every = 1  # type: ignore[attr-defined]
        net, settings = make()
        if isinstance(error, KeyboardInterrupt):
            assert train(net, **settings, checkpoint=path, callbacks=[stop], progress=False).stopped_because == (
                "interrupted"
            )  # fmt: skip
        else:
            with pytest.raises(ValueError, match="of the user's own"):
                train(net, **settings, checkpoint=path, callbacks=[stop], progress=False)
        assert read_checkpoint(path).step == step + 1
        history = train(net, **settings, checkpoint=path, resume=True, progress=False)
        assert history.stopped_because == whole[1].stopped_because
        assert_same_bits(net.parameters, whole[0].parameters)


def test_again_and_again(tmp_path: Path) -> None:
    """The same call, until it is done: interrupted after every second step."""
    make, path, calls = make_fused(FUSED[4]), tmp_path / "run.ckpt", 0
    whole = run(make)
    while True:
        seen: list[Event] = []

        def stop(event: Event, seen: list[Event] = seen) -> None:
            seen.append(event)
            if len(seen) == 2:
                raise KeyboardInterrupt

        net, history = run(make, checkpoint=path, resume=True, callbacks=[stop])
        calls += 1
        if history.stopped_because != "interrupted":
            break
    assert calls == 1 + whole[1].steps // 2
    assert_same_bits(net.parameters, whole[0].parameters)
    assert history.validation == whole[1].validation
    # It is done: nothing is left to do, and the result is the same.
    again, _ = run(make, checkpoint=path, resume=True, callbacks=[StopAt(0, AssertionError())])
    assert_same_bits(again.parameters, whole[0].parameters)


def test_more_steps_than_before(tmp_path: Path) -> None:
    def make() -> tuple[Network, dict[str, Any]]:
        net, settings = make_fused(FUSED[0])()
        return net, settings | {"early_stopping": 90, "evaluate_every": 3}

    path = tmp_path / "run.ckpt"
    longer = run(make, steps=30)
    run(make, steps=18, checkpoint=path)
    assert read_checkpoint(path).ended
    assert_resumes(make, path, longer, steps=30)


def test_an_interrupted_evaluation_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the moment between two steps: evaluated, told, and seen by early stopping once."""
    make = make_fused(FUSED[3])
    whole = run(make)
    for place in ("evaluate", "see"):
        path = tmp_path / f"{place}.ckpt"
        left = [3]

        def interrupted(*values: Any, left: list[int] = left, real: Any = None) -> Any:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return real(*values)

        with monkeypatch.context() as patch:
            if place == "evaluate":
                from bptt.training import run as run_module

                real = run_module.evaluate
                patch.setattr(run_module, "evaluate", lambda *v, real=real, f=interrupted: f(*v, real=real))
            else:
                from bptt.training.early_stopping import BestWeights

                see = BestWeights.see
                patch.setattr(BestWeights, "see", lambda *v, real=see, f=interrupted: f(*v, real=real))
            _, history = run(make, checkpoint=path)
        assert history.stopped_because == "interrupted"
        kept = read_checkpoint(path)
        assert kept.step == 9
        assert (len(kept.validation), kept.best.seen) == ((2, 2) if place == "evaluate" else (3, 2))
        assert_resumes(make, path, whole)


def test_a_run_that_diverges_ends_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = keep_every_file(monkeypatch, tmp_path / "kept")

    def make() -> tuple[Network, dict[str, Any]]:
        stack = Recurrent("elman", D, H, dtype="float32", seed=1)
        net = Network(stack, K, loss="mse", seed=2)
        return net, {"data": make_source("arrays", "float32"), "steps": 90, "optimizer": SGD(60.0)}

    ends = []
    for settings in ({}, {"checkpoint": tmp_path / "run.ckpt", "checkpoint_every": 1}):
        net, given = make()
        with pytest.raises(TrainingDivergedError) as caught:
            train(net, **given, **settings, progress=False)
        ends.append((str(caught.value), caught.value.updates_kept, copy_of(net)))
    assert max(files) > 3
    for path in files.values():
        net, given = make()
        with pytest.raises(TrainingDivergedError) as caught:
            train(net, **given, resume=path, progress=False)
        ends.append((str(caught.value), caught.value.updates_kept, copy_of(net)))
    for message, kept, weights in ends[1:]:
        assert (message, kept) == ends[0][:2]
        assert_same_bits(weights, ends[0][2])
    # The file of a run that diverged is the last one before it did.
    assert read_checkpoint(tmp_path / "run.ckpt").step == max(files)


def test_the_log_goes_on_where_the_checkpoint_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = keep_every_file(monkeypatch, tmp_path / "kept")
    make = make_fused(FUSED[3])
    run(make, callbacks=[CSVLog(tmp_path / "whole.csv")])
    log = tmp_path / "run.csv"
    _, history = run(make, checkpoint=tmp_path / "run.ckpt", checkpoint_every=4, callbacks=[CSVLog(log)])
    assert log.read_text() == (tmp_path / "whole.csv").read_text()
    # Killed after it: the log knows more than the checkpoint, and its last line has no end.
    written = log.read_text()
    for step, path in files.items():
        log.write_text(written[:-9])
        run(make, resume=path, callbacks=[CSVLog(log)])
        assert log.read_text() == written or step == history.steps
    # A run of its own begins a new file.
    run(make, callbacks=[CSVLog(log)], steps=2)
    assert len(log.read_text().splitlines()) == 3


def test_what_is_in_a_checkpoint(tmp_path: Path) -> None:
    make, path = make_fused(FUSED[3]), tmp_path / "run.ckpt"
    net, settings = make()
    before = copy_of(net)
    history = train(net, **settings, checkpoint=path, progress=False)
    kept = read_checkpoint(str(path))
    assert (kept.step, kept.told, kept.ended) == (history.steps, history.steps, True)
    np.testing.assert_array_equal(kept.rows[:, 0], history.losses)
    np.testing.assert_array_equal(kept.rows[:, 2], history.learning_rates)
    assert kept.validation == history.validation
    assert kept.best.step == history.best_step
    assert kept.best.weights is not None
    assert_same_bits(kept.best.weights, net.parameters)
    assert differ(kept.weights, before)
    assert kept.slots.keys() == slot_arrays(settings["optimizer"].init(net.parameters)).keys()
    assert "m.layers.0.W_xh" in kept.slots
    # One update by hand leads from `before` to the weights, along the moments in the slots.
    optimizer, step = settings["optimizer"], kept.step - 1
    rate, root, *_, epsilon = optimizer.constants(step, "")
    assert kept.before is not None
    for name, p in kept.weights.items():
        f = p.dtype.type
        moved = f(rate) * kept.slots[f"m.{name}"] / (np.sqrt(kept.slots[f"v.{name}"]) * f(root) + f(epsilon))
        np.testing.assert_array_equal(p, kept.before[name] - moved)
    assert history.seconds >= kept.seconds > 0
