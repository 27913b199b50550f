"""A page that shows a run as it went: curves to move along, and the gradient's profile by path length over training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.atomic import write_atomic
from bptt.checks import Array, check_choice
from bptt.diagnostics import gradient_by_path_length
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network
from bptt.report.css import style_sheet
from bptt.report.sliders import CSS, SCRIPT, SCRIPT_DIGEST, Chart, render_chart, thin
from bptt.report.versions import describe
from bptt.training import History, Recorded

_TITLES = {
    "gradient_norms": ("Norm of each parameter's gradient, on the same examples", "norm", True),
    "weight_norms": ("Norm of each parameter", "norm", True),
    "spectral_radius": ("Spectral radius of the recurrent weights", "radius", False),
}


def path_profiles(
    net: Network,
    recorded: Recorded | None,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    name: str = "layers.0.W_hh",
    **rest: Any,
) -> Array:
    """Return the gradient by path length at every look of a run.

    Parameters
    ----------
    net : Network
        The one that was trained.
    recorded : Recorded
        ``history.recorded`` of a run with ``record=["snapshots"]``.
    x, y
        Examples, as for `Network.loss_and_gradients`; the same at every look.
    name : str
        The parameter.
    **rest
        Further arguments of `bptt.diagnostics.gradient_by_path_length`: `weights`, `lengths`, `longest`.

    Returns
    -------
    ndarray (R, N)
        Mean absolute entry of what came over k Jacobians, k = 0..N-1, at each of R looks.

    Raises
    ------
    InvalidInput, InvalidType
        No snapshots; a parameter that is not there.
    """
    if recorded is None or not recorded.snapshots:
        raise InvalidInput(
            'recorded must hold snapshots. Got none: train(..., record=["snapshots"], every=n)'
        )
    check_choice("name", name, recorded.snapshots[0])
    return np.array(
        [
            gradient_by_path_length(net, x, y, parameters=weights, **rest).mean_abs(name)
            for weights in recorded.snapshots
        ]
    )


def write_training_page(
    path: str | os.PathLike[str],
    history: History,
    *,
    profiles: npt.ArrayLike | None = None,
    title: str = "A training run",
    lead: str = "",
) -> Path:
    """Write a run as one page with sliders, that opens from a file and asks no network for anything.

    Parameters
    ----------
    path : str or path
        The file; its folder must exist.
    history : History
        Of the run. What it recorded is shown too.
    profiles : array_like (R, N), optional
        From `path_profiles`: a row for each look of ``history.recorded``.
    title, lead : str
        Heading, and what to know beforehand. Plain text.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileMissing, InvalidInput, InvalidType
        The folder is missing, or the file cannot be written; a run without a step; profiles that do not fit.
    """
    page = render_training_page(history, profiles=profiles, title=title, lead=lead)
    write_atomic(path, page.encode("utf-8"))
    return Path(path)


def render_training_page(
    history: History, *, profiles: npt.ArrayLike | None = None, title: str = "A training run", lead: str = ""
) -> str:
    """Return the page that `write_training_page` writes, as a string."""
    charts = training_charts(history, profiles=profiles)
    # The browser itself refuses any other script, and everything from elsewhere.
    policy = f"default-src 'none'; script-src '{SCRIPT_DIGEST}'; style-src 'unsafe-inline'; img-src data:"
    body = "\n".join(f"<section>{render_chart(chart)}</section>" for chart in charts)
    lead_html = f'<div class="lead"><p>{escape(lead)}</p></div>' if lead.strip() else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy, quote=True)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style_sheet()}{CSS}</style>\n</head>\n<body>\n"
        f'<div class="page">\n<header><h1>{escape(title)}</h1>{lead_html}</header>\n<main>\n{body}\n</main>\n'
        f"<footer><p>{escape(describe())}.</p></footer>\n</div>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def training_charts(history: History, *, profiles: npt.ArrayLike | None = None) -> list[Chart]:
    """Return a run's charts with sliders: the page's, and blocks for a section of a report.

    Parameters
    ----------
    history, profiles
        As for `write_training_page`.

    Raises
    ------
    InvalidInput, InvalidType
        As there.
    """
    if not isinstance(history, History):
        raise InvalidType(f"history must be the History that train returned. Got {type(history).__name__}")
    if not history.steps:
        raise InvalidInput("history must hold at least one step to be shown. Got none")
    return [*_profile_charts(history.recorded, profiles), _course(history), *_recorded(history.recorded)]


def _profile_charts(recorded: Recorded | None, profiles: npt.ArrayLike | None) -> list[Chart]:
    if profiles is None:
        return []
    rows = np.asarray(profiles, np.float64)
    looks = 0 if recorded is None else recorded.steps.size
    if rows.ndim != 2 or rows.shape[0] != looks or not rows.size:
        raise InvalidInput(
            f"profiles must have shape (R, N) = ({looks}, *), a row for each look that the run recorded. "
            f"Got {rows.shape}"
        )
    assert recorded is not None
    k = np.arange(rows.shape[1])
    kept = thin(looks)
    places = []
    for row in kept:
        profile, total = rows[row], float(rows[row].sum())
        half = int(np.searchsorted(np.cumsum(profile), total / 2)) if total > 0 else 0
        far = int(np.flatnonzero(profile > 0)[-1]) if total > 0 else 0
        places.append(
            (
                k,
                profile,
                f"after {recorded.steps[row]:,} updates: half of it {_back(half)}, "
                f"{profile[far] / profile.max() if total > 0 else 0:.2g} of the largest at {far}",
            )
        )
    return [
        Chart(
            "profile",
            "The gradient of the recurrent weights by path length, over training: at the start, now, and at the end",
            "hidden-to-hidden Jacobians crossed",
            "mean |dL/dW|",
            "Updates made",
            {"at the start": (k, rows[0]), "at the end": (k, rows[-1])},
            places,
        )
    ]


def _back(steps: int) -> str:
    if not steps:
        return "at the step itself"
    return f"within {steps} step{'' if steps == 1 else 's'} back"


def _course(history: History) -> Chart:
    kept = thin(history.steps)
    steps = kept + 1
    loss, norm, rate = (
        values[kept] for values in (history.losses, history.gradient_norms, history.learning_rates)
    )
    curves = {"loss": (steps, loss), "gradient norm": (steps, norm), "learning rate": (steps, rate)}
    if history.validation:
        made, values = (np.array(column, np.float64) for column in zip(*history.validation, strict=True))
        curves["validation loss"] = (made, values)
    places = [
        (np.array([step]), None, f"step {step:,}: loss {a:.4g}, gradient norm {b:.4g}, learning rate {c:.3g}")
        for step, a, b, c in zip(steps, loss, norm, rate, strict=True)
    ]
    return Chart("course", "The run, step by step", "step", "", "Step", curves, places)


def _recorded(recorded: Recorded | None) -> list[Chart]:
    found = []
    for kind, (title, label, log) in _TITLES.items():
        series: Mapping[str, Array] = {} if recorded is None else getattr(recorded, kind)
        if recorded is None or not series:
            continue
        kept = thin(recorded.steps.size)
        places = [
            (
                recorded.steps[[row]],
                None,
                f"after {recorded.steps[row]:,} updates: "
                + ", ".join(f"{name} {values[row]:.3g}" for name, values in series.items()),
            )
            for row in kept
        ]
        curves = {name: (recorded.steps[kept], values[kept]) for name, values in series.items()}
        found.append(
            Chart(kind.replace("_", "-"), title, "updates made", label, "Updates made", curves, places, log)
        )
    return found
