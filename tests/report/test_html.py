"""A report is one well-formed file that asks nothing of the network and shows text as text."""

import base64
import hashlib
import re

import numpy as np
import pytest

from bptt.errors import FileMissing, InvalidInput
from bptt.report import (
    Chart,
    Code,
    Equations,
    Picture,
    Section,
    TableBlock,
    Text,
    render_report,
    write_report,
)
from bptt.report.sliders import SCRIPT
from tests.report.html_pages import DARK, LIGHT, SECTIONS, TABLE, Page, one, page, png

HOSTILE = (
    """</script></style><script>alert(1)</script><img src=x onerror="alert('1')"> & &amp; "quoted" 'single'"""
)


def test_the_checker_sees_unbalanced_tags():
    for broken in ("<p><b>x</p></b>", "<div><p>x</p>", "<p>x</p></p>"):
        with pytest.raises((AssertionError, IndexError)):
            Page(broken)


NARROW_LIGHT, NARROW_DARK = png(12, 15, shade=240), png(12, 15, shade=30)


def test_is_well_formed_with_headings_in_order():
    parsed = Page(page())
    assert page().startswith("<!DOCTYPE html>\n")
    assert parsed.all("html") == [{"lang": "en"}]
    headings = [tag for tag, _, _ in parsed.tags if re.fullmatch(r"h\d", tag)]
    assert headings == ["h1", "h2", "h2", "h2"]
    assert parsed.text("title") == parsed.text("h1") == ["Weather lab"]
    assert parsed.text("h2") == ["Result", "Pictures", "Again"]
    assert {"charset": "utf-8"} in parsed.all("meta")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in parsed.all("meta")
    for landmark in ("header", "main", "footer"):
        assert len(parsed.all(landmark)) == 1


def test_another_language():
    assert Page(page(lang="de-AT")).all("html") == [{"lang": "de-AT"}]


