r"""Formulas in a small part of TeX, written as MathML, which browsers draw without script or font files.

What is known: letters, numbers, ``_`` and ``^``, braces, brackets, the commands below, ``\frac``, ``\hat``,
``\mathsf``, ``\mathcal`` and ``\mathrm``. What is not raises, so that no formula comes out half.
"""

from __future__ import annotations

import re
from html import escape

from bptt.errors import InvalidInput

LETTERS = {
    r"\nabla": "∇", r"\delta": "δ", r"\varphi": "φ", r"\tau": "τ", r"\ell": "ℓ", r"\partial": "∂",
    r"\varepsilon": "ε",
}  # fmt: skip
FUNCTIONS = {r"\tanh": "tanh", r"\log": "log"}
OPERATORS = {r"\odot": "⊙", r"\cdot": "·", r"\sum": "∑", r"\leftarrow": "←", "-": "−", "'": "′"}
SPACES = {r"\,": "0.17em", r"\;": "0.28em", r"\quad": "1em"}
STYLES = {r"\mathsf": "sans-serif", r"\mathcal": "script"}
SCRIPT = {"L": "ℒ"}

_TOKEN = re.compile(r"\s*(\\[A-Za-z]+|\\[,;]|[A-Za-z]|\d+(?:\.\d+)?|.)")


def to_mathml(tex: str) -> str:
    """Return a formula as a ``<math>`` element.

    Raises
    ------
    InvalidInput
        A command or a sign that is not known, or braces that do not close.
    """
    tokens = _TOKEN.findall(tex.strip())
    body, rest = _row(tokens, tex, closing=None)
    if rest:
        raise InvalidInput(f"tex must have a {{ for each }}. Got {tex!r}")
    return f'<math displaystyle="true" alttext="{escape(tex, quote=True)}">{body}</math>'


def _row(tokens: list[str], tex: str, closing: str | None) -> tuple[str, list[str]]:
    """Return what comes before `closing`, or all, and the tokens behind it."""
    parts: list[str] = []
    while tokens:
        if tokens[0] == closing:
            return f"<mrow>{''.join(parts)}</mrow>", tokens[1:]
        if tokens[0] == "}":
            break
        part, tokens = _scripted(tokens, tex)
        parts.append(part)
    if closing is not None:
        raise InvalidInput(f"tex must close each {{. Got {tex!r}")
    return f"<mrow>{''.join(parts)}</mrow>", tokens


def _scripted(tokens: list[str], tex: str) -> tuple[str, list[str]]:
    """Return one thing with its index and its exponent."""
    is_sum = tokens[0] == r"\sum"
    base, tokens = _one(tokens, tex)
    scripts: dict[str, str] = {}
    while tokens and tokens[0] in "_^" and tokens[0] not in scripts:
        place, (first, *others) = tokens[0], tokens[1:] or [""]
        if not first:
            raise InvalidInput(f"tex must have something behind each {place}. Got {tex!r}")
        scripts[place], tokens = _one([first, *others], tex)
    kinds = ("munder", "mover", "munderover") if is_sum else ("msub", "msup", "msubsup")
    match scripts:
        case {"_": below, "^": above}:
            return f"<{kinds[2]}>{base}{below}{above}</{kinds[2]}>", tokens
        case {"_": below}:
            return f"<{kinds[0]}>{base}{below}</{kinds[0]}>", tokens
        case {"^": above}:
            return f"<{kinds[1]}>{base}{above}</{kinds[1]}>", tokens
    return base, tokens


def _one(tokens: list[str], tex: str) -> tuple[str, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if first == "{":
        return _row(rest, tex, closing="}")
    if first == r"\frac":
        above, rest = _argument(first, rest, tex)
        below, rest = _argument(first, rest, tex)
        return f"<mfrac>{above}{below}</mfrac>", rest
    if first == r"\hat":
        letter, rest = _argument(first, rest, tex)
        return f'<mover accent="true">{letter}<mo stretchy="false">^</mo></mover>', rest
    if first in STYLES or first == r"\mathrm":
        if len(rest) > 1 and rest[0] == "{" and "}" in rest:
            end = rest.index("}")
            word, rest = "".join(rest[1:end]), rest[end + 1 :]
        elif rest:
            word, rest = rest[0], rest[1:]
        else:
            raise InvalidInput(f"tex must have something behind each {first}. Got {tex!r}")
        if first == r"\mathcal":
            return f"<mi>{SCRIPT.get(word, escape(word))}</mi>", rest
        return f'<mi mathvariant="normal">{escape(word)}</mi>', rest
    return _sign(first, tex), rest


def _argument(command: str, tokens: list[str], tex: str) -> tuple[str, list[str]]:
    if not tokens:
        raise InvalidInput(f"tex must have something behind each {command}. Got {tex!r}")
    return _one(tokens, tex)


def _sign(token: str, tex: str) -> str:
    if token in LETTERS:
        return f"<mi>{LETTERS[token]}</mi>"
    if token in FUNCTIONS:
        return f"<mi>{FUNCTIONS[token]}</mi><mo>&#x2061;</mo>"
    if token in SPACES:
        return f'<mspace width="{SPACES[token]}"></mspace>'
    if token in OPERATORS:
        return f"<mo>{OPERATORS[token]}</mo>"
    if token.isalpha():
        return f"<mi>{token}</mi>"
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token in "()[]|":
        return f'<mo stretchy="false">{token}</mo>'
    if token in "=+,/.;:":
        return f"<mo>{token}</mo>"
    raise InvalidInput(f"tex must hold commands and signs that are known. Got {token!r} in {tex!r}")
