"""Messages as text: one line of printable letters, of a length that can be read."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

import bptt
from bptt import errors
from bptt.data import read_table
from bptt.errors import BpttError, DataError, FileFormatError
from bptt.network import Recurrent
from tests.files.sealing import joined, parts_of

EVERY = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, BpttError)]


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_is_one_line_of_printable_letters(kind: type[BpttError]) -> None:
    error = kind("name 'a\nb\x1b[31m\u202e\ud800' must stand. Got none in \u00fc.csv: write it")
    assert str(error) == r"name 'a\nb\x1b[31m\u202e\ud800' must stand. Got none in ü.csv: write it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    long = str(kind(f"x must be y. Got {'z' * 100_000}: write y"))
    assert len(long) < 1300
    assert long.startswith("x must be y. Got zz")
    assert long.endswith("z: write y")


def test_names_of_columns_break_no_line(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('"a\n(mm)","b\x1b[2J"\n1,2\n3,4\n')
    for columns in (["c"], ["a"]):
        with pytest.raises(DataError, match=r"^[^\n\x1b]*\\n\(mm\)[^\n\x1b]*\Z"):
            read_table(path, columns=columns)


def test_a_long_name_in_a_file_makes_no_long_message(tmp_path: Path) -> None:
    path = bptt.save(Recurrent("gru", 3, 2), tmp_path / "model.safetensors")
    header, description, data = parts_of(path.read_bytes())
    description["config"]["direction"] = "x\n" * 50_000
    path.write_bytes(joined(header, description, data))
    with pytest.raises(FileFormatError, match=r"direction must be one of .* Got 'x") as caught:
        bptt.load(path)
    assert len(str(caught.value)) < 1300
