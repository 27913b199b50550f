"""An ensemble's members: each network trained from its own seed, then the sums that its closed form needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bptt.checks import Array
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.choices.choosing import Candidate
from bptt.forecast.fitting.networks.decoder import Segmented
from bptt.forecast.fitting.networks.kept import Run
from bptt.forecast.fitting.networks.learnt import Learnt
from bptt.forecast.fitting.networks.members import Lesson, Tick, in_double, planned_updates, train_member
from bptt.forecast.fitting.networks.segments import decoder_in_double, train_segments
from bptt.forecast.fitting.readouts.heads import (
    Penalty,
    Reader,
    Sums,
    make_head,
    mean_linear,
    normal_equations,
)
from bptt.forecast.fitting.readouts.state_sums import add_states
from bptt.forecast.fitting.trained import Trained


class Member(NamedTuple):
    """A trained network, the sums over its training rows, what is kept of the training, and its run if asked for."""

    net: Reader
    normal: Sums
    learnt: Learnt
    run: Run | None

    @property
    def losses(self) -> Array:
        """Of its updates."""
        return self.learnt.losses


def make_member(
    encoding: Encoding,
    lesson: Lesson,
    candidate: Candidate,
    seed: int,
    tick: Tick,
    *,
    examined: bool = False,
    known: Learnt | None = None,
    window: Sums | None = None,
) -> Member:
    """Return a network trained as the candidate says, or `known`, with its run where that is `examined`.

    `window` are the lesson's sums without a network, where they are known.
    """
    recipe, kept = candidate.recipe, list[Run]()
    updates = planned_updates(recipe, lesson.rows, candidate.share)
    keep = kept.append if examined else None
    net: Reader
    if encoding.head == "segments":
        net, learnt = train_segments(
            encoding, lesson, recipe, seed=seed, updates=updates, tick=tick, known=known
        )
    else:
        steps = np.zeros(1, np.intp) if encoding.head == "recursive" else None
        net, learnt = train_member(
            lesson, recipe, seed=seed, updates=updates, tick=tick, keep=keep, steps=steps, known=known
        )
    if window is None or isinstance(net, Segmented):
        normal = normal_equations(encoding, lesson, net, recipe.most_rows)
    else:
        normal = add_states(encoding, lesson, net, recipe.most_rows, window)
    return Member(net, normal, learnt, kept[0] if kept else None)


def assemble(encoding: Encoding, members: Sequence[Member], penalty: Penalty) -> Trained:
    """Return the ensemble: every network with its readout, the linear paths as their mean."""
    nets, linears, decoders = [], [], []
    for net, normal, *_ in members:
        head_of = make_head(encoding, normal, net, penalty)
        double = in_double(net.net if isinstance(net, Segmented) else net, encoding.outputs * encoding.parts)
        if isinstance(net, Segmented):
            decoders.append(decoder_in_double(encoding, net.decoder))
        assert head_of.readout is not None
        double.parameters["readout.W_hy"][...] = head_of.readout
        nets.append(double)
        linears.append(head_of.linear)
    return Trained("network", encoding, tuple(nets), mean_linear(linears), tuple(decoders))
