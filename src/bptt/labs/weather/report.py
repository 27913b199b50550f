"""Pictures, tables, report and result file of the weather lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bptt.atomic import write_atomic
from bptt.checks import Array
from bptt.labs.letters import Letters, get_letters
from bptt.labs.outcome import doctor_lines, draw_picture, make_folder
from bptt.labs.told import derivation_section, say_section
from bptt.labs.watched import watched_section
from bptt.labs.weather.lab import (
    BASELINES,
    HOURS_A_DAY,
    LAB_BAR,
    LAB_SD,
    TRAINED,
    Method,
    WeatherResult,
    methods_by_rmse,
)
from bptt.models import save
from bptt.plots import error_by_hour, forecast_week, learning_curve, method_bars, scatter, unrolled
from bptt.report import Code, Picture, Section, TableBlock, Text, write_report
from bptt.report.versions import describe, versions

# Below this share of the error the recurrent part is said to add little.
LITTLE = 0.01

HEADERS = ("method", "RMSE", "spread", "MSE, scaled", "last 25 losses", "seconds")


def table_rows(result: WeatherResult) -> list[tuple[str, ...]]:
    """Return the table's cells, a row a method, the best last."""
    return [_cells(method) for method in sorted(result.methods.values(), key=lambda m: -m.mean_rmse)]


def verdicts(result: WeatherResult) -> list[str]:
    """Return what the table means, in sentences that hold for these numbers."""
    methods, unit = result.methods, result.data.unit
    best_baseline = min((methods[name] for name in BASELINES), key=lambda m: m.mean_rmse)
    lines = []
    if result.data.name == "beijing":
        worst = max(methods["lab_recipe"].last_25)
        lines.append(
            f"The lab asks for a mean of the last 25 losses below {LAB_BAR}; the worst seed ends at {worst:.4f}: "
            f"{'passed' if worst < LAB_BAR else 'missed'}."
        )
    lab, persistence = methods["lab_recipe"].mean_rmse, methods["persistence"].mean_rmse
    lines.append(
        f"The lab's recipe has an error of {lab:.3f} {unit} on the test part; "
        f"repeating the last hour has {persistence:.3f}."
    )
    for name in ("default", "default_carried"):
        model, mute = methods[name], methods[f"{name}_silenced"]
        ratio = model.mean_rmse / best_baseline.mean_rmse
        lines.append(
            f"The {model.title}: {model.mean_rmse:.3f} {unit}, {'beats' if ratio < 1 else 'loses to'} "
            f"the best baseline, {best_baseline.title} ({best_baseline.mean_rmse:.3f}), ratio {ratio:.3f}. "
            f"With its recurrent part silenced: {mute.mean_rmse:.3f}{_worth(model, mute)}."
        )
    return lines


def doctor(result: WeatherResult) -> str:
    """Return what the training doctor says of each run it looked at, a line each."""
    return doctor_lines(
        {result.methods[name].title: diagnosis for name, diagnosis in result.diagnoses.items()}
    )


def _worth(model: Method, mute: Method) -> str:
    """Say so where the recurrent part is not what carries the forecast."""
    gain = 1 - model.mean_rmse / mute.mean_rmse
    if gain < 0:
        return ", which is better: the recurrent part does harm here"
    return f", so the recurrent part adds only {100 * gain:.1f} %" if gain < LITTLE else ""


