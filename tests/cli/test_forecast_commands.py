"""bptt fit, predict, backtest, inspect as a user meets them."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bptt import load
from bptt.cli.fit import another_was_tested, choose_report, doctors_line
from bptt.diagnostics.doctor.finding import Diagnosis, Finding

QUICK = ("--ensemble", 1, "--hidden", 5, "--threads", 1, "--no-trees")


def bptt(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bptt", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def write_table(path: Path, rows: int = 150) -> None:
    """Write months of two series with a yearly wave, a plan known ahead and a gap."""
    rng = np.random.default_rng(5)
    lines = ["shop,month,sold,plan,weather"]
    for shop in ("north", "south"):
        for k in range(rows):
            month = np.datetime64("2001-01") + k
            sold = 50 + 20 * np.sin(2 * np.pi * k / 12) + 8 * (k % 5 == 0) + rng.normal()
            if k != 40:
                lines.append(f"{shop},{month},{sold:.3f},{int(k % 5 == 0)},{rng.normal():.2f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and what `bptt fit` made of it."""
    place = tmp_path_factory.mktemp("forecast")
    write_table(place / "sales.csv")
    done = bptt("fit", "sales.csv", "--target", "sold", "--horizon", 3, "--future", "plan", *QUICK, cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "said.txt").write_text(done.stdout)
    ahead = [
        "shop,month,plan",
        *(f"{shop},2013-0{m},{int(m == 7)}" for shop in ("north", "south") for m in range(7, 10)),
    ]
    (place / "ahead.csv").write_text("\n".join(ahead) + "\n")
    return place


def test_fit_says_what_it_found_and_how_good_it_is(folder: Path) -> None:
    said = (folder / "said.txt").read_text()
    for words in (
        "data: sales.csv, 298 rows; 2 series of 150 steps",
        "time: month; by the clock on the wall",
        "step: 1 month",
        "series by: shop",
        "known ahead: plan",
        "warning: 2 rows are missing in 2 series",
        "repeat the last season",
        "least squares on the window",
        "best baseline",
        "doctor: ",
        "model: sales.safetensors",
        "report: report.html",
    ):
        assert words in said
    page = (folder / "report.html").read_text()
    for words in (
        "Do it again",
        "What was found before training",
        "The training doctor: ",
        "by the month",
        "Autocorrelation",
        "bptt fit sales.csv",
    ):
        assert words.lower() in page.lower()


def test_a_report_of_another_table_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    usual = folder / "report.html"
    assert choose_report(usual, Path("deep/sales.csv"), Path("m.safetensors")) == usual
    assert choose_report(usual, Path("ales.csv"), Path("m.safetensors")) == folder / "m-report.html"
    assert (
        choose_report(tmp_path / "report.html", Path("sales.csv"), Path("m.safetensors")).name
        == "report.html"
    )
    (tmp_path / "report.html").write_text("<title>Forecast of mine</title>")
    (tmp_path / "flat.csv").write_text("y\n" + "2.5\n" * 60)
    for again in (False, True):  # its own is overwritten
        done = bptt("fit", "flat.csv", "--test", 0, "--horizon", 2 + again, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "report.html is not of flat.csv and stays as it is" in done.stdout
        assert done.stdout.splitlines()[-2] == "report: flat-report.html"
        assert f"{2 + again} steps ahead" in (tmp_path / "flat-report.html").read_text()
    assert (tmp_path / "report.html").read_text() == "<title>Forecast of mine</title>"


def test_predict_writes_csv_and_nothing_else(folder: Path) -> None:
    done = bptt("predict", "sales.safetensors", "sales.csv", "--future-values", "ahead.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["unique_id", "ds", "y_hat", "lo_90", "hi_90"]
    assert [(row["unique_id"], row["ds"]) for row in rows[:4]] == [
        ("north", "2013-07-01"), ("north", "2013-08-01"), ("north", "2013-09-01"), ("south", "2013-07-01"),
    ]  # fmt: skip
    for row in rows:
        assert float(row["lo_90"]) < float(row["y_hat"]) < float(row["hi_90"])
    assert "rows are missing" in done.stderr


def test_predict_into_files(folder: Path, tmp_path: Path) -> None:
    options = ("--future-values", "ahead.csv", "--coverage", 0.5, "--quiet")
    files = ("--out", tmp_path / "f.csv", "--plot", tmp_path / "f.png", "--json", tmp_path / "f.json")
    done = bptt("predict", "sales.safetensors", "sales.csv", *options, *files, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "f.csv").read_text())))
    told = json.loads((tmp_path / "f.json").read_text())
    assert list(told[0]) == ["unique_id", "ds", "y_hat", "lo_50", "hi_50"]
    assert [float(row["y_hat"]) for row in rows] == pytest.approx(
        [row["y_hat"] for row in told], rel=1e-8, abs=0
    )
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"


