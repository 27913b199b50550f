"""Scalars that TensorBoard reads, written without TensorBoard.

An event file is a sequence of TFRecords, each holding one protocol-buffer message ``Event`` (tensorflow/core/util/
event.proto): wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5; a ``Summary`` repeats
value = 1, with tag = 1 (string) and simple_value = 2 (float).
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import struct
import time
from pathlib import Path
from typing import BinaryIO

from bptt.errors import InvalidInput
from bptt.training.watching.callbacks import Event
from bptt.training.watching.history import History

_SECONDS_BETWEEN_FLUSHES = 1.0
_run_number = itertools.count()
_log = logging.getLogger("bptt.training")


class TensorBoard:
    """A callback that writes loss, gradient norm, learning rate and validation loss for TensorBoard.

    Parameters
    ----------
    folder : str or path
        Made if it does not exist; each run adds an event file. ``tensorboard --logdir FOLDER`` shows it.

    Raises
    ------
    InvalidInput
        At the first step: the folder cannot be made or written to.
    """

    looks_at_net = False

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._file: BinaryIO | None = None
        self._flushed = 0.0

    def __call__(self, event: Event) -> None:
        """Write the scalars of one step."""
        file = self._file or self._start()
        scalars = {
            "loss": event.loss,
            "gradient_norm": event.gradient_norm,
            "learning_rate": event.learning_rate,
        }
        if event.validation_loss is not None:
            scalars["validation_loss"] = event.validation_loss
        try:
            file.write(record(scalar_event(time.time(), event.step, scalars)))
            if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
                file.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            raise self._refused(error) from error

    def finish(self, history: History) -> None:  # noqa: ARG002  # every step is in the file already
        """Close the file."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            # The run is over: its result is worth more than the last second of its log.
            _log.warning("%s", self._refused(error))

    def _start(self) -> BinaryIO:
        now = time.time()
        # TensorBoard looks for "tfevents" in the name and reads the files in the order of their names.
        name = f"events.out.tfevents.{int(now):010d}.bptt.{os.getpid()}.{next(_run_number)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / name).open("xb")
        except OSError as error:
            raise self._refused(error) from error
        self._file.write(record(version_event(now)))
        return self._file

    def _refused(self, error: OSError) -> InvalidInput:
        return InvalidInput(f"folder must be writable. Got {str(self.folder)!r}: {error.strerror or error}")


def version_event(wall_time: float) -> bytes:
    """Return the message that opens every event file."""
    return _double(1, wall_time) + _bytes(3, b"brain.Event:2")


def scalar_event(wall_time: float, step: int, scalars: dict[str, float]) -> bytes:
    """Return a message with some scalars of one step."""
    values = b"".join(_bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in scalars.items())
    return _double(1, wall_time) + _key(2, 0) + _varint(step) + _bytes(5, values)


def record(data: bytes) -> bytes:
    """Return a TFRecord: length, masked checksum of the length, data, masked checksum of the data."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(crc32c(length))) + data + struct.pack("<I", masked(crc32c(data)))


def _make_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _make_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`; RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """Return the checksum as TFRecords store it: rotated and shifted."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _double(field: int, value: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    try:
        packed = struct.pack("<f", value)
    except OverflowError:  # a gradient norm beyond float32 is shown as infinite
        packed = struct.pack("<f", math.copysign(math.inf, value))
    return _key(field, 5) + packed


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, 2) + _varint(len(data)) + data
