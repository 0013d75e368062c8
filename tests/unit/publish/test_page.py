import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pydicom
import pytest
from PIL import Image

from osler.models.cxr.pixels import read_grey
from osler.plugins import Card, Output
from osler.publish.page import Facts, Illustration, illustrate, render_page
from osler.testing.results import MODEL, PNEUMONIA, case, radiograph, recorded

CARD = Card(
    MODEL.name, MODEL.version, MODEL.sha256, MODEL.preprocessing,
    intended_use="Triage of <b>children</b>.", limitations="Not for adults.",
    outputs=(Output("pneumonia", PNEUMONIA, 0.5),), modalities=("CR",), licence="Apache-2.0",
    evaluation={"AUROC": 0.98, "subgroups": {"viral_pneumonia": 0.95}},
)  # fmt: skip
HOSTILE = "<script>alert(1)</script>\"'"


def heatmap(_: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.eye(7, dtype=np.uint8) * 255).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def illustration() -> Illustration:
    image = pydicom.dcmread(io.BytesIO(radiograph()))
    return illustrate(case(heatmap="h"), image, render=read_grey, heatmap=heatmap)


@pytest.fixture
def facts(illustration: Illustration) -> Facts:
    return Facts(
        recorded(case(outside=["the age is not known"], heatmap="h"), refused={"2.25.1.9.2": "a lateral view"}),
        [illustration],
        CARD,
        "St. Elsewhere",
        {"DiagnosticReport": "report-1", "DICOM SR": "2.25.7"},
        [("received", 0.25), ("read", 1.5)],
        audit_verified=True,
    )


class Page(HTMLParser):
    """What a browser would see: text, tags, what it would fetch."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        if tag not in ("meta", "img", "input", "link"):
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "action", "srcset", "data"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def test_it_says_what_was_found_and_how_far_it_may_be_trusted(facts: Facts) -> None:
    text = " ".join(Page(render_page(facts)).text.split())

    for said in (
        "St. Elsewhere", "AI-made · preliminary", "pneumonia suspected", "probability 0.9300", "threshold 0.5000",
        "Made by artificial intelligence. Preliminary until a physician confirms it.",
        "Outside the intended use of the model", "the age is not known",
        "cxr-pneumonia-paediatric", "1.0.0", "ab" * 32, "Apache-2.0", "Not for adults.", "AUROC 0.98",
        "subgroups: viral pneumonia 0.95", "report-1", "2.25.7", "verified", "received 250 ms", "read 1.5 s",
        "together 1.8 s", "a lateral view", "02 January 2026, 09:30 UTC",
    ):  # fmt: skip
        assert said in text


def test_it_asks_for_nothing_and_runs_nothing(facts: Facts) -> None:
    source = render_page(facts)
    page = Page(source)

    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert len(page.addresses) == 2
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert "url(" not in source
    assert "@import" not in source
    assert "http://" not in source
    assert "https://" not in source
    assert "default-src 'none'" in source
    assert page.open == []


def test_the_pictures_are_in_it(facts: Facts, illustration: Illustration) -> None:
    contents = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", render_page(facts))

    assert [base64.b64decode(c) for c in contents] == [illustration.image, illustration.heat]
    assert Image.open(io.BytesIO(illustration.image)).size == (illustration.width, illustration.height)


def test_nothing_that_is_shown_becomes_markup(facts: Facts) -> None:
    hostile = replace(
        facts,
        recorded=recorded(case(outside=[HOSTILE]), refused={"2.25.2": HOSTILE}),
        card=replace(CARD, intended_use=HOSTILE, limitations=HOSTILE, licence=HOSTILE, evaluation={HOSTILE: HOSTILE}),
        site=HOSTILE,
        references={HOSTILE: HOSTILE},
        steps=[(HOSTILE, 1.0)],
    )

    page = Page(render_page(hostile))

    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") == 11


def test_a_negative_result(facts: Facts) -> None:
    text = " ".join(Page(render_page(replace(facts, recorded=recorded(case(probability=0.1))))).text.split())

    assert "pneumonia below the threshold" in text
    assert "Outside the intended use" not in text


def test_little_is_enough() -> None:
    page = Page(render_page(Facts(recorded(case(1), case(2)))))

    assert "img" not in page.tags
    assert page.text.count("probability") == 2
    assert "Audit chain" not in page.text


def test_a_broken_audit_chain_is_said(facts: Facts) -> None:
    assert "not intact" in render_page(replace(facts, audit_verified=False))
