"""One run of training: its steps, what watches them, and what an interruption, an error or a checkpoint leaves."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from bptt.data.examples.batch import Batch, Indices, Source
from bptt.errors import DivergedError
from bptt.network import Network
from bptt.optim import Clipping, Optimizer, Penalty, Slots, fill_slots, global_norm, slot_arrays
from bptt.training.checkpoints.file import Checkpoint
from bptt.training.checkpoints.run_identity import versions
from bptt.training.checkpoints.saving import Saver
from bptt.training.evaluate import evaluate
from bptt.training.steps.carried import CarriedState, draw
from bptt.training.steps.counting import check_counts
from bptt.training.steps.fused import Fused, find_fused
from bptt.training.steps.sources import fetch
from bptt.training.steps.weights import SafeWeights, overwrite
from bptt.training.watching.callbacks import Callback, Event, finish_all, steps_until_look
from bptt.training.watching.divergence import (
    TrainingDivergedError,
    diverged,
    first_not_finite,
    likeliest_cause,
)
from bptt.training.watching.early_stopping import Best, BestWeights
from bptt.training.watching.history import History, make_history
from bptt.training.watching.record import Recorder


@dataclass
class Run:
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
    recorder: Recorder | None = None
    saver: Saver | None = None
    # What to go on from, and whether its file is another one than the one to write.
    kept: Checkpoint | None = None
    kept_elsewhere: bool = False
    # What a checkpoint is known by, where one is kept or gone on from.
    identity: dict[str, object] = field(default_factory=dict)
    # (loss, gradient norm, learning rate): a step counts once its row is here.
    rows: list[tuple[float, float, float]] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    told: int = 0
    fused: Fused | None = None
    # Whether rows, weights and slots belong together, so that a checkpoint may be made of them.
    ready: bool = False

    def run(self) -> History:
        """Make the steps; the parameters end as those of a whole number of them, however the run ends."""
        self.begun = time.perf_counter()
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
            self.carried.settle(len(self.rows))
            try:
                if stopped != "diverged":
                    self._save(ended=stopped in ("finished", "early stopping"))
            finally:
                history = self._end(stopped)
        if error is not None:
            error.history = history
            raise error
        return history

    def _end(self, stopped: str) -> History:
        best = Best() if self.best is None else self.best.found
        if best.weights is not None and stopped not in ("diverged", "failed"):
            overwrite(self.net.parameters, best.weights)
        recorded = None if self.recorder is None else self.recorder.recorded()
        history = make_history(self.rows, self.evaluations, stopped, self._seconds(), best.step, recorded)
        finish_all(self.callbacks, history)
        return history

    def _seconds(self) -> float:
        before = 0.0 if self.kept is None else self.kept.seconds
        return before + time.perf_counter() - self.begun

    def _steps(self, slots: Slots) -> str:
        self.slots = slots
        if self.kept is not None:
            self._go_on(self.kept)
        self._begin_saving()
        first = len(self.rows)
        # What an interruption may have left undone after the last step.
        if self._watch():
            return "early stopping"
        blocks = draw(len(self.source), self.batch_size, self.total, self.sampling, self.seed, first)
        self.fused = self._find_fused(slots)
        for block in blocks:
            done = 0
            while done < len(block):
                done += self._make(block[done:], slots)
                if self._watch():
                    return "early stopping"
                if self.saver is not None and self.saver.is_due(len(self.rows)):
                    self._save()
        return "finished"

    def _watch(self) -> bool:
        """Evaluate where it is time to, tell the callbacks, and return whether to stop."""
        validation_loss = self._evaluate()
        self._tell(validation_loss)
        best = self.best
        if best is None:
            return False
        if validation_loss is not None and best.found.seen < len(self.evaluations):
            best.see(validation_loss, self.net.parameters, len(self.rows))
        return best.exhausted

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
            len(self.rows),
        )

    def _most(self) -> int:
        """Return how many steps may be made before somebody wants to look."""
        made = len(self.rows)
        most = self.total - made if self.validation is None else self.every - made % self.every
        most = min(most, steps_until_look(self.callbacks, made))
        return most if self.saver is None else min(most, self.saver.room(made))

    def _make(self, block: Indices, slots: Slots) -> int:
        """Make a step, or several in one call where nobody wants to look in between; return how many."""
        if self.fused is not None and not self.fused.fits(self.net):
            self.fused = None
        if self.fused is None:
            self._update(block[0], slots)
            return 1
        made = len(self.rows)
        try:
            flag = self.fused.play(block, self._most())
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
            self.ready = False  # but not what it wrote into the slots

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
        if self.validation is None or not made or (made % self.every and made != self.total):
            return None
        if (
            self.evaluations and self.evaluations[-1][0] == made
        ):  # before the checkpoint that this run began with
            return self.evaluations[-1][1]
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

    # ---------------------------------------------------------------- checkpoints

    def _begin_saving(self) -> None:
        if self.saver is None:
            return
        self.safe.keep_too(slot_arrays(self.slots))
        if self.kept is None or self.kept_elsewhere:
            self.saver.begin(self._checkpoint())
        else:
            self.saver.skip(self.kept)
        self.ready = True

    def _save(self, *, ended: bool = False) -> None:
        if self.saver is not None and self.ready:
            self.saver.save(self._checkpoint(ended=ended))

    def _checkpoint(self, *, ended: bool = False) -> Checkpoint:
        """Return the run as it stands after its last whole step."""
        made = len(self.rows)
        return Checkpoint(
            step=made,
            weights=self.net.parameters,
            before=self.safe.before if made and self.safe.saved_for == made - 1 else None,
            slots=slot_arrays(self.slots),
            carried=self.carried.arrays(),
            recorded={} if self.recorder is None else self.recorder.arrays(),
            rows=np.array(self.rows, np.float64).reshape(-1, 3),
            validation=tuple(self.evaluations),
            best=Best() if self.best is None else self.best.found,
            told=self.told,
            ended=ended,
            seconds=self._seconds(),
            run=self.identity,
            versions=versions(),
        )

    def _go_on(self, kept: Checkpoint) -> None:
        """Take the place of the run that was kept: its network, data and settings have been found to be the same."""
        fill_slots(self.slots, kept.slots)
        self.carried.fill(kept.carried)
        self.evaluations = list(kept.validation)
        if self.best is not None:
            self.best.found = kept.best
        self.told = kept.told
        self.rows = [(loss, norm, rate) for loss, norm, rate in kept.rows.tolist()]
        overwrite(self.net.parameters, kept.weights)
        if kept.before is not None:
            overwrite(self.safe.before, kept.before)
            self.safe.saved_for = kept.step - 1
        if self.recorder is not None:
            self.recorder.fill(kept.recorded, self.net, kept.told)

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
            if not math.isfinite(loss) and step and self.safe.saved_for == step - 1:
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
            if self.safe.saved_for == kept - 1:
                self.safe.undo()
                kept -= 1
        else:
            cause = f"in validation, {cause}"
        raise diverged(
            f"validation loss {validation_loss:.4g}, gradient norm {norm:.4g},",
            cause, step=len(self.rows) - 1, loss=validation_loss, gradient_norm=norm, updates_kept=kept,
        )  # fmt: skip
