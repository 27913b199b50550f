"""Training of networks with a segment-wise head: the decoder goes on from states spaced along every sequence."""

from __future__ import annotations

import numpy as np

from bptt.errors import DivergedError
from bptt.forecast.features.encoding import Encoding
from bptt.forecast.fitting.networks.decoder import Segmented, loss_and_gradients, make_decoder, places
from bptt.forecast.fitting.networks.learnt import Learnt, stacked
from bptt.forecast.fitting.networks.members import Lesson, Tick, sequence_length
from bptt.forecast.recipe import Recipe
from bptt.network import Network, Recurrent
from bptt.optim import AdamW, ClipNorm, Cosine
from bptt.training.watching.divergence import likeliest_cause

# Rows of a sequence from one that is gone on from to the next: the decoder's steps are about as many as the rows.
_APART = 24


def train_segments(
    encoding: Encoding,
    lesson: Lesson,
    recipe: Recipe,
    *,
    seed: int,
    updates: int,
    tick: Tick,
    known: Learnt | None = None,
) -> tuple[Segmented, Learnt]:
    """Return a network with its decoder (float32), and what is to be kept of its training; see `train_member`."""
    length = sequence_length(recipe, lesson)
    warmup = min(recipe.warmup, length // 4)
    D = lesson.lines[0].x.shape[1]
    stack = Recurrent(recipe.cell, D, recipe.hidden, num_layers=recipe.layers, dtype="float32", seed=seed)
    net = Network(stack, encoding.segment, readout="every", loss=recipe.loss, seed=seed)
    reader = Segmented(net, make_decoder(encoding, recipe.hidden, "float32", seed=seed + 500))
    if known is not None:
        known.restore(reader.parameters, (updates, 1))
        tick(updates, updates)
        return reader, known
    schedule = Cosine(recipe.rate, updates, min(100, updates // 4))
    optimizer = AdamW(schedule, weight_decay=recipe.decay)
    clip, parameters = ClipNorm(recipe.clip), reader.parameters
    slots = optimizer.init(parameters)
    rng = np.random.default_rng([seed, 6])
    ends = np.cumsum([max(0, len(y) - length + 1) for y in lesson.y])
    losses, seen = np.zeros(updates), list[tuple[float, float]]()
    for step in range(updates):
        drawn = rng.integers(ends[-1], size=recipe.batch)
        chosen = np.searchsorted(ends, drawn, side="right")
        firsts = drawn - np.concatenate([[0], ends])[chosen]
        apart = np.arange(warmup + int(rng.integers(min(_APART, length - warmup))), length, _APART)
        x = np.stack([lesson.lines[k].x[f : f + length] for k, f in zip(chosen, firsts, strict=True)])
        y = np.concatenate([lesson.y[k][f + apart] for k, f in zip(chosen, firsts, strict=True)])
        weights = np.concatenate([
            lesson.weights[k][f + apart] for k, f in zip(chosen, firsts, strict=True)
        ])  # fmt: skip
        local = np.concatenate(
            [lesson.lines[k].local[f + apart] for k, f in zip(chosen, firsts, strict=True)]
        )
        tick(step + 1, updates)
        if not weights.any():
            continue
        picked = np.repeat(np.arange(len(chosen)), len(apart)), np.tile(apart, len(chosen))
        with np.errstate(over="ignore", invalid="ignore"):  # told of in words
            losses[step], gradients = loss_and_gradients(
                reader,
                x.astype(np.float32),
                picked,
                places(encoding, local).astype(np.float32),
                y.astype(np.float32),
                weights,
                recipe.loss,
            )
            seen.append((losses[step], clip(gradients)))
            if np.isfinite(seen[-1]).all():
                optimizer.update(parameters, gradients, slots, step)
        if not np.isfinite(seen[-1]).all() or not all(
            np.isfinite(each).all() for each in parameters.values()
        ):
            raise _diverged(seen, float(schedule(max(0, step - 1))))
    return reader, Learnt(dict(parameters), stacked(losses))


def _diverged(seen: list[tuple[float, float]], rate: float) -> DivergedError:
    loss, norm = seen[-1]
    cause = likeliest_cause([each for each, _ in seen], [each for _, each in seen], rate, clipped=True)
    return DivergedError(
        f"loss and gradient must stay finite. Got loss {loss:.4g}, gradient norm {norm:.4g} in update {len(seen)} of a "
        f"network with a head by segments: {cause}"
    )


def decoder_in_double(encoding: Encoding, decoder: Recurrent) -> Recurrent:
    """Return the decoder in float64."""
    found = make_decoder(encoding, decoder.hidden_size, "float64", empty=True)
    for name, array in decoder.parameters.items():
        found.parameters[name][...] = array
    return found
