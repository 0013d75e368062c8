from collections.abc import Iterable

import pytest

from osler.deidentify.text import Category, Deidentifier, Document, Span, deidentify_text
from osler.errors import ConfigError, DeidentificationRefused


class Ward:
    """A recogniser as a hospital would add it."""

    def spans(self, document: Document) -> Iterable[Span]:
        at = document.shadow.lower.find("ward seven")
        if at >= 0:
            yield Span(at, at + 10, Category.LOCATION, 0.9, "ward")


class Breaks:
    def spans(self, document: Document) -> Iterable[Span]:
        raise ValueError(document.text)


class Outside:
    def spans(self, document: Document) -> Iterable[Span]:
        yield Span(0, len(document.text) + 1, Category.NAME, 1.0, "outside")


def test_a_recogniser_adds_spans() -> None:
    assert Deidentifier(recognisers=[Ward()]).deidentify("on Ward Seven now").text == "on [LOCATION-1] now"


@pytest.mark.parametrize("broken", [Breaks(), Outside()])
def test_a_recogniser_that_fails_lets_nothing_through(broken: Breaks | Outside) -> None:
    with pytest.raises(DeidentificationRefused) as refused:
        Deidentifier(recognisers=[broken]).deidentify("zq-canary")
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(("language", "method"), [("tlh", "safe-harbor"), ("en", "rot13")])
def test_what_is_unknown_is_a_usage_error(language: str, method: str) -> None:
    with pytest.raises(ConfigError):
        Deidentifier(language, method)


def test_the_result_tells_what_was_replaced_where() -> None:
    result = Deidentifier().deidentify("MRN: 8675309, seen 3/14/2021")
    assert result.to_json() == {
        "text": "MRN: [MRN-1], seen 2021",
        "method": "safe-harbor",
        "spans": [
            {
                "start": 5,
                "end": 12,
                "category": "MRN",
                "text_length": 7,
                "score": 0.995,
                "rule": "mrn",
                "replacement": "[MRN-1]",
            },
            {
                "start": 19,
                "end": 28,
                "category": "DATE",
                "text_length": 9,
                "score": 0.95,
                "rule": "date-numeric",
                "replacement": "2021",
            },
        ],
    }


def test_an_empty_text_and_one_without_identifiers_stay() -> None:
    assert deidentify_text("") == ""
    assert deidentify_text("No acute distress.") == "No acute distress."
