"""What no diagnostic can work on is refused in one line, by every one of them in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.diagnostics import (
    chunked_gradient,
    fixed_points,
    gradient_by_path_length,
    gradient_flow,
    lyapunov_exponents,
    receptive_field,
    sliding_gradient,
    state_space,
    step_jacobians,
    tbptt_gradient,
    truncation_bias,
    weight_spectra,
)
from bptt.errors import BpttError, InvalidInput, InvalidType
from bptt.network import Network, Recurrent

B, T, D, H, K = 2, 5, 3, 4, 2
Diagnose = Callable[..., Any]

OF_A_LOSS: dict[str, Diagnose] = {
    "flow": gradient_flow,
    "paths": gradient_by_path_length,
    "sliding": lambda *given, **more: sliding_gradient(*given, truncate=2, **more),
    "chunked": lambda *given, **more: chunked_gradient(*given, chunk=2, **more),
    "tbptt": lambda *given, **more: tbptt_gradient(*given, k1=1, k2=2, **more),
    "bias": truncation_bias,
}
OF_BATCHES: dict[str, Diagnose] = {"field": receptive_field, "space": state_space, "points": fixed_points}
OF_ONE: dict[str, Diagnose] = {"jacobians": step_jacobians, "exponents": lyapunov_exponents}


def make() -> Network:
    return Network(Recurrent("gru", D, H, seed=1), K, readout="every", seed=2)


def said(error: type[BpttError], function: Diagnose, *given: Any, **more: Any) -> str:
    with pytest.raises(error) as caught:
        function(*given, **more)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 250
    return text


@pytest.mark.parametrize("name", [*OF_A_LOSS, *OF_BATCHES, *OF_ONE])
def test_complex_and_ragged_numbers(name: str, rng: np.random.Generator) -> None:
    net, x, y = make(), rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    if name in OF_ONE:
        given: tuple[Any, ...] = (net, x[0] + 1j)
        ragged: tuple[Any, ...] = (net, [[1.0], [1.0, 2.0]])
    else:
        given, ragged = (net, x + 1j), (net, [[[1.0]], [[1.0], [2.0]]])
    if name in OF_A_LOSS:
        given, ragged = (*given, y), (*ragged, y)
    function = (OF_A_LOSS | OF_BATCHES | OF_ONE)[name]
    assert said(InvalidType, function, *given) == "x must be real. Got complex128"
    assert said(InvalidType, function, *ragged).startswith(
        "x must be a rectangular array of numbers. Got nested"
    )
    if name in OF_A_LOSS:
        assert said(InvalidType, function, net, x, y * 1j) == "y must be real. Got complex128"
        words = said(InvalidType, function, net, x, [[1.0], [1.0, 2.0]])
        assert words.startswith("y must be a rectangular array of numbers. Got nested")


@pytest.mark.parametrize("name", [*OF_A_LOSS, *OF_BATCHES, *OF_ONE, "weights"])
def test_parameters_of_another_network(name: str, rng: np.random.Generator) -> None:
    if name == "chunked":  # takes the network's own alone
        return
    net, x, y = make(), rng.standard_normal((B, T, D)), rng.standard_normal((B, T, K))
    given: tuple[Any, ...] = {"weights": (net,), "jacobians": (net, x[0]), "exponents": (net, x[0])}.get(
        name, (net, x)
    )
    if name in OF_A_LOSS:
        given = (net, x, y)
    function = (OF_A_LOSS | OF_BATCHES | OF_ONE | {"weights": weight_spectra})[name]
    lacking = {key: p for key, p in net.parameters.items() if key != "layers.0.b_h"}
    assert said(InvalidInput, function, *given, parameters=lacking).startswith(
        "parameters: layers.0.b_h must be there"
    )
    wrong = {**net.parameters, "layers.0.W_hh": np.zeros((H, H))}
    words = said(InvalidInput, function, *given, parameters=wrong)
    assert words == f"parameters: layers.0.W_hh must have shape ({H}, {3 * H}). Got ({H}, {H})"
    assert said(InvalidType, function, *given, parameters=3) == "parameters must map names to arrays. Got int"


def test_the_rest(rng: np.random.Generator) -> None:
    net, x = make(), rng.standard_normal((B, T, D))
    words = said(InvalidInput, chunked_gradient, net, x[:, :0], np.zeros((B, 0, K)), chunk=2)
    assert words == f"x must hold at least one step, T >= 1. Got shape ({B}, 0, {D})"
    assert (
        said(InvalidType, receptive_field, net, x, outputs=3) == "outputs must be a sequence of steps. Got 3"
    )
    space = state_space(net, x)
    assert said(InvalidInput, space.project, np.zeros((2, 9))) == (
        f"states must be numbers of shape (..., n) = (..., {H}). Got float64 of shape (2, 9)"
    )
    assert said(InvalidInput, space.project, ["a"] * H).endswith(f"Got <U1 of shape ({H},)")
    exponents = lyapunov_exponents(net, x[0])
    assert said(InvalidInput, exponents.plot, shown=0) == "shown must be at least 1. Got 0"
    assert said(InvalidType, exponents.plot, shown=1.5).startswith("shown must be a whole number")
