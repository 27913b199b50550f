"""A run that goes on from a checkpoint has the bits of one that was never interrupted: from every step, every way."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bptt.network import Network
from bptt.training import read_checkpoint, train
from bptt.training.steps import fused as fused_module
from tests.training.checkpoints.cases import FUSED, STEP_BY_STEP, H, K, carried, make_fused
from tests.training.checkpoints.resumed import Make, assert_resumes, keep_every_file, run
from tests.training.setups import assert_same_bits


# NumPy's engine goes step by step, as the cases further down do.
@pytest.mark.parametrize(
    ("case", "engine"),
    [*((case, "compiled") for case in FUSED), (FUSED[5], "numpy")],
    ids=[*(case["optimizer"] for case in FUSED), "numpy, rmsprop"],
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


@pytest.mark.parametrize("make", STEP_BY_STEP.values(), ids=STEP_BY_STEP.keys())
def test_from_any_step_where_steps_are_made_one_by_one(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = keep_every_file(monkeypatch, tmp_path / "kept")
    whole = run(make)
    run(make, checkpoint=tmp_path / "run.ckpt", checkpoint_every=1)
    assert len(files) == whole[1].steps + 1
    for step, path in files.items():
        if step in (0, 3, 4, 11):  # where it was evaluated, and before
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
    monkeypatch.setattr("bptt.training.checkpoints.file.Sealed.read", lambda sealed: kept)
    net, settings = make()
    with pytest.raises(ValueError, match=r"^carry must be for rows of the batch before"):
        train(net, **settings, resume=files[3], progress=False)
    assert whole[1].steps > 3
