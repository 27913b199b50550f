"""The training doctor's look at a forecaster: at one network's training, and at what the whole adds to the last value.

Diseases of training are looked for in the network of the first seed, as the gradient left it: with the readout that the
gradient found, before readout and linear path are solved for together, because the closed form would hide them. Whether
the forecast only repeats the last value is judged of the whole, on the validation rows.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from bptt.diagnostics.doctor.diagnose import diagnose
from bptt.diagnostics.doctor.diseases import leakage, repeats_last, vanishing
from bptt.diagnostics.doctor.finding import Diagnosis, Finding
from bptt.engine.blas import one_blas_thread
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.choices.choosing import NAMES, Choice
from bptt.forecast.fitting.networks.kept import Run

# What hangs on a single far row is not to be told from chance on fewer stretches.
_FEW = 8


class Checkup:
    """A training that the doctor looks at when it is first asked; then the run is let go.

    Parameters
    ----------
    run, encoding, choice, networks
        As for `examine`.
    """

    def __init__(self, run: Run | None, encoding: Encoding, choice: Choice, networks: int) -> None:
        self._seen: tuple[Run | None, Encoding, Choice, int] | None = (run, encoding, choice, networks)
        self._found: Diagnosis | None = None

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What `examine` says."""
        if self._seen is not None:
            with one_blas_thread():
                self._found = examine(*self._seen)
            self._seen = None
        return self._found


def examine(run: Run | None, encoding: Encoding, choice: Choice, networks: int) -> Diagnosis | None:
    """Return what the doctor says of a forecaster.

    Parameters
    ----------
    run : Run or None
        Of the ensemble's first network or, where it has none, of the first one that was tried.
    encoding : Encoding
        That the run was trained with.
    choice : Choice
    networks : int
        Of the ensemble; 0 where validation left them out.

    Returns
    -------
    Diagnosis or None
        None where nothing was trained and nothing compared.
    """
    if run is None and choice.reason:
        return None
    own = _of_the_whole(choice)
    if run is None:
        subject = NAMES[choice.kind]
        return Diagnosis(
            own,
            choice.errors[choice.kind],
            1 - choice.errors[choice.kind],
            choice.origins,
            subject,
            f"{choice.origins} validation forecast{'' if choice.origins == 1 else 's'}",
        )
    found = diagnose(run.history, run.net, run.examples)
    names = input_names(encoding)
    # Targets are changes from the last value here: its own look at that would see none.
    of_network = tuple(
        _named(each, names)
        for each in found.findings
        if each.disease not in (repeats_last.NAME, *(() if len(run.examples) >= _FEW else (vanishing.NAME,)))
    )
    if not networks:
        left = "a network that was tried and left out"
        of_network = tuple(
            each if each.disease == leakage.NAME else replace(each, place=f"{each.place} of {left}")
            for each in of_network
        )
    subject = (
        f"the first of {networks} networks, before the closed form," if networks > 1
        else "the network, before the closed form," if networks
        else "the first network that was tried, and left out,"
    )  # fmt: skip
    # An example is a whole stretch of rows here: "2 examples" would sound like two rows.
    stretches = "1 stretch" if found.examples == 1 else f"{found.examples} stretches"
    return replace(
        found,
        findings=(*of_network, *own),
        subject=subject,
        looked_at=f"{stretches} of {run.examples.x.shape[1]} rows",
    )


def input_names(encoding: Encoding) -> list[str]:
    """Return what each column that a network reads is called, in their order."""
    target = "the target"
    return [
        target,
        f"the change of {target}",
        *encoding.past,
        *(f"the change of {name}" for name in encoding.past),
        *(["the age of the target"] if encoding.age else []),
        *["the calendar"] * encoding.calendar.features,
        *(f"{name} {k} ahead" for k in encoding.ahead for name in encoding.future),
        *encoding.static,
    ]


def _of_the_whole(choice: Choice) -> tuple[Finding, ...]:
    """Return whether the forecast only repeats the last value, by its skill on the validation rows."""
    errors = choice.errors
    if choice.reason or not np.isfinite(errors.get(choice.kind, np.nan)):
        return ()
    skill = 1.0 - errors[choice.kind]
    if skill > repeats_last.SKILL:
        return ()
    linear = 1.0 - errors.get("ridge", np.nan)
    best = max((1.0 - error for kind, error in errors.items() if kind != "last"), default=0.0)
    if choice.kind == "last":
        seen = f"no method is reliably better than the last value on {choice.origins} validation forecasts"
        seen += f", the best one by {100 * best:.2g} % of its squared error" if best > 0 else ""
    else:
        seen = (
            f"the skill over repeating the last value is {skill:.2g} on {choice.origins} validation forecasts"
        )
    nothing = "; least squares gains nothing either: perhaps nothing more is in these columns"
    return (
        Finding(
            repeats_last.NAME,
            "moderate",
            "the forecast",
            seen + (nothing if linear <= repeats_last.SKILL else ""),
            {"skill": skill, "least_squares": linear},
            "add inputs that lead the target, or more rows",
        ),
    )


def _named(finding: Finding, names: list[str]) -> Finding:
    """Return the finding with the inputs by their names instead of their numbers."""

    def words(text: str) -> str:
        text = re.sub(r"\bcolumn (\d+)(?: of x)?", lambda m: f"input {names[int(m[1])]}", text)
        return re.sub(r"\btarget (\d+)\b", lambda m: f"the target {int(m[1]) + 1} rows ahead", text)

    return finding.in_words(words)
