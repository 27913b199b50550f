"""Jobs for the tests of executors: functions of a module, which another process can find by name."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from bptt.errors import DataError
from bptt.forecast import Forecaster
from bptt.forecast.fitting.networks.members import Tick
from bptt.forecast.fitting.running.side_by_side import Stopped
from bptt.forecast.fitting.running.travelling import Job


def twice(shared: np.ndarray, number: int, tick: Tick) -> float:
    tick(1, 1)
    return float(shared[number] * 2)


def fail(shared: object, message: str, path: str, tick: Tick) -> None:
    """Fail once another job has begun: one that has not would never be seen to end."""
    wait_for(shared, path, tick)
    raise DataError(message)


def die(shared: object, tick: Tick) -> None:
    os._exit(3)


def wait_for(shared: object, path: str, tick: Tick) -> None:
    """Return when the file is there."""
    until = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < until:
        time.sleep(0.02)
    tick(1, 1)


def train_for_ever(shared: object, folder: str, tick: Tick) -> None:
    """Say in a file how it ended."""
    (Path(folder) / "begun").touch()
    until, told = time.monotonic() + 60, "by itself"
    try:
        while time.monotonic() < until:
            time.sleep(0.02)
            tick(1, 2)
    except Stopped:
        told = "called off"
    # Under its name once it is whole: the test reads it as soon as it is there.
    (Path(folder) / "ending").write_text(told)
    (Path(folder) / "ending").rename(Path(folder) / "ended")


def job(function: object, shared: object, *arguments: object, seconds: float = np.inf) -> Job:
    return Job(function, shared, arguments, 10, seconds)


def read_when_there(path: Path) -> str:
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return path.read_text()


def numbers_of(model: Forecaster) -> list[np.ndarray]:
    """Return everything that a training decides, as arrays."""
    fitted = model.fitted
    found = [array for net in fitted.trained.nets for array in net.parameters.values()]
    if fitted.trained.linear is not None:
        found += [fitted.trained.linear.weights, fitted.trained.linear.intercept]
    found += [fitted.intervals.weights, fitted.intervals.quantiles, *fitted.losses]
    found += [np.array(sorted(fitted.choice.errors.values())), model.forecast(levels=(0.2, 0.7)).y_hat]
    return found


def assert_same_bits(one: Forecaster, other: Forecaster) -> None:
    assert one.verdict == other.verdict
    a, b = numbers_of(one), numbers_of(other)
    assert len(a) == len(b) > 10
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    if one.diagnosis is not None and other.diagnosis is not None:
        assert one.diagnosis.line == other.diagnosis.line
