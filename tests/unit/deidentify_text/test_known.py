import pytest

from osler.deidentify.text import Deidentifier
from osler.deidentify.text.known import date_patterns, near

PATIENT = {
    "resourceType": "Patient",
    "id": "pat-77120",
    "gender": "female",
    "name": [{"family": "Vandermeer", "given": ["Elizabeth", "Q"]}],
    "birthDate": "1950-03-05",
    "identifier": [
        {"type": {"coding": [{"code": "MR"}]}, "system": "urn:oid:1.2.3", "value": "A-123 456"},
        {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "523-88-1207"},
    ],
    "telecom": [{"system": "phone", "value": "+1 617 555 0199"}, {"system": "email", "value": "liz@example.org"}],
    "address": [{"line": ["12 Main St"], "city": "Quxville", "state": "MA", "postalCode": "01970"}],
    "contact": [{"name": {"family": "Hale", "given": ["Tobias"]}}],
}


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier(context=PATIENT)


@pytest.mark.parametrize(
    "secret",
    [
        "Vandermeer",
        "VANDERMEER",
        "vandermeer",
        "Vandermeeer",  # one letter more
        "Vandermer",  # one less
        "Vandremeer",  # two swapped
        "Elizabeth",
        "Betty",
        "E.Q.V.",
        "Tobias Hale",
        "a123456",
        "A 123-456",
        "523881207",
        "617.555.0199",
        "March 5, 1950",
        "05.03.50",
        "19500305",
        "3/5/50",
        "quxville",
    ],
)
def test_a_known_value_goes_in_any_form(engine: Deidentifier, secret: str) -> None:
    text = f"today {secret} was noted, no acute distress"
    start = text.index(secret)
    hidden = {k for span in engine.spans(text) for k in range(span.start, span.end)}
    assert {k for k in range(start, start + len(secret)) if text[k].isalnum()} <= hidden


def test_what_is_alike_stays(engine: Deidentifier) -> None:
    assert engine.spans("chest CT with contrast, code 123, female") == []


def test_a_patient_called_as_a_word_keeps_the_word() -> None:
    engine = Deidentifier(context={"name": "Robert Chest"})
    assert engine.deidentify("CT CHEST W CONTRAST").text == "CT CHEST W CONTRAST"
    assert engine.deidentify("Bob Chest has chest pain").text == "[NAME-1] has chest pain"


def test_a_plain_context_says_by_its_keys_what_it_tells() -> None:
    engine = Deidentifier(context={"name": "Zora Quill", "mrn": 445566, "dob": "1960-01-02", "quirk": "zx-991-k"})
    assert engine.deidentify("445566 and ZX991K").text == "[MRN-1] and [OTHER_ID-1]"


def test_the_engine_of_another_patient_knows_only_that_one(engine: Deidentifier) -> None:
    other = engine.for_patient({"mrn": "zq 77"})
    assert other.deidentify("zq77 but a123 456").text.startswith("[MRN-1] but a123")


@pytest.mark.parametrize(
    ("word", "close"),
    [
        ("margaret", True),
        ("margret", True),
        ("margarett", True),
        ("magraret", True),
        ("marcaret", True),
        ("target", False),
    ],
)
def test_distance_one(word: str, close: bool) -> None:
    assert near(word, "margaret") is close


def test_a_date_of_no_calendar_is_still_looked_for() -> None:
    assert len(date_patterns("1950-13-05", ["x"] * 12)) == 8
    assert date_patterns("spring", ["x"] * 12)[0]


@pytest.mark.parametrize(
    "written", ["jsmith", "SmithJohn", "S M I T H", "smith, john", "J.S.", "john", "Main St", "445566"]
)
def test_a_name_that_is_a_common_word_goes_in_lower_case_glued_and_spelled(written: str) -> None:
    known = {"name": "John Smith", "mrn": "A-445566", "address": "12 Main St"}
    text = f"today {written} was noted"
    start = text.index(written)
    hidden = {k for span in Deidentifier(context=known).spans(text) for k in range(span.start, span.end)}
    assert {k for k in range(start, start + len(written)) if text[k].isalnum()} <= hidden
