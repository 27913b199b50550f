"""The lab's file: where it is looked for, in which order, and what is refused."""

import hashlib

import numpy as np
import pytest

from bptt.data import find_beijing, load_beijing
from bptt.data.weather import beijing
from bptt.data.weather.cache import keep
from bptt.errors import DataError, FileMissing, InvalidInput

BODY = b"No,year,month,day,hour,DEWP,TEMP,PRES,Iws,Is,Ir\n1,2010,1,1,0,-21,-11,1021,1.79,0,0\n"
REFUSED = (
    f"must have the sha256 {hashlib.sha256(BODY).hexdigest()}. Got {hashlib.sha256(b'other').hexdigest()}: "
)
REFUSED += "it is another file, or was changed on the way"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return the named folder and the cache folder, both empty, with a small file pinned instead of the real one."""
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("BPTT_DATA_DIR", str(named))
    monkeypatch.setenv("BPTT_OFFLINE", "1")
    monkeypatch.setenv("BPTT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(beijing, "SHA256", hashlib.sha256(BODY).hexdigest())
    return named, tmp_path / "cache"


def said(kind, *arguments):
    with pytest.raises(kind) as caught:
        find_beijing(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["beijing_pm25.csv", "pollution.csv", "rnn_dataset.csv"])
def test_the_named_folder_comes_before_the_cache(places, name):
    named, cache = places
    keep("beijing_pm25.csv", BODY)
    assert find_beijing().where == f"found in the cache ({cache / 'beijing_pm25.csv'})"
    (named / name).write_bytes(BODY)
    found = find_beijing()
    assert found.where == f"found in BPTT_DATA_DIR ({named / name})"
    assert found.raw == BODY


def test_a_path_comes_first_and_nothing_else_is_tried(places, tmp_path):
    named, _ = places
    (named / "pollution.csv").write_bytes(BODY)
    mine = tmp_path / "mine.csv"
    assert said(FileMissing, mine) == f"path must name a file that exists. Got {mine}"
    mine.write_bytes(BODY)
    assert find_beijing(mine).where == f"from {mine}"
    assert find_beijing(named).where == f"from {named / 'pollution.csv'}"
    assert said(FileMissing, tmp_path) == (
        f"path must hold one of beijing_pm25.csv, pollution.csv, rnn_dataset.csv. Got the folder {tmp_path} "
        "without them"
    )


def test_another_file_is_refused_wherever_it_lies(places, tmp_path):
    named, _ = places
    other = tmp_path / "other.csv"
    other.write_bytes(b"other")
    assert said(DataError, other) == f"{other} {REFUSED}"
    kept = keep("beijing_pm25.csv", b"other")
    assert said(DataError).startswith(f"{kept} {REFUSED}")
    (named / "pollution.csv").write_bytes(b"other")
    assert said(DataError).startswith(f"{named / 'pollution.csv'} {REFUSED}")


def test_offline_without_the_file_says_what_to_do(places):
    named, cache = places
    assert said(DataError) == (
        f"the Beijing file is not in BPTT_DATA_DIR ({named}) and not in the cache ({cache}), and "
        "BPTT_OFFLINE=1 forbids "
        "its download: put beijing_pm25.csv into a folder that BPTT_DATA_DIR names, or use the embedded data (nyc)"
    )


def test_a_download_is_kept(places, monkeypatch):
    _, cache = places
    monkeypatch.delenv("BPTT_OFFLINE")
    asked = []

    def answer(address, *, sha256, limit):
        asked.append((address, sha256, limit))
        return BODY

    monkeypatch.setattr(beijing, "download", answer)
    assert find_beijing().where == f"downloaded to {cache / 'beijing_pm25.csv'}"
    assert find_beijing().where == f"found in the cache ({cache / 'beijing_pm25.csv'})"
    assert asked == [(beijing.ADDRESS, beijing.SHA256, beijing.LIMIT)]
    assert [entry.name for entry in cache.iterdir()] == ["beijing_pm25.csv"]


def test_a_download_that_cannot_be_kept_is_used(places, monkeypatch):
    monkeypatch.delenv("BPTT_OFFLINE")
    monkeypatch.setattr(beijing, "download", lambda *rest, **options: BODY)

    def full(name, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(beijing, "keep", full)
    found = find_beijing()
    assert (found.raw, found.where) == (BODY, "downloaded, but not kept ([Errno 28] No space left on device)")


def test_a_download_that_fails_says_why(places, monkeypatch):
    named, cache = places
    monkeypatch.delenv("BPTT_OFFLINE")

    def fail(*rest, **options):
        raise DataError("ADDRESS must answer within 5 s. Got no answer")

    monkeypatch.setattr(beijing, "download", fail)
    assert said(DataError) == (
        f"the Beijing file is not in BPTT_DATA_DIR ({named}) and not in the cache ({cache}), and its download failed: "
        "ADDRESS must answer within 5 s. Got no answer: put beijing_pm25.csv into a folder that "
        "BPTT_DATA_DIR names, or "
        "use the embedded data (nyc)"
    )


def test_a_failed_write_leaves_nothing_in_the_cache(places, monkeypatch):
    _, cache = places

    def fail(source, target):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.replace", fail)
    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(InvalidInput, match="Input/output error"):
        keep("beijing_pm25.csv", BODY)
    assert list(cache.iterdir()) == []


def test_the_table_is_the_labs(data_file):
    table = load_beijing(data_file("beijing_pm25.csv"))
    assert table.columns == ("DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")
    assert table.values.shape == (42_984, 6)  # the lab prints this
    head = [[-21, -11, 1021, 1.79, 0, 0], [-21, -12, 1020, 4.92, 0, 0], [-21, -11, 1019, 6.71, 0, 0]]
    assert table.values[:3].tolist() == head  # and these
    assert table.sha256 == beijing.SHA256
    assert np.isfinite(table.values).all()
    assert table.times[0] == np.datetime64("2010-01-01T00:00:00")
    assert (np.diff(table.times) == np.timedelta64(1, "h")).all()
