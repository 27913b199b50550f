"""Hundreds of awkward tables: each is read with every other value to the last bit, or refused in one line."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bptt.data.tables.parsing import MISSING
from bptt.errors import BpttError
from bptt.forecast.tables.reading import read_panel
from bptt.forecast.tables.writing import text_times, write_forecast

ROWS = 60
TOKENS = (
    "", "NA", "nan", "null", "-", "?", "#N/A", "inf", "-inf", "Infinity", "1e999", "1,5", "1.234,5", "1,234", "1 234",
    "−3", "- 3", "3-", "(3)", "12%", "$3", "3 mm", "1_0", "0x1F", "1e5", "1E-5", ".5", "5.", "+7", "007", "1d5", "True",
    "\0", "'3", "a" * 200, "9" * 30, "9007199254740993", "-999", "3\n4", "\u2028", "=A1+1", "٣", "1e-400",
    "2013-02-30 00:00", "2013-03-01", "24:00", "31/12/2013", "2013-03-30 05:00:00.5", "2013-03-30T05:00+02:00",
)  # fmt: skip


def columns():
    rng = np.random.default_rng(11)
    times = [f"2013-03-{29 + k // 24:02} {k % 24:02}:00" for k in range(ROWS)]
    return times, [f"{v:.3f}" for v in rng.normal(size=ROWS)], [f"{v:.3f}" for v in rng.normal(size=ROWS)]


def quoted(text):
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',;\t"\n\r') else text


def write(path, header, rows, delimiter=","):
    lines = [delimiter.join(map(quoted, row)) for row in (header, *rows)]
    path.write_bytes("\n".join([*lines, ""]).encode())
    return path


@pytest.mark.parametrize("token", TOKENS, ids=ascii)
def test_one_odd_entry(tmp_path, token):
    times, y, x = columns()
    exact = np.array([list(map(float, y)), list(map(float, x))])
    for column in (0, 1, 2):
        table = [list(times), list(y), list(x)]
        table[column][21] = token
        path = write(tmp_path / f"{column}.csv", ["when", "y", "x"], list(zip(*table, strict=True)))
        try:
            data = read_panel(path, target="y", inputs="x")
        except BpttError as error:
            told = str(error)
            assert "\n" not in told
            assert len(told) < 500
            assert f"{column}.csv, line " in told
            continue
        if column == 0:  # a date alone is its midnight: four weeks before the others, which is told
            assert token == "2013-03-01"
            assert {finding.kind for finding in data.findings} == {"unsorted", "gap"}
            continue
        line = data.panel.lines[0]
        found = np.stack([line.y, line.past[:, 0]])
        same = np.ones((2, ROWS), bool)
        same[column - 1, 21] = False
        assert np.array_equal(found[same], exact[same])
        if token.strip().lower() in MISSING:
            # Missing: a target stays so, an input is filled with the value before, which is told.
            assert np.isnan(line.y[21]) if column == 1 else line.past[21, 0] == exact[1, 20]
            assert any(finding.kind == "missing" for finding in data.findings)
        else:
            assert found[column - 1, 21] == float(token)


def shuffled_about(rng, rows, header):
    """Do up to four kinds of damage to a table."""
    for _ in range(rng.randint(0, 4)):
        i, j, kind = rng.randrange(len(rows)), rng.randrange(len(header)), rng.randint(0, 8)
        if kind == 0:
            rows[i][min(j, len(rows[i]) - 1)] = rng.choice(TOKENS)
        elif kind == 1:
            rows.insert(rng.randrange(len(rows)), list(rows[i]))
        elif kind == 2 and len(rows) > 3:
            del rows[i]
        elif kind == 3:
            rng.shuffle(rows)
        elif kind == 4:
            rows[i].append(rng.choice(TOKENS))
        elif kind == 5:
            header[j] = rng.choice(header)
        elif kind == 6:
            del rows[rng.randint(1, 6) :]
        else:
            for row in rows:
                if j < len(row) and rng.random() < 0.3:
                    row[j] = rng.choice(TOKENS)
    return rows, header


@pytest.mark.parametrize("seed", range(12))
def test_tables_damaged_at_random(tmp_path, seed):
    rng = random.Random(seed)
    times, y, x = columns()
    read, refused = 0, []
    for number in range(25):
        whole = [[s, *row] for s in ("a", "b") for row in map(list, zip(times, y, x, strict=True))]
        rows, header = shuffled_about(rng, whole[: rng.choice([60, 120])], ["id", "when", "y", "x"])
        path = write(tmp_path / f"{number}.csv", header, rows, rng.choice(",;\t"))
        options = rng.choice(
            [{}, {"group": "id"}, {"future": "x"}, {"missing": "mask"}, {"zone": "Europe/Berlin"}]
        )
        try:
            data = read_panel(path, target="y", **options)
        except BpttError as error:
            refused.append(str(error))
            continue
        read += 1
        known = set(map(float_or_none, (row[header.index("y")] for row in rows if len(row) == 4)))
        for line in data.panel:
            assert set(line.y[~np.isnan(line.y)].tolist()) <= known
            assert len(line.local) == len(line.future) >= len(line.times) == len(line.y) == len(line.past)
            assert len(line) < 2 or np.unique(np.diff(line.times)).size == 1
        text_times(data.layout, write_forecast(data, {"y_hat": np.zeros((len(data.panel), 2))})["ds"])
        again = read_panel(path, layout=data.layout)
        for a, b in zip(data.panel, again.panel, strict=True):
            assert np.array_equal(a.y, b.y, equal_nan=True)
            assert np.array_equal(a.past, b.past, equal_nan=True)
    assert not [message for message in refused if "\n" in message or len(message) > 700]
    assert read > 2  # else the damage is too heavy to say anything


def float_or_none(text):
    try:
        return float(text)
    except ValueError:
        return None
