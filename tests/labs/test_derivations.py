"""Every line of the derivations, evaluated as it is written, in both notations, against derivatives by complex step."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from bptt.errors import InvalidInput
from bptt.labs.derivations import DERIVATIONS, get_derivation
from bptt.labs.letters import NOTATIONS, OURS, SEEDS, get_letters
from bptt.report.formula import to_mathml

T, D, H = 5, 3, 4
K = {"weather": 1, "noisy-sine": 1, "sine": 1, "gradients": 6, "addition": 6}
DUE = {"addition": (2, 4, 5)}  # at the others no digit is due
EXACT = 1e-12  # a handful of operations in float64; the complex step has rounding error only

# How each notation writes what is computed below; <t> is the step. Longer ones are tried first.
OUR_ATOMS = {
    "x": "x_<t>", "a": "a_<t>", "h": "h_<t>", "y_hat": r"\hat{y}_<t>", "p": "p_<t>", "y": "y_<t>",
    "dx": "dx_<t>", "da": "da_<t>", "dh": "dh_<t>", "dy_hat": r"d\hat{y}_<t>",
    "W_xh": "W_{xh}", "W_hh": "W_{hh}", "W_hy": "W_{hy}", "b_h": "b_h", "b_y": "b_y",
    "dW_xh": "dW_{xh}", "dW_hh": "dW_{hh}", "dW_hy": "dW_{hy}", "db_h": "db_h", "db_y": "db_y",
    "h_T": "h_T", "dh_T": "dh_T", "y_hat_T": r"\hat{y}", "dy_hat_T": r"d\hat{y}", "y_T": "y", "slope": r"\varphi'",
    "N": "N",
}  # fmt: skip
SEED_ATOMS = {
    "weather": {
        "x": "x^{[<t>]}", "a": "a^{[<t>]}", "h": "h^{[<t>]}", "dh": r"\nabla_{h^{[<t>]}} \mathcal{L}",
        "da": r"\nabla_{a^{[<t>]}} \mathcal{L}", "W_xh": "U", "W_hh": "W", "W_hy": "V", "b_h": "b", "b_y": "c",
        "dW_xh": r"\nabla_U \mathcal{L}", "dW_hh": r"\nabla_W \mathcal{L}", "dW_hy": r"\nabla_V \mathcal{L}",
        "db_h": r"\nabla_b \mathcal{L}", "db_y": r"\nabla_c \mathcal{L}", "h_T": r"h^{[\tau]}",
        "dh_T": r"\nabla_{h^{[\tau]}} \mathcal{L}", "y_hat_T": r"\hat{y}", "y_T": "y",
        "dy_hat_T": r"\nabla_{\hat{y}} \mathcal{L}",
    },
    "noisy-sine": {
        "x": "x(<t>)", "a": "a(<t>)", "h": "h(<t>)", "y_hat": r"\hat{y}(<t>)", "y": "y(<t>)", "dh": "dh(<t>)",
        "da": r"d\mathrm{tanh}(<t>)", "dy_hat": "dY(<t>)", "W_xh": "W_x", "W_hh": "W_h", "W_hy": "W_y", "b_h": "b",
        "dW_xh": "dW_x", "dW_hh": "dW_h", "dW_hy": "dW_y", "db_h": "db",
    },
    "sine": {
        "x": "X_<t>", "a": "a_<t>", "h": "h_<t>", "da": r"\mathrm{temp}_<t>", "dh": r"\mathrm{dht}_<t>",
        "h_T": "h_{25}", "dh_T": r"\mathrm{dht}_{25}", "y_hat_T": "y_{25}", "y_T": r"\mathrm{sample}",
        "dy_hat_T": r"\mathrm{error}", "slope": r"\varphi'", "W_xh": "W_{XH}", "W_hh": "W_{HH}", "W_hy": "W_{HY}",
        "dW_xh": r"\frac{dL}{dW_{XH}}", "dW_hh": r"\frac{dL}{dW_{HH}}", "dW_hy": r"\frac{dL}{dW_{HY}}",
    },
    "gradients": {
        "x": "x^{(<t>)}", "a": "a^{(<t>)}", "h": "h^{(<t>)}", "y_hat": "o^{(<t>)}", "p": r"\hat{y}^{(<t>)}",
        "y": "y^{(<t>)}", "dh": r"\nabla_{h^{(<t>)}} L", "da": r"\nabla_{a^{(<t>)}} L",
        "dy_hat": r"\nabla_{o^{(<t>)}} L", "dx": r"\nabla_{x^{(<t>)}} L", "W_xh": "W", "W_hh": "U", "W_hy": "V",
        "b_h": "b", "b_y": "c", "dW_xh": r"\nabla_W L", "dW_hh": r"\nabla_U L", "dW_hy": r"\nabla_V L",
        "db_h": r"\nabla_b L", "db_y": r"\nabla_c L",
    },
    "addition": {
        "x": "x_<t>", "a": "z_<t>", "h": "s_<t>", "y_hat": "a_<t>", "p": "o_<t>", "y": "y_<t>",
        "dh": r"\frac{\partial L}{\partial s_<t>}", "da": r"\frac{\partial L}{\partial z_<t>}",
        "dy_hat": r"\frac{\partial L}{\partial a_<t>}", "W_xh": "U", "W_hh": "W", "W_hy": "V",
        "dW_xh": r"\frac{\partial L}{\partial U}", "dW_hh": r"\frac{\partial L}{\partial W}",
        "dW_hy": r"\frac{\partial L}{\partial V}", "N": "N",
    },
}  # fmt: skip
SIGNS = {
    r"\tanh(": "tanh(", r"\varphi(": "tanh(", r"\mathrm{diag}(": "diag(", r"\mathrm{softmax}(": "softmax(",
    r"\odot": "*", r"^{\mathsf T}": ".T", "^2": "**2", "(": "(", ")": ")", "+": "+", "-": "-", "/": "/",
    "1": "ONE", "2": "TWO",
}  # fmt: skip


def softmax(z):
    raised = np.exp(z)
    return raised / raised.sum()


def run(lab, numbers, moved=None, by=0.0):
    """The loss, and everything on its way; `by` is added to one entry of one quantity, `moved` = (name, t, place)."""

    def at(name, t, value):
        if moved is not None and moved[:2] == (name, t):
            value = value.astype(complex)
            value[moved[2]] += by
        return value

    w = {name: at(name, None, value) for name, value in numbers["weights"].items()}
    found = {name: {} for name in ("x", "a", "h", "y_hat", "p")}
    h, loss = np.zeros((1, H)), 0.0
    found["h"][0] = h
    for t in range(1, T + 1):
        x = at("x", t, numbers["x"][t - 1])
        a = at("a", t, x @ w["W_xh"] + h @ w["W_hh"] + w["b_h"])
        h = at("h", t, np.tanh(a))
        out = h @ w["W_hy"] + w["b_y"]
        before = at("y_hat", t, np.zeros_like(out)) + out
        y_hat = np.tanh(before) if lab == "sine" else before
        y = numbers["y"][t - 1]
        found["x"][t], found["a"][t], found["h"][t], found["y_hat"][t] = x, a, h, y_hat
        found["p"][t] = softmax(before)
        if lab in ("weather", "sine"):
            if t == T:
                loss = (y_hat - y)[0, 0] ** 2 * (1.0 if lab == "weather" else 0.5)
        elif lab == "noisy-sine":
            loss = loss + 0.5 * (y_hat - y)[0, 0] ** 2
        elif t in DUE.get(lab, range(T + 1)):
            loss = loss - (y * np.log(softmax(before))).sum() / len(DUE.get(lab, [1]))
    return loss, found


@cache
def truth(lab):
    """By name, then by step (None without one): values and derivatives, rows."""
    rng = np.random.default_rng([len(lab), 3])
    shapes = {"W_xh": (D, H), "W_hh": (H, H), "W_hy": (H, K[lab]), "b_h": (1, H), "b_y": (1, K[lab])}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    for name in ("b_h", "b_y"):
        if name not in SEED_ATOMS[lab]:  # the document has none
            weights[name] *= 0
    y = [rng.dirichlet(np.ones(K[lab]))[None] if K[lab] > 1 else rng.normal(size=(1, 1)) for _ in range(T)]
    numbers = {"weights": weights, "x": rng.normal(size=(T, 1, D)), "y": y}
    _, values = run(lab, numbers)

    def derivative(name, t, shape):
        d = np.empty(shape)
        for place in np.ndindex(shape):
            d[place] = run(lab, numbers, (name, t, place), 1e-30j)[0].imag / 1e-30
        return d

    found = {name: {None: value} for name, value in weights.items()}
    found |= {f"d{name}": {None: derivative(name, None, value.shape)} for name, value in weights.items()}
    found |= values
    found["y"] = dict(enumerate(y, start=1))
    for name in ("x", "a", "h", "y_hat"):
        found[f"d{name}"] = {
            t: derivative(name, t, value.shape) for t, value in values[name].items() if t or name != "h"
        }
    for name in ("h", "dh", "y_hat", "dy_hat", "y"):
        found[f"{name}_T"] = {None: found[name][T]}
    found["da"][T + 1] = np.zeros((1, H))
    found["slope"] = {None: 1 - found["y_hat"][T] ** 2}
    found["N"] = {None: np.array([[float(len(DUE.get(lab, [1])))]])}
    return found


def lexicon(lab, notation):
    """From each way to write something to (name, what is added to t)."""
    atoms = OUR_ATOMS if notation == "ours" else SEED_ATOMS[lab]
    found = {}
    for name, tex in atoms.items():
        for shift, step in ((-1, "t-1"), (0, "t"), (1, "t+1")) if "<t>" in tex else ((None, ""),):
            braces = tex[tex.index("<t>") - 1] == "_" and shift if shift else False
            found[tex.replace("<t>", "{" + step + "}" if braces else step)] = (name, shift)
    return found


def translate(tex, known):
    """Python for one side of a line, and whether it is a sum over t."""
    summed = tex.startswith(r"\sum_t")
    rest, parts, operand = tex.removeprefix(r"\sum_t").strip(), [], False
    words = sorted([*known, *SIGNS], key=len, reverse=True)
    while rest:
        word = next((w for w in words if rest.startswith(w)), None)
        assert word is not None, f"not known: {rest!r} in {tex!r}"
        python = f"at({known[word]!r})" if word in known else SIGNS[word]
        begins = python[0].isalpha() or python[0] == "("
        if operand and begins:
            parts.append("@")
        parts.append(python)
        operand = python == ")" or python.startswith("at(") or python in (".T", "**2", "ONE", "TWO")
        rest = rest[len(word) :].strip().removeprefix(r"\,").strip()
    return " ".join(parts).replace(" .T", ".T"), summed


def evaluate(lab, notation, side, t):
    numbers, known = truth(lab), lexicon(lab, notation)
    python, summed = translate(side, known)

    def value_at(step):
        def at(place):
            name, shift = place
            rows = numbers[name][None if shift is None else step + shift]
            return rows if notation == "ours" else rows.T

        names = {
            "at": at, "tanh": np.tanh, "softmax": softmax, "diag": lambda v: np.diag(v[:, 0]),
            "ONE": np.array([[1.0]]), "TWO": np.array([[2.0]]),
        }  # fmt: skip
        return eval(python, {"__builtins__": {}}, names)  # noqa: S307  # our own lines, translated above

    return sum(value_at(step) for step in range(1, T + 1)) if summed else value_at(t)


def steps_of(lab, notation, equation):
    """At which steps a line is to hold."""
    if "due" in get_derivation(lab).ours and "N" in equation and "sum" not in equation:
        return DUE[lab]
    many_to_one = lab in ("weather", "sine")
    next_only = re.search(r"t\+1", equation) and many_to_one
    return range(1, T if next_only else T + 1)


CASES = [
    pytest.param(lab, notation, number, id=f"{lab}-{notation}-{number}")
    for lab, derivation in DERIVATIONS.items()
    for notation in NOTATIONS
    for number in range(len(derivation.equations))
]


@pytest.mark.parametrize(("lab", "notation", "number"), CASES)
def test_a_line_holds_as_it_is_written(lab: str, notation: str, number: int) -> None:
    equation = get_derivation(lab).equations[number].told(notation)
    left, right = equation.split(" = ", 1)
    known = lexicon(lab, notation)
    assert left in known, left
    for t in steps_of(lab, notation, equation):
        if equation.startswith((r"\nabla_{h^{(t)}}", "dh(t)", r"\frac{\partial L}{\partial s_t}")) and t == T:
            continue  # at the last step there is no next one; ours writes da_(T+1) = 0
        expected = evaluate(lab, notation, left, t)
        np.testing.assert_allclose(
            evaluate(lab, notation, right, t), expected, rtol=0, atol=EXACT * max(1, np.abs(expected).max())
        )


def test_a_wrong_line_is_noticed() -> None:
    """The evaluator can fail: mistakes of the errata, in both notations."""
    for lab, notation, left, wrong in (
        ("weather", "seed", r"\nabla_{h^{[t]}} \mathcal{L}", r"W^{\mathsf T} \mathrm{diag}(1 - (h^{[t]})^2) "
         r"\nabla_{h^{[t+1]}} \mathcal{L}"),
        ("gradients", "seed", r"\nabla_U L", r"\sum_t \mathrm{diag}(1 - (h^{(t)})^2) \nabla_{h^{(t)}} L "
         r"(h^{(t)})^{\mathsf T}"),
        ("addition", "ours", "dW_{hh}", r"\sum_t h_t^{\mathsf T} da_t"),
    ):  # fmt: skip
        found, expected = (evaluate(lab, notation, side, 2) for side in (wrong, left))
        assert not np.allclose(found, expected, rtol=1e-3, atol=0)


def test_every_line_can_be_drawn() -> None:
    for derivation in DERIVATIONS.values():
        for equation in derivation.equations:
            for notation in NOTATIONS:
                assert to_mathml(equation.told(notation)).startswith("<math")


def test_every_lab_has_letters_and_a_derivation() -> None:
    assert set(SEEDS) == set(DERIVATIONS)
    for lab in SEEDS:
        assert get_letters(lab) is OURS
        assert get_letters(lab, "seed") is SEEDS[lab]
    with pytest.raises(InvalidInput, match="notation must be one of ours, seed"):
        get_letters("weather", "theirs")
    with pytest.raises(InvalidInput, match="lab must be one of"):
        get_derivation("rain")


def test_names_in_text_become_the_documents_letters() -> None:
    lab = get_letters("weather", "seed")
    assert lab.say("dL/dW_hh and |dL/dh_t|, W_xh.") == "dL/dW and |dL/dh[t]|, U."
    assert lab.say("layers.0.W_hh, my_W_hh, W_hhh") == "layers.0.W_hh, my_W_hh, W_hhh"
    assert OURS.say("dL/dW_hh") == "dL/dW_hh"
    # U and W change places between the lab and the notes.
    assert get_letters("gradients", "seed").say("W_xh, W_hh") == "W, U"
    assert get_letters("addition", "seed").nodes.name("h", 7) == "$s_{7}$"
