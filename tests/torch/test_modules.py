"""`bptt.torch` in place of PyTorch's modules: outputs, gradients, training, checks, and what it refuses."""

from __future__ import annotations

import copy
import io
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.torch_twin import compare, torch

import bptt.torch as ours  # isort: skip  # after the line above, which skips all of this without PyTorch
from bptt.errors import InvalidInput, InvalidType

pytestmark = pytest.mark.usefixtures("each_engine")

# Two float64 engines that add in another order agree to 5e-15 while the recurrent gain is at most 1.
AGREES = 1e-12
F64 = torch.float64
PAIRS = {"RNN": (torch.nn.RNN, ours.RNN), "GRU": (torch.nn.GRU, ours.GRU), "LSTM": (torch.nn.LSTM, ours.LSTM)}
LENGTHS = [3, 7, 1, 5]


@pytest.fixture(autouse=True)
def seeded(rng: np.random.Generator) -> None:
    torch.manual_seed(int(rng.integers(2**31)))


def pair(kind: str, *sizes: int, **settings: Any) -> tuple[Any, Any]:
    """Return PyTorch's module and ours, each made anew from one seed."""
    seed = int(torch.randint(2**31, ()))
    made = []
    for cls in PAIRS[kind]:
        torch.manual_seed(seed)
        made.append(cls(*sizes, **{"dtype": F64, **settings}))
    return made[0], made[1]


def random_state(module: Any, batch: int | None) -> Any:
    rows = module.num_layers * (1 + module.bidirectional)
    shape = (rows, module.hidden_size) if batch is None else (rows, batch, module.hidden_size)
    states = [torch.randn(shape, dtype=F64, requires_grad=True) for _ in range(1 + (module.mode == "LSTM"))]
    return tuple(states) if len(states) == 2 else states[0]


def leaves(hx: Any) -> list[Any]:
    return [] if hx is None else list(hx) if isinstance(hx, tuple) else [hx]


def same(theirs: Any, mine: Any, run: Any, inputs: list[Any]) -> None:
    """Compare all tensors that `run(module)` returns, and the gradients of a random sum of them."""
    wanted, found = run(theirs), run(mine)
    compare(
        {str(k): each.detach().numpy() for k, each in enumerate(found)},
        {str(k): each for k, each in enumerate(wanted)},
        AGREES,
    )
    weights = [torch.randn_like(each) for each in wanted]

    def gradients(module: Any, results: Any) -> dict[str, Any]:
        named = {**{f"input {k}": each for k, each in enumerate(inputs)}, **dict(module.named_parameters())}
        total = sum((each * w).sum() for each, w in zip(results, weights, strict=True))
        return dict(zip(named, torch.autograd.grad(total, list(named.values())), strict=True))

    compare(
        {name: d.numpy() for name, d in gradients(mine, found).items()}, gradients(theirs, wanted), AGREES
    )


@pytest.mark.parametrize("kind", PAIRS)
def test_every_output_and_gradient(kind: str) -> None:
    for layers, both, batch_first, bias, given in product((1, 2), *[(False, True)] * 4):
        theirs, mine = pair(kind, 3, 5, layers, batch_first=batch_first, bidirectional=both, bias=bias)
        assert list(theirs.state_dict()) == list(mine.state_dict())
        assert isinstance(mine, PAIRS[kind][0])
        x = torch.randn((4, 7, 3) if batch_first else (7, 4, 3), dtype=F64, requires_grad=True)
        hx = random_state(theirs, 4) if given else None

        def run(module: Any, x: Any = x, hx: Any = hx) -> list[Any]:
            out, state = module(x, hx)
            return [out, *leaves(state)]

        same(theirs, mine, run, [x, *leaves(hx)])


