"""bptt itself, through its public interface only."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.agreement import loss_and_gradients, make_net, training_data
from benchmarks.jobs import RATE, Arrays, Problem
from bptt.optim import SGD
from bptt.training import Event, train


def version() -> str:
    """Return the package's version; an ImportError where the compiled engine cannot run."""
    import llvmlite

    import bptt

    return f"{bptt.__version__} (llvmlite {llvmlite.__version__})"


class Fused:
    """Training as a user does it: one call for all steps, windows drawn anew at each."""

    def __init__(self, problem: Problem, threads: int, cell: object = None) -> None:  # noqa: ARG002  # set by environment
        self.problem, self.net = problem, make_net(problem, "compiled", cell)
        self.data = training_data(problem)
        self.optimizer = SGD(RATE)

    def found(self) -> Arrays:
        return loss_and_gradients(self.net, self.problem)

    def run(self, steps: int) -> None:
        self._train(steps)

    def pause_every(self, steps: int, count: int, pause: Callable[[], object]) -> None:
        """Train on and on, in one run: what it prepares at its beginning is in no sample, as with the others."""
        # The first steps find their memory new.
        self._train(steps * (count + 1), _Pauses(steps, pause))

    def _train(self, steps: int, *callbacks: Callable[[Event], object]) -> None:
        train(
            self.net,
            self.data,
            optimizer=self.optimizer,
            steps=steps,
            batch_size=self.problem.job.B,
            progress=False,
            callbacks=callbacks,
        )


class _Pauses:
    """Calls `pause` after every so many steps, which are made in one call."""

    def __init__(self, steps: int, pause: Callable[[], object]) -> None:
        self.looks_every, self.pause = steps, pause

    def __call__(self, event: Event) -> None:
        if (event.step + 1) % self.looks_every == 0:
            self.pause()


class Steps(Fused):
    """The same, step by step from Python, on one batch."""

    def __init__(self, problem: Problem, threads: int, cell: object = None) -> None:
        super().__init__(problem, threads, cell)
        self.slots = self.optimizer.init(self.net.parameters)

    def run(self, steps: int) -> None:
        net, x, y = self.net, self.problem.x, self.problem.y
        for step in range(steps):
            found = net.loss_and_gradients(x, y)
            self.optimizer.update(net.parameters, found.gradients.parameters, self.slots, step)


class Inference:
    """Predictions of many windows."""

    def __init__(self, problem: Problem, threads: int) -> None:  # noqa: ARG002  # set by environment
        self.x, self.net = problem.x, make_net(problem, "compiled")

    def found(self) -> Arrays:
        return {"y_hat": self.net.predict(self.x)}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.net.predict(self.x)


class Stream:
    """One step from a resident state; the median step counts."""

    def __init__(self, problem: Problem, threads: int) -> None:  # noqa: ARG002  # one sequence
        self.net = make_net(problem, "compiled")
        if not hasattr(self.net, "stream"):
            raise NotImplementedError("this version has no Network.stream")
        self.x = [np.ascontiguousarray(x_t) for x_t in problem.x[0]]
        self.stream = self.net.stream()

    def found(self) -> Arrays:
        stream = self.net.stream()
        return {"y_hat": np.stack([np.array(stream.step(x_t)).reshape(-1) for x_t in self.x])}

    def run(self, steps: int) -> float:
        step, clock, x = self.stream.step, time.perf_counter_ns, self.x
        spent = np.empty(steps, np.int64)
        for k in range(steps):
            x_t = x[k % len(x)]
            begun = clock()
            step(x_t)
            spent[k] = clock() - begun
        return float(np.median(spent)) * 1e-9 * steps


def _own(problem: Problem, threads: int) -> Fused:
    from benchmarks.engines.own_cells import OWN_CELLS

    return Fused(problem, threads, OWN_CELLS[problem.cell])


def _derived(problem: Problem, threads: int) -> Fused:
    from benchmarks.engines.own_cells import DERIVED_CELLS

    return Fused(problem, threads, DERIVED_CELLS[problem.cell])


KINDS = {
    "training": Fused,
    "steps": Steps,
    "inference": Inference,
    "stream": Stream,
    "own": _own,
    "derived": _derived,
}
