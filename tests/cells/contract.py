"""What every cell must do, whoever wrote it: inherit `CellContract`, name the cell."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from bptt.cells import Cell, get_cell
from bptt.network import Gradients, Recurrent
from bptt.verify import check_formulas, compare_engines, gradient_check, random_parameters

Array = npt.NDArray[Any]

# All different, most of them odd: no transpose or exchanged axis fits, no vector width divides them.
B, T, D, H = 4, 7, 3, 5
LENGTHS = np.array([3, 7, 1, 6])  # in any order, the longest not first, one of a single step

# The same sums in another order (rows alone, chunks, forward mode): rounding of float64, gain below 1.
SAME = {"rtol": 1e-11, "atol": 1e-13}
EXACT = {"rtol": 0.0, "atol": 0.0}


def without_backward(cell: Cell) -> Cell:
    """Return the cell stripped of its derivatives, so that forward-mode numbers take their place."""
    kind = type(cell)
    body: dict[str, Any] = {"backward": None, "name": f"{kind.name}_forward_only"}
    if kind.stages:
        body["stages"] = tuple(type(stage.__name__, (stage,), {"backward": None}) for stage in kind.stages)
    return type(f"{kind.__name__}ForwardOnly", (kind,), body)(**cell.options)


def made(cell: Cell, rng: np.random.Generator, **settings: Any) -> Recurrent:
    """Return a stack with random parameters, biases and vectors included."""
    stack = Recurrent(cell, D, H, **settings)
    stack.parameters.update(random_parameters(stack, rng))
    return stack


class Batch:
    """Random input, initial state, and a cotangent for every output and every final state."""

    def __init__(self, stack: Recurrent, rng: np.random.Generator, rows: int = B, steps: int = T) -> None:
        shape = stack.state_shape(rows)
        self.x = rng.standard_normal((rows, steps, D))
        self.state = {name: rng.uniform(-0.6, 0.6, shape) for name in stack.states}
        self.dh = rng.standard_normal((rows, steps, stack.output_size))
        self.dstate = {name: rng.standard_normal(shape) for name in stack.states}

    def run(self, stack: Recurrent, lengths: Any = None) -> tuple[Array, dict[str, Array], Gradients]:
        h, final, tape = stack.forward(self.x, self.state, lengths)
        return h, final, stack.backward(tape, self.dh, self.dstate)


def assert_gradients_equal(found: Gradients, wanted: Gradients, **tolerance: float) -> None:
    assert found.parameters.keys() == wanted.parameters.keys()
    for name, gradient in wanted.parameters.items():
        np.testing.assert_allclose(found.parameters[name], gradient, err_msg=name, **tolerance)
    assert found.x is not None
    assert wanted.x is not None
    np.testing.assert_allclose(found.x, wanted.x, err_msg="x", **tolerance)
    for name, gradient in (wanted.state or {}).items():
        np.testing.assert_allclose((found.state or {})[name], gradient, err_msg=f"state.{name}", **tolerance)


@pytest.mark.usefixtures("each_engine")
class CellContract:
    """Inherit it, and set `cell`: every promise is held by every engine."""

    cell: ClassVar[Cell]

    @pytest.fixture(params=[True, False], ids=["bias", "no bias"])
    def bias(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    def stack(self, bias: bool, rng: np.random.Generator) -> Recurrent:
        return made(self.cell, rng, bias=bias)

    # ------------------------------------------------------------ derivatives

    def test_each_formula_agrees_with_forward_mode_numbers(self) -> None:
        rows = check_formulas(self.cell)
        written = [stage for stage in self.cell.plan.stages if stage.backward is not None]
        assert len(rows) == sum(len(stage.differentiable) for stage in written)
        assert all(row.passed for row in rows), [str(row) for row in rows if not row.passed]

    def test_layer_agrees_with_complex_step_and_central_differences(
        self, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        batch = Batch(stack, rng)
        report = gradient_check(stack, batch.x, state=batch.state, max_entries={"complex": 15, "central": 5})
        names = {*stack.parameters, "x", *(f"state.{name}" for name in stack.states)}
        for method in ("complex", "central"):
            assert {row.name for row in report.rows if row.method == method} == names
        assert report.worst("complex") <= 1e-12
        # A surrogate's slope is not that of its value: shown, never judged.
        assert np.isnan(report.worst("central")) == self.cell.surrogate

    @pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
    def test_ragged_stack_agrees_with_complex_step(
        self, direction: str, bias: bool, rng: np.random.Generator
    ) -> None:
        stack = made(self.cell, rng, bias=bias, num_layers=2, direction=direction)
        batch = Batch(stack, rng)
        batch.x[np.arange(T) >= LENGTHS[:, None]] = np.nan
        gradient_check(
            stack, batch.x, state=batch.state, lengths=LENGTHS, methods=("complex",), max_entries=3
        )

    @pytest.mark.parametrize(("rows", "steps"), [(1, 3), (3, 1), (1, 1)])
    def test_one_row_and_one_step(
        self, rows: int, steps: int, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        batch = Batch(stack, rng, rows, steps)
        h, final, _ = batch.run(stack)
        assert h.shape == (rows, steps, H)
        assert all(state.shape == (1, rows, H) for state in final.values())
        gradient_check(stack, batch.x, state=batch.state, methods=("complex",), max_entries=10)

    def test_forward_mode_takes_the_place_of_backward(
        self, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        batch = Batch(stack, rng)
        stripped = Recurrent(without_backward(self.cell), D, H, bias=stack.bias)
        stripped.parameters.update(stack.parameters)
        h, final, gradients = batch.run(stack, LENGTHS)
        h_2, final_2, gradients_2 = batch.run(stripped, LENGTHS)
        np.testing.assert_allclose(h_2, h, **EXACT)
        for name in final:
            np.testing.assert_allclose(final_2[name], final[name], **EXACT)
        assert_gradients_equal(gradients_2, gradients, **SAME)

    @pytest.mark.parametrize("kind", ["mask", "signs", "both"])
    def test_constrained_recurrent_weights(self, kind: str, bias: bool, rng: np.random.Generator) -> None:
        mask = (rng.random((H, H)) < 0.6).astype(float)
        signs = np.array([1, -1, -1, 1, -1])
        settings = {
            "mask": {"mask": mask},
            "signs": {"signs": signs},
            "both": {"mask": mask, "signs": signs},
        }[kind]
        stack = made(self.cell, rng, bias=bias, **settings)
        batch = Batch(stack, rng)
        gradient_check(stack, batch.x, state=batch.state, methods=("complex",), max_entries=10)
        gradient = batch.run(stack)[2].parameters["layers.0.W_hh"]
        trained = stack.parameters["layers.0.W_hh"]
        wide = np.tile(mask, (1, trained.shape[1] // H))
        if kind != "signs":
            assert not gradient[wide == 0].any()
            moved = dict(stack.parameters, **{"layers.0.W_hh": np.where(wide == 0, 1e3, trained)})
            h = stack.forward(batch.x, parameters=moved)[0]
            np.testing.assert_allclose(h, stack.forward(batch.x)[0], **EXACT)
        if kind != "mask":
            # A weight of the wrong sign is no connection: W = sign * relu(W_trained).
            assert not gradient[trained < 0].any()
        assert gradient.any()

    # ------------------------------------------------------------ sequences

    @pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
    def test_ragged_rows_are_the_rows_alone(
        self, direction: str, bias: bool, rng: np.random.Generator
    ) -> None:
        stack = made(self.cell, rng, bias=bias, num_layers=2, direction=direction)
        batch = Batch(stack, rng)
        padding = np.arange(T) >= LENGTHS[:, None]
        batch.x[padding] = np.nan
        batch.dh[padding] = np.nan  # a cotangent past the end must not be read
        h, final, gradients = batch.run(stack, LENGTHS)
        assert not h[padding].any()
        assert gradients.x is not None
        assert not gradients.x[padding].any()
        total = {name: np.zeros_like(p) for name, p in stack.parameters.items()}
        for row, length in enumerate(LENGTHS):
            one = slice(row, row + 1)
            h_1, final_1, tape = stack.forward(
                batch.x[one, :length], {name: s[:, one] for name, s in batch.state.items()}
            )
            alone = stack.backward(
                tape, batch.dh[one, :length], {name: s[:, one] for name, s in batch.dstate.items()}
            )
            np.testing.assert_allclose(h[one, :length], h_1, **SAME)
            for name in stack.states:
                np.testing.assert_allclose(final[name][:, one], final_1[name], **SAME)
                assert gradients.state is not None
                assert alone.state is not None
                np.testing.assert_allclose(gradients.state[name][:, one], alone.state[name], **SAME)
            np.testing.assert_allclose(gradients.x[one, :length], alone.x, **SAME)
            for name, gradient in alone.parameters.items():
                total[name] += gradient
        for name, gradient in gradients.parameters.items():
            np.testing.assert_allclose(gradient, total[name], err_msg=name, **SAME)

    def test_chunks_with_carried_state_are_the_whole(
        self, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        batch = Batch(stack, rng)
        h, final, whole = batch.run(stack)
        cuts = [slice(0, 2), slice(2, 3), slice(3, T)]
        state, tapes, parts = batch.state, [], []
        for cut in cuts:
            part, state, tape = stack.forward(batch.x[:, cut], state)
            parts.append(part)
            tapes.append(tape)
        np.testing.assert_allclose(np.concatenate(parts, axis=1), h, **SAME)
        for name in stack.states:
            np.testing.assert_allclose(state[name], final[name], **SAME)
        dstate: dict[str, Array] | None = batch.dstate
        total = {name: np.zeros_like(p) for name, p in stack.parameters.items()}
        dx = []
        for cut, tape in zip(reversed(cuts), reversed(tapes), strict=True):
            gradients = stack.backward(tape, batch.dh[:, cut], dstate)
            dstate = gradients.state
            dx.insert(0, gradients.x)
            for name, gradient in gradients.parameters.items():
                total[name] += gradient
        assert_gradients_equal(Gradients(total, np.concatenate(dx, axis=1), dstate), whole, **SAME)

    def test_reverse_is_forward_on_the_reversed_input(
        self, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        backwards = Recurrent(self.cell, D, H, bias=stack.bias, direction="reverse")
        backwards.parameters.update(stack.parameters)
        batch = Batch(stack, rng)
        h, final, gradients = batch.run(stack)
        batch.x, batch.dh = batch.x[:, ::-1], batch.dh[:, ::-1]
        h_2, final_2, gradients_2 = batch.run(backwards)
        np.testing.assert_allclose(h_2[:, ::-1], h, **SAME)
        for name in final:
            np.testing.assert_allclose(final_2[name], final[name], **SAME)
        assert gradients_2.x is not None
        turned = Gradients(gradients_2.parameters, gradients_2.x[:, ::-1], gradients_2.state)
        assert_gradients_equal(turned, gradients, **SAME)

    def test_absent_state_and_cotangents_are_zeros(self, stack: Recurrent, rng: np.random.Generator) -> None:
        batch = Batch(stack, rng)
        batch.state = stack.zero_state(B)
        h, _, tape = stack.forward(batch.x)
        np.testing.assert_allclose(h, stack.forward(batch.x, batch.state)[0], **EXACT)
        zeros = {name: np.zeros_like(s) for name, s in batch.dstate.items()}
        assert_gradients_equal(stack.backward(tape, batch.dh), stack.backward(tape, batch.dh, zeros), **EXACT)
        no_outputs = stack.backward(tape, None, batch.dstate)
        assert_gradients_equal(
            no_outputs, stack.backward(tape, np.zeros_like(batch.dh), batch.dstate), **EXACT
        )
        for name in stack.states[1:]:
            only = {name: batch.dstate[name]}
            assert_gradients_equal(
                stack.backward(tape, batch.dh, only),
                stack.backward(tape, batch.dh, {**zeros, **only}),
                **EXACT,
            )

    def test_without_a_tape_the_final_state_is_the_same(
        self, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        batch = Batch(stack, rng)
        _, final, _ = stack.forward(batch.x, batch.state, LENGTHS)
        x = batch.x.transpose(1, 0, 2)
        for tape in (True, False):
            h, last, _ = stack.run(x, batch.state, LENGTHS, outputs="last", tape=tape)
            assert h is None
            for name in final:
                np.testing.assert_allclose(last[name], final[name], **EXACT)

    # ------------------------------------------------------------ arrays

    def test_inputs_are_left_as_they_were_and_a_tape_can_be_swept_twice(
        self, stack: Recurrent, rng: np.random.Generator
    ) -> None:
        batch = Batch(stack, rng)
        arrays = [
            batch.x,
            batch.dh,
            *batch.state.values(),
            *batch.dstate.values(),
            *stack.parameters.values(),
        ]
        before = [array.copy() for array in arrays]
        _, _, tape = stack.forward(batch.x, batch.state, LENGTHS)
        first = stack.backward(tape, batch.dh, batch.dstate)
        assert_gradients_equal(stack.backward(tape, batch.dh, batch.dstate), first, **EXACT)
        for array, copy in zip(arrays, before, strict=True):
            np.testing.assert_allclose(array, copy, **EXACT)

    def test_strided_and_read_only_inputs(self, stack: Recurrent, rng: np.random.Generator) -> None:
        batch = Batch(stack, rng)
        wanted = batch.run(stack, LENGTHS)
        batch.x, batch.dh = _strided(batch.x), _strided(batch.dh)
        batch.state = {name: _strided(s) for name, s in batch.state.items()}
        batch.dstate = {name: _strided(s) for name, s in batch.dstate.items()}
        parameters = stack.parameters
        stack.parameters = {name: _strided(p) for name, p in parameters.items()}
        found = batch.run(stack, LENGTHS)
        np.testing.assert_allclose(found[0], wanted[0], **SAME)
        assert_gradients_equal(found[2], wanted[2], **SAME)

    def test_float32_agrees_with_float64(self, stack: Recurrent, rng: np.random.Generator) -> None:
        batch = Batch(stack, rng)
        # The bound is ENGINE_TOLERANCES["float32"] = 5e-6, step by step.
        report = compare_engines(stack, batch.x, state=batch.state, lengths=LENGTHS)
        assert {row.name for row in report.rows} >= {"h", "dx", "dlayers.0.W_hh", "state.h", "dstate.h"}
        single = Recurrent(self.cell, D, H, bias=stack.bias, dtype="float32")
        h, final, gradients = Batch(single, rng).run(single, LENGTHS)
        every = [
            h,
            *final.values(),
            *gradients.parameters.values(),
            gradients.x,
            *(gradients.state or {}).values(),
        ]
        assert all(array is not None and array.dtype == np.float32 for array in every)

    @pytest.mark.parametrize("want", [set(), {"x"}, {"parameters"}, {"state0"}, {"x", "state0"}])
    def test_only_what_is_wanted_comes_back(
        self, want: set[str], bias: bool, rng: np.random.Generator
    ) -> None:
        stack = made(self.cell, rng, bias=bias, num_layers=2, direction="bidirectional")
        batch = Batch(stack, rng)
        _, _, tape = stack.forward(batch.x, batch.state, LENGTHS)
        whole = stack.backward(tape, batch.dh, batch.dstate)
        found = stack.backward(tape, batch.dh, batch.dstate, want=want)
        assert (found.x is not None) == ("x" in want)
        assert (found.state is not None) == ("state0" in want)
        assert bool(found.parameters) == ("parameters" in want)
        kept = Gradients(
            found.parameters or whole.parameters,
            whole.x if found.x is None else found.x,
            found.state or whole.state,
        )
        assert_gradients_equal(kept, whole, **EXACT)

    # ------------------------------------------------------------ declaration

    def test_names_options_and_parameters(self, bias: bool) -> None:
        again = get_cell(type(self.cell)(**self.cell.options))
        assert again == self.cell
        assert self.cell.config() == {"name": self.cell.name, **self.cell.options}
        stack = Recurrent(self.cell, D, H, bias=bias)
        for name, p in stack.parameters.items():
            assert np.isfinite(p).all()
            if "W_" not in name:
                assert bias or not name.split(".")[-1].startswith("b_")


def _strided(array: Array) -> Array:
    """Return a read-only view with gaps in every axis, in Fortran order."""
    wide = np.full(tuple(2 * n for n in array.shape), np.nan, array.dtype, order="F")
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    view.setflags(write=False)
    return view