@pytest.mark.parametrize("kind", PAIRS)
def test_relu_packed_sorted_or_not_lengths_and_no_batch(kind: str) -> None:
    settings: dict[str, Any] = {"nonlinearity": "relu"} if kind == "RNN" else {}
    theirs, mine = pair(kind, 3, 4, 2, bidirectional=True, batch_first=True, **settings)
    x = torch.randn(4, 7, 3, dtype=F64, requires_grad=True)
    hx = random_state(theirs, 4)
    for lengths in (LENGTHS, sorted(LENGTHS, reverse=True)):

        def packed(module: Any, lengths: list[int] = lengths) -> list[Any]:
            inside = torch.nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor(lengths), batch_first=True, enforce_sorted=lengths != LENGTHS
            )
            out, state = module(inside, hx)
            assert out.batch_sizes.tolist() == inside.batch_sizes.tolist()
            padded, ends = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
            assert ends.tolist() == lengths
            return [out.data, padded, *leaves(state)]

        same(theirs, mine, packed, [x, *leaves(hx)])
        out, state = mine(x, hx, lengths=lengths)
        _, padded, *final = packed(theirs)
        compare({"out": out.detach().numpy()}, {"out": padded}, AGREES)
        for one, other in zip(leaves(state), final, strict=True):
            compare({"state": one.detach().numpy()}, {"state": other}, AGREES)
    x_alone, hx_alone = torch.randn(6, 3, dtype=F64, requires_grad=True), random_state(theirs, None)

    def alone(module: Any) -> list[Any]:
        out, state = module(x_alone, hx_alone)
        return [out, *leaves(state)]

    same(theirs, mine, alone, [x_alone, *leaves(hx_alone)])


@pytest.mark.parametrize("kind", PAIRS)
def test_gradcheck(kind: str) -> None:
    _, module = pair(kind, 2, 3, 2, bidirectional=True)
    x = torch.randn(4, 3, 2, dtype=F64, requires_grad=True)
    names = [name for name, _ in module.named_parameters()]

    def run(x: Any, *rest: Any) -> Any:
        states, weights = rest[: -len(names)], rest[-len(names) :]
        hx = states if len(states) == 2 else states[0]
        out, state = torch.func.functional_call(
            module, dict(zip(names, weights, strict=True)), (x, hx), {"lengths": [4, 1, 3]}
        )
        return (out, *leaves(state))

    inputs = (x, *leaves(random_state(module, 3)), *module.parameters())
    assert torch.autograd.gradcheck(run, inputs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", PAIRS)
def test_only_some_gradients_are_wanted(kind: str) -> None:
    theirs, mine = pair(kind, 3, 4, 2)
    x = torch.randn(5, 2, 3, dtype=F64)
    for module in (theirs, mine):
        for name, p in module.named_parameters():
            p.requires_grad_(name == "weight_hh_l0")
        module(x)[0][-1].sum().backward()
        assert [name for name, p in module.named_parameters() if p.grad is not None] == ["weight_hh_l0"]
    compare({"dW": mine.weight_hh_l0.grad.numpy()}, {"dW": theirs.weight_hh_l0.grad}, AGREES)
    x.requires_grad_()
    found = {}
    for name, module in (("theirs", theirs), ("mine", mine)):
        module.requires_grad_(False)
        (found[name],) = torch.autograd.grad(leaves(module(x)[1])[-1].square().sum(), x)
    compare({"dx": found["mine"].numpy()}, {"dx": found["theirs"]}, AGREES)
    with torch.no_grad():
        assert not mine(x)[0].requires_grad
    with torch.inference_mode():
        compare({"h": mine(x)[0].numpy()}, {"h": theirs(x)[0]}, AGREES)


@pytest.mark.parametrize("kind", PAIRS)
def test_training_steps_equal_pytorchs(kind: str) -> None:
    class Model(torch.nn.Module):
        def __init__(self, rnn: Any) -> None:
            super().__init__()
            self.rnn = rnn
            torch.manual_seed(3)
            self.head = torch.nn.Linear(6, 1, dtype=F64)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0][:, -1])

    models = [Model(rnn) for rnn in pair(kind, 3, 6, batch_first=True)]
    # Adam tells two biases of one sum apart if their gradients ever differ.
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.02) for model in models]
    batches = [(torch.randn(5, 8, 3, dtype=F64), torch.randn(5, 1, dtype=F64)) for _ in range(30)]
    for model, optimizer in zip(models, optimizers, strict=True):
        for x, y in batches:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
    compare(
        {name: p.detach().numpy() for name, p in models[1].named_parameters()},
        dict(models[0].named_parameters()),
        1e-9,  # thirty steps of Adam, which divides by the size of the gradient
    )


