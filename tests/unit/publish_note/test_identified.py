"""Everything that keeps a note from being published."""

import pytest

from note_examples import (
    ENCOUNTER,
    note,
    said,
    section,
)
from osler.errors import DeliveryRefused, IntegrityError
from osler.publish.note.identified import refuse_placeholders


@pytest.mark.parametrize(
    "text",
    ["[NAME-1]", "[Name-1]", "[ name 1 ]", "[NAME_1]", "[NAME]", "[date]", "NAME-1", "(DATE-12)", "[Health Plan 2]"],
)
def test_a_placeholder_in_any_spelling_is_refused(text: str) -> None:
    with pytest.raises(DeliveryRefused):
        refuse_placeholders(f"Seen by {text} today.", "statement s1")
    with pytest.raises(DeliveryRefused):
        note(sections=(section(said(f"Seen by {text} today.")),))


@pytest.mark.parametrize(
    "text", ["COVID-19", "[COVID-19]", "at age 45", "IP 5", "date: 5", "PHOTO of L-5", "[x]", "URL", "covid-19"]
)
def test_ordinary_words_are_no_placeholder(text: str) -> None:
    refuse_placeholders(text, "statement s1")

    assert note(sections=(section(said(text)),)).status == "final"


def test_the_encounter_of_another_patient_is_an_alarm() -> None:
    with pytest.raises(IntegrityError):
        note(encounter=ENCOUNTER | {"subject": {"reference": "Patient/other"}})


@pytest.mark.parametrize("sections", [(), (section(),), (section(said("a"), said("b")),)])
def test_a_note_says_something_and_each_statement_once(sections: tuple[object, ...]) -> None:
    with pytest.raises(DeliveryRefused):
        note(sections=sections)


def test_nothing_of_a_note_is_in_its_words_for_a_log() -> None:
    assert "Doe" not in repr(note())
    assert "Doe" not in repr(said("Mrs. Doe"))


@pytest.mark.parametrize(
    ("signed", "amends", "status"), [(False, None, "preliminary"), (True, None, "final"), (True, 1, "amended")]
)
def test_status(signed: bool, amends: int | None, status: str) -> None:
    assert note(signed=signed, revision=2, amends=amends).status == status