def write_folder(result: WeatherResult, out: Path, command: str, notation: str = "ours") -> Path:
    """Write result.json, pictures, models and report.html into `out`; return the report's path.

    Parameters
    ----------
    result : WeatherResult
    out : Path
    command : str
        What makes these numbers again.
    notation : {"ours", "seed"}
        Our letters, or the lab's.
    """
    letters = get_letters("weather", notation)
    make_folder(out)
    write_atomic(out / "result.json", (json.dumps(as_json(result), indent=2) + "\n").encode())
    stored = {
        "scaler": result.scaler.to_dict(),
        "target": result.data.target,
        "data_sha256": result.data.sha256,
    }
    for name, net in result.nets.items():
        save(net, out / f"{name}.bptt", extra=stored)
    pictures = {
        name: draw_picture(draw, out / f"{name}.png", letters.say(alt))
        for name, (draw, alt) in _pictures(result, letters).items()
    }
    path = out / "report.html"
    write_report(
        path,
        title=f"Weather lab: the next hour's {result.data.target}",
        lead=_lead(result),
        sections=[
            *(say_section(section, letters) for section in _sections(result, pictures)),
            derivation_section("weather", notation),
            Section("Do it again", (Code(command),)),
        ],
        footer=f"{result.data.source}. sha256 {result.data.sha256}. Seeds {list(result.seeds)}. {describe()}.",
    )
    return path


def as_json(result: WeatherResult) -> dict[str, Any]:
    """Return the numbers as plain JSON values; keys are stable, lists have one entry a seed."""
    data = result.data
    return {
        "lab": "weather",
        "data": {
            "name": data.name,
            "title": data.title,
            "chosen_because": data.chosen_because,
            "sha256": data.sha256,
            "source": data.source,
            "rows": len(data.values),
            "columns": list(data.columns),
            "target": data.target,
            "unit": data.unit,
            "notes": list(data.notes),
            "train_rows": result.train_rows,
            "test_windows": len(result.truth),
        },
        "seed": result.seeds[0],
        "seeds": list(result.seeds),
        "ridge": result.ridges,
        "lab_facts": [asdict(fact) for fact in result.facts],
        "gradient_on_edges": {
            name: {"dh": flow.dh.tolist(), "dx": flow.dx.tolist()} for name, flow in result.flows.items()
        },
        "methods": {name: _method_json(method, data.unit) for name, method in result.methods.items()},
        "doctor": {
            result.methods[name].title: diagnosis.to_dict() for name, diagnosis in result.diagnoses.items()
        },
        "seconds": result.seconds,
        "versions": versions(),
    }


def _method_json(method: Method, unit: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": method.title,
        "test_rmse": method.mean_rmse,
        "test_rmse_seeds": method.rmse,
        "test_mse_scaled": float(np.mean(method.mse_scaled)),
        "test_mse_scaled_seeds": method.mse_scaled,
    }
    if unit == "deg C":
        found["test_rmse_celsius"] = method.mean_rmse
    if method.losses:
        found["last_25_losses_mean"] = float(np.mean(method.last_25))
        found["last_25_losses_mean_seeds"] = method.last_25
        found["seconds"] = float(np.mean(method.seconds))
        found["seconds_seeds"] = method.seconds
    return found


def _cells(method: Method) -> tuple[str, ...]:
    several = len(method.rmse) > 1
    return (
        method.title,
        f"{method.mean_rmse:.3f}",
        f"{min(method.rmse):.3f}-{max(method.rmse):.3f}" if several else "",
        f"{np.mean(method.mse_scaled):.5f}",
        f"{np.mean(method.last_25):.4f}" if method.losses else "",
        f"{np.mean(method.seconds):.1f}" if method.seconds else "",
    )


def _lead(result: WeatherResult) -> str:
    best, *_ = methods_by_rmse(result)
    baseline = min((result.methods[name] for name in BASELINES), key=lambda m: m.mean_rmse)
    if best.name in BASELINES:
        return f"No trained method beats {best.title} here: {best.mean_rmse:.3f} {result.data.unit}."
    return (
        f"Best on the test part: {best.title}, with an error (RMSE) of {best.mean_rmse:.3f} {result.data.unit}, "
        f"{best.mean_rmse / baseline.mean_rmse:.3f} times that of the best baseline, {baseline.title}."
    )


