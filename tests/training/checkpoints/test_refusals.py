"""What is not the same run, or no checkpoint at all, is refused in one line that says what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.cells.elman import Elman
from bptt.data import Sequences, Stretches, Windows
from bptt.data.examples.arrays import Arrays
from bptt.errors import BpttError, FileFormatError, FileMissing, InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.optim import L1, L2, SGD, Adam, ClipNorm, Cosine, Schedule
from bptt.training import read_checkpoint, train
from bptt.training.checkpoints.data_digests import describe_source
from tests.training.checkpoints.kept_run import DATA, SETTINGS, refused, write_one
from tests.training.setups import Recording, assert_same_bits, copy_of, make_net

MASK = (np.arange(25).reshape(5, 5) % 3 > 0).tolist()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_one(tmp_path_factory.mktemp("kept"))


def changed_data(which: int) -> tuple[Any, Any]:
    pair = [DATA[0].copy(), DATA[1].copy()]
    # One bit of one number.
    pair[which][-1, 0] = np.nextafter(pair[which][-1, 0], 9)
    return pair[0], pair[1]


OF_THE_RUN = "as in run.ckpt, for the run to go on to the bit. Got"
DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": SGD(0.01)}, f"optimizer must be 'Adam' {OF_THE_RUN} 'SGD'"),
    (
        {"optimizer": Adam(0.01)},
        "optimizer.learning_rate must be Cosine(final_fraction=0.0, rate=0.01, total_steps=20, warmup... "
        f"{OF_THE_RUN} 0.01",
    ),
    (
        {"optimizer": Adam(Cosine(0.01, 21))},
        f"optimizer.learning_rate.total_steps must be 20 {OF_THE_RUN} 21",
    ),
    ({"batch_size": 7}, f"batch_size must be 8 {OF_THE_RUN} 7"),
    ({"sampling": "random"}, f"sampling must be 'shuffled' {OF_THE_RUN} 'random'"),
    ({"seed": 5}, f"seed must be 4 {OF_THE_RUN} 5"),
    ({"evaluate_every": 3}, f"evaluate_every must be 2 {OF_THE_RUN} 3"),
    ({"early_stopping": 4}, f"early_stopping.patience must be 5 {OF_THE_RUN} 4"),
    ({"early_stopping": None}, "early_stopping must be EarlyStopping(min_change=0.0, patience=5) as"),
    ({"clip": None}, f"clip must be ClipNorm(max_norm=0.5) {OF_THE_RUN} None"),
    ({"clip": ClipNorm(0.25)}, f"clip.max_norm must be 0.5 {OF_THE_RUN} 0.25"),
    ({"penalty": L2(0.02)}, "penalty must be other"),
    ({"penalty": [L2(0.01), L1(0.1)]}, "penalty must be other"),
    ({"record": ["snapshots"]}, f"record must be ['weight_norms'] {OF_THE_RUN} ['snapshots']"),
    ({"every": 2}, f"every must be 3 {OF_THE_RUN} 2"),
    ({"data": changed_data(0)}, f"data.x must be {OF_THE_RUN} other values"),
    ({"data": changed_data(1)}, f"data.y must be {OF_THE_RUN} other values"),
    ({"data": (DATA[0][:50], DATA[1][:50])}, f"data.examples must be 53 {OF_THE_RUN} 50; also data.x, data.y"),
    ({"validation": changed_data(0)}, f"validation.examples must be 9 {OF_THE_RUN} 53"),
    ({"net": make_net("lstm")}, f"network.recurrent.cell.name must be 'gru' {OF_THE_RUN} 'lstm'; also network."),
    ({"net": make_net(dtype="float32")}, f"network.recurrent.dtype must be 'float64' {OF_THE_RUN} 'float32'"),
    ({"net": make_net(loss="mae")}, f"network.loss.kind must be 'squared' {OF_THE_RUN} 'absolute'"),
    ({"net": make_net(linear_lags=2)}, f"network.linear_lags must be 0 {OF_THE_RUN} 2; also network.weights."),
    (
        {"net": Network(Recurrent("gru", 3, 5, engine="numpy"), 2)},
        f"network.engine must be 'compiled' {OF_THE_RUN} 'numpy'",
    ),
    ({"steps": 5}, "steps must be at least the 6 that run.ckpt has made. Got 5"),
]  # fmt: skip


@pytest.mark.parametrize(("other", "message"), DIFFERENT, ids=[str(k) for k in range(len(DIFFERENT))])
def test_what_differs_is_named(other: dict[str, Any], message: str, checkpoint: Path) -> None:
    if "network.engine" in message:
        pytest.importorskip("llvmlite")
    if message == "penalty must be other":
        message = "penalty"
    assert refused(checkpoint, **other).startswith(message)


def test_the_same_given_otherwise_is_the_same(checkpoint: Path) -> None:
    """A number for its clipping, arrays for a pair, another order of threads and callbacks."""
    net = make_net(seed=9)
    history = train(
        net, Arrays(*DATA), **SETTINGS | {"penalty": L2(0.01), "clip": ClipNorm(0.5), "early_stopping": 5},
        threads=1, callbacks=[lambda event: None], resume=checkpoint,
    )  # fmt: skip
    assert history.steps == 6


def test_a_mask_is_compared_by_its_digest(tmp_path: Path) -> None:
    def make(mask: Any) -> Network:
        return Network(Recurrent("elman", 3, 5, mask=mask), 2)

    other = np.array(MASK)
    other[1, 1] = not other[1, 1]
    train(make(MASK), DATA, steps=2, checkpoint=tmp_path / "run.ckpt", progress=False)
    with pytest.raises(
        FileFormatError, match=r"^network\.recurrent\.mask must be as in .* Got other values$"
    ):
        train(make(other), DATA, steps=2, resume=tmp_path / "run.ckpt", progress=False)


def test_equations_are_compared(tmp_path: Path, checkpoint: Path) -> None:
    class Own(Elman):
        name = "elman"
        constants = Elman.constants

    path = tmp_path / "run.ckpt"
    train(Network(Recurrent("elman", 3, 5), 2), DATA, steps=2, checkpoint=path, progress=False)
    raw = path.read_bytes()
    digest = read_checkpoint(path).run["network"]["equations"]
    path.write_bytes(raw.replace(digest.encode(), b"0" * 64))
    with pytest.raises(FileFormatError, match=r"^network\.equations must be as in .* Got other values$"):
        train(Network(Recurrent("elman", 3, 5), 2), DATA, steps=2, resume=path, progress=False)


def test_settings_of_a_class_of_ones_own_are_compared(tmp_path: Path) -> None:
    """Fields that no dataclass declares: the object says nothing of them by itself."""

    class Steps(Schedule):
        def __init__(self, rates: list[float]) -> None:
            object.__setattr__(self, "rate", max(rates))
            object.__setattr__(self, "rates", rates)
            object.__setattr__(self, "_asked", np.random.default_rng().random())

        def _at(self, step: int) -> float:
            return self.rates[step % len(self.rates)]

    path = tmp_path / "run.ckpt"
    settings = {"steps": 3, "checkpoint": path, "resume": True, "progress": False}
    train(make_net(), DATA, **settings, optimizer=Adam(Steps([0.1, 0.01])))
    train(make_net(), DATA, **settings, optimizer=Adam(Steps([0.1, 0.01])))
    with pytest.raises(
        FileFormatError, match=r"^optimizer\.learning_rate\.rates must be \[0\.1, 0\.01\] as in "
    ):
        train(make_net(), DATA, **settings, optimizer=Adam(Steps([0.1, 0.02])))


def test_more_steps_that_would_have_been_looked_at_otherwise(tmp_path: Path) -> None:
    settings = SETTINGS | {"steps": 5, "early_stopping": 90}
    path = tmp_path / "run.ckpt"
    train(make_net(), DATA, **settings, checkpoint=path)
    said = refused(path, **settings | {"steps": 8})
    assert said == (
        "steps must be 5 as in run.ckpt, whose last step was looked at, not being a multiple of 2. Got 8"
    )
    alone = {"steps": 5, "record": ["weight_norms"], "every": 4, "progress": False}
    train(make_net(), DATA, **alone, checkpoint=tmp_path / "other.ckpt")
    with pytest.raises(FileFormatError, match=r"^steps must be 5 .* not being a multiple of 4\. Got 9$"):
        train(make_net(), DATA, **alone | {"steps": 9}, resume=tmp_path / "other.ckpt")


# ---------------------------------------------------------------- data


def series(**options: Any) -> dict[str, Any]:
    values = np.random.default_rng(3).standard_normal((60, 4))
    return {"values": values, "targets": (0, 2), "segments": (0, 31), "dtype": "float32"} | options


def replaced(source: Arrays) -> Arrays:
    """Return it with a method of the user's own: what it holds no longer says what it gives."""
    batch = source.batch
    source.batch = lambda indices: batch(indices)  # type: ignore[method-assign]  # another object
    return source


