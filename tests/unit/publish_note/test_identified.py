"""The identities back in a note, and everything that keeps a note from being published."""

import pytest

from note_examples import (
    AUTHOR,
    ENCOUNTER,
    ORIGINALS,
    TRANSCRIPT,
    checked,
    draft,
    note,
    said,
    section,
    statement,
)
from osler.deidentify.text import Category
from osler.domain.note import Draft, Section, Topic
from osler.errors import DeliveryRefused, IntegrityError
from osler.publish.note.identified import refuse_placeholders, reidentify

COUGHS = statement("[NAME-1] coughs since [DATE-1].", (2, "Since [DATE-1] I cough."))


def test_a_statement_has_the_fullest_form_and_its_evidence_the_words_that_were_said() -> None:
    (section,) = reidentify(checked(draft(COUGHS)), TRANSCRIPT, ORIGINALS)

    (made,) = section.statements
    assert made.text == "Mrs. Doe coughs since New Year's Day."
    assert (made.id, made.topic, made.edited) == ("s1", Topic.HISTORY, False)
    (place,) = made.evidence
    assert (place.utterance, place.start_s, place.end_s) == (2, 3.4, 7.0)
    assert place.quote == "Since New Year's Day I cough."


@pytest.mark.parametrize(
    ("utterance", "quote", "words"),
    [
        (1, "Good morning [NAME-1]", "Good morning Mrs. Doe"),
        (2, "Call me [NAME-1].", "Call me Jane."),
        (1, "[NAME-1], I am [NAME-2].", "Mrs. Doe, I am Dr. House."),
    ],
)
def test_each_place_of_a_placeholder_gets_what_stood_there(utterance: int, quote: str, words: str) -> None:
    one = statement("Words.", (utterance, quote))

    (section,) = reidentify(checked(draft(one)), TRANSCRIPT, ORIGINALS)

    assert section.statements[0].evidence[0].quote == words


def test_originals_that_do_not_match_the_places_give_the_longest() -> None:
    one = statement("Words.", (2, "Call me [NAME-1]."))

    (section,) = reidentify(checked(draft(one)), TRANSCRIPT, ORIGINALS | {"[NAME-1]": ["Mrs. Doe"]})

    assert section.statements[0].evidence[0].quote == "Call me Mrs. Doe."


def test_an_original_that_looks_like_a_placeholder_is_not_replaced_again() -> None:
    with pytest.raises(DeliveryRefused, match="placeholder"):
        reidentify(checked(draft(COUGHS)), TRANSCRIPT, ORIGINALS | {"[DATE-1]": ["[NAME-2]"]})


def test_what_the_gate_failed_is_left_out_unless_the_signer_answers_for_it() -> None:
    kept = statement("Takes metformin.", (3, "metformin"), id="s2", topic=Topic.MEDICATIONS)
    gate = checked(draft(COUGHS, kept), "s1")

    (without,) = reidentify(gate, TRANSCRIPT, ORIGINALS)
    (vouched,) = reidentify(gate, TRANSCRIPT, ORIGINALS, edited={"s1"})

    assert [s.id for s in without.statements] == ["s2"]
    assert [(s.id, s.edited) for s in vouched.statements] == [("s1", True), ("s2", False)]


def test_a_section_that_is_empty_then_is_left_out() -> None:
    assert reidentify(checked(draft(COUGHS), "s1"), TRANSCRIPT, ORIGINALS) == ()


def test_a_sentence_that_a_person_wrote_needs_no_evidence() -> None:
    written = statement("Discussed at length.", topic=Topic.PLAN)

    (section,) = reidentify(checked(draft(written)), TRANSCRIPT, ORIGINALS, edited={"s1"})

    assert section.statements[0].evidence == ()


def test_the_heading_of_a_problem_is_reidentified() -> None:
    sections = (Section("plan", "Plan", "18776-5", (COUGHS,), "Cough of [NAME-1]"),)

    (made,) = reidentify(checked(Draft("soap", sections, AUTHOR)), TRANSCRIPT, ORIGINALS)

    assert made.problem == "Cough of Mrs. Doe"


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (statement("[NAME-9] coughs.", (2, "I cough")), "placeholder"),
        (statement("[LOCATION-1].", (2, "I cough")), "placeholder"),
        (statement("Words.", (2, "I do not cough")), "not said"),
        (statement("Words.", (9, "I cough")), "not said"),
        (statement("Words.", (0, "I cough")), "not said"),
        (statement("Words.", (2, "")), "not said"),
        (statement("Words."), "cites nothing"),
    ],
)
def test_refused(one: object, rule: str) -> None:
    with pytest.raises(DeliveryRefused, match=rule):
        reidentify(checked(draft(one)), TRANSCRIPT, ORIGINALS)  # type: ignore[arg-type]


def test_a_note_that_the_gate_refused_is_not_published() -> None:
    with pytest.raises(DeliveryRefused, match="gate"):
        reidentify(checked(draft(COUGHS), refusal="another-encounter"), TRANSCRIPT, ORIGINALS, edited={"s1"})


@pytest.mark.parametrize("category", Category)
def test_a_placeholder_of_any_category_is_put_back_or_refused(category: Category) -> None:
    name = f"[{category}-7]"
    one = statement(f"About {name}.", (2, "I cough"))

    (section,) = reidentify(checked(draft(one)), TRANSCRIPT, ORIGINALS | {name: ["it"]})

    assert section.statements[0].text == "About it."
    with pytest.raises(DeliveryRefused):
        reidentify(checked(draft(one)), TRANSCRIPT, ORIGINALS)


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


def test_a_refusal_quotes_nothing() -> None:
    with pytest.raises(DeliveryRefused) as caught:
        reidentify(checked(draft(statement("Jones saw [NAME-9].", (2, "I cough")))), TRANSCRIPT, ORIGINALS)

    assert "Jones" not in str(caught.value)


def test_controls_and_marks_of_direction_become_blanks() -> None:
    one = statement("Cough\x0b\x1c and \u202efever\ud800.", (2, "I cough"))

    (section,) = reidentify(checked(draft(one)), TRANSCRIPT, ORIGINALS)

    assert section.statements[0].text == "Cough   and  fever ."


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
