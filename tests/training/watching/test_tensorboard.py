"""The event files, read back by a decoder that shares nothing with the writer but the formats' definitions."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.training import Event, TensorBoard, train
from bptt.training.watching.tensorboard import crc32c, masked, record, scalar_event, version_event
from tests.training.setups import make_data, make_net


def slow_crc32c(data: bytes) -> int:
    """Divide bit by bit by the Castagnoli polynomial, most significant bit first, on reflected bytes."""
    register = 0xFFFFFFFF
    for byte in data:
        for k in range(8):
            top = register >> 31 ^ byte >> k & 1
            register = (register << 1 & 0xFFFFFFFF) ^ (0x1EDC6F41 if top else 0)
    return int(f"{register:032b}"[::-1], 2) ^ 0xFFFFFFFF


def checksum(data: bytes) -> int:
    crc = slow_crc32c(data)
    return ((crc >> 15 | (crc & 0x7FFF) << 17) + 0xA282EAD8) % 2**32


def read_records(raw: bytes) -> list[bytes]:
    found = []
    while raw:
        (size,), (of_length,) = struct.unpack("<Q", raw[:8]), struct.unpack("<I", raw[8:12])
        data, (of_data,) = raw[12 : 12 + size], struct.unpack("<I", raw[12 + size : 16 + size])
        assert of_length == checksum(raw[:8])
        assert of_data == checksum(data)
        found.append(data)
        raw = raw[16 + size :]
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return number, at


def fields(message: bytes) -> list[tuple[int, Any]]:
    """Return (number, value) of each field of a protocol-buffer message."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        value: Any
        if kind == 0:
            value, at = varint(message, at)
        elif kind == 1:
            value, at = struct.unpack("<d", message[at : at + 8])[0], at + 8
        elif kind == 5:
            value, at = struct.unpack("<f", message[at : at + 4])[0], at + 4
        else:
            assert kind == 2
            size, at = varint(message, at)
            value, at = message[at : at + size], at + size
        found.append((key >> 3, value))
    return found


def read_scalars(path: Path) -> tuple[list[str], dict[str, list[tuple[int, float]]], list[float]]:
    versions: list[str] = []
    scalars: dict[str, list[tuple[int, float]]] = {}
    times = []
    for data in read_records(path.read_bytes()):
        event = dict(fields(data))
        times.append(event[1])
        if 3 in event:
            versions.append(event[3].decode())
        for number, value in fields(event.get(5, b"")):
            assert number == 1
            inside = dict(fields(value))
            scalars.setdefault(inside[1].decode(), []).append((event[2], inside[2]))
    return versions, scalars, times


def test_checksums() -> None:
    # The check value of CRC-32C, and the examples of RFC 3720, B.4.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0
    rng = np.random.default_rng(0)
    for size in (1, 7, 8, 100):
        data = rng.bytes(size)
        assert crc32c(data) == slow_crc32c(data)
        assert masked(crc32c(data)) == checksum(data)


def test_a_run_reads_back(rng: np.random.Generator, tmp_path: Path) -> None:
    data = make_data(rng)
    folder = tmp_path / "runs" / "first"
    before = time.time()
    history = train(
        make_net(), data, steps=300, validation=data, evaluate_every=70, callbacks=[TensorBoard(folder)], progress=False
    )  # fmt: skip
    (path,) = folder.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    versions, scalars, times = read_scalars(path)
    assert versions == ["brain.Event:2"]
    assert before <= times[0] <= times[-1] <= time.time()
    assert list(scalars) == ["loss", "gradient_norm", "learning_rate", "validation_loss"]
    for tag, numbers in (
        ("loss", history.losses),
        ("gradient_norm", history.gradient_norms),
        ("learning_rate", history.learning_rates),
    ):
        assert [step for step, _ in scalars[tag]] == list(range(300))
        np.testing.assert_array_equal([value for _, value in scalars[tag]], np.float32(numbers))
    expected = [(step - 1, float(np.float32(loss))) for step, loss in history.validation]
    assert scalars["validation_loss"] == expected


def test_each_run_has_its_own_file(rng: np.random.Generator, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    for _ in range(3):
        train(make_net(), make_data(rng), steps=2, callbacks=[board], progress=False)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 3
    assert all(len(read_scalars(path)[1]["loss"]) == 2 for path in paths)


def test_numbers_beyond_float32_are_shown_as_infinite(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(
        record(version_event(1.5))
        + record(scalar_event(2.5, 2**40 + 3, {"huge": 1e300, "tiny": 1e-300, "minus": -1e39}))
    )
    _, scalars, times = read_scalars(path)
    assert scalars == {
        "huge": [(2**40 + 3, np.inf)],
        "tiny": [(2**40 + 3, 0.0)],
        "minus": [(2**40 + 3, -np.inf)],
    }
    assert times == [1.5, 2.5]


def test_what_was_written_is_on_disk_soon(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(10.0 * k for k in range(1, 1000))
    monkeypatch.setattr("bptt.training.watching.tensorboard.time.monotonic", lambda: next(clock))
    seen = []

    def look(event: Event) -> None:
        (path,) = tmp_path.iterdir()
        seen.append(len(read_scalars(path)[1]["loss"]))

    train(make_net(), make_data(rng), steps=3, callbacks=[TensorBoard(tmp_path), look], progress=False)
    assert seen == [1, 2, 3]


def test_where_it_cannot_be_written(rng: np.random.Generator, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("not a folder")
    with pytest.raises(InvalidInput) as caught:
        train(make_net(), make_data(rng), steps=2, callbacks=[TensorBoard(path)], progress=False)
    assert str(caught.value) == f"folder must be writable. Got '{path}': File exists"


def test_tensorboard_itself_reads_it(rng: np.random.Generator, tmp_path: Path) -> None:
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    history = train(make_net(), make_data(rng), steps=30, callbacks=[TensorBoard(tmp_path)], progress=False)
    accumulator = accumulators.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    accumulator.Reload()
    assert accumulator.Tags()["scalars"] == ["loss", "gradient_norm", "learning_rate"]
    found = accumulator.Scalars("loss")
    assert [each.step for each in found] == list(range(30))
    np.testing.assert_array_equal([each.value for each in found], np.float32(history.losses))