def test_sources_are_told_apart() -> None:
    other = series()["values"].copy()
    other[-1, 2] += 1e-9  # lost in float32, but a score would see it
    moved = series()["values"].copy()
    moved[7, 1] = 0.5
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((6, 4, 3)), rng.standard_normal((6, 2))
    makes: list[Callable[[], Any]] = [
        *(
            (lambda o=o: Windows(**series(**{"length": 5} | o)))
            for o in (
                {}, {"length": 6}, {"horizon": 2}, {"targets": (2, 0)}, {"inputs": (0, 2, 1)}, {"dtype": "float64"},
                {"values": other}, {"values": moved}, {"segments": (0, 30)}, {"starts": np.arange(3, 20)},
            )
        ),
        *((lambda o=o: Sequences(**series(**{"length": 5} | o))) for o in ({}, {"warmup": 2})),
        *(
            (lambda o=o: Stretches(**series(**{"chunk": 5} | o)))
            for o in (
                {}, {"streams": 2}, {"warmup": 2}, {"lookback": 3}, {"chunk": 6}, {"horizon": 2}, {"values": moved},
            )
        ),
        lambda: Stretches(**series(chunk=5)).split_last(0.3)[0],
        lambda: Stretches(**series(chunk=5)).split_last(0.3)[1],
        lambda: Windows(**series(length=5)).split_last(0.3)[0],
        lambda: Windows(**series(length=5)).split_last(0.3)[1],
        lambda: Arrays(x, y),
        lambda: Arrays(x.astype("f"), y),
        lambda: Arrays(x.reshape(6, 3, 4), y),  # the same bytes
        lambda: replaced(Arrays(x, y)),
        lambda: Arrays(x, y, lengths=[3, 4, 4, 4, 4, 4]),
        lambda: Arrays(x, y, weights=[1, 2, 1, 1, 1, 1]),
        lambda: Recording(x, y),
        lambda: Recording(x + 1, y),
        *(lambda k=k: Recording(x + (np.arange(6) == k)[:, None, None], y) for k in (0, 3, 5)),
    ]  # fmt: skip
    described = [json.dumps(describe_source(make())) for make in makes]
    assert len(set(described)) == len(makes)
    # The same data made again are the same.
    assert described == [json.dumps(describe_source(make())) for make in makes]