def test_dropout_draws_from_pytorchs_generator() -> None:
    _, module = pair("LSTM", 3, 4, 2, dropout=0.5)
    x = torch.randn(6, 2, 3, dtype=F64)
    torch.manual_seed(1)
    one, two = module(x)[0], module(x)[0]
    torch.manual_seed(1)
    torch.testing.assert_close(module(x)[0], one, rtol=0, atol=0)
    assert not torch.equal(one, two)
    module.eval()
    torch.testing.assert_close(module(x)[0], module(x)[0], rtol=0, atol=0)


def test_saved_copied_and_moved_between_the_two() -> None:
    theirs, mine = pair("GRU", 3, 4, 2, bidirectional=True)
    for p in theirs.parameters():
        p.data.normal_()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 2, 3, dtype=F64)
    wanted = theirs(x)[0]
    file = io.BytesIO()
    torch.save(mine, file)
    file.seek(0)
    for module in (mine, copy.deepcopy(mine), torch.load(file, weights_only=False)):
        assert type(module) is ours.GRU
        compare({"h": module(x)[0].detach().numpy()}, {"h": wanted}, AGREES)
    assert mine.float()(x.float())[0].dtype == torch.float32


def test_views_and_what_is_written_over() -> None:
    _, module = pair("LSTM", 3, 4)
    wide = torch.randn(2, 3, 9, dtype=F64)
    x = wide.transpose(0, 2)  # (9, 3, 2), nothing contiguous
    module2 = pair("LSTM", 2, 4)[1]
    torch.testing.assert_close(module2(x)[0], module2(x.contiguous())[0], rtol=0, atol=0)
    x = torch.randn(4, 2, 3, dtype=F64)
    out, _ = module(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
    before = [p.clone() for p in module.parameters()]
    out, (h_n, _) = module(x)
    out.data.zero_(), h_n.data.zero_()
    out, _ = module(x)
    assert out.abs().sum() > 0
    torch.testing.assert_close(list(module.parameters()), before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", PAIRS)
def test_swept_twice_with_shared_states_and_weights_made_of_others(kind: str) -> None:
    theirs, mine = pair(kind, 3, 4, 2)
    x, h = (
        torch.randn(6, 5, 3, dtype=F64, requires_grad=True),
        torch.randn(2, 1, 4, dtype=F64, requires_grad=True),
    )
    one = h.expand(2, 5, 4)  # one state for all rows: its gradient is the sum of theirs

    def run(module: Any) -> list[Any]:
        out, state = module(x, (one, one) if kind == "LSTM" else one)
        return [out, *leaves(state)]

    same(theirs, mine, run, [x, h])
    loss = run(mine)[0].square().sum()
    first = torch.autograd.grad(loss, [x, *mine.parameters()], retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, [x, *mine.parameters()]), first, rtol=0, atol=0)
    for module in (theirs, mine):
        torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    same(theirs, mine, run, [x, h])


@pytest.mark.parametrize("kind", PAIRS)
def test_no_second_derivative_is_taken_for_a_constant(kind: str) -> None:
    """Not even of a plain sum: its upstream gradient is constant, and what comes back depends on x and weights."""
    _, mine = pair(kind, 3, 4, 2)
    x = torch.randn(5, 2, 3, dtype=F64, requires_grad=True)
    wanted = [x, *mine.parameters()]
    first = torch.autograd.grad(mine(x)[0].sum(), wanted)
    made = torch.autograd.grad(mine(x)[0].sum(), wanted, create_graph=True)
    torch.testing.assert_close([each.detach() for each in made], list(first), rtol=0, atol=0)
    words = "gradients of a module of bptt.torch must be differentiated no further"
    for leaf in (x, mine.weight_hh_l0):
        with pytest.raises(InvalidInput, match=words):
            torch.autograd.grad(made[0].square().sum(), leaf, allow_unused=True, retain_graph=True)
    with pytest.raises(InvalidInput, match=words):
        torch.autograd.functional.hessian(lambda z: mine(z)[0].square().sum(), x.detach())
    with pytest.raises(InvalidInput, match=words):
        (
            torch.autograd.grad(mine(x)[0].sum(), x, create_graph=True)[0].square().sum() + mine(x)[0].sum()
        ).backward()


def test_compiled_without_the_engine() -> None:
    # The engine's own lines were compiled one by one, which took a minute for a small model.
    graphs = []

    def backend(graph: Any, example: Any) -> Any:  # PyTorch's signature
        graphs.append(graph)
        return graph.forward

    theirs, mine = pair("GRU", 3, 5, 2)
    below = torch.nn.Linear(2, 3, dtype=F64)

    class Model(torch.nn.Module):  # type: ignore[misc]  # mypy knows no class of PyTorch
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.below, self.recurrent = below, module

        def forward(self, x: Any) -> Any:
            return self.recurrent(self.below(x).tanh())[0].sin()

    compiled = torch.compile(Model(mine), backend=backend)
    for rows in (2, 3):
        x = torch.randn(7, rows, 2, dtype=F64, requires_grad=True)
        run = {theirs: Model(theirs), mine: compiled}
        same(theirs, mine, lambda module, x=x, run=run: [run[module](x)], [x])
    assert len(graphs) <= 6  # how PyTorch parts the lines around it is its own affair


def test_refused(rng: np.random.Generator) -> None:
    module = ours.LSTM(3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    for call, words, kind in (
        (lambda: ours.LSTM(3, 4, proj_size=2), "proj_size must be 0", InvalidInput),
        (lambda: ours.LSTM(3, 4, engine="gpu"), "engine must be one of", InvalidInput),
        (lambda: module(x.double()), r"dtype torch.float32. Got .*64: move it with .to\(torch", InvalidInput),
        (lambda: ours.LSTM(3, 4).half()(x.half()), "float32 or float64", InvalidInput),
        (lambda: module(x.to("meta")), "input must lie on the CPU", InvalidInput),
        (lambda: ours.LSTM(3, 4, device="meta")(x), "weights must lie on the CPU", InvalidInput),
        (lambda: module(x[..., :2]), r"\(B, T, D\) = \(\*, \*, 3\)", InvalidInput),
        (lambda: module(x[:, :0]), "at least one row", InvalidInput),
        (lambda: module(x.numpy()), "input must be a tensor", InvalidType),
        (lambda: module(x, torch.zeros(1, 2, 4)), r"pair \(h_0, c_0\)", InvalidType),
        (lambda: module(x, (torch.zeros(1, 2, 4), None)), "c_0 must be a tensor", InvalidType),
        (
            lambda: module(x, (torch.zeros(1, 3, 4),) * 2),
            r"h_0 must have shape .* = \(1, 2, 4\)",
            InvalidInput,
        ),
        (lambda: module(x, (torch.zeros(1, 2, 4).double(),) * 2), "h_0 must lie on the CPU in", InvalidInput),
        (lambda: module(x, lengths=[5, 6]), r"1\.\.T = 1\.\.5", InvalidInput),
        (lambda: module(x[0], lengths=[5]), "lengths must be left out", InvalidInput),
    ):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert "Got" in str(caught.value)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 2]), batch_first=True)
    with pytest.raises(InvalidInput, match="packed"):
        module(packed, lengths=[5, 2])
