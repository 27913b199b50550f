"""A target that is never negative, whose interval would be: said once, with what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bptt import Forecaster, load
from bptt.cli.main import main
from bptt.forecast import Recipe
from bptt.forecast.asking import Asked
from bptt.forecast.fitting.choices.settling import rests_at_zero
from bptt.forecast.given import read_to_learn

RECIPE = Recipe(ensemble=1, hidden=3, updates=20)


def table(low: float, rows: int = 90) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    hours = np.datetime64("2021-01-01T00:00") + np.arange(rows) * np.timedelta64(60, "m")
    return {"time": hours, "pm": np.round(low + rng.exponential(30, rows), 2)}


def asked(**settings: object) -> Asked:
    return Forecaster(target="pm", recipe=RECIPE, **settings).asked


def signs(data: object) -> list[str]:
    return [finding.text for finding in data.findings if finding.kind == "sign"]


def test_it_is_found_where_it_helps() -> None:
    (told,) = signs(read_to_learn(table(0), asked()))
    assert told == (
        "pm: never negative, and near 0 at times: intervals may reach below 0, --transform log1p "
        "(transform='log1p') keeps them and the forecasts above"
    )
    assert signs(read_to_learn(table(0), asked(transform="log1p"))) == []
    assert signs(read_to_learn(table(0), asked(transform="none"))) == []  # asked for as it is
    assert signs(read_to_learn(table(1013), asked())) == []  # a pressure
    assert signs(read_to_learn(table(-1), asked())) == []
    # Twenty series and more: validation decides.
    many = {name: np.tile(values, 20) for name, values in table(0).items()}
    many["unique_id"] = np.repeat([f"s{k}" for k in range(20)], 90)
    assert signs(read_to_learn(many, asked())) == []
    model = Forecaster(target="pm", recipe=RECIPE, threads=1).fit(table(0), progress=False)
    assert [finding.kind for finding in model.findings] == ["sign"]


def test_predict_says_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = zip(*table(0).values(), strict=True)
    Path("t.csv").write_text("\n".join(["time,pm", *(f"{a},{b}" for a, b in rows)]) + "\n")
    for transform, lines in ((None, 1), ("log1p", 0)):
        Forecaster(target="pm", horizon=2, recipe=RECIPE, transform=transform, threads=1).fit(
            "t.csv", progress=False
        ).save("m.safetensors")
        monkeypatch.setattr(sys, "argv", ["bptt", "predict", "m.safetensors", "t.csv"])
        main()
        said = capsys.readouterr()
        assert said.err.count("\n") == lines
        assert any(float(row.split(",")[3]) < 0 for row in said.out.splitlines()[1:]) == bool(lines)
        if lines:
            assert said.err == (
                "bptt: note: pm is never negative, and its interval reaches below 0: bptt fit --transform log1p "
                "keeps it above\n"
            )


def demand(rows: int = 400) -> dict[str, np.ndarray]:
    """A demand of a day: 0 on most, now and then some pieces."""
    found = table(0, rows)
    rng = np.random.default_rng(7)
    return found | {"pm": np.where(rng.random(rows) < 0.3, rng.poisson(3.0, rows), 0).astype(float)}


def test_what_is_often_zero_stops_there(tmp_path: Path) -> None:
    (told,) = signs(read_to_learn(demand(), asked()))
    assert told == (
        "pm: never negative, and often 0: forecasts and intervals stop there; --transform none (transform='none') "
        "lets them go below"
    )
    settings = {"target": "pm", "horizon": 3, "recipe": RECIPE, "quantiles": (0.02,), "threads": 1}
    stopped, free = (
        Forecaster(transform=transform, **settings).fit(demand(), progress=False)
        for transform in (None, "none")
    )
    assert stopped.fitted.trained.encoding.transform == "nonnegative"
    assert free.fitted.trained.encoding.transform is None
    low = free.predict_interval(coverage=0.9)
    assert low["lo_90"].min() < 0
    # Nothing else is changed.
    found = stopped.predict_interval(coverage=0.9)
    for name in ("y_hat", "lo_90", "hi_90"):
        np.testing.assert_array_equal(found[name], np.maximum(low[name], 0.0))
    assert stopped.predict()["q_2"].min() == 0.0
    stopped.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict_interval(coverage=0.9)["lo_90"], found["lo_90"])
    # A row below 0 that comes later is taken in, and said nothing else of.
    assert stopped.step({"pm": -1.0}).min() >= 0.0


def test_what_rests_at_zero_and_what_does_not() -> None:
    def rests(y: np.ndarray) -> bool:
        return rests_at_zero(read_to_learn(table(0, len(y)) | {"pm": y}, asked()).panel)

    y = np.random.default_rng(2).exponential(3.0, 200)
    y[:10] = 0.0
    assert rests(y)
    assert not rests(np.where(np.arange(200) == 4, 0.5, y))  # 9 of 200
    assert not rests(np.where(np.arange(200) == 40, -0.5, y))
    assert rests(np.where(np.arange(200) > 150, np.nan, y))
    # Too little to learn from: what is repeated stops there too.
    model = Forecaster(target="pm", recipe=RECIPE, threads=1).fit(demand(9), progress=False)
    assert model.predict_interval(coverage=0.9)["lo_90"].min() == 0.0