def test_a_source_of_ones_own_can_say_what_it_is(tmp_path: Path) -> None:
    class Named(Recording):
        name = "first"

        def digest(self) -> str:
            return self.name

    source, path = Named(*DATA), tmp_path / "run.ckpt"
    train(make_net(), source, steps=3, checkpoint=path, progress=False)
    assert len(source.drawn) == 3  # nothing was drawn to know it by
    source.name = "second"
    with pytest.raises(FileFormatError, match=r"^data\.digest must be 'first' as in .* Got 'second'$"):
        train(make_net(), source, steps=3, resume=path, progress=False)


# ---------------------------------------------------------------- settings and files


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], type[BpttError], str]] = [
        ({"checkpoint_every": 3}, InvalidInput, "checkpoint_every must come with a checkpoint. Got none"),
        ({"resume": True}, InvalidInput, "resume=True must come with a checkpoint. Got none"),
        ({"resume": 3}, InvalidType, "resume must be text or a path. Got 3"),
        ({"checkpoint": True}, InvalidType, "checkpoint must be text or a path. Got True"),
        ({"checkpoint": tmp_path / "a", "checkpoint_every": 0}, InvalidInput, "checkpoint_every must be at least 1"),
        ({"checkpoint": tmp_path / "no" / "a"}, FileMissing, "path must lie in a folder that exists. Got"),
        ({"checkpoint": tmp_path}, InvalidInput, "checkpoint must name a new file, or a checkpoint to go on from."),
        ({"resume": tmp_path / "none"}, FileMissing, "checkpoint file must exist. Got"),
    ]  # fmt: skip
    for settings, error, message in cases:
        net = make_net()
        before = copy_of(net)
        with pytest.raises(error) as caught:
            train(net, DATA, steps=2, progress=False, **settings)
        assert str(caught.value).startswith(message)
        assert type(caught.value) is error
        assert_same_bits(net.parameters, before)
    assert list(tmp_path.iterdir()) == []