def _sections(result: WeatherResult, pictures: dict[str, Picture]) -> list[Section]:
    data = result.data
    order = sorted(result.methods.values(), key=lambda m: -m.mean_rmse)
    best = min(result.methods[name].mean_rmse for name in BASELINES)
    table = TableBlock(
        headers=HEADERS,
        rows=tuple(_cells(method) for method in order),
        highlight=(len(order) - 1,),
        losing=tuple(k for k, m in enumerate(order) if m.name not in BASELINES and m.mean_rmse > best),
        caption=f"Test part, {len(result.truth):,} windows. RMSE in {data.unit}, MSE in squared scaled units; means "
        f"over {len(result.seeds)} seed{'' if len(result.seeds) == 1 else 's'}, spread from the smallest to "
        "the largest. Trained methods that lose to the "
        "best baseline are coloured; silenced rows show what a model is without its recurrent part.",
    )
    data_lines = [
        f"{data.title}: {len(data.values):,} hourly rows, inputs {', '.join(data.columns)}, target {data.target} "
        f"in {data.unit}. Used {data.chosen_because}. The first {result.train_rows:,} rows train, the last 20 % of "
        "whole days test; means and deviations come from the training rows alone.",
        *data.notes,
    ]
    how = (
        "The lab's recipe is an Elman network of 10 units with weights of deviation 0.001, 500 steps of plain SGD at "
        "0.01 on 32 random windows. The default models are GRUs of 32 units that predict the change from the last "
        "value, trained with Adam, with a linear path over the window beside them; readout and linear path are solved "
        "together by ridge regression at the end. One sees 24 hours from a zero state, the other carries its state. "
        "Silenced rows hold the recurrent part at its training mean: what is left is the linear path."
    )
    return [
        Section(
            "Result",
            (
                table,
                pictures["methods"],
                Text("\n\n".join([*verdicts(result), *doctor(result).splitlines()])),
            ),
        ),
        Section(
            "Forecast",
            (
                pictures["week"],
                pictures["scatter"],
                pictures["scatter_lab_recipe"],
                pictures["error_by_hour"],
            ),
        ),
        Section("Training", (pictures["learning_curve"], Text(how))),
        Section("Data", (Text("\n\n".join(data_lines)), *_facts(result))),
        Section(
            "The gradient on its way back",
            (pictures["unrolled_trained"], pictures["unrolled_start"], _flow_text(result)),
        ),
        *([] if result.watched is None else [watched_section(result.watched)]),
    ]


def _facts(result: WeatherResult) -> list[TableBlock]:
    """Return the lab's printed facts beside ours, where its file was used."""
    if not result.facts:
        return []
    return [
        TableBlock(
            headers=("what the lab prints", "its lines", "printed", "here", "holds"),
            rows=tuple(
                (f.what, f.lines, f.printed, f.here, "yes" if f.holds else "no") for f in result.facts
            ),
            losing=tuple(k for k, fact in enumerate(result.facts) if not fact.holds),
            caption="Weights and window are drawn at random, so that loss and gradients are other numbers here than in "
            "the lab; what they have in common is not. Loss and gradients: of the untrained network, on one window.",
            numeric=(),
        )
    ]


def _flow_text(result: WeatherResult) -> Text:
    start, end = (result.flows[name].dh for name in ("start", "trained"))
    steps = len(start) - 1
    left = [k for k in range(steps + 1) if end[-1 - k] >= end[-1] / 100]

    def a_step(dh: Array) -> float:
        return float((dh[0] / dh[-1]) ** (1 / steps)) if dh[0] > 0 else 0.0

    return Text(
        "Many to one: the gradient enters at the last state, and has one way back. On it each step multiplies by W_hh "
        f"and the slopes of tanh: by {a_step(start):.2g} before training (the weights are of order {LAB_SD:g}) and by "
        f"{a_step(end):.2g} after, the geometric mean over {steps} steps. After training more than 1 % of it is left "
        f"up to {max(left)} steps back: from further away next to nothing is learnt."
    )


