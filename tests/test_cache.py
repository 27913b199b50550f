"""Where things are kept between runs."""

from pathlib import Path

import pytest

from bptt.cache import cache_folder


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, Path("/x/bptt")),
        ("linux", {"XDG_CACHE_HOME": "", "HOME": "/h"}, Path("/h/.cache/bptt")),
        ("win32", {"LOCALAPPDATA": "/l", "XDG_CACHE_HOME": "/x"}, Path("/l/bptt")),
        ("win32", {"LOCALAPPDATA": "", "HOME": "/h"}, Path("/h/AppData/Local/bptt")),
        ("linux", {"BPTT_CACHE_DIR": "/c", "XDG_CACHE_HOME": "/x"}, Path("/c")),
        ("win32", {"BPTT_CACHE_DIR": "/c", "LOCALAPPDATA": "/l"}, Path("/c")),
    ],
)
def test_the_cache_folder_of_each_system(monkeypatch, platform, variables, wanted):
    monkeypatch.delenv("BPTT_CACHE_DIR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if "HOME" in variables:
        monkeypatch.setattr(Path, "home", lambda: Path(variables["HOME"]))
    monkeypatch.setattr("sys.platform", platform)
    assert cache_folder() == wanted