def test_no_work_is_written_over(tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if event.step == 1:
            raise KeyboardInterrupt

    path = tmp_path / "run.ckpt"
    settings = {"steps": 4, "checkpoint": path, "progress": False}
    train(make_net(), DATA, callbacks=[stop], **settings)
    before = path.read_bytes()
    with pytest.raises(InvalidInput) as caught:
        train(make_net(), DATA, **settings)
    assert str(caught.value) == (
        f"checkpoint must name a new file. Got {path}, a run stopped at step 2: resume=True goes on with it, "
        "or delete the file to begin anew"
    )
    other = tmp_path / "kept.ckpt"
    other.write_bytes(before)
    with pytest.raises(InvalidInput, match="a run stopped at step 2"):
        train(make_net(), DATA, **settings, resume=other)
    assert path.read_bytes() == before
    # Of a run that is done, nothing is lost.
    train(make_net(), DATA, **settings, resume=True)
    assert train(make_net(), DATA, **settings | {"steps": 3}).steps == 3
    # Anything else stays.
    other = tmp_path / "data.csv"
    other.write_text("1,2\n")
    with pytest.raises(InvalidInput, match=r"Got .*data\.csv: something else is there$"):
        train(make_net(), DATA, **settings | {"checkpoint": other})
    assert other.read_text() == "1,2\n"
    model = bptt.save(make_net(), tmp_path / "model.bptt")
    with pytest.raises(InvalidInput, match=r"something else is there$"):
        train(make_net(), DATA, **settings | {"checkpoint": model})


def test_a_model_is_no_checkpoint_and_the_other_way_round(checkpoint: Path, tmp_path: Path) -> None:
    model = bptt.save(make_net(), tmp_path / "model.bptt")
    assert refused(model) == (
        "model.bptt must be a checkpoint that bptt.train wrote. Got kind 'network': a model is loaded with bptt.load"
    )
    with pytest.raises(FileFormatError, match=r"kind must be one of .*\. Got 'checkpoint'"):
        bptt.load(checkpoint)
    # What it has learnt can be taken from it.
    net = make_net()
    for name, weights in read_checkpoint(checkpoint).weights.items():
        net.parameters[name][...] = weights


def test_an_optimiser_that_remembers_something_else(tmp_path: Path) -> None:
    class Counting(Adam):
        def init(self, parameters: Any) -> Any:
            return {
                name: {s: np.zeros(p.shape, np.int64) for s in ("m", "v")} for name, p in parameters.items()
            }

    with pytest.raises(InvalidInput, match=r"^checkpoint must be of float32 and float64 arrays\."):
        train(make_net(), DATA, steps=2, optimizer=Counting(), checkpoint=tmp_path / "a", progress=False)
    assert list(tmp_path.iterdir()) == []
