"""The contract test of recognisers finds what is wrong, and lets pass what is right."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from osler.deidentify.text import Category, Document, Span
from osler.errors import ContractViolation
from osler.testing import check_recogniser

RULE = "Q-[0-9]{2}"
FINDS = [("badge Q-77", "Q-77")]


class Right:
    def spans(self, document: Document) -> Iterable[Span]:
        return [Span(m.start(), m.end(), Category.OTHER_ID, 0.9, "q") for m in re.finditer(RULE, document.shadow.text)]


class Outside(Right):
    def spans(self, document: Document) -> Iterable[Span]:
        return [*super().spans(document), Span(0, len(document.text) + 1, Category.OTHER_ID, 0.9, "q")]


class Raising(Right):
    def spans(self, document: Document) -> Iterable[Span]:
        if not document.text.strip():
            raise IndexError(document.text)
        return super().spans(document)


class Quadratic(Right):
    def spans(self, document: Document) -> Iterable[Span]:
        re.search("a.*[0-9]b", document.shadow.text[:32_000])
        return super().spans(document)


class Replacing(Right):
    def spans(self, document: Document) -> Iterable[Span]:
        return [Span(s.start, s.end, s.category, 2.0, "My Rule", "X") for s in super().spans(document)]


class Forgetful(Right):
    asked = 0

    def spans(self, document: Document) -> Iterable[Span]:
        self.asked += 1
        return super().spans(document) if self.asked % 2 else []


def test_one_that_keeps_the_contract_passes() -> None:
    check_recogniser(Right, finds=FINDS, leaves=["Q-7"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Outside, "outside"),
        (Raising, "IndexError"),
        (Quadratic, "it takes"),
        (Replacing, "replacement"),
        (Replacing, "score"),
        (Replacing, "kebab-case"),
        (Forgetful, "differently"),
    ],
)
def test_what_is_wrong_is_said(make: Any, words: str) -> None:
    with pytest.raises(ContractViolation, match=words):
        check_recogniser(make, finds=FINDS)


def test_what_the_author_says_is_held_against_it() -> None:
    with pytest.raises(ContractViolation, match="finds 1: the identifier is not found"):
        check_recogniser(Right, finds=[("badge Q77", "Q77")])
    with pytest.raises(ContractViolation, match="leaves 1"):
        check_recogniser(Right, finds=FINDS, leaves=["Q-99"])
    with pytest.raises(ContractViolation, match="at least one"):
        check_recogniser(Right, finds=[])
