"""The training loop: batches, gradients, updates, and everything that watches them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from bptt.checks import check_number, check_whole
from bptt.data.batch import Batch, Indices, Source
from bptt.engine import use_threads
from bptt.engine.blas import one_blas_thread
from bptt.errors import DivergedError, InvalidInput, InvalidType
from bptt.network import Network
from bptt.optim import ClipNorm, Clipping, Optimizer, Penalty, Slots, get_optimizer, global_norm
from bptt.training.batches import planned_steps, steps_per_epoch
from bptt.training.callbacks import Callback, Event, check_callbacks, finish_all, steps_until_look
from bptt.training.carried import CarriedState, batching, check_goes_on, draw
from bptt.training.counting import check_counts
from bptt.training.divergence import TrainingDivergedError, diverged, first_not_finite, likeliest_cause
from bptt.training.early_stopping import BestWeights, EarlyStopping, get_early_stopping
from bptt.training.evaluate import evaluate
from bptt.training.fused import Fused, find_fused
from bptt.training.history import History, make_history
from bptt.training.progress import get_progress
from bptt.training.record import Recorder
from bptt.training.sources import Data, as_source, fetch
from bptt.training.weights import SafeWeights, overwrite

# How often a run given in steps is evaluated, where the caller does not say.
_EVALUATIONS = 20


def train(
    net: Network,
    data: Data,
    *,
    optimizer: str | Optimizer = "adam",
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    sampling: str | None = None,
    seed: int = 0,
    validation: Data | None = None,
    evaluate_every: int | None = None,
    early_stopping: EarlyStopping | int | None = None,
    clip: Clipping | float | None = None,
    penalty: Penalty | Iterable[Penalty] | None = None,
    callbacks: Iterable[Callback] = (),
    record: Iterable[str] | None = None,
    every: int | None = None,
    progress: bool | Callback | None = None,
    threads: int | None = None,
) -> History:
    """Train a network; its parameters are changed in place.

    Parameters
    ----------
    net : Network
        Starts from the parameters it has; the optimiser starts afresh.
    data : source of batches, or (x, y)
        `Windows`, `Sequences`, `Arrays`, or any object with ``len(data)`` and ``data.batch(indices)``. `Stretches` are
        read in order, with the state carried from step to step.
    optimizer : str or Optimizer
        ``"adam"``, ``SGD(0.01, momentum=0.9)``, ...
    steps, epochs : int
        Updates, or passes of ceil(len / batch_size) updates: one of the two.
    batch_size : int, optional
        Examples a step, B: 32 by default. `Stretches` bring their own.
    sampling : {"random", "shuffled"}, optional
        "random", the default, draws each example anew, with replacement, as the weather lab does. "shuffled" goes
        through a new permutation of all examples each epoch; the last batch of an epoch may be smaller.
    seed : int
        Of batches and dropout. The same seed gives the same bits, on one machine and version.
    validation : source of batches, or (x, y), optional
        Evaluated without dropout and penalties.
    evaluate_every : int, optional
        Steps between evaluations: by default an epoch where `epochs` is given, else a twentieth of `steps`. The
        last step is evaluated in any case.
    early_stopping : EarlyStopping or int, optional
        A patience in evaluations. The best weights by its rule are put back at the end: those of `best_step`.
    clip : Clipping or float, optional
        ``ClipNorm(1.0)``, ``ClipValue(0.1)``; a number is the largest global norm.
    penalty : Penalty or sequence of Penalty, optional
        Gradients of ``L2(1e-4)``, ``L1(...)``, added before clipping.
    callbacks : sequence of callables
        Each is called with an `Event` after every step: `CSVLog`, `TensorBoard`, a function of your own.
    record : sequence of str, optional
        What to look at in the network, from "gradient_norms", "weight_norms", "spectral_radius" and "snapshots":
        `History.recorded` then holds a `Recorded`.
    every : int, optional
        Steps between two such looks, 100 by default; one is taken before the first step, one after the last.
    progress : bool or callable, optional
        None shows a bar where stderr is a terminal, False never; a callback (`ProgressBar`) takes the bar's place.
    threads : int, optional
        At most so many for the compiled engine, which takes them only where there is enough work; by default what
        `bptt.engine.set_threads` or ``BPTT_NUM_THREADS`` says, else all processors. No bit depends on it.

    Returns
    -------
    History

    Raises
    ------
    TrainingDivergedError
        A loss or gradient that is not finite. The network keeps the last good weights, the error has the `history`.
    InvalidInput, InvalidType
        A setting that does not fit; the message names it.

    Notes
    -----
    On the compiled engine many steps are made in one call, with the bits of a loop of your own over
    `Network.loss_and_gradients`, clipping and `Optimizer.update`. Steps go one by one, several times slower for small
    networks, with feedback, a learned initial state, dropout, both directions, mask or signs, rows of unequal length, a
    source of your own, and callbacks that look at the network (those with ``looks_at_net = False`` promise not to, with
    ``looks_every = n`` to do so after every n-th step alone).

    Ctrl-C ends training with the weights of the last whole update, and `stopped_because` says "interrupted"; a
    second Ctrl-C meanwhile is raised. Everything runs with BLAS on one thread.
    """
    if not isinstance(net, Network):
        raise InvalidType(f"net must be a Network. Got {type(net).__name__}")
    source = as_source("data", data)
    size, sampling = batching(source, batch_size, sampling)
    total = planned_steps(steps, epochs, len(source), size)
    held_out = None if validation is None else as_source("validation", validation)
    check_goes_on(net, source, held_out)
    if held_out is None and (evaluate_every is not None or early_stopping is not None):
        name = "early_stopping" if evaluate_every is None else "evaluate_every"
        raise InvalidInput(f"{name} must come with validation data. Got none: pass validation=(x, y)")
    if evaluate_every is not None:
        spacing = check_whole("evaluate_every", evaluate_every)
    else:
        spacing = max(1, total // _EVALUATIONS) if epochs is None else steps_per_epoch(len(source), size)
    if record is None and every is not None:
        raise InvalidInput(
            'every must come with something to record. Got none: pass record=["weight_norms"], say'
        )
    recorder = (
        None if record is None else Recorder(record, 100 if every is None else every, net, source, total)
    )
    run = _Run(
        net=net,
        source=source,
        optimizer=get_optimizer(optimizer),
        total=total,
        batch_size=size,
        sampling=sampling,
        seed=check_whole("seed", seed, least=0),
        validation=held_out,
        every=spacing,
        best=None if early_stopping is None else BestWeights(get_early_stopping(early_stopping)),
        clip=_get_clip(clip),
        penalties=_get_penalties(penalty),
        callbacks=(*([recorder] if recorder else []), *check_callbacks(callbacks), *get_progress(progress)),
        recorder=recorder,
    )
    with one_blas_thread(), use_threads(threads):
        return run.run()


@dataclass
class _Run:
    """One call of `train`: what it was given, checked, and what it has gathered."""

    net: Network
    source: Source
    optimizer: Optimizer
    total: int
    batch_size: int
    sampling: str
    seed: int
    validation: Source | None
    every: int
    best: BestWeights | None
    clip: Clipping | None
    penalties: tuple[Penalty, ...]
    callbacks: tuple[Callback, ...]
    recorder: Recorder | None
    # (loss, gradient norm, learning rate): a step counts once its row is here.
    rows: list[tuple[float, float, float]] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    told: int = 0
    fused: Fused | None = None

    def run(self) -> History:
        begun = time.perf_counter()
        self.safe = SafeWeights(self.net.parameters)
        self.carried = CarriedState(self.net, self.source)
        stopped, error = "failed", None
        try:
            stopped = self._steps(self.optimizer.init(self.net.parameters))
        except KeyboardInterrupt:
            stopped = "interrupted"
        except TrainingDivergedError as found:
            stopped, error = "diverged", found
        finally:
            self._take_rows()
            self.safe.settle(len(self.rows))
            if (
                self.best is not None
                and self.best.weights is not None
                and stopped not in ("diverged", "failed")
            ):
                overwrite(self.net.parameters, self.best.weights)
            history = make_history(
                self.rows,
                self.evaluations,
                stopped,
                time.perf_counter() - begun,
                None if self.best is None else self.best.step,
                None if self.recorder is None else self.recorder.recorded(),
            )
            finish_all(self.callbacks, history)
        if error is not None:
            error.history = history
            raise error
        return history

    def _steps(self, slots: Slots) -> str:
        blocks = draw(len(self.source), self.batch_size, self.total, self.sampling, self.seed)
        self.fused = self._find_fused(slots)
        for block in blocks:
            done = 0
            while done < len(block):
                done += self._make(block[done:], slots)
                validation_loss = self._evaluate()
                self._tell(validation_loss)
                if validation_loss is None or self.best is None:
                    continue
                if self.best.see(validation_loss, self.net.parameters, len(self.rows)):
                    return "early stopping"
        return "finished"

    def _find_fused(self, slots: Slots) -> Fused | None:
        return find_fused(
            self.net,
            self.source,
            self.optimizer,
            slots,
            self.clip,
            self.penalties,
            self.safe.before,
            self.total,
        )

    def _make(self, block: Indices, slots: Slots) -> int:
        """Make a step, or several in one call where nobody wants to look in between; return how many."""
        if self.fused is not None and not self.fused.fits(self.net):
            self.fused = None
        if self.fused is None:
            self._update(block[0], slots)
            return 1
        made = len(self.rows)
        most = self.total - made if self.validation is None else self.every - made % self.every
        most = min(most, steps_until_look(self.callbacks, made))
        try:
            flag = self.fused.play(block, most)
        except KeyboardInterrupt:
            # Raised once the call is back: its steps were made.
            self._take_rows()
            self._tell(None)
            raise
        self._take_rows()
        if flag:
            self._tell(None)
            indices = block[len(self.rows) - made]
            if flag == self.fused.OVERFLOW:
                loss, norm = self.fused.losses[len(self.rows)], self.fused.norms[len(self.rows)]
                self._overflowed(loss, norm, fetch(self.source, indices), indices)
            self._update(indices, slots)
            self.fused.skip()
        return len(self.rows) - made

    def _take_rows(self) -> None:
        """Record the fused steps that were made, also those of a call after which Ctrl-C came first."""
        if self.fused is None:
            return
        first, end = len(self.rows), self.fused.made
        if end > first:
            columns = (self.fused.losses, self.fused.norms, self.fused.rates)
            self.rows += zip(*(column[first:end].tolist() for column in columns), strict=True)
            self.safe.saved_for = end - 1
        if self.fused.flag == self.fused.OVERFLOW:
            self.safe.saved_for = end  # the update of this step was begun: it is to be taken back

    def _update(self, indices: Indices, slots: Slots) -> None:
        """Make one update, or none."""
        step = len(self.rows)
        parameters = self.net.parameters
        batch = fetch(self.source, indices)
        check_counts(self.net, batch, indices, step)
        # What is not finite is looked for below, so NumPy need not warn of it.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = self.carried.loss_and_gradients(batch, (self.seed, step))
            gradients = found.gradients.parameters
            for penalty in self.penalties:
                penalty.add(parameters, gradients)
            norm = global_norm(gradients) if self.clip is None else self.clip(gradients)
        loss = float(found.loss)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self._diverged(f"loss {loss:.4g}, gradient norm {norm:.4g}", loss, norm, batch, indices)
        self.safe.save(step)
        try:
            self.optimizer.update(parameters, gradients, slots, step)
        except DivergedError:
            self._overflowed(loss, norm, batch, indices)
        self.rows.append((loss, norm, self.optimizer.rate(step)))

    def _evaluate(self) -> float | None:
        made = len(self.rows)
        if self.validation is None or (made % self.every and made != self.total):
            return None
        loss = evaluate(self.net, self.validation)
        if not math.isfinite(loss):
            self._validation_diverged(loss)
        self.evaluations.append((made, loss))
        return loss

    def _tell(self, validation_loss: float | None) -> None:
        """Call the callbacks for every step that was made since the last call."""
        if self.callbacks:
            for step in range(self.told, len(self.rows)):
                loss, norm, rate = self.rows[step]
                seen = validation_loss if step == len(self.rows) - 1 else None
                event = Event(step, self.total, loss, norm, rate, self.net, seen)
                self.told = step + 1  # before: a callback that raises is not called again
                for callback in self.callbacks:
                    callback(event)
        self.told = len(self.rows)

    def _overflowed(self, loss: float, norm: float, batch: Batch, indices: Indices) -> NoReturn:
        self._diverged(
            f"an update beyond {self.net.dtype.name}, from loss {loss:.4g} and gradient norm {norm:.4g},",
            loss, norm, batch, indices,
        )  # fmt: skip

    def _diverged(self, found: str, loss: float, norm: float, batch: Batch, indices: Indices) -> NoReturn:
        step = kept = len(self.rows)
        cause = first_not_finite(batch, indices)
        if cause is None:
            losses, norms = [row[0] for row in self.rows], [row[1] for row in self.rows]
            rate = self.rows[-1][2] if self.rows and not math.isfinite(loss) else self.optimizer.rate(step)
            cause = likeliest_cause([*losses, loss], [*norms, norm], rate, clipped=self.clip is not None)
            if not math.isfinite(loss) and step:
                # Finite weights with such a loss: the update that led to them was the bad one.
                self.safe.undo()
                kept = step - 1
        raise diverged(found, cause, step=step, loss=loss, gradient_norm=norm, updates_kept=kept)

    def _validation_diverged(self, validation_loss: float) -> NoReturn:
        kept = len(self.rows)
        _, norm, rate = self.rows[-1]
        assert self.validation is not None
        everything = np.arange(len(self.validation))
        chunks = np.array_split(everything, -(-len(everything) // 1024))
        found = (first_not_finite(fetch(self.validation, chunk), chunk) for chunk in chunks)
        cause = next((each for each in found if each is not None), None)
        if cause is None:
            losses, norms = [row[0] for row in self.rows], [row[1] for row in self.rows]
            cause = likeliest_cause(losses, norms, rate, clipped=self.clip is not None)
            self.safe.undo()
            kept -= 1
        else:
            cause = f"in validation, {cause}"
        raise diverged(
            f"validation loss {validation_loss:.4g}, gradient norm {norm:.4g},",
            cause, step=len(self.rows) - 1, loss=validation_loss, gradient_norm=norm, updates_kept=kept,
        )  # fmt: skip


def _get_clip(clip: Clipping | float | None) -> Clipping | None:
    if clip is None or isinstance(clip, Clipping):
        return clip
    return ClipNorm(check_number("clip", clip, above=0.0))


def _get_penalties(penalty: object) -> tuple[Penalty, ...]:
    if penalty is None:
        return ()
    if isinstance(penalty, Penalty):
        return (penalty,)
    found = tuple(penalty) if isinstance(penalty, Iterable) else (penalty,)
    for each in found:
        if not isinstance(each, Penalty):
            raise InvalidType(f"penalty must be a Penalty such as L2(1e-4), or several. Got {each!r}")
    return found
