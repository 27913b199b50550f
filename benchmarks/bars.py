"""What is asked for, as data: a key of the measurements, a limit, and on which side of it to be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

PEERS = ("pytorch", "jax")
FUSED_BITS = "jobs whose fused steps differ in a bit"
THREAD_BITS = "jobs whose gradients' bits depend on the threads"
# job -> times faster than PyTorch and than JAX, by cell; one thread against one.
ONE_THREAD: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "weather": ({"elman": 60, "lstm": 14, "gru": 60}, {"elman": 8, "lstm": 6}),
    "sine": ({"elman": 1.9, "lstm": 1.4, "gru": 1.7}, {"elman": 1.4, "lstm": 2.5}),
    "noisy": ({"elman": 4, "lstm": 1.1}, {"elman": 1.5, "lstm": 1.2}),
    "digits": ({"elman": 4.5}, {"elman": 2}),
    "medium": ({"elman": 2.8, "lstm": 1.4, "gru": 2.8}, {"elman": 1.7, "lstm": 3.5}),
    "large": ({"elman": 1.2, "lstm": 1.1, "gru": 1.2}, {"elman": 1.5, "lstm": 1.5}),
}
# Two threads against the peers' best number of threads.
TWO_THREADS: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "sine": ({"elman": 3.5, "lstm": 1.8, "gru": 3}, {"elman": 2.2, "lstm": 4}),
    "noisy": ({"elman": 6, "lstm": 1.4}, {}),
    "medium": ({"elman": 4, "lstm": 1.6, "gru": 5.5}, {}),
    "large": ({"elman": 1.6, "lstm": 1.2, "gru": 1.5}, {}),
}
# job -> times faster than ONNX Runtime at inference.
INFERENCE = {
    "weather": {"elman": 10, "lstm": 3, "gru": 8},
    "sine": {"elman": 5, "lstm": 0.8, "gru": 2},
    "medium": {"elman": 5, "lstm": 0.8, "gru": 2},
}
SHARE, SHARE_AIM = 0.65, 0.8
SHARE_JOBS = ("sine", "digits", "medium", "large")
# float64 against PyTorch's float64, as a part of the float32 ratio of the same run.
FLOAT64_PART = {"weather": 0.6, "digits": 0.6, "noisy": 0.6, "sine": 0.9, "medium": 0.9, "large": 0.9}
STREAM_MICROSECONDS = {"elman": 1.5, "lstm": 2.5}


@dataclass(frozen=True)
class Bar:
    """One thing asked for.

    Attributes
    ----------
    key : str
        Of the measurement.
    limit : float
        The measurement must be at least this, or at most where `at_least` is False.
    unit : str
        Behind the numbers: "x", "%", "us", ...
    aim : float, optional
        What is wished for beyond the limit.
    part_of : str, optional
        Key of a measurement that `limit` is a part of.
    floor : float
        With `part_of`: the limit is never below this.
    """

    key: str
    limit: float
    unit: str
    at_least: bool = True
    aim: float | None = None
    part_of: str | None = None
    floor: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """A bar beside what was measured; `limit` and `measured` are None where they are not known."""

    bar: Bar
    measured: float | None
    limit: float | None
    state: str  # "met", "NOT met", "not measured", "invalid"


def training_key(dtype: str, threads: int, job: str, cell: str, peer: str) -> str:
    """Return the key of a ratio of training times."""
    return f"training, {dtype}, {threads} thread{'s' * (threads > 1)}: {job} {cell} against {peer}"


def share_key(dtype: str, job: str, cell: str) -> str:
    """Return the key of a share of the roofline."""
    return f"share of the roofline, {dtype}: {job} {cell}"


def agreement_key(dtype: str) -> str:
    """Return the key of the largest difference of bptt's loss and gradients from the reference."""
    return f"agreement with NumPy float64, {dtype}"


def inference_key(threads: int, job: str, cell: str) -> str:
    """Return the key of a ratio of inference times."""
    return f"inference, {threads} thread{'s' * (threads > 1)}: {job} {cell} against onnxruntime"


def all_bars() -> Iterator[Bar]:
    """Yield every bar, in the order of the table."""
    for threads, table in ((1, ONE_THREAD), (2, TWO_THREADS)):
        for job, by_peer in table.items():
            for peer, cells in zip(PEERS, by_peer, strict=True):
                for cell, limit in cells.items():
                    yield Bar(training_key("float32", threads, job, cell, peer), limit, "x")
    for job in SHARE_JOBS:
        for cell in ONE_THREAD[job][0]:
            yield Bar(share_key("float32", job, cell), SHARE, "%", aim=SHARE_AIM)
    for job, part in FLOAT64_PART.items():
        for cell in ONE_THREAD[job][0]:
            yield Bar(
                training_key("float64", 1, job, cell, "pytorch"),
                part,
                "x",
                part_of=training_key("float32", 1, job, cell, "pytorch"),
                floor=1.0 if cell == "lstm" else 0.0,
            )
    for threads in (1, 2):
        for job, cells in INFERENCE.items():
            for cell, limit in cells.items():
                aim = 1.0 if limit < 1 else None
                yield Bar(inference_key(threads, job, cell), limit, "x", aim=aim)
    yield Bar("lab run, 500 steps after warm-up", 25, "ms", at_least=False)
    for cell, limit in STREAM_MICROSECONDS.items():
        yield Bar(f"streaming step, hidden 32: {cell}", limit, "us", at_least=False)
    for cell in ("elman", "lstm", "gru"):
        yield Bar(f"own cell's time over the built-in one's: {cell}", 1.1, "x", at_least=False)
        yield Bar(f"own cell against a PyTorch loop, hidden 64: {cell}", 20, "x")
    yield Bar(agreement_key("float32"), 2e-6, "", at_least=False)
    yield Bar(agreement_key("float64"), 1e-12, "", at_least=False)
    yield Bar(FUSED_BITS, 0, "", at_least=False)
    yield Bar(THREAD_BITS, 0, "", at_least=False)
    yield Bar("cold first `bptt lab weather`, beyond warm", 8, "s", at_least=False)
    yield Bar("second `bptt lab weather`, beyond warm", 0.8, "s", at_least=False)
    yield Bar("memory of 1,000,000 rows x 8, window 168, beyond the data", 100, "MB", at_least=False)


def judge(bar: Bar, measured: Mapping[str, float], invalid: Collection[str] = ()) -> Verdict:
    """Return a bar's verdict.

    Parameters
    ----------
    bar : Bar
    measured : mapping of key to number
    invalid : collection of str
        Keys whose measurement does not count: the machine did not give its cores.
    """
    limit: float | None = bar.limit
    if bar.part_of is not None:
        whole = measured.get(bar.part_of)
        limit = None if whole is None else max(bar.limit * whole, bar.floor)
    found = measured.get(bar.key)
    if bar.key in invalid:
        return Verdict(bar, found, limit, "invalid")
    if found is None or limit is None:
        return Verdict(bar, found, limit, "not measured")
    is_met = found >= limit if bar.at_least else found <= limit
    return Verdict(bar, found, limit, "met" if is_met else "NOT met")
