"""Engine against engine."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.engine import get_engine, reference
from bptt.engine.choice import ENGINES
from bptt.errors import GradientError, InvalidInput, InvalidType
from bptt.network import Network, Recurrent
from bptt.verify import ENGINE_TOLERANCES, compare_engines, random_parameters
from tests.cells.foreign import CoupledOscillator

LENGTHS = [3, 9, 1, 7]


def stack(cell: Any = "lstm", **settings: Any) -> Recurrent:
    made = Recurrent(cell, 3, 5, num_layers=2, direction="bidirectional", **settings)
    made.parameters.update(random_parameters(made, np.random.default_rng(1)))
    return made


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that registers the engine "other": the reference with its results changed."""

    def add(
        forward: Callable[[Any], Any] = lambda result: result,
        backward: Callable[[Any], Any] = lambda sweep: sweep,
    ) -> None:
        module = types.ModuleType("other_engine")
        module.NAME = "other"  # type: ignore[attr-defined]  # a module made here
        module.forward = lambda *a, **k: forward(reference.forward(*a, **k))  # type: ignore[attr-defined]  # same
        module.backward = lambda *a, **k: backward(reference.backward(*a, **k))  # type: ignore[attr-defined]  # same
        monkeypatch.setitem(sys.modules, "other_engine", module)
        monkeypatch.setitem(ENGINES, "other", "other_engine")

    return add


@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm_peephole", CoupledOscillator])
def test_float32_and_complex_agree_with_float64_on_every_tensor(cell: Any) -> None:
    layer = stack(cell)
    report = compare_engines(layer, lengths=LENGTHS, engines=("numpy", "numpy:complex128", "auto:float32"))
    names = {row.name for row in report.rows if row.method == "auto:float32"}
    inner = {f"{prefix}states.{s}" for prefix in layer.prefixes for s in layer.states}
    ends = {f"{d}state.{s}" for s in layer.states for d in ("", "d")}
    assert names == {"h", "dx", *inner, *ends, *(f"d{name}" for name in layer.parameters)}
    assert {row.name for row in report.rows if row.method == "numpy:complex128"} == {
        "h", *inner, *(f"state.{s}" for s in layer.states)
    }  # fmt: skip
    assert report.worst("numpy:complex128") <= ENGINE_TOLERANCES["complex128"]
    # It is float32 arithmetic that was compared, not float64 under its name.
    assert 1e-8 < report.worst("auto:float32") <= ENGINE_TOLERANCES["float32"]
    assert report.notes == ("complex128 runs forward only: its gradients are not compared",)
    assert report.title == "numpy:complex128, auto:float32 against numpy:float64"


@pytest.mark.parametrize("readout", ["last", "every"])
def test_networks_are_compared_with_their_loss(readout: str, rng: np.random.Generator) -> None:
    net = Network(stack(), 2, readout=readout, learned_initial_state=True)
    x = rng.standard_normal((4, 9, 3))
    y = rng.standard_normal((4, 2) if readout == "last" else (4, 9, 2))
    report = compare_engines(
        net, x, y, lengths=LENGTHS, engines=("numpy:float64", "numpy:float32", "numpy:complex128")
    )
    names = {row.name for row in report.rows if row.method == "numpy:float32"}
    assert {"y_hat", "loss", "dx", "dreadout.W_hy", "dinitial.h", "state.c", "dstate.c"} <= names
    classes = Network(stack(), 4, loss="cross_entropy")
    assert compare_engines(classes).passed


@pytest.mark.usefixtures("each_engine")
def test_unless_named_numpy_is_compared_with_what_auto_runs() -> None:
    report = compare_engines(stack())
    double = [] if get_engine("auto") is reference else ["auto:float64"]
    assert report.title == f"{', '.join([*double, 'auto:float32'])} against numpy:float64"
    for method in double:
        assert 0 < report.worst(method) <= ENGINE_TOLERANCES["float64"]
    assert 1e-8 < report.worst("auto:float32") <= ENGINE_TOLERANCES["float32"]


def test_a_registered_engine_is_compared(register: Callable[..., None]) -> None:
    register()
    report = compare_engines(stack(), lengths=LENGTHS, engines=("numpy", "other"))
    assert report.worst("other:float64") == 0.0
    assert report.title == "other:float64 against numpy:float64"