def test_each_section_is_named_by_its_heading():
    parsed = Page(page())
    names = [attributes["aria-labelledby"] for attributes in parsed.all("section")]
    assert names == [attributes["id"] for attributes in parsed.all("h2")]
    ids = [attributes["id"] for _, attributes, _ in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_many_sections_get_a_list_of_contents_and_few_do_not():
    many = tuple(Section(f"Part {number}", ()) for number in range(4))
    parsed = Page(page(many))
    targets = [attributes["href"] for attributes in parsed.all("a")]
    assert targets == [f"#{attributes['id']}" for attributes in parsed.all("section")]
    assert parsed.text("a") == ["Part 0", "Part 1", "Part 2", "Part 3"]
    assert Page(page(many[:3])).all("nav") == []


def test_nothing_refers_outside_the_file():
    text = page((*SECTIONS, Section("Four", ())))
    parsed = Page(text)
    for tag, attributes, _ in parsed.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form", "svg"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "srcset", "href", "poster", "action", "data"}:
                assert value.startswith(("data:", "#")), (tag, name)
    (style,) = parsed.text("style")
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in text.replace("http-equiv", "")
    (policy,) = [a["content"] for a in parsed.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_style_knows_dark_narrow_and_print():
    (style,) = Page(page()).text("style")
    assert style.count("{") == style.count("}")
    assert "/*" not in style
    assert "prefers-color-scheme:dark" in style
    assert "max-width:480px" in style
    assert "@media print" in style
    assert ".scroll{overflow-x:auto" in style


WHERE = {
    "title": lambda text: page(title=text),
    "lead": lambda text: page(lead=text),
    "footer": lambda text: render_report(title="T", lead="", sections=(), footer=text),
    "lang": lambda text: page(lang=text),
    "section": lambda text: page((Section(text, ()),) * 4),
    "text": lambda text: one(Text(text)),
    "warning": lambda text: one(Text(text, tone="warning")),
    "code": lambda text: one(Code(text)),
    "header": lambda text: one(TableBlock((text, "b"), (("1", "2"),))),
    "cell": lambda text: one(TableBlock(("a", "b"), ((text, text),))),
    "table caption": lambda text: one(TableBlock(("a",), (("1",),), caption=text)),
    "alt": lambda text: one(Picture(LIGHT, text, dark=DARK)),
    "caption": lambda text: one(Picture(LIGHT, "alt", caption=text)),
}


@pytest.mark.parametrize("where", WHERE)
def test_hostile_text_is_shown_as_it_stands(where):
    text = WHERE[where](HOSTILE)
    parsed = Page(text)
    harmless = Page(WHERE[where]("harmless"))
    assert [tag for tag, _, _ in parsed.tags] == [tag for tag, _, _ in harmless.tags]
    assert [list(attributes) for _, attributes, _ in parsed.tags] == [
        list(attributes) for _, attributes, _ in harmless.tags
    ]
    shown = [data for _, data in parsed.texts] + [value for _, a, _ in parsed.tags for value in a.values()]
    assert HOSTILE in shown


@pytest.mark.parametrize("where", WHERE)
def test_what_a_page_cannot_hold_is_replaced(where):
    text = WHERE[where]("a\x00b\x1bc\ud800d")
    assert "a\ufffdb\ufffdc\ufffdd" in text
    text.encode("utf-8")


def test_paragraphs_are_parted_by_blank_lines():
    assert Page(one(Text("One.\n \nTwo,\nstill two.\n\n\n"))).text("p")[1:3] == ["One.", "Two,\nstill two."]


def test_code_keeps_its_lines_and_spaces():
    text = "  a  b\n\tc <d>\n"
    assert Page(one(Code(text))).text("code") == [text]


def test_formulas_are_mathml_with_their_remarks():
    text = page(
        (Section("S", (Equations(((r"dW_{hh} = \sum_t h_{t-1}^{\mathsf T} da_t", "<9>"), ("a = b", ""))),)),)
    )
    assert text.count("<math ") == 2
    assert "&lt;9&gt;" in text
    assert "<munder><mo>∑</mo><mi>t</mi></munder>" in text
    assert "<msubsup><mi>h</mi>" in text
    assert r'alttext="dW_{hh} = \sum_t h_{t-1}^{\mathsf T} da_t"' in text
    assert "://" not in text


def test_a_warning_says_so_in_words():
    assert Page(one(Text("It loses.", tone="warning"))).text("strong") == ["Warning"]
    assert Page(one(Text("It loses."))).text("strong") == []


def test_a_table_has_headers_with_scope_and_its_cells_in_order():
    parsed = Page(one(TABLE))
    scopes = [attributes["scope"] for attributes in parsed.all("th")]
    assert scopes == ["col", "col", "col", "row", "row", "row"]
    assert parsed.text("th") == ["Method", "RMSE, °C", "Verdict", "default", "lab recipe", "previous day"]
    assert [data for data in parsed.text("td") if data.strip()] == [
        "1.167",
        "beats least squares",
        "2.730",
        "loses",
        "–",
    ]
    assert parsed.text("figcaption") == ["Error on the test part"]
    classes = [attributes.get("class") for attributes in parsed.all("tr")]
    assert classes == [None, "highlight", "losing", None]


def test_a_table_moves_within_its_own_box():
    parsed = Page(one(TABLE))
    (parents,) = [parents for tag, _, parents in parsed.tags if tag == "table"]
    assert parents[-1] == "div"
    (box,) = [a for tag, a, _ in parsed.tags if tag == "div" and a.get("class") == "scroll"]
    assert box == {
        "class": "scroll",
        "tabindex": "0",
        "role": "region",
        "aria-label": "Error on the test part",
    }


def number_columns(table):
    parsed = Page(one(table))
    return [
        index for index, a in enumerate(parsed.all("th")[: len(table.headers)]) if a.get("class") == "number"
    ]


def test_columns_of_numbers_are_flush_right():
    rows = (("2012", "1.2", "−3", "± 0.1", "–", "n/a", "12 s"), ("2013", "", "+4", "0.2", "", "1", ".5 s"))
    table = TableBlock(("year", "a", "b", "c", "d", "e", "f"), rows)
    assert number_columns(table) == [1, 2, 3, 6]
    cells = [a.get("class") for a in Page(one(table)).all("td")]
    assert cells == (["number"] * 3 + [None, None, "number"]) * 2


def test_the_caller_may_say_which_columns_are_numbers():
    assert number_columns(TableBlock(("a", "b", "c"), (("1", "2", "x"),), numeric=(0, 2))) == [0, 2]
    assert number_columns(TableBlock(("a", "b", "c"), (("1", "2", "x"),), numeric=())) == []


def embedded(address):
    kind, data = address.split(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(data, validate=True)


def test_a_picture_for_light_only():
    parsed = Page(one(Picture(LIGHT, "A curve that falls", caption="Loss")))
    (image,) = parsed.all("img")
    assert embedded(image["src"]) == LIGHT
    assert image["alt"] == "A curve that falls"
    assert parsed.all("picture") == [{}]
    assert parsed.all("source") == []
    assert parsed.text("figcaption") == ["Loss"]


def test_every_variant_is_embedded_where_it_belongs():
    picture = Picture(LIGHT, "A curve", dark=DARK, narrow_light=NARROW_LIGHT, narrow_dark=NARROW_DARK)
    parsed = Page(one(picture))
    assert [a["class"] for a in parsed.all("picture")] == ["for-light", "for-dark"]
    assert [embedded(a["src"]) for a in parsed.all("img")] == [LIGHT, DARK]
    assert [embedded(a["srcset"]) for a in parsed.all("source")] == [NARROW_LIGHT, NARROW_DARK]
    assert {a["media"] for a in parsed.all("source")} == {"screen and (max-width: 480px)"}
    assert [a["alt"] for a in parsed.all("img")] == ["A curve", "A curve"]
    (style,) = parsed.text("style")
    # One of the two is hidden, for the eye and for a screen reader: dark unless a screen asks for it.
    assert ".for-dark{display:none}" in style
    dark = "@media screen and (prefers-color-scheme:dark){.for-light{display:none}.for-dark{display:inline}}"
    assert dark in style


def test_pictures_take_their_size_before_they_are_decoded():
    (image,) = Page(one(Picture(LIGHT, "alt"))).all("img")
    assert (image["width"], image["height"]) == ("20", "14")  # 30 x 21 at 144 dots an inch
    (image,) = Page(one(Picture(png(30, 21, metre=0), "alt"))).all("img")
    assert (image["width"], image["height"]) == ("30", "21")


def test_no_footer_no_landmark():
    assert Page(render_report(title="T", lead="L", sections=())).all("footer") == []


def test_writes_what_it_renders_as_utf8(tmp_path):
    path = write_report(
        tmp_path / "report.html", title="Größe – 25 °C", lead="L", sections=SECTIONS, footer="F"
    )
    assert path == tmp_path / "report.html"
    text = path.read_bytes().decode("utf-8")
    assert text == render_report(title="Größe – 25 °C", lead="L", sections=SECTIONS, footer="F")
    assert Page(text).text("h1") == ["Größe – 25 °C"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_the_same_records_give_the_same_bytes():
    assert page() == page()


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    path = write_report(tmp_path / "report.html", title="Old", lead="", sections=())
    old = path.read_bytes()
    with pytest.raises(InvalidInput):
        write_report(path, title=" ", lead="", sections=())
    assert path.read_bytes() == old


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(FileMissing) as caught:
        write_report(tmp_path / "missing" / "report.html", title="T", lead="", sections=())
    assert "\n" not in str(caught.value)
    assert "make the folder" in str(caught.value)


def chart(name):
    k = np.arange(3)
    return Chart(
        name, "T <i>", "x", "y", "Steps", {"c": (k, k + 1.0)}, [(k[:1], None, "a & b"), (k[1:2], None, "b")]
    )


def test_a_slider_brings_the_one_script_that_the_policy_allows():
    page = render_report(
        title="t", lead="l", sections=[Section("s", (chart("one"), Text("x"), chart("two")))]
    )
    parsed = Page(page)
    assert parsed.text("script") == [SCRIPT]
    (policy,) = [a["content"] for a in parsed.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert [slider["id"] for slider in parsed.all("input")] == ["one", "two"]
    assert "T &lt;i&gt;" in page
    plain = render_report(title="t", lead="l", sections=[Section("s", (Text("x"),))])
    assert "<script" not in plain
    assert "script-src" not in plain


def test_two_sliders_of_one_name_are_refused():
    sections = [Section("s", (chart("one"),)), Section("r", (chart("one"),))]
    with pytest.raises(InvalidInput, match=r"each have a name of their own\. Got 'one' twice"):
        render_report(title="t", lead="l", sections=sections)
