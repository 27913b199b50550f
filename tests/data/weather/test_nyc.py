"""The embedded weather is what its provenance says."""

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np

from bptt.data import load_nyc, read_table
from bptt.data.weather.nyc import FILE

ROOT = Path(__file__).resolve().parents[3]
PROVENANCE = (FILE.parent / "PROVENANCE.md").read_text(encoding="utf-8")


def test_the_checksums_are_those_of_the_provenance():
    raw = FILE.read_bytes()
    assert hashlib.sha256(raw).hexdigest() in PROVENANCE
    assert hashlib.sha256(gzip.decompress(raw)).hexdigest() in PROVENANCE
    assert len(raw) < 150_000


def test_the_published_rows_are_kept_as_they_are():
    published = read_table(FILE, time="TIME")
    assert len(published) == 8_706
    assert np.isnan(published.values).sum(axis=0).tolist() == [0, 0, 963, 0, 0, 0]
    assert published.times[[0, -1]].tolist() == np.array(["2013-01-01T06", "2013-12-30T23"], "M8[s]").tolist()
    # first row as published: 39.92 deg F dry, 26.06 deg F dew point, 13.8 mph
    assert published.values[0].tolist() == [-3.3, 4.4, 1011.9, 57.3, 6.2, 0.0]
    assert published.column("WIND").max() == 18.0


def test_the_repairs_are_counted_and_look_back_only():
    repaired = load_nyc()
    table = repaired.table
    assert (repaired.hours_added, repaired.filled) == (24, {"PRES": 963})
    assert table.values.shape == (363 * 24, 6)
    assert table.columns == ("DEWP", "TEMP", "PRES", "HUMID", "WIND", "PRECIP")
    assert np.isfinite(table.values).all()
    assert (np.diff(table.times) == np.timedelta64(1, "h")).all()
    published = read_table(FILE, time="TIME")
    utc = table.times + np.timedelta64(5, "h")
    last = np.searchsorted(published.times, utc, side="right") - 1
    for column in range(6):
        known = published.values[:, column]
        for row in (*range(0, len(table), 97), *np.flatnonzero(published.times[last] != utc)):
            at = last[row]
            while np.isnan(known[at]):
                at -= 1
            assert table.values[row, column] == known[at]


def test_the_clock_is_new_yorks():
    table = load_nyc().table
    hour = table.times.astype("datetime64[h]").astype(int) % 24
    mean = [table.column("TEMP")[hour == k].mean() for k in range(24)]
    assert 12 <= int(np.argmax(mean)) <= 16  # warmest in the early afternoon
    assert 3 <= int(np.argmin(mean)) <= 7  # coldest before sunrise


def test_the_script_refuses_another_file(tmp_path):
    other = tmp_path / "weather.csv"
    other.write_text("origin,year\nLGA,2013\n")
    script = ROOT / "scripts" / "make_nyc_weather.py"
    done = subprocess.run(
        [sys.executable, script, other, "--out", tmp_path / "out.gz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "sha256 must be" in done.stderr
    assert not (tmp_path / "out.gz").exists()


def test_it_equals_an_independent_conversion(data_file):
    other = read_table(data_file("nyc/nyc_LGA_2013.csv.gz"), time="TIME")
    table = load_nyc().table
    assert np.array_equal(other.values[: len(table)], table.values)
    assert np.array_equal(other.times[: len(table)] - np.timedelta64(5, "h"), table.times)