def test_a_wrong_step_of_a_registered_engine_is_named(register: Callable[..., None]) -> None:
    def wrong(result: Any) -> Any:
        h, final, tape = result
        h[4, 1, 2] += 1e-9
        return h, final, tape

    register(forward=wrong)
    layer = Recurrent("elman", 3, 5)
    with pytest.raises(
        GradientError, match=r"^h\[1, 4, 2\] must agree with other:float64 to 1e-12 of the largest entry\."
    ):
        compare_engines(layer, engines=("numpy", "other"))
    report = compare_engines(layer, engines=("numpy", "other"), raise_on_failure=False)
    assert [row.name for row in report.failures] == ["h"]
    assert compare_engines(layer, engines=("numpy", "other"), rtol=1e-6).passed


def test_a_small_early_step_is_judged_by_its_own_size(
    register: Callable[..., None], rng: np.random.Generator
) -> None:
    """dx of the first steps may be 1e-9 of that of the last: a mistake there must still show."""

    def wrong(sweep: Any) -> Any:
        x = sweep.x.copy()
        x[0] *= 1.001
        return dataclasses.replace(sweep, x=x)

    register(backward=wrong)
    layer = Recurrent("elman", 3, 5)
    layer.parameters["layers.0.W_hh"] = 0.3 * layer.parameters["layers.0.W_hh"]
    net = Network(layer)
    report = compare_engines(
        net, rng.standard_normal((4, 20, 3)), engines=("numpy", "other"), raise_on_failure=False
    )
    (row,) = report.failures
    assert row.name == "dx"
    assert row.entry is not None
    assert row.entry[1] == 0
    assert abs(row.reference) < 1e-7


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_inf_never_agree(value: float, register: Callable[..., None]) -> None:
    def wrong(sweep: Any) -> Any:
        sweep.parameters["b_h"][2] = value
        return sweep

    register(backward=wrong)
    report = compare_engines(Recurrent("elman", 3, 5), engines=("numpy", "other"), raise_on_failure=False)
    assert [(row.name, row.entry) for row in report.failures] == [("dlayers.0.b_h", (2,))]


def test_the_model_is_left_as_it_was() -> None:
    layer = stack(dtype="float32")
    before = {name: (id(p), p.copy()) for name, p in layer.parameters.items()}
    assert compare_engines(layer, engines=("numpy:float64", "numpy")).passed
    assert (layer.dtype, layer.engine) == (np.float32, "auto")
    for name, p in layer.parameters.items():
        assert id(p) == before[name][0]
        np.testing.assert_allclose(p, before[name][1], rtol=0, atol=0)


def test_a_wrong_shape_is_told(register: Callable[..., None]) -> None:
    register(forward=lambda result: (result[0][:, :1], *result[1:]))
    with pytest.raises(
        GradientError, match=r"^h must have the reference's shape \(3, 5, 5\)\. Got \(1, 5, 5\) from other"
    ):
        compare_engines(Recurrent("elman", 3, 5), engines=("numpy", "other"))


AUTO = get_engine("auto").NAME

SAME = (
    r"engines must differ in name or dtype\. Got {} and {}, which are the same: an engine always agrees with itself; "
    r"compare with numpy:float32 or numpy:complex128, say$"
)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engines": ("numpy", "numpy")}, InvalidInput, SAME.format("numpy:float64", "numpy:float64")),
        ({"engines": ("auto", f"{AUTO}:float64")}, InvalidInput, SAME.format("auto:float64", f"{AUTO}:float64")),
        ({"engines": ("numpy",)}, InvalidInput,
         r"^engines must be a sequence of at least two, the reference first\. Got \('numpy',\)$"),
        ({"engines": "numpy"}, InvalidInput, r"^engines must be a sequence of at least two"),
        ({"engines": ("numpy", "cuda")}, InvalidInput, r"^engines must be one of auto, numpy.*\. Got 'cuda'$"),
        ({"engines": ("numpy", "numpy:float16")}, InvalidInput,
         r"^engines' dtype must be one of float64, complex128, float32\. Got 'float16'$"),
        ({"y": [[1.0]]}, InvalidInput, r"^y must be left out for a Recurrent, which has no loss\. Got one$"),
        ({"rtol": -1.0}, InvalidInput, r"^rtol must be above 0\. Got -1\.0$"),
        ({"x": np.zeros((2, 3, 4))}, InvalidInput, r"^x must have shape \(B, T, D\) = \(\*, \*, 3\)"),
    ],
)  # fmt: skip
def test_messages(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare_engines(Recurrent("elman", 3, 5), **options)


def test_only_models_are_compared() -> None:
    with pytest.raises(InvalidType, match=r"^model must be a Network or a Recurrent\. Got str$"):
        compare_engines("lstm")  # type: ignore[arg-type]  # the point
