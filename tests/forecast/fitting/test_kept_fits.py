"""A fit that keeps its networks in a file: goes on with the same bits, and only with what is its own."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import DataError, FileFormatError, FileMissing, InvalidInput, InvalidType
from bptt.files.model import read_arrays, read_header, write_model
from bptt.forecast import Forecaster
from bptt.forecast.fitting.networks import members, segments
from bptt.forecast.saving import fit_file
from bptt.forecast.saving.fit_file import count_kept, kept_fit
from tests.forecast.fitting.running.test_executors import in_processes
from tests.forecast.fitting.running.travelling_jobs import assert_same_bits
from tests.forecast.panels import NETWORK, make_panel

# Networks: (2 shares + 1 searched) * 2, then a network for each of 2 blocks, then the ensemble of 2.
RECIPE = replace(NETWORK, blocks=3)
ALL = 6 + 2 + 2


def forecaster(**settings: Any) -> Forecaster:
    return Forecaster(**{"horizon": 3, "recipe": RECIPE, "search": 1, "threads": 2, **settings})


def panel(seed: int = 8) -> Any:
    return make_panel(np.random.default_rng(seed), 701, 233)


@pytest.fixture(scope="module")
def whole() -> Forecaster:
    return forecaster().fit(panel(), progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a fit that has come to its end."""
    path = tmp_path_factory.mktemp("kept") / "fit.ckpt"
    forecaster().fit(panel(), progress=False, checkpoint=path)
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list in which the seeds of networks appear as they are trained."""
    found: list[int] = []
    train = members.train

    def spy(*given: Any, **settings: Any) -> Any:
        found.append(settings["seed"])
        return train(*given, **settings)

    monkeypatch.setattr(members, "train", spy)
    return found


def stop_at(done: int, act: Callable[[], None]) -> Callable[[int, int], None]:
    def progress(made: int, _total: int) -> None:
        if made >= done:
            act()

    return progress


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("threads", [1, 2])
def test_what_was_trained_is_not_trained_again(
    threads: int, whole: Forecaster, tmp_path: Path, trained: list[int], rng: np.random.Generator
) -> None:
    path, kept = tmp_path / "fit.ckpt", 0
    for done in sorted(rng.integers(1, 190, 3)):
        with pytest.raises(KeyboardInterrupt):
            forecaster(threads=threads).fit(
                panel(), progress=stop_at(int(done), interrupt), checkpoint=path, resume=True
            )
        assert count_kept(path) >= kept
        kept = count_kept(path)
    trained.clear()
    found = forecaster(threads=threads).fit(panel(), progress=False, checkpoint=path, resume=True)
    assert len(trained) == ALL - kept
    assert_same_bits(found, whole)
    assert count_kept(path) == ALL
    trained.clear()
    assert_same_bits(forecaster().fit(panel(), progress=False, resume=path), whole)
    assert not trained
    assert not list(tmp_path.glob("*.part"))


def test_a_head_by_segments_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(NETWORK, head="segments", shorter=(), updates=21)
    wanted = forecaster(recipe=recipe, search=0, horizon=8).fit(panel(), progress=False)
    path = tmp_path / "fit.ckpt"
    forecaster(recipe=recipe, search=0, horizon=8).fit(panel(), progress=False, checkpoint=path)
    monkeypatch.setattr(segments, "loss_and_gradients", None)  # no update is made any more
    found = forecaster(recipe=recipe, search=0, horizon=8).fit(
        panel(), progress=False, checkpoint=path, resume=True
    )
    assert_same_bits(found, wanted)


def test_networks_that_other_processes_trained_are_kept(
    whole: Forecaster, tmp_path: Path, trained: list[int]
) -> None:
    path = tmp_path / "fit.ckpt"
    with in_processes(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            forecaster().fit(panel(), stop_at(60, interrupt), pool, checkpoint=path)
        kept = count_kept(path)
        assert 0 < kept < ALL
        found = forecaster().fit(panel(), False, pool, checkpoint=path, resume=True)
    assert_same_bits(found, whole)
    assert count_kept(path) == ALL
    assert_same_bits(forecaster().fit(panel(), False, resume=path), whole)
    assert not trained


def test_a_backtest_goes_on(tmp_path: Path, trained: list[int]) -> None:
    history = make_panel(np.random.default_rng(5), 260, 133)

    def judged(executor: object = None, **settings: Any) -> Any:
        return Forecaster(horizon=2, recipe=NETWORK, search=1, threads=1).backtest(
            history, folds=3, trees=False, executor=executor, **{"progress": False, **settings}
        )

    path, other = tmp_path / "one.ckpt", tmp_path / "other.ckpt"
    wanted = judged()
    count = len(trained)
    trained.clear()
    with pytest.raises(KeyboardInterrupt):
        judged(progress=lambda done, total: interrupt() if done > 0.6 * total else None, checkpoint=path)
    kept = count_kept(path)
    assert 0 < kept < count
    trained.clear()
    found = judged(checkpoint=path, resume=True)
    assert str(found) == str(wanted)
    assert len(trained) == count - kept
    trained.clear()
    with in_processes(1) as pool:  # each fold a job of its own, that brings its networks back
        assert str(judged(pool, checkpoint=other)) == str(wanted)
        assert count_kept(other) == count
        assert str(judged(pool, checkpoint=path, resume=True)) == str(wanted)
    assert str(judged(resume=other)) == str(wanted)
    assert not trained
    with pytest.raises(FileFormatError, match=r"^folds must be 3 as in .*one.ckpt, .* Got 2: delete"):
        Forecaster(horizon=2, recipe=NETWORK, search=1).backtest(
            history, folds=2, progress=False, checkpoint=path, resume=True
        )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_sigterm_keeps_what_is_there_and_is_passed_on(tmp_path: Path) -> None:
    path, heard = tmp_path / "fit.ckpt", list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    sent: list[int] = []

    def terminate() -> None:
        if not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        with pytest.raises(KeyboardInterrupt):
            forecaster().fit(panel(), stop_at(100, terminate), checkpoint=path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
    assert count_kept(path) > 0


def test_a_full_disk_is_a_warning(
    whole: Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, write, calls = tmp_path / "fit.ckpt", write_model, list[int]()

    def full(*given: Any) -> Path:
        calls.append(1)
        if len(calls) > 2:
            raise InvalidInput("path must be writable. Got 'fit.ckpt': No space left on device")
        return write(*given)

    monkeypatch.setattr(fit_file, "write_model", full)
    monkeypatch.setattr(fit_file, "_TIMES", 0)  # after every network
    with caplog.at_level(logging.WARNING, "bptt.forecast"):
        found = forecaster(threads=1).fit(panel(), progress=False, checkpoint=path)
    assert_same_bits(found, whole)
    assert "checkpoint not written, the one before it is kept: path must be writable" in caplog.text
    assert 0 < count_kept(path) < ALL


def test_an_error_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, train = tmp_path / "fit.ckpt", members.train

    def fails(*given: Any, **settings: Any) -> Any:
        if settings["seed"] == 1:
            raise DataError("the fourth value is missing")
        return train(*given, **settings)

    monkeypatch.setattr(members, "train", fails)
    with pytest.raises(DataError, match="fourth value"):
        forecaster(threads=1).fit(panel(), progress=False, checkpoint=path)
    assert count_kept(path) == ALL - 1


def test_another_fit_is_refused(finished: Path, tmp_path: Path) -> None:
    for settings, message in (
        ({"seed": 1}, r"^seed must be 0 as in .*fit\.ckpt, .* Got 1: delete the file to begin anew$"),
        ({"horizon": 2}, r"^horizon must be 3 as in .* Got 2: delete"),
        ({"search": 2}, r"^search must be 1 as in .* Got 2: delete"),
        ({"recipe": replace(RECIPE, rate=0.01)}, r"^recipe\.rate must be 0\.007 as in .* Got 0\.01: delete"),
    ):
        with pytest.raises(FileFormatError, match=message):
            forecaster(**settings).fit(panel(), progress=False, checkpoint=finished, resume=True)
    with pytest.raises(FileFormatError, match=r"^data\.values must be as in .* Got other values: delete"):
        forecaster().fit(panel(9), progress=False, resume=finished)
    with pytest.raises(FileFormatError, match=r"^data\.rows must be 934 as in .* Got 933.*: delete"):
        forecaster().fit(make_panel(np.random.default_rng(8), 700, 233), progress=False, resume=finished)


def test_a_fit_that_had_kept_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "fit.ckpt"
    with pytest.raises(KeyboardInterrupt), kept_fit(path, False, {"data": 1}):
        raise KeyboardInterrupt
    assert count_kept(path) == 0
    with kept_fit(path, False, {"data": 2}) as shelf:  # of another fit: nothing is lost
        assert shelf is not None


def test_files_that_are_no_checkpoint_of_a_fit_are_refused(
    whole: Forecaster, tmp_path: Path, finished: Path
) -> None:
    model, path = whole.save(tmp_path / "m.safetensors"), tmp_path / "fit.ckpt"
    with pytest.raises(
        FileFormatError, match=r"must be a checkpoint that Forecaster.fit wrote. Got kind 'for"
    ):
        forecaster().fit(panel(), progress=False, checkpoint=model, resume=True)
    with pytest.raises(InvalidInput, match=r"checkpoint must name a new file, .*: something else is there$"):
        forecaster().fit(panel(), progress=False, checkpoint=model)
    with pytest.raises(FileMissing, match=r"checkpoint file must exist. Got .*none.ckpt"):
        forecaster().fit(panel(), progress=False, resume=tmp_path / "none.ckpt")
    with pytest.raises(InvalidInput, match=r"resume=True must come with a checkpoint. Got none"):
        forecaster().fit(panel(), progress=False, resume=True)
    with pytest.raises(InvalidType, match=r"checkpoint must be text or a path. Got 3"):
        forecaster().fit(panel(), progress=False, checkpoint=3)
    with pytest.raises(FileMissing, match=r"path must lie in a folder that exists"):
        forecaster().fit(panel(), progress=False, checkpoint=tmp_path / "nowhere" / "fit.ckpt")
    with pytest.raises(KeyboardInterrupt):
        forecaster().fit(panel(), progress=stop_at(90, interrupt), checkpoint=path)
    with pytest.raises(
        InvalidInput, match=r"a fit that was interrupted: resume=True goes on with it, or delete"
    ):
        forecaster().fit(panel(), progress=False, checkpoint=path)
    with pytest.raises(
        InvalidInput, match=r"a fit that was interrupted: resume=True goes on with it, or delete"
    ):
        forecaster().fit(panel(), progress=False, checkpoint=path, resume=finished)
    with pytest.raises(FileFormatError, match=r"Got kind 'fit'|kind must be"):
        bptt.load(path)


Arrays = dict[str, Any]


def _first(arrays: Arrays, end: str) -> str:
    return next(name for name in sorted(arrays) if name.endswith(end))


def _renamed(old: str, new: str) -> Callable[[Arrays, dict[str, Any]], None]:
    def spoil(arrays: Arrays, _: dict[str, Any]) -> None:
        name = _first(arrays, old)
        arrays[name.replace(old, new)] = arrays.pop(name)

    return spoil


def _replaced(end: str, change: Callable[[Any], Any]) -> Callable[[Arrays, dict[str, Any]], None]:
    def spoil(arrays: Arrays, _: dict[str, Any]) -> None:
        for name in [each for each in arrays if each.endswith(end)]:
            arrays[name] = change(arrays[name])

    return spoil


def _told(key: str, value: Any, where: str | None = None) -> Callable[[Arrays, dict[str, Any]], None]:
    def spoil(_: Arrays, description: dict[str, Any]) -> None:
        (description if where is None else description[where])[key] = value

    return spoil


def _nan(array: Any) -> Any:
    spoilt = array.copy()
    spoilt.flat[-1] = np.nan
    return spoilt


HOSTILE = {
    "format": (_told("format", "other"), "format must be 'bptt'"),
    "kind": (_told("kind", ["fit"]), r"Got kind \['fit'\]"),
    "version": (_told("version", 2), "written by a newer bptt, update yours"),
    "version 0": (_told("version", 0), "version of the format must be 1. Got 0"),
    "version is no number": (_told("version", True), "version of the format must be 1"),
    "config": (_told("config", []), "config and extra must be dictionaries"),
    "extra": (_told("extra", "x"), "config and extra must be dictionaries"),
    "ended": (_told("ended", 1, "extra"), "ended must be true or false"),
    "versions": (_told("versions", None, "extra"), "ended must be true or false, versions a dictionary"),
    "an odd array": (_renamed("/0/rows", "/0/losses"), "must hold only arrays of networks"),
    "no number": (_renamed("/0/rows", "/x/rows"), "must hold only arrays of networks"),
    "a number like no other": (_renamed("/0/rows", "/00/rows"), "must hold only arrays of networks"),
    "rows elsewhere": (_renamed("/0/rows", "/2/rows"), "must hold rows and weights of every network"),
    "rows of another dtype": (_replaced("rows", np.float32), "must hold only arrays of networks"),
    "rows of another width": (_replaced("rows", lambda a: a[:, :2]), "must hold only arrays of networks"),
    "fewer rows": (_replaced("rows", lambda a: a[:-1]), r"rows of shape \(\d+, 3\). Got \(\d+, 3\): delete"),
    "losses alone": (_replaced("rows", lambda a: a[:, :1]), r"rows of shape .* Got \(\d+, 1\): delete"),
    "not finite": (_replaced("W_hh", _nan), "every number of .* must be finite"),
    "other shapes": (_replaced("W_hh", lambda a: a[:-1]), r"W_hh of shape \(5, 15\). Got \(4, 15\): delete"),
    "another dtype": (_replaced("W_hh", np.float64), "must hold the networks of its fit, layers.0.W_hh"),
    "another name": (_renamed("W_hh", "W_xx"), r"W_hh of shape .* Got none: delete"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_contents_that_are_not_those_of_a_fit_are_refused(name: str, finished: Path, tmp_path: Path) -> None:
    spoil, message = HOSTILE[name]
    header = read_header(finished, "checkpoint")
    arrays, description = read_arrays(finished, header), dict(header.description)
    # Of the first jobs: those of the ensemble would be looked at last.
    description["extra"] = dict(description["extra"])
    spoil(arrays, description)
    path = tmp_path / "spoilt.ckpt"
    write_model(path, arrays, description)
    with pytest.raises(FileFormatError, match=message) as told:
        forecaster(threads=1).fit(panel(), progress=False, checkpoint=path, resume=True)
    assert "\n" not in str(told.value)


def test_another_number_of_networks_than_a_job_has_is_refused(finished: Path, tmp_path: Path) -> None:
    header = read_header(finished, "checkpoint")
    arrays = read_arrays(finished, header)
    arrays |= {name.replace("/0/", "/1/"): array for name, array in arrays.items()}
    write_model(tmp_path / "spoilt.ckpt", arrays, header.description)
    with pytest.raises(FileFormatError, match=r"must hold all networks of a job, 1. Got 2: delete"):
        forecaster().fit(panel(), progress=False, resume=tmp_path / "spoilt.ckpt")


def test_a_damaged_file_is_refused(finished: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    whole = finished.read_bytes()
    path = tmp_path / "spoilt.ckpt"
    for place in rng.integers(len(whole), size=25):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :]
        )
        with pytest.raises(FileFormatError):
            forecaster().fit(panel(), progress=False, resume=path)
        path.write_bytes(whole[:place])
        with pytest.raises(FileFormatError):
            forecaster().fit(panel(), progress=False, resume=path)
