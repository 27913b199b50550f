"""The garbage collector while a command runs, and after it."""

from __future__ import annotations

import gc
import subprocess
import sys

from bptt.cli.collector import collect_seldom

# What a command leaves: its measure of collecting as before, and everything frozen when the interpreter ends.
PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_freeze_count() > 1000))  # after what is registered later
before = gc.get_threshold()
from bptt.cli import main
for _ in range(2):
    sys.argv = ["bptt", "--version"]
    try:
        main()
    except SystemExit:
        print(gc.get_threshold() == before, gc.get_freeze_count())
"""


def test_garbage_is_collected_seldom_and_then_as_before() -> None:
    before = gc.get_threshold()
    try:
        for own, inside in ((701, 10_000), (20_001, 20_001), (0, 0)):
            gc.set_threshold(own, 11, 12)
            with collect_seldom():
                assert gc.get_threshold()[0] == inside
            assert gc.get_threshold()[0] == own
    finally:
        gc.set_threshold(*before)


def test_a_command_leaves_the_collector_as_it_was_until_the_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    told = [line for line in done.stdout.splitlines() if not line.startswith("bptt")]
    assert told == ["True 0", "True 0", "True"]
