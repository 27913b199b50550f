"""The examination: evidence once, every disease in turn, what was found as a frozen record."""

from __future__ import annotations

import numpy as np

from bptt.diagnostics.doctor.diseases.registry import DISEASES, EXPLAINED_BY
from bptt.diagnostics.doctor.evidence.gathered import Evidence
from bptt.diagnostics.doctor.evidence.likelihood import errors_of
from bptt.diagnostics.doctor.finding import Diagnosis, Finding
from bptt.errors import InvalidType
from bptt.network import Network
from bptt.training.steps.sources import Data, as_source
from bptt.training.watching.history import History


def diagnose(history: History, net: Network, data: Data) -> Diagnosis:
    """Say in words why a run failed, or that it did not.

    Parameters
    ----------
    history : History
        Of the run: what `train` returned, or the `history` of a `TrainingDivergedError`. What it recorded
        (`train(record=)`) makes places more exact; nothing needs it.
    net : Network
        As the run left it. It is not changed.
    data : source of batches, or (x, y)
        What it was trained on.

    Returns
    -------
    Diagnosis
        Its `findings`, the likeliest cause first; ``str()`` is a line each, `line` a single one.

    Raises
    ------
    InvalidInput, InvalidType
        Something else than these; data that do not fit the network.

    Notes
    -----
    Up to 512 examples are looked at, each from a fresh state and without dropout; some of them unit by unit in float64.
    Where the loss could still be lowered, a few steps are tried on a copy. docs/doctor.md says what each disease is
    told by, and how often the doctor errs. Losses of `Gaussian` are read as variances.
    """
    if not isinstance(history, History):
        raise InvalidType(f"history must be the History that train returned. Got {type(history).__name__}")
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    findings: dict[str, Finding] = {}
    # A run that diverged has numbers that are none, which each disease expects.
    with np.errstate(all="ignore"):
        evidence = Evidence(errors_of(history, net.loss), net, as_source("data", data))
        for name, look in DISEASES.items():
            found = None if EXPLAINED_BY.get(name, frozenset()) & findings.keys() else look(evidence)
            if found is not None:
                findings[name] = found
    return Diagnosis(tuple(findings.values()), evidence.loss, evidence.explained, len(evidence.indices))
