"""Clinical terms that hold names and towns stay, the same words as names and towns go."""

import pytest

from osler.deidentify.text import Deidentifier, Document
from osler.deidentify.text.en.terms import terms


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Todd's paralysis", ["Todd's paralysis"]),
        ("CLARK LEVEL IV", ["CLARK LEVEL"]),
        ("a Fitz-Hugh-Curtis picture", ["Fitz-Hugh-Curtis"]),
        ("Sister Mary Joseph nodule", ["Sister Mary Joseph", "Mary Joseph"]),
        ("Sokolow-Lyon and Wong-Baker", ["Sokolow-Lyon", "Wong-Baker"]),
        ("Todd slept. Paralysis of none. Clark", []),
    ],
)
def test_a_term_is_found_whatever_joins_its_words(text: str, expected: list[str]) -> None:
    tokens = Document(text).tokens
    assert [text[tokens[first].start : tokens[last - 1].end] for first, last in terms(tokens)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Todd's paralysis resolved within a day.",
        "Orphan Annie nuclei and Homer Wright rosettes are seen.",
        "Philadelphia collar applied; Milwaukee brace not needed.",
        "No Sister Mary Joseph nodule.",
        "Wong-Baker 4, BI-RADS 3.",
        "Crohn's disease, Montreal A2L3B1, Mayo 1.",
        "Kawasaki: Z score 1.8. Barrett by Prague.",
    ],
)
def test_a_term_stays(engine: Deidentifier, text: str) -> None:
    assert engine.spans(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Mr. Todd paralysis of the left arm.", "Todd"),
        ("Dr. Clark level of concern is low.", "Clark"),
        ("She lives in Philadelphia.", "Philadelphia"),
        ("He moved from Prague.", "Prague"),
        ("Her sister Joan visited.", "Joan"),
    ],
)
def test_a_name_or_town_goes(engine: Deidentifier, text: str, value: str) -> None:
    assert [text[span.start : span.end] for span in engine.spans(text)] == [value]