def _pictures(result: WeatherResult, letters: Letters) -> dict[str, tuple[Callable[..., Any], str]]:
    """Return for each picture what draws it and what it shows."""
    data, methods = result.data, result.methods
    best = next(m for m in methods_by_rmse(result) if m.name in TRAINED)
    shown = ("least_squares", "lab_recipe", "default", "default_carried")
    titles = {methods[name].title: methods[name].predictions[0] for name in shown}
    grey = (methods["least_squares"].title,)
    hours, clock = _hours(result)
    quantity = f"{data.target}, {data.unit}" if data.unit else data.target
    times = None if data.times is None else data.times[result.rows]
    persistence = methods["persistence"].mse_scaled[0]
    first = result.seeds[0]
    # Models first and in one order, so that each has its colour in every picture. The previous day's error is several
    # times the others' and would squeeze their bars: the table has it.
    bars_shown = (*TRAINED, "default_silenced", "default_carried_silenced", "persistence", "least_squares")

    def curve(**look: Any) -> Any:
        return learning_curve(
            {methods[name].title: methods[name].losses for name in TRAINED},
            lines={
                "the lab's bar": LAB_BAR,
                "repeat the last hour, test": float(f"{persistence:.3g}"),
            },
            loss_label="mean squared error, scaled",
            **look,
        )

    def points(method: Method) -> Callable[..., Any]:
        return lambda **look: scatter(
            result.truth, method.predictions[0], unit=data.unit, title=method.title, **look
        )

    def week(**look: Any) -> Any:
        return forecast_week(
            result.truth,
            titles,
            times=times,
            start=_middle_week(result),
            baselines=grey,
            quantity=quantity,
            **look,
        )

    def by_hour(**look: Any) -> Any:
        return error_by_hour(hours, result.truth, titles, baselines=grey, unit=data.unit, title=clock, **look)

    def graph(name: str) -> Callable[..., Any]:
        flow = result.flows[name]
        return lambda **look: unrolled(flow.dh, flow.dx, nodes=letters.nodes, **look)

    def bars(**look: Any) -> Any:
        return method_bars(
            {methods[name].title: methods[name].rmse for name in bars_shown},
            baselines=tuple(methods[name].title for name in BASELINES if name in bars_shown),
            variants={
                methods[f"{name}_silenced"].title: methods[name].title
                for name in ("default", "default_carried")
            },
            unit=data.unit,
            **look,
        )

    return {
        "learning_curve": (curve, "Training loss against the step, for each trained method and seed."),
        "scatter": (
            points(best),
            f"Forecast against truth on the test part, with a smooth curve: {best.title}.",
        ),
        "scatter_lab_recipe": (
            points(methods["lab_recipe"]),
            f"The same for the lab's recipe, as the lab draws it, seed {first}.",
        ),
        "week": (
            week,
            f"The middle week of the test part: truth and forecasts of seed {first}; below, forecast minus truth.",
        ),
        "error_by_hour": (by_hour, f"Root mean squared error by hour of the day, seed {first}."),
        "methods": (
            bars,
            "Root mean squared error on the test part. The day before is left out: see the table.",
        ),
        **{
            f"unrolled_{name}": (
                graph(name),
                f"The lab's network unrolled, {title}, seed {first}, with the gradient on its edges: dL/dh_t on the "
                "edge that leaves h_t, dL/dx_t from below, medians over windows. Thicker is larger.",
            )
            for name, title in (("trained", "trained"), ("start", "before training"))
        },
    }


def _hours(result: WeatherResult) -> tuple[Array, str]:
    """Hour of the day of each test target, and by which clock."""
    if result.data.times is None:
        return result.rows % HOURS_A_DAY, "hour counted from the first row"
    times = np.asarray(result.data.times[result.rows], "datetime64[h]")
    return times.astype(np.int64) % HOURS_A_DAY, result.data.clock


def _middle_week(result: WeatherResult) -> int:
    """First test target of the week shown: the middle one, from its midnight; none is picked by its looks."""
    hours, _ = _hours(result)
    middle = max(0, len(hours) // 2 - 84)
    return middle + int(-hours[middle] % HOURS_A_DAY) if len(hours) > 168 + HOURS_A_DAY else 0
