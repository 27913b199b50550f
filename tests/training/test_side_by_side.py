"""Copies, pickles, threads and forks: whatever a program does with its models, their results are those of one alone."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.data import Stretches, Windows
from bptt.data.examples.arrays import Arrays
from bptt.engine import get_threads, set_threads, use_threads
from bptt.errors import InvalidType
from bptt.network import Network, Recurrent
from bptt.optim import L2, SGD, Adam, AdamW, ClipNorm, Cosine, RMSProp
from bptt.training import EarlyStopping, History, read_checkpoint, train, turns
from bptt.training.turns import take_turns
from tests.golden.cases import FOLDER, FORECASTERS, TINY, Leaky, shops, wave
from tests.golden.outputs import forecasts
from tests.training.setups import assert_same_bits, copy_of, make_data, make_net

COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda each, p=p: pickle.loads(pickle.dumps(each, p)) for p in (pickle.HIGHEST_PROTOCOL,)},
}  # fmt: skip

DATA = make_data(np.random.default_rng(0))
HELD_OUT = make_data(np.random.default_rng(1), count=11)


def fit(cell: str, seed: int, **more: Any) -> tuple[Network, History]:
    net = Network(Recurrent(cell, 3, 5, num_layers=2, dropout=0.25, seed=seed), 2, seed=seed)
    settings = {
        "steps": 60, "batch_size": 8, "optimizer": AdamW(Cosine(0.01, 60)), "clip": 0.5, "penalty": L2(1e-3),
        "seed": seed, "validation": HELD_OUT, "evaluate_every": 7, "early_stopping": 50, "progress": False,
        "record": ["weight_norms"],
    }  # fmt: skip
    return net, train(net, DATA, **settings | more)


def assert_same_fit(found: tuple[Network, History], wanted: tuple[Network, History]) -> None:
    assert_same_bits(found[0].parameters, wanted[0].parameters)
    np.testing.assert_array_equal(found[1].losses, wanted[1].losses)
    assert found[1].validation == wanted[1].validation


# ---------------------------------------------------------------- copies


@pytest.mark.parametrize("way", COPIES)
def test_a_copied_network_says_and_learns_the_same_and_shares_nothing(
    way: str, rng: np.random.Generator
) -> None:
    for cell in ("gru", "lstm_peephole", Leaky(leak=0.5)):
        net = Network(Recurrent(cell, 3, 5, num_layers=2, dropout=0.2), 2, linear_lags=2, seed=4)
        train(net, DATA, steps=3, progress=False)
        before, x = copy_of(net), rng.standard_normal((4, 6, 3))
        other = COPIES[way](net)
        assert_same_bits({"y": other.predict(x)}, {"y": net.predict(x)})
        assert other.parameters["layers.0.W_hh"] is other.recurrent.parameters["layers.0.W_hh"]
        train(other, DATA, steps=4, seed=7, progress=False)
        assert_same_bits(net.parameters, before)
        train(net, DATA, steps=4, seed=7, progress=False)
        assert_same_bits(net.parameters, other.parameters)


@pytest.mark.parametrize("way", COPIES)
def test_copied_settings_histories_and_sources_are_the_same(way: str) -> None:
    made = COPIES[way]
    for setting in (
        Adam(Cosine(0.01, 9)), SGD(0.1, momentum=0.9), RMSProp(0.02), L2(0.1), ClipNorm(0.5), EarlyStopping(3),
    ):  # fmt: skip
        assert made(setting) == setting
    wanted = fit("elman", 2)
    history = made(wanted[1])
    np.testing.assert_array_equal(history.losses, wanted[1].losses)
    assert history.validation == wanted[1].validation
    assert history.recorded.to_dict() == wanted[1].recorded.to_dict()
    values = np.random.default_rng(3).standard_normal((60, 3))
    for source in (
        Arrays(*DATA), Windows(values, targets=(1,), length=5), Stretches(values, targets=(1,), chunk=5, streams=3),
    ):  # fmt: skip
        other, which = made(source), np.arange(3)
        np.testing.assert_array_equal(other.batch(which).x, source.batch(which).x)
        np.testing.assert_array_equal(other.batch(which).y, source.batch(which).y)
    kept = read_checkpoint(FOLDER / "checkpoint.ckpt")
    assert_same_bits(made(kept).slots, kept.slots)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", FORECASTERS)
def test_a_copied_forecaster_stands_where_it_stood_and_goes_its_own_way(name: str, way: str) -> None:
    model = bptt.load(FOLDER / f"{name}.bptt")
    table = (shops if "network" in name else wave)(np.random.default_rng(8))
    other = COPIES[way](model)
    mine, its = forecasts(model, table), forecasts(other, table)
    for key, values in mine.items():
        np.testing.assert_array_equal(its[key], values, err_msg=key)
    # Rows that the one is shown are nothing that the other knows of.
    before = model.predict()["y_hat"]
    time = "ds" if "ds" in table else "time"
    step = table[time][1] - table[time][0]
    first = {
        column: values[: len(values) // (2 if "shop" in table else 1)] for column, values in table.items()
    }
    last = bptt.load(FOLDER / f"{name}.bptt").predict()["ds"][0]
    other.update(
        {
            column: values[:3] if column != time else last + step * np.arange(3)
            for column, values in first.items()
        }
    )
    np.testing.assert_array_equal(model.predict()["y_hat"], before)
    assert (other.predict()["y_hat"] != before).any()


def test_what_cannot_be_copied_says_so_in_one_line() -> None:
    stream = make_net().stream()
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(
            InvalidType, match=r"^a stream cannot be copied or pickled, only its memory\. Got .*: "
        ):
            way(stream)


# ---------------------------------------------------------------- threads and forks


def test_fits_at_once_have_the_bits_of_one_after_the_other() -> None:
    jobs = [(cell, seed) for seed in (1, 2) for cell in ("elman", "gru", "lstm")]
    alone = [fit(*job) for job in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(lambda job: fit(*job), jobs))
    for found, wanted in zip(together, alone, strict=True):
        assert_same_fit(found, wanted)


def test_runs_that_train_one_network_at_once_take_turns() -> None:
    # Steps of one run between those of another left weights that no run would have.
    def learn(net: Network) -> History:
        # Whoever sleeps lets the others go on.
        pause = [lambda _: time.sleep(2e-4)]
        return train(net, DATA, steps=40, batch_size=8, seed=3, callbacks=pause, progress=False)

    alone, together = make_net("gru", seed=4), make_net("gru", seed=4)
    wanted = [learn(alone).losses[-1] for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: learn(together).losses[-1], range(4)))
    assert sorted(found) == sorted(wanted)
    assert_same_bits(together.parameters, alone.parameters)


def test_a_network_that_was_trained_goes_without_a_callback_and_leaves_no_lock() -> None:
    # An interruption that comes while a weak reference calls back is lost.
    net = make_net("gru", seed=4)
    train(net, DATA, steps=2, progress=False)
    assert all(each.__callback__ is None for each in weakref.getweakrefs(net))
    with pytest.raises(ZeroDivisionError), take_turns(net):
        _ = 1 / 0
    assert not turns._turns


def test_a_run_within_a_run_of_one_network_does_not_wait() -> None:
    net, inner = make_net("gru", seed=4), []

    def callback(event: Any) -> None:
        if event.step == 3:
            inner.append(train(net, DATA, steps=2, batch_size=8, progress=False))

    train(net, DATA, steps=5, batch_size=8, callbacks=[callback], progress=False)
    assert inner[0].steps == 2


def test_fits_at_once_keep_checkpoints_of_their_own(tmp_path: Path) -> None:
    alone = [fit("gru", seed) for seed in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        together = list(
            pool.map(
                lambda seed: fit("gru", seed, checkpoint=tmp_path / f"{seed}", checkpoint_every=5), (1, 2, 3)
            )
        )
    for found, wanted in zip(together, alone, strict=True):
        assert_same_fit(found, wanted)
    for seed, (net, _) in zip((1, 2, 3), alone, strict=True):
        best = read_checkpoint(tmp_path / f"{seed}").best
        assert best.weights is not None
        assert_same_bits(best.weights, net.parameters)


def test_one_network_predicts_in_many_threads(rng: np.random.Generator) -> None:
    net, _ = fit("lstm", 5)
    xs = [rng.standard_normal((17, t, 3)) for t in range(3, 19)]
    alone = [net.predict(x) for x in xs]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(net.predict, xs), alone, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_two_forecasters_fit_at_once(rng: np.random.Generator) -> None:
    table = shops(rng, 120)

    def made(seed: int) -> Any:
        return bptt.Forecaster(target="y", horizon=2, group="shop", recipe=TINY, seed=seed).fit(
            table, progress=False
        )

    alone = [forecasts(made(seed), table) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        for found, wanted in zip(pool.map(made, (1, 2)), alone, strict=True):
            told = forecasts(found, table)
            for key, values in wanted.items():
                np.testing.assert_array_equal(told[key], values, err_msg=key)


def test_threads_set_their_own_number_and_see_that_of_the_process() -> None:
    seen: dict[str, int] = {}
    wanted = fit("gru", 4)

    def work(name: str, threads: int | None) -> None:
        with use_threads(threads):
            seen[name] = get_threads()
            assert_same_fit(fit("gru", 4), wanted)
            assert get_threads() == seen[name]

    try:
        set_threads(1)
        workers = [
            threading.Thread(target=work, args=each) for each in (("one", 1), ("many", 2), ("none", None))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert seen["one"] == seen["none"] == 1
        assert get_threads() == 1
        # What a thread sets for the process, the process has.
        setter = threading.Thread(target=set_threads, args=(None,))
        setter.start()
        setter.join()
        assert seen["many"] == min(2, get_threads())
    finally:
        set_threads(None)


@pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="the system has no fork to rely on"
)
def test_a_child_that_is_forked_off_after_threads_ran_trains_with_the_same_bits(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        wanted = list(pool.map(lambda seed: fit("gru", seed), (1, 2, 3)))[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            found, _ = fit("gru", 3, checkpoint=tmp_path / "run.ckpt")
            bptt.save(found, tmp_path / "child.bptt")
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert_same_bits(bptt.load(tmp_path / "child.bptt").parameters, wanted[0].parameters)
    assert_same_fit(fit("gru", 3), wanted)
