"""What a narrative may hold (FHIR R4 2.4, txt-1 and txt-2)."""

import time

import pytest

from osler.standards.fhir_narrative import narrative_fault


def div(inside: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'


@pytest.mark.parametrize(
    "inside",
    [
        "<p>Chest radiograph: <b>no</b> consolidation.</p>",
        "<table border='1'><caption>x</caption><tr><th scope='col'>a</th><td colspan='2'>b</td></tr></table>",
        "<a href='#x' title='y'>z</a><a href='Observation/1'>o</a><a href='https://example.org/'>e</a>",
        "<img src='data:image/png;base64,AAAA' alt='x'/>",
        "a&nbsp;b &eacute; &lt; &#233;",
        "<p style='color: red; margin: 1em'>x</p><!-- a remark -->",
        "<p xml:lang='en' lang='en' dir='ltr'>x</p>",
    ],
)
def test_basic_formatting_is_sound(inside: str) -> None:
    assert narrative_fault(div(inside)) is None


@pytest.mark.parametrize(
    ("narrative", "words"),
    [
        (div("<script>x</script>"), "element"),
        (div("<iframe src='https://x'/>"), "element"),
        (div("<form><p>x</p></form>"), "element"),
        (div("<svg xmlns='http://www.w3.org/2000/svg'>x</svg>"), "element"),
        (div("<p onclick='x()'>x</p>"), "attribute"),
        (div("<p ONCLICK='x()'>x</p>"), "attribute"),
        (div("<a href='javascript:x()'>x</a>"), "link"),
        (div("<a href=' java&#10;script:x()'>x</a>"), "link"),
        (div("<a href='vbscript:x'>x</a>"), "link"),
        (div("<img src='data:text/html;base64,AAAA' alt='x'/>"), "link"),
        (div("<p style='background: url(https://x)'>x</p>"), "style"),
        (div("<p style='width: expression(x)'>x</p>"), "style"),
        (div("<p>x"), "well-formed"),
        (div("&unknown;"), "well-formed"),
        ("<div>x</div>", "namespace"),
        (div(" <p> </p> "), "blank"),
        ('<!DOCTYPE x [<!ENTITY e "x">]>' + div("&e;"), "document type"),
        (div("<?php x ?>y"), "processing instruction"),
        (div("<b>" * 200 + "x" + "</b>" * 200), "deep"),
    ],
)
def test_what_is_dangerous_to_show_is_refused(narrative: str, words: str) -> None:
    fault = narrative_fault(narrative)

    assert fault is not None
    assert words in fault


def test_a_megabyte_is_read_in_linear_time() -> None:
    began = time.process_time()

    assert narrative_fault(div("<p>x</p>" * 130_000)) is None
    assert time.process_time() - began < 3.0
