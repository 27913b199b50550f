"""How a run stops, and goes on: interruptions, errors, evaluations, more steps, divergence, logs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bptt.network import Network, Recurrent
from bptt.optim import SGD, Adam, slot_arrays
from bptt.training import CSVLog, Event, TrainingDivergedError, read_checkpoint, train
from bptt.training.checkpoints import saving
from bptt.training.checkpoints.file import write_checkpoint
from bptt.training.checkpoints.saving import Saver
from bptt.training.steps import weights as weights_module
from bptt.training.steps.weights import SafeWeights
from tests.training.checkpoints.cases import FUSED, D, H, K, carried, feedback, make_fused, make_source
from tests.training.checkpoints.resumed import Make, assert_resumes, keep_every_file, run
from tests.training.setups import assert_same_bits, copy_of, differ


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


@pytest.mark.parametrize("stop", [4, 5, 6, 7, 8, 16])
def test_what_is_recorded_where_a_callback_raised_before_all_was_told(stop: int, tmp_path: Path) -> None:
    """Eight steps in one call, the sixth one's telling breaks: the look after the eighth is taken once, afterwards."""

    def make() -> tuple[Network, dict[str, Any]]:
        net, settings = make_fused(FUSED[3])()
        for name in ("validation", "evaluate_every", "early_stopping"):
            del settings[name]
        return net, settings | {"record": ["weight_norms", "snapshots"], "every": 8}

    path = tmp_path / "run.ckpt"
    whole = run(make)
    with pytest.raises(ValueError, match="mine"):
        run(make, checkpoint=path, callbacks=[StopAt(stop, ValueError("mine"))])
    assert_resumes(make, path, whole)


def test_weights_that_are_lost_are_not_kept(tmp_path: Path) -> None:
    """What a callback spoils is found by the next step; the file is of before."""
    path = tmp_path / "run.ckpt"

    def spoil(event: Event) -> None:
        if event.step == 4:
            event.net.parameters["readout.b_y"][0] = np.nan

    with pytest.raises(TrainingDivergedError):
        run(make_fused(FUSED[4]), checkpoint=path, checkpoint_every=1, callbacks=[spoil])
    assert read_checkpoint(path).step == 4
    assert_resumes(make_fused(FUSED[4]), path, run(make_fused(FUSED[4])))


def test_a_run_that_is_done_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    run(make_fused(FUSED[4]), checkpoint=path)
    before = path.stat()
    run(make_fused(FUSED[4]), checkpoint=path, resume=True)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_run_that_goes_on_in_another_file_is_there_from_the_beginning(tmp_path: Path) -> None:
    """Also where nothing is left to do; its time is that of the whole run."""
    first, second = tmp_path / "first.ckpt", tmp_path / "second.ckpt"
    run(make_fused(FUSED[4]), checkpoint=first)
    write_checkpoint(first, replace(read_checkpoint(first), seconds=9e6))
    before = first.read_bytes()
    _, history = run(make_fused(FUSED[4]), resume=first, checkpoint=second)
    kept, moved = read_checkpoint(first), read_checkpoint(second)
    assert (moved.step, moved.ended) == (kept.step, True)
    assert_same_bits(moved.weights, kept.weights)
    assert history.seconds >= moved.seconds >= kept.seconds == 9e6
    assert first.read_bytes() == before


def test_after_a_write_that_failed_the_clock_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a full disk would be tried, and waited for, after every block of steps."""
    folder = tmp_path / "gone"
    folder.mkdir()
    path, now = folder / "run.ckpt", [0.0]
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: now[0]))
    run(
        make_fused(FUSED[4]),
        steps=3,
        validation=None,
        evaluate_every=None,
        early_stopping=None,
        checkpoint=path,
    )
    kept = read_checkpoint(path)
    saver = Saver(str(path), None)
    path.unlink()
    folder.rmdir()
    now[0] = 60.0
    assert saver.is_due(3)
    saver.save(kept)
    assert [saver.is_due(3) for now[0] in (60.0, 119.0, 120.0)] == [False, False, True]


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
                from bptt.training.watching.early_stopping import BestWeights

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


class HalfAnUpdate(Adam):
    """Interrupted after all slots and some parameters of update `at` were written."""

    at = 6

    def update(self, parameters: Any, gradients: Any, slots: Any, step: int) -> None:
        before = {name: p.copy() for name, p in parameters.items()}
        super().update(parameters, gradients, slots, step)
        if step == self.at:
            for name in list(parameters)[2:]:
                parameters[name][...] = before[name]
            raise KeyboardInterrupt


@pytest.mark.parametrize("make", [feedback, carried("lstm")], ids=["steps", "carried"])
def test_half_an_update_is_taken_back_with_its_slots_and_the_carried_state(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, optimizer = tmp_path / "run.ckpt", HalfAnUpdate(0.03)
    _, history = run(make, checkpoint=path, optimizer=optimizer)
    assert (history.stopped_because, history.steps) == ("interrupted", 6)
    monkeypatch.setattr(HalfAnUpdate, "at", -1)
    whole = run(make, optimizer=optimizer)
    # What was kept is what a run of six steps keeps; `before` was in use when it happened, and is not known.
    kept = read_checkpoint(path)
    run(
        make,
        checkpoint=tmp_path / "six.ckpt",
        optimizer=optimizer,
        callbacks=[StopAt(5, KeyboardInterrupt())],
    )
    right = read_checkpoint(tmp_path / "six.ckpt")
    for group in ("weights", "slots", "carried"):
        assert_same_bits(getattr(kept, group), getattr(right, group))
    assert (kept.before is None, right.before is None) == (True, False)
    assert_resumes(make, path, whole, optimizer=optimizer)


def test_a_copy_that_was_interrupted_is_not_kept_as_the_weights_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters = {name: np.full(3, 1.0) for name in "abc"}
    safe = SafeWeights(parameters)
    safe.save(4)
    assert safe.saved_for == 4

    def interrupted(*arrays: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights_module, "np", SimpleNamespace(copyto=interrupted))
    with pytest.raises(KeyboardInterrupt):
        safe.save(5)
    assert safe.saved_for == -1
