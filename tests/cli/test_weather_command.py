"""The command as a user meets it: exit status, one line an error, what goes to which stream."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labs.small import write_small_table


def bptt(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bptt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def write_with_commas(table: Path, path: Path) -> None:
    path.write_text(table.read_text().replace(",", ";").replace(".", ","))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_table(tmp_path_factory.mktemp("cli") / "small.csv")


def test_lab_weather_prints_the_table_and_the_report(table: Path, tmp_path: Path) -> None:
    done = bptt("lab", "weather", "--data", table, "--seeds", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "repeat the last hour" in done.stdout
    assert f"report: {Path('bptt-weather') / 'report.html'}" in done.stdout
    assert (tmp_path / "bptt-weather" / "report.html").exists()
    assert "960 rows" in done.stdout


def test_json_on_stdout_is_json_alone(table: Path, tmp_path: Path) -> None:
    done = bptt("lab", "weather", "--data", table, "--seeds", 1, "--seed", 7, "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seed"] == 7
    assert "report:" in done.stderr


def test_quiet_prints_the_report_only(table: Path, tmp_path: Path) -> None:
    done = bptt("lab", "weather", "--data", table, "--seeds", 1, "--quiet", "--out", "here", cwd=tmp_path)
    assert done.stdout == f"report: {Path('here') / 'report.html'}\n"
    assert done.stderr == ""


def test_decimal_commas_are_said_and_come_back_in_the_report(table: Path, tmp_path: Path) -> None:
    write_with_commas(table, tmp_path / "commas.csv")
    done = bptt(
        "lab", "weather", "--data", "commas.csv", "--decimal", ",", "--seeds", 1, "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "--data commas.csv --decimal , --seed 0" in (tmp_path / "bptt-weather" / "report.html").read_text()


def test_demo_ends_with_the_line_for_ones_own_data(table: Path, tmp_path: Path) -> None:
    write_with_commas(table, tmp_path / "commas.csv")
    done = bptt("demo", "--data", "commas.csv", "--decimal", ",", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "bptt-weather" / "result.json").read_text())["seeds"] == [0, 1, 2]
    assert done.stdout.rstrip().endswith("bptt lab weather --data your-table.csv --target your-column")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "missing.csv"), "missing.csv"),
        (("--data", "TABLE", "--target", "RAIN"), "RAIN"),
        (("--data", "text.csv"), "text.csv"),
        (("--data", "short.csv"), "rows"),
        (("--data", "gap.csv"), "PRES"),
        (("--data", "commas.csv"), "--decimal ,"),
        (("--data", "nyc", "--decimal", ","), "--decimal is for a file of your own"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: tuple[str, ...], words: str, table: Path, tmp_path: Path
) -> None:
    lines = table.read_text().splitlines()
    (tmp_path / "text.csv").write_text("\n".join([*lines[:30], "1,2,x,4,5,6", *lines[30:]]))
    (tmp_path / "short.csv").write_text("\n".join(lines[:20]))
    cells = lines[40].split(",")
    cells[lines[0].split(",").index("PRES")] = ""
    write_with_commas(table, tmp_path / "commas.csv")
    (tmp_path / "gap.csv").write_text("\n".join([*lines[:40], ",".join(cells), *lines[41:]]))
    given = [str(table) if a == "TABLE" else a for a in arguments]
    done = bptt("lab", "weather", *given, "--seeds", 1, cwd=tmp_path)
    assert done.returncode == 2
    message = done.stderr.strip()
    assert message.startswith("bptt: ")
    assert words in message
    assert "\n" not in message
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "bptt-weather").exists()


def test_a_folder_that_cannot_be_made_is_one_line(table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = bptt("lab", "weather", "--data", table, "--seeds", 1, "--out", "file/out", cwd=tmp_path)
    assert done.returncode == 2
    assert "file/out" in done.stderr


def test_version_and_help(tmp_path: Path) -> None:
    assert bptt("--version", cwd=tmp_path).stdout.startswith("bptt 0.")
    assert "weather" in bptt("lab", "--help", cwd=tmp_path).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_is_one_line_and_status_130(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bptt", "lab", "weather", "--data", "nyc"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background may ignore SIGINT, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "500 steps done" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    # Whoever is the first on a machine is told that it compiles.
    told = [line for line in errors.splitlines() if "compiling for" not in line]
    assert told == ["bptt: interrupted: the table needs every run, so nothing was written"]
