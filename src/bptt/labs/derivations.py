r"""The gradients of the five labs, derived: each line in our letters and in the document's own.

Ours are rows (a row is an example) and read in the direction of flow; the documents multiply columns, so that each of
their products is ours transposed. The documents' mistakes are put right: `docs/errata.md` says which. Reports and pages
show these lines; ``tests/labs/test_derivations.py`` evaluates every one of them, as it is written, against the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from bptt.checks import check_choice


@dataclass(frozen=True)
class Equation:
    """One line.

    Attributes
    ----------
    ours, seed : str
        TeX, ``left = right``.
    remark : str
        What it is, or the document's number of it.
    """

    ours: str
    seed: str
    remark: str = ""

    def told(self, notation: str) -> str:
        """Return the line in a notation, "ours" or "seed"."""
        return self.seed if notation == "seed" else self.ours


@dataclass(frozen=True)
class Derivation:
    """A lab's equations.

    Attributes
    ----------
    ours, seed : str
        What is to be known before, in each notation.
    equations : tuple of Equation
    """

    ours: str
    seed: str
    equations: tuple[Equation, ...]

    def before(self, notation: str) -> str:
        """Return what is to be known before, in a notation."""
        return self.seed if notation == "seed" else self.ours


_ROWS = "Rows are examples, t = 1, ..., T, and h_0 = 0; d with a name is the loss's derivative by it."
# What most lines share, in our letters.
_A = r"a_t = x_t W_{xh} + h_{t-1} W_{hh} + b_h"
_A_BARE = r"a_t = x_t W_{xh} + h_{t-1} W_{hh}"
_H = r"h_t = \tanh(a_t)"
_DA = r"da_t = dh_t \odot (1 - h_t^2)"
_DW_HH = r"dW_{hh} = \sum_t h_{t-1}^{\mathsf T} da_t"
_DW_XH = r"dW_{xh} = \sum_t x_t^{\mathsf T} da_t"
_DB_H = r"db_h = \sum_t da_t"
_DH_EVERY = r"dh_t = d\hat{y}_t W_{hy}^{\mathsf T} + da_{t+1} W_{hh}^{\mathsf T}"
_DW_HY_EVERY = r"dW_{hy} = \sum_t h_t^{\mathsf T} d\hat{y}_t"

WEATHER = Derivation(
    f"{_ROWS} One output, after the last step.",
    "Columns, t = 1, ..., tau, h[0] = 0; one output, after the last step. The loss is that of one window.",
    (
        Equation(_A, r"a^{[t]} = W h^{[t-1]} + U x^{[t]} + b", "within equation 1"),
        Equation(_H, r"h^{[t]} = \tanh(a^{[t]})", "equation 1"),
        Equation(r"\hat{y} = h_T W_{hy} + b_y", r"\hat{y} = V h^{[\tau]} + c", "equation 2"),
        Equation(
            r"d\hat{y} = 2 (\hat{y} - y)", r"\nabla_{\hat{y}} \mathcal{L} = 2 (\hat{y} - y)", "squared error"
        ),
        Equation(r"db_y = d\hat{y}", r"\nabla_c \mathcal{L} = 2 (\hat{y} - y)", "equation 32"),
        Equation(
            r"dW_{hy} = h_T^{\mathsf T} d\hat{y}",
            r"\nabla_V \mathcal{L} = 2 (\hat{y} - y) (h^{[\tau]})^{\mathsf T}",
            "equation 33",
        ),
        Equation(
            r"dh_T = d\hat{y} W_{hy}^{\mathsf T}",
            r"\nabla_{h^{[\tau]}} \mathcal{L} = V^{\mathsf T} 2 (\hat{y} - y)",
            "equation 30",
        ),
        Equation(
            _DA,
            r"\nabla_{a^{[t]}} \mathcal{L} = \mathrm{diag}(1 - (h^{[t]})^2) \nabla_{h^{[t]}} \mathcal{L}",
            "within equations 5 to 10",
        ),
        Equation(
            r"dh_t = da_{t+1} W_{hh}^{\mathsf T}",
            r"\nabla_{h^{[t]}} \mathcal{L} = W^{\mathsf T} \mathrm{diag}(1 - (h^{[t+1]})^2) "
            r"\nabla_{h^{[t+1]}} \mathcal{L}",
            "equation 31",
        ),
        Equation(
            _DB_H,
            r"\nabla_b \mathcal{L} = \sum_t \mathrm{diag}(1 - (h^{[t]})^2) \nabla_{h^{[t]}} \mathcal{L}",
            "equation 7",
        ),
        Equation(
            _DW_HH,
            r"\nabla_W \mathcal{L} = \sum_t \mathrm{diag}(1 - (h^{[t]})^2) \nabla_{h^{[t]}} \mathcal{L} "
            r"(h^{[t-1]})^{\mathsf T}",
            "equation 9",
        ),
        Equation(
            _DW_XH,
            r"\nabla_U \mathcal{L} = \sum_t \mathrm{diag}(1 - (h^{[t]})^2) \nabla_{h^{[t]}} \mathcal{L} "
            r"(x^{[t]})^{\mathsf T}",
            "equation 10",
        ),
    ),
)

NOISY_SINE = Derivation(
    f"{_ROWS} An output at every step; nothing comes from beyond the last: da_(T+1) = 0. The loss is the sum over the "
    "steps.",
    "Columns, t = 1, ..., T, h(0) = 0; an output at every step; dtanh(T + 1) = 0. As it should be: the printed "
    "program differs in four places.",
    (
        Equation(_A, r"a(t) = W_x x(t) + W_h h(t-1) + b"),
        Equation(_H, r"h(t) = \tanh(a(t))", "state"),
        Equation(r"\hat{y}_t = h_t W_{hy}", r"\hat{y}(t) = W_y h(t)", "output"),
        Equation(r"d\hat{y}_t = \hat{y}_t - y_t", r"dY(t) = \hat{y}(t) - y(t)", "half the sum of squares"),
        Equation(
            _DH_EVERY,
            r"dh(t) = W_y^{\mathsf T} dY(t) + W_h^{\mathsf T} d\mathrm{tanh}(t+1)",
            "its own output, and all later ones",
        ),
        Equation(_DA, r"d\mathrm{tanh}(t) = dh(t) \odot (1 - h(t)^2)", "the activation's slope"),
        Equation(_DW_HY_EVERY, r"dW_y = \sum_t dY(t) h(t)^{\mathsf T}"),
        Equation(_DW_HH, r"dW_h = \sum_t d\mathrm{tanh}(t) h(t-1)^{\mathsf T}"),
        Equation(_DW_XH, r"dW_x = \sum_t d\mathrm{tanh}(t) x(t)^{\mathsf T}"),
        Equation(_DB_H, r"db = \sum_t d\mathrm{tanh}(t)"),
    ),
)

SINE = Derivation(
    f"{_ROWS} T = 25, one output after the last step, phi the identity or tanh, no biases. The loss is that of one "
    "window.",
    "Columns, t = 1, ..., 25, h_0 = 0; phi is the identity or tanh. The assignment calls the gradient of each state "
    "dht and writes over it; here it keeps its step.",
    (
        Equation(_A_BARE, r"a_t = W_{XH} X_t + W_{HH} h_{t-1}", "within the cell"),
        Equation(_H, r"h_t = \tanh(a_t)", "the cell"),
        Equation(r"\hat{y} = \varphi(h_T W_{hy})", r"y_{25} = \varphi(W_{HY} h_{25})", "output"),
        Equation(
            r"d\hat{y} = (\hat{y} - y) \odot \varphi'",
            r"\mathrm{error} = (y_{25} - \mathrm{sample}) \odot \varphi'",
            "half the squared error, through phi",
        ),
        Equation(
            r"dh_T = d\hat{y} W_{hy}^{\mathsf T}",
            r"\mathrm{dht}_{25} = W_{HY}^{\mathsf T} \mathrm{error}",
            "initialise dht",
        ),
        Equation(_DA, r"\mathrm{temp}_t = \mathrm{dht}_t \odot (1 - h_t^2)", "temp"),
        Equation(
            r"dh_t = da_{t+1} W_{hh}^{\mathsf T}",
            r"\mathrm{dht}_t = W_{HH}^{\mathsf T} \mathrm{temp}_{t+1}",
            "update dht",
        ),
        Equation(
            _DW_HH, r"\frac{dL}{dW_{HH}} = \sum_t \mathrm{temp}_t h_{t-1}^{\mathsf T}", "the sum of the terms"
        ),
        Equation(
            _DW_XH, r"\frac{dL}{dW_{XH}} = \sum_t \mathrm{temp}_t X_t^{\mathsf T}", "the sum of the terms"
        ),
        Equation(
            r"dW_{hy} = h_T^{\mathsf T} d\hat{y}", r"\frac{dL}{dW_{HY}} = \mathrm{error}\, h_{25}^{\mathsf T}"
        ),
    ),
)

GRADIENTS = Derivation(
    f"{_ROWS} An output at every step; y_t are probabilities that add up to 1; da_(T+1) = 0. The loss is the sum over "
    "the steps.",
    "Columns, t = 1, ..., l, h(0) = 0; an output at every step; targets add up to 1. U and W stand where they belong: "
    "on the way back the notes interchange them.",
    (
        Equation(_A, r"a^{(t)} = b + W x^{(t)} + U h^{(t-1)}", "within 2.1"),
        Equation(_H, r"h^{(t)} = \tanh(a^{(t)})", "2.1"),
        Equation(r"\hat{y}_t = h_t W_{hy} + b_y", r"o^{(t)} = c + V h^{(t)}", "2.1, before the softmax"),
        Equation(r"p_t = \mathrm{softmax}(\hat{y}_t)", r"\hat{y}^{(t)} = \mathrm{softmax}(o^{(t)})", "2.1"),
        Equation(
            r"d\hat{y}_t = p_t - y_t", r"\nabla_{o^{(t)}} L = \hat{y}^{(t)} - y^{(t)}", "appendices A and B"
        ),
        Equation(
            _DH_EVERY,
            r"\nabla_{h^{(t)}} L = U^{\mathsf T} \mathrm{diag}(1 - (h^{(t+1)})^2) \nabla_{h^{(t+1)}} L + "
            r"V^{\mathsf T} \nabla_{o^{(t)}} L",
            "appendix C",
        ),
        Equation(
            _DA,
            r"\nabla_{a^{(t)}} L = \mathrm{diag}(1 - (h^{(t)})^2) \nabla_{h^{(t)}} L",
            "within what follows",
        ),
        Equation(_DW_HY_EVERY, r"\nabla_V L = \sum_t \nabla_{o^{(t)}} L (h^{(t)})^{\mathsf T}"),
        Equation(
            _DW_HH,
            r"\nabla_U L = \sum_t \mathrm{diag}(1 - (h^{(t)})^2) \nabla_{h^{(t)}} L (h^{(t-1)})^{\mathsf T}",
        ),
        Equation(
            _DW_XH,
            r"\nabla_W L = \sum_t \mathrm{diag}(1 - (h^{(t)})^2) \nabla_{h^{(t)}} L (x^{(t)})^{\mathsf T}",
        ),
        Equation(
            r"db_y = \sum_t d\hat{y}_t", r"\nabla_c L = \sum_t \nabla_{o^{(t)}} L", "announced, not given"
        ),
        Equation(
            _DB_H,
            r"\nabla_b L = \sum_t \mathrm{diag}(1 - (h^{(t)})^2) \nabla_{h^{(t)}} L",
            "announced, not given",
        ),
        Equation(
            r"dx_t = da_t W_{xh}^{\mathsf T}",
            r"\nabla_{x^{(t)}} L = W^{\mathsf T} \mathrm{diag}(1 - (h^{(t)})^2) \nabla_{h^{(t)}} L",
            "announced, not given",
        ),
    ),
)

ADDITION = Derivation(
    f"{_ROWS} N digits are due; y_t is one-hot, and d y_hat_t is 0 where none is due; da_(T+1) = 0. No biases.",
    "Columns, s_0 = 0; N digits are due; y_t is one-hot, and dL/da_t is 0 where none is due. z_t is what the tanh is "
    "taken of, a_t what the softmax is.",
    (
        Equation(_A_BARE, r"z_t = U x_t + W s_{t-1}"),
        Equation(_H, r"s_t = \tanh(z_t)", "the state"),
        Equation(r"\hat{y}_t = h_t W_{hy}", r"a_t = V s_t"),
        Equation(r"p_t = \mathrm{softmax}(\hat{y}_t)", r"o_t = \mathrm{softmax}(a_t)", "the output"),
        Equation(
            r"d\hat{y}_t = (p_t - y_t) / N",
            r"\frac{\partial L}{\partial a_t} = (o_t - y_t) / N",
            "softmax and cross-entropy together",
        ),
        Equation(
            _DH_EVERY,
            r"\frac{\partial L}{\partial s_t} = V^{\mathsf T} \frac{\partial L}{\partial a_t} + "
            r"W^{\mathsf T} \frac{\partial L}{\partial z_{t+1}}",
            "its own output, and the next state",
        ),
        Equation(
            _DA,
            r"\frac{\partial L}{\partial z_t} = \frac{\partial L}{\partial s_t} \odot (1 - s_t^2)",
        ),
        Equation(
            _DW_HY_EVERY,
            r"\frac{\partial L}{\partial V} = \sum_t \frac{\partial L}{\partial a_t} s_t^{\mathsf T}",
            "exercise 1; the assignment's list has W twice and V never",
        ),
        Equation(
            _DW_HH,
            r"\frac{\partial L}{\partial W} = \sum_t \frac{\partial L}{\partial z_t} s_{t-1}^{\mathsf T}",
            "exercise 1",
        ),
        Equation(
            _DW_XH,
            r"\frac{\partial L}{\partial U} = \sum_t \frac{\partial L}{\partial z_t} x_t^{\mathsf T}",
            "exercise 1",
        ),
    ),
)

DERIVATIONS = {
    "weather": WEATHER,
    "noisy-sine": NOISY_SINE,
    "sine": SINE,
    "gradients": GRADIENTS,
    "addition": ADDITION,
}


def get_derivation(lab: str) -> Derivation:
    """Return a lab's equations; it is named as the command names it."""
    return DERIVATIONS[check_choice("lab", lab, DERIVATIONS)]
