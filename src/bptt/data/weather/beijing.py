"""The lab's data: five years of hourly weather from Beijing, found beside the user's files or downloaded.

Source: S. Chen, Beijing PM2.5, UCI Machine Learning Repository 381 (2015), doi 10.24432/C5JS49, CC BY 4.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bptt.cache import cache_folder
from bptt.data.tables.parsing import Array
from bptt.data.tables.reading import assemble, open_columns, read_file
from bptt.data.tables.table import Table
from bptt.data.weather.cache import keep
from bptt.data.weather.download import check_sha256, download, offline
from bptt.errors import DataError, FileMissing, InvalidInput

SHA256 = "892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2"
ADDRESS = "https://raw.githubusercontent.com/jbrownlee/Datasets/master/pollution.csv"
LIMIT = 2_100_000  # bytes; the file has 2,010,492
NAMES = ("beijing_pm25.csv", "pollution.csv", "rnn_dataset.csv")  # ours, the address's, the lab's
SOURCE = "S. Chen, Beijing PM2.5, UCI 381 (2015), doi 10.24432/C5JS49, CC BY 4.0"
COLUMNS = ("DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")
CLOCK = ("year", "month", "day", "hour")
FIRST_ROWS = 43_000  # the lab reads no more
ROWS_A_DAY = 24


@dataclass(frozen=True)
class Found:
    """The bytes of the Beijing file, checked, and where they came from."""

    raw: bytes
    where: str


def find_beijing(path: str | os.PathLike[str] | None = None) -> Found:
    """Return the Beijing file from `path`, else ``BPTT_DATA_DIR``, else the cache folder, else the network.

    The first file that exists must be the right one. A download is kept in the cache folder.

    Parameters
    ----------
    path : path, optional
        The file, or a folder that holds it under one of its names; nothing else is tried then.

    Raises
    ------
    FileMissing
        `path` does not exist, or is a folder without the file.
    DataError
        A file of another checksum; no file, and no download (offline, no answer, another checksum).
    """
    if path is not None:
        place = Path(path)
        if place.is_dir():
            inside = next(_inside(place), None)
            if inside is None:
                raise FileMissing(
                    f"path must hold one of {', '.join(NAMES)}. Got the folder {place} without them"
                )
            place = inside
        return _checked(place, f"from {place}")
    found = look_for_beijing()
    if isinstance(found, str):
        raise DataError(
            f"{found}: put {NAMES[0]} into a folder that BPTT_DATA_DIR names, or use the embedded data (nyc)"
        )
    return found


def look_for_beijing() -> Found | str:
    """Return the Beijing file as `find_beijing` does, or the reason why it cannot be had."""
    named = os.environ.get("BPTT_DATA_DIR")
    try:
        if named:
            for place in _inside(Path(named)):
                return _checked(place, f"found in BPTT_DATA_DIR ({place})")
        for place in _inside(cache_folder()):
            return _checked(place, f"found in the cache ({place})")
    except DataError as error:
        return str(error)
    absent = f"the Beijing file is not in BPTT_DATA_DIR ({named or 'not set'}) and not in the cache ({cache_folder()})"
    if offline():
        return f"{absent}, and BPTT_OFFLINE={os.environ['BPTT_OFFLINE']} forbids its download"
    try:
        raw = download(ADDRESS, sha256=SHA256, limit=LIMIT)
    except DataError as error:
        return f"{absent}, and its download failed: {error}"
    try:
        return Found(raw, f"downloaded to {keep(NAMES[0], raw)}")
    except (OSError, InvalidInput) as error:
        return Found(raw, f"downloaded, but not kept ({error})")


def load_beijing(path: str | os.PathLike[str] | None = None) -> Table:
    """Return the lab's table: the first 43,000 hours cut to whole days, 42,984 rows of six columns.

    Parameters
    ----------
    path : path, optional
        As for `find_beijing`.

    Returns
    -------
    Table
        DEWP and TEMP in deg C, PRES in hPa, Iws in m/s accumulated, Is and Ir in hours accumulated; local times.
    """
    return beijing_table(find_beijing(path))


def beijing_table(found: Found) -> Table:
    """Read a file that was found, the lab's way."""
    opened = open_columns(found.raw, NAMES[0])
    clock = assemble(opened, CLOCK)
    table = assemble(opened, COLUMNS, sha256=SHA256)
    whole = replace(table, times=_times(clock.values), source=SOURCE)
    return whole.rows(slice(0, FIRST_ROWS // ROWS_A_DAY * ROWS_A_DAY))


def _inside(folder: Path) -> Iterator[Path]:
    return (folder / name for name in NAMES if (folder / name).is_file())


def _checked(place: Path, where: str) -> Found:
    raw = read_file(place)
    check_sha256(raw, SHA256, str(place))
    return Found(raw, where)


def _times(clock: Array) -> Array:
    year, month, day, hour = clock.astype(np.int64).T
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    return np.asarray(days.astype("datetime64[s]") + hour * np.timedelta64(3600, "s"))
