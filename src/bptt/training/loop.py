"""Training a network: the arguments of `train`, checked, and the run that they make."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from bptt.checks import check_number, check_whole
from bptt.engine import use_threads
from bptt.engine.blas import one_blas_thread
from bptt.errors import InvalidInput, InvalidType
from bptt.network import Network
from bptt.optim import ClipNorm, Clipping, Optimizer, Penalty, get_optimizer, slot_arrays
from bptt.training.checkpoints.data_digests import describe_source
from bptt.training.checkpoints.file import Checkpoint, Sealed
from bptt.training.checkpoints.resuming import check_arrays, check_looks, check_same_run
from bptt.training.checkpoints.run_identity import describe_network, plain
from bptt.training.checkpoints.saving import Saver, find_checkpoints
from bptt.training.checkpoints.termination import hear_termination
from bptt.training.run import Run
from bptt.training.steps.batches import planned_steps, steps_per_epoch
from bptt.training.steps.carried import CarriedState, batching, check_goes_on
from bptt.training.steps.sources import Data, as_source
from bptt.training.turns import take_turns
from bptt.training.watching.callbacks import Callback, check_callbacks
from bptt.training.watching.early_stopping import BestWeights, EarlyStopping, get_early_stopping
from bptt.training.watching.history import History
from bptt.training.watching.progress import get_progress
from bptt.training.watching.record import Recorder

# How often a run given in steps is evaluated, where the caller does not say.
_EVALUATIONS = 20
# How often it is looked at for `record`, at least, and how many steps lie between two looks at most.
_LOOKS, _LOOKS_APART = 50, 100

_log = logging.getLogger("bptt.training")


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
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool | str | os.PathLike[str] = False,
) -> History:
    """Train a network; its parameters are changed in place.

    Parameters
    ----------
    net : Network
        Starts from the parameters it has; the optimiser starts afresh. With `resume` both come from the file.
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
        Steps between two such looks: by default a fiftieth of the run, at most 100; a run that goes on keeps its own.
        One is taken before the first step, one after the last.
    progress : bool or callable, optional
        None shows a bar where stderr is a terminal, False never; a callback (`ProgressBar`) takes the bar's place.
    threads : int, optional
        At most so many for the compiled engine, which takes them only where there is enough work; by default what
        `bptt.engine.set_threads` or ``BPTT_NUM_THREADS`` says, else all processors. No bit depends on it.
    checkpoint : str or path, optional
        A file that holds the whole run, so that it can go on after an interruption; see docs/checkpoints.md. Written
        at the beginning, from time to time, when the run is interrupted or fails, and at its end, each time whole or
        not at all.
    checkpoint_every : int, optional
        Steps between two checkpoints; by default they are a minute apart.
    resume : bool, str or path
        True goes on with the run in `checkpoint`, or begins it where there is no such file yet; a path goes on with
        that one. Every bit is then that of a run that was never interrupted. The same data, network and settings
        have to be given again; `steps` or `epochs` may be more than before.

    Returns
    -------
    History

    Raises
    ------
    TrainingDivergedError
        A loss or gradient that is not finite. The network keeps the last good weights, the error has the `history`.
    InvalidInput, InvalidType
        A setting that does not fit; the message names it. A file at `checkpoint` that is no finished run, without
        `resume`.
    FileMissing, FileFormatError
        The file to go on from is not there, is damaged, or is of another run: the message names what differs.

    Notes
    -----
    On the compiled engine many steps are made in one call, with the bits of a loop of your own over
    `Network.loss_and_gradients`, clipping and `Optimizer.update`. Steps go one by one, several times slower for small
    networks, with feedback, a learned initial state, dropout, both directions, mask or signs, rows of unequal length, a
    source of your own, and callbacks that look at the network (those with ``looks_at_net = False`` promise not to, with
    ``looks_every = n`` to do so after every n-th step alone).

    Ctrl-C ends training with the weights of the last whole update, and `stopped_because` says "interrupted"; a
    second Ctrl-C meanwhile is raised. Everything runs with BLAS on one thread. Threads that train the same network take
    turns, one run after the other.

    With a checkpoint, in the main thread, SIGTERM does the same, and is then passed on to the handler that was there
    before: without one, the process ends by it. A checkpoint that cannot be written later on (a full disk) is a
    warning in the log, and the one before it is kept.
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
    path, sealed = find_checkpoints(checkpoint, checkpoint_every, resume)
    if record is not None and every is None:
        kept = None if sealed is None else sealed.run.get("every")
        every = kept if isinstance(kept, int) else max(1, min(_LOOKS_APART, total // _LOOKS))
    recorder = None if record is None or every is None else Recorder(record, every, net, source, total)
    if checkpoint_every is not None:
        check_whole("checkpoint_every", checkpoint_every)
    run = Run(
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
        saver=None if path is None else Saver(path, checkpoint_every),
        kept_elsewhere=sealed is not None and path != sealed.path,
    )
    if path is not None or sealed is not None:
        run.identity = _describe(run)
    if sealed is not None:
        run.kept = _unseal(sealed, run)
    with (
        take_turns(net),
        hear_termination(wanted=path is not None) as termination,
        one_blas_thread(),
        use_threads(threads),
    ):
        history = run.run()
        if termination.heard and termination.fatal:
            _log.warning(
                "terminated at step %d of %d: go on with resume=True (%s)", history.steps, total, path
            )
        return history


def _describe(run: Run) -> dict[str, object]:
    """Return what decides the bits of a run, but for the number of its steps."""
    return {
        "network": describe_network(run.net),
        "data": describe_source(run.source),
        "optimizer": plain(run.optimizer),
        "batch_size": run.batch_size,
        "sampling": run.sampling,
        "seed": run.seed,
        "validation": None if run.validation is None else describe_source(run.validation),
        "evaluate_every": None if run.validation is None else run.every,
        "early_stopping": None if run.best is None else plain(run.best.rule),
        "clip": plain(run.clip),
        "penalty": [plain(each) for each in run.penalties],
        "record": None if run.recorder is None else [*run.recorder.kinds],
        "every": None if run.recorder is None else run.recorder.looks_every,
    }


def _unseal(sealed: Sealed, run: Run) -> Checkpoint:
    """Return the checkpoint if it is of this run; its arrays are read last."""
    check_same_run(sealed, run.identity, run.total)
    wanted = {
        "weights": run.net.parameters,
        "slots": slot_arrays(run.optimizer.init(run.net.parameters)),
        "carried": CarriedState(run.net, run.source).like(run.batch_size),
        "recorded": {} if run.recorder is None else run.recorder.arrays(),
    }
    check_arrays(sealed, wanted)
    kept = sealed.read()
    check_looks(
        sealed.path, kept, run.total, run.every, 1 if run.recorder is None else run.recorder.looks_every
    )
    return kept


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
