"""What a lab's report must hold to be moved through."""

from __future__ import annotations

import re

SLIDERS = ["profile", "course", "gradient-norms", "weight-norms", "spectral-radius"]


def assert_can_be_moved_through(page: str, doctor: str) -> None:
    """Check for the five sliders, their script, and the doctor's lines, of which there is at least one."""
    assert re.findall(r'<input type="range" id="([a-z-]+)"', page) == SLIDERS
    assert page.count("<script>") == 1
    assert "://" not in page.replace("https://doi.org", "")
    lines = doctor.splitlines()
    assert lines
    for line in lines:
        assert line.startswith("Doctor, ")
        assert line.split(":")[0].replace("'", "&#x27;") in page