def test_predict_gives_the_intervals_of_python(folder: Path) -> None:
    """Also narrow ones, which the errors' quantiles alone would put beside the forecast."""
    options = ("--future-values", "ahead.csv", "--coverage", 0.02, "--quiet")
    done = bptt("predict", "sales.safetensors", "sales.csv", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    said = load(folder / "sales.safetensors").predict_interval(
        folder / "sales.csv", 0.02, folder / "ahead.csv"
    )
    for name in ("y_hat", "lo_2", "hi_2"):
        np.testing.assert_allclose([float(row[name]) for row in rows], said[name], rtol=1e-5, atol=0)
    assert all(float(row["lo_2"]) <= float(row["y_hat"]) <= float(row["hi_2"]) for row in rows)
    quantiles = load(folder / "sales.safetensors").forecast(
        folder / "sales.csv", future=folder / "ahead.csv", levels=(0.49, 0.51)
    )
    beside = (quantiles.quantiles[0] > quantiles.y_hat) | (quantiles.quantiles[1] < quantiles.y_hat)
    assert beside.any()


def test_inspect_says_what_a_model_is(folder: Path) -> None:
    done = bptt("inspect", "sales.safetensors", "sales.csv", "--json", "-", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["facts"]["horizon"] == "3 rows of 1 month"
    assert told["columns"]["known ahead"] == "plan"
    assert told["alignment"]["sound"]
    assert "validation" in done.stderr


def test_few_rows_are_said_to_make_poor_intervals_and_notes_are_kept(tmp_path: Path) -> None:
    rows = [f"{np.datetime64('2019-01') + k},{200 + 3 * k + 40 * (k % 12 == 11)}" for k in range(34)]
    rows[20] = "2020-09,"
    (tmp_path / "sales.csv").write_text("\n".join(["month,sales", *rows]) + "\n")
    done = bptt("fit", "sales.csv", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "too few forecasts, enough for 82 %, not for 90 %: they take the errors for normal" in done.stdout
    told = bptt("inspect", "sales.safetensors", cwd=tmp_path).stdout
    assert "calibrated on 10 forecasts of rows held out, enough for 82 %, not for 90 %" in told
    assert "  note: sales: 1 of 34 values missing" in told
    done = bptt("fit", "sales.csv", "--coverage", 0.8, *QUICK, cwd=tmp_path)
    assert "too few forecasts" not in done.stdout


def test_one_network_trained_once_and_without_intervals(tmp_path: Path) -> None:
    write_table(tmp_path / "sales.csv")
    (tmp_path / "once.toml").write_text('updates = 24\nintervals = "none"\n')
    told = ("--json", "told.json", "--config", "once.toml", "--validation", 0, "--without", "plan")
    done = bptt("fit", "sales.csv", "--target", "sold", "--horizon", 3, *told, *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("nothing was validated: the recurrent network is taken as it is", "best baseline"):
        assert words in done.stdout
    assert "interval" not in done.stdout.lower().replace("interval score", "").replace("interval covers", "")
    assert (
        json.loads((tmp_path / "told.json").read_text())["test"]["scores"]["model"]["coverage"] == [None] * 3
    )
    page = (tmp_path / "report.html").read_text()
    assert "The end of the history, and the forecast after it." in page
    for words in ("% interval", "intervals aim", "intervals of"):
        assert words not in page.lower()
    model = load(tmp_path / "sales.safetensors")
    assert [len(each) for each in model.fitted.losses] == []  # a file does not keep them
    assert model.asked.recipe.updates == 24
    assert len(model.fitted.trained.nets) == 1
    done = bptt("predict", "sales.safetensors", "sales.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "unique_id,ds,y_hat"
    assert len(done.stdout.splitlines()) == 7


def test_backtest_with_settings_from_a_file(folder: Path) -> None:
    config = 'target = "sold"\nhorizon = 5\nensemble = 1\nhidden = 5\ninputs = []\nseed = 3\n'
    (folder / "settings.toml").write_text(config)
    options = ("--config", "settings.toml", "--horizon", 2, "--folds", 2, "--no-trees", "--json", "-")
    done = bptt("backtest", "sales.csv", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["folds"]) == 2
    assert len(told["scores"]["model"]["rmse"]) == 2  # what is given here wins over the file
    assert set(told["scores"]) == {"model", "last", "season", "ridge"}
    assert "RMSE by step" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "none.csv"), "path must name a file that exists. Got none.csv"),
        (("fit", "sales.csv"), "target must name the column to forecast"),
        (("fit", "sales.csv", "--target", "rain"), "must have the column 'rain'"),
        (
            ("fit", "sales.csv", "--target", "sold", "--out", "nowhere/m"),
            "--out must name a file in a folder",
        ),
        (
            ("fit", "sales.csv", "--target", "sold", "--missing", "weather=guess"),
            "missing of 'weather' must be one of",
        ),
        (("fit", "sales.csv", "--target", "sold", "--quantiles", "low"), "--quantiles must be probabilities"),
        (("fit", "sales.csv", "--config", "bad.toml"), "bad.toml must be a TOML file"),
        (("fit", "sales.csv", "--config", "odd.json"), "odd.json must have only the names"),
        (
            ("predict", "sales.safetensors", "sales.csv"),
            "future values of plan must be known for horizon = 3",
        ),
        (("predict", "sales.csv", "sales.csv"), "sales.csv must be a model"),
        (
            ("predict", "sales.safetensors", "ahead.csv"),
            "must have the columns that the model was trained with",
        ),
        (
            ("backtest", "sales.csv", "--target", "sold", "--folds", 900),
            "rows must be more than folds * horizon",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    folder: Path,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "bad.toml").write_text("target = \n")
    (folder / "odd.json").write_text('{"targets": "sold"}')
    monkeypatch.chdir(folder)
    # In this process: the entry point is the same, and a dozen starts would take their time.
    from bptt.cli.main import main

    monkeypatch.setattr(sys, "argv", ["bptt", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    told = capsys.readouterr()
    assert caught.value.code == 2
    assert told.err.startswith("bptt: ")
    assert words in told.err
    assert told.err.count("\n") == 1
    assert not (folder / "none.safetensors").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_is_one_line_and_leaves_every_file_as_it_was(folder: Path, tmp_path: Path) -> None:
    options = ("--target", "sold", "--future", "plan", "--ensemble", "60")
    command = [sys.executable, "-m", "bptt", "fit", str(folder / "sales.csv"), *options]
    # What an earlier fit wrote stays as it is, to the bit.
    before = {name: (folder / name).read_bytes() for name in ("sales.safetensors", "report.html")}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background may ignore SIGINT, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "warning: 2 rows are missing" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("bptt: interrupted")
    assert "nothing was written" in errors.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_doctors_line_of_a_fit() -> None:
    healthy = Diagnosis((), 0.1, 0.9, 7)
    finding = Finding("dead units", "severe", "layer 0", "3 of 4 units are 0", {}, "lower the rate")
    ill = Diagnosis((finding,), 0.1, 0.9, 7)
    assert doctors_line(healthy, "network") == healthy.line
    assert doctors_line(healthy, "ridge") == "no disease found; least squares on the window is used"
    assert doctors_line(ill, "ridge") == ill.line
    assert another_was_tested("network", "last") == (
        "tested without these rows it was the recurrent network; with them validation chose repeating the last value"
    )
