"""Formulas: the part of TeX that is known comes out whole, and the rest is refused."""

import xml.etree.ElementTree as ET

import pytest

from bptt.errors import InvalidInput
from bptt.report.formula import to_mathml


def shape(tex):
    """The formula as nested lists of tags and letters."""

    def of(element):
        inside = [of(child) for child in element]
        return [element.tag, *inside] if inside else (element.text or "").strip("\u2061") or element.tag

    return of(ET.fromstring(to_mathml(tex)))[1][1:]


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("a_t", [["msub", "a", "t"]]),
        ("h_{t-1}^2", [["msubsup", "h", ["mrow", "t", "−", "1"], "2"]]),
        ("h^2_t", [["msubsup", "h", "t", "2"]]),
        (r"\sum_t x", [["munder", "∑", "t"], "x"]),
        (r"\frac{dL}{dW}", [["mfrac", ["mrow", "d", "L"], ["mrow", "d", "W"]]]),
        (r"\hat{y}_t", [["msub", ["mover", ["mrow", "y"], "^"], "t"]]),
        (r"\mathrm{diag}(1)", ["diag", "(", "1", ")"]),
        (r"W^{\mathsf T}", [["msup", "W", ["mrow", "T"]]]),
        (r"\mathcal{L} < 1".replace("<", "="), ["ℒ", "=", "1"]),
        (r"\tanh(a) \odot b", ["tanh", "mo", "(", "a", ")", "⊙", "b"]),
        (r"2.5\,x", ["2.5", "mspace", "x"]),
    ],
)
def test_what_is_known(tex, expected):
    assert shape(tex) == expected


@pytest.mark.parametrize(
    ("tex", "message"),
    [
        (r"\integral x", r"commands and signs that are known. Got '\\\\integral'"),
        ("a & b", r"commands and signs that are known. Got '&'"),
        ("{a", "tex must close each {"),
        ("a}", "tex must have a { for each }"),
        ("a_", "tex must have something behind each _"),
        (r"\frac{a}", r"tex must have something behind each \\frac"),
        (r"\mathrm", r"tex must have something behind each \\mathrm"),
    ],
)
def test_what_is_not_is_refused(tex, message):
    with pytest.raises(InvalidInput, match=message):
        to_mathml(tex)


def test_markup_in_a_formula_is_text():
    assert 'alttext="a = &quot;' not in to_mathml("a = b")
    with pytest.raises(InvalidInput):
        to_mathml('a" onclick="x')
