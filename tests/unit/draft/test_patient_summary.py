"""The summary for the patient and the letter to a colleague."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.domain.note import (
    Checked,
    Draft,
    DraftAuthor,
    Evidence,
    Section,
    Severity,
    Statement,
    Support,
    Topic,
    Verdict,
)
from osler.draft.letter import NO_REQUEST, referral_letter
from osler.draft.patient_summary import patient_summary, plain_words, read_plain_words
from osler.draft.reading import reading_grade, syllables
from osler.draft.second_person import addressed


def checked(*said: tuple[Topic, str], failed: frozenset[str] = frozenset(), refusal: str = "") -> Checked:
    statements = tuple(Statement(f"s{n}", t, (Evidence(n, t),), topic) for n, (topic, t) in enumerate(said, 1))
    draft = Draft("soap", (Section("a", "A", "51848-0", statements),), DraftAuthor("extractive", "x", "1"))
    good, bad = Verdict(Support.DIRECT, Severity.NONE), Verdict(Support.CONTRADICTED, Severity.MAJOR, ("number",))
    return Checked(draft, {one.id: bad if one.id in failed else good for one in statements}, (), refusal)


NOTE = (
    (Topic.CHIEF_COMPLAINT, "Right knee pain."),
    (Topic.HISTORY, "The patient reports that he has had dyspnea for 3 weeks."),
    (Topic.PAST_MEDICAL, "Hypertension."),
    (Topic.MEDICATIONS, "The patient takes lisinopril 20 mg daily."),
    (Topic.ALLERGIES, "The patient is allergic to penicillin."),
    (Topic.EXAM, "There is edema of the right lower extremity."),
    (Topic.ASSESSMENT, "Hypertension, well controlled."),
    (Topic.PLAN, "Refer to cardiology on [DATE-1] with Dr. [NAME-2]."),
    (Topic.PLAN, "Continue lisinopril 20 mg daily."),
)


def test_the_summary_has_the_statements_that_passed_each_with_its_id() -> None:
    summary = patient_summary(checked(*NOTE, failed=frozenset({"s9"})))
    told = [(part.title, [(one.text, one.statements) for one in part.sentences]) for part in summary.parts]
    assert told == [
        (
            "Why you came",
            [
                ("Right knee pain.", ("s1",)),
                ("You reported that you have had shortness of breath for 3 weeks.", ("s2",)),
            ],
        ),
        ("What we found", [("There is swelling of the right leg.", ("s6",))]),
        ("What we think", [("High blood pressure, well controlled.", ("s7",))]),
        ("Your medicines", [("You take lisinopril 20 mg daily.", ("s4",))]),
        ("Your allergies", [("You are allergic to penicillin.", ("s5",))]),
        (
            "What happens next",
            [("We will refer you to cardiology (heart doctors) on [DATE-1] with Dr. [NAME-2].", ("s8",))],
        ),
    ]
    assert summary.grade == round(reading_grade("\n".join(text for _, part in told for text, _ in part)), 1)


def test_a_refused_note_has_no_summary_and_no_letter() -> None:
    refused = checked(*NOTE, refusal="another-encounter")
    assert patient_summary(refused).parts == ()
    assert patient_summary(refused).grade == 0.0
    assert referral_letter(refused).parts == ()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The patient has pain in her left knee.", "You have pain in your left knee."),
        ("We will refer the patient to cardiology.", "We will refer you to cardiology."),
        ("Patient denies any chest pain.", "You said no to chest pain."),
        ("He was seen in the emergency department.", "You were seen in the emergency department."),
        ("She underwent a colonoscopy.", "You underwent a colonoscopy."),
        ("The patient's blood pressure is 128/72.", "Your blood pressure is 128/72."),
        ("The patient smokes.", "You smoke."),
        ("The patient presents with cough.", "You came with cough."),
        ("The patient should return if she is worse.", "You should return if you are worse."),
        ("His diet has been good.", "Your diet has been good."),
        ("While exerting himself, he has had chest cramps.", "While exerting yourself, you have had chest cramps."),
        (
            "The patient also notes a cough, but he is not sure why.",
            "You also noted a cough, but you are not sure why.",
        ),
        ("She takes metformin and denies side effects.", "You take metformin and said no to side effects."),
        ("I asked her to return.", "I asked you to return."),
        ("The patient was seen by a surgeon.", "You were seen by a surgeon."),
        ("Order a chest x-ray.", "We will order a chest x-ray."),
        ("We will see her in the patient's home.", "We will see you in your home."),
    ],
)
def test_a_sentence_about_the_patient_is_said_to_the_patient(said: str, told: str) -> None:
    assert addressed(said) == told


@pytest.mark.parametrize(
    "said",
    [
        "Her mother has diabetes.",
        "She lives with her husband, who smokes.",
        "The mother of the patient has hypertension.",
        "The patient has a mother who lost her husband.",
        "[NAME-1] said that he is her cousin.",
        "The patient denies that it hurts.",
        "The patient ambulates without assistance.",
        "Continue lisinopril 20 mg daily.",
        "No fever.",
        "There is no murmur.",
    ],
)
def test_what_is_not_sure_stays(said: str) -> None:
    assert addressed(said) == said


@pytest.mark.parametrize(
    ("term", "plain"),
    [
        ("Hypertension and hyperlipidemia.", "High blood pressure and high cholesterol."),
        ("An echocardiogram was normal.", "A heart ultrasound was normal."),
        ("Take ibuprofen 800 mg t.i.d.", "Take ibuprofen 800 mg three times a day"),
        ("No dyspnea on exertion.", "No shortness of breath with activity."),
        ("Hemoglobin A1c 7.2.", "Average blood sugar (hemoglobin A1c) 7.2."),
        ("Hypertensions of the post-test.", "Hypertensions of the post-test."),
    ],
)
def test_jargon_becomes_plain_words(term: str, plain: str) -> None:
    assert plain_words(term) == plain


def test_the_table_changes_no_figure_and_no_denial() -> None:
    rows = list(read_plain_words())
    assert len(rows) >= 220
    assert len({term for term, _ in rows}) == len(rows)
    for term, plain in rows:
        assert term == term.lower()
        assert re.findall(r"\d+", term) == re.findall(r"\d+", plain)
        negated = {"not", "no", "without"} & set(re.findall(r"[a-z]+", plain))
        assert not negated or term in {
            "afebrile",
            "negative for",
            "no acute distress",
            "no acute fracture",
            "over the counter",
        }


WORDS = st.sampled_from(
    [
        *(term for term, _ in read_plain_words()),
        *["no", "not", "denies", "20", "mg", "128/72", "3.5", "[NAME-1]", "[DATE-2]"],
        *["the", "patient", "her", "knee", "is", "are", "a", "an", "and", "with"],
    ]
)


@given(st.lists(WORDS, min_size=1, max_size=15))
def test_numbers_placeholders_and_denials_survive(words: list[str]) -> None:
    said = " ".join(words)
    told = plain_words(addressed(said))
    figures = r"\[[A-Z_]+-\d+\]|\d+(?:[.,/:]\d+)*"
    assert sorted(re.findall(figures, told)) == sorted(re.findall(figures, said))
    kept = {"no", "not"} & set(words)
    assert kept <= set(re.findall(r"[a-z]+", told.lower()))


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("cat", 1),
        ("the", 1),
        ("table", 2),
        ("whole", 1),
        ("walked", 1),
        ("wanted", 2),
        ("makes", 1),
        ("medicine", 3),
        ("medication", 4),
        ("hypertension", 4),
        ("diabetes", 4),
        ("people", 2),
        ("knee", 1),
        ("pressure", 2),
        ("annual", 3),
        ("quality", 3),
        ("allergy", 3),
        ("inflammation", 4),
        ("20", 1),
    ],
)
def test_syllables(word: str, count: int) -> None:
    assert syllables(word) == count


def test_the_grade_is_that_of_flesch_and_kincaid() -> None:
    assert reading_grade("The cat sat on the mat.") == pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)
    assert reading_grade("The cat sat. The dog ran.") == pytest.approx(0.39 * 3 + 11.8 - 15.59)
    assert reading_grade("[NAME-1] sat.") == reading_grade("Ann sat.")
    assert reading_grade("") == 0.0
    hard = "The patient demonstrates bilateral lower extremity edema secondary to congestive heart failure."
    assert reading_grade(plain_words(addressed(hard))) < reading_grade(hard)


def test_a_letter_has_its_parts_tied_to_statements_and_its_placeholders() -> None:
    letter = referral_letter(checked(*NOTE), to="cardiology")
    assert [part.title for part in letter.parts] == [
        "Reason for referral",
        "History",
        "Findings",
        "Medications",
        "Allergies",
        "Request",
    ]
    ids = {one.id: one.text for one in checked(*NOTE).draft.statements()}
    for part in letter.parts:
        for sentence in part.sentences:
            assert sentence.text in [ids[i] for i in sentence.statements]
    assert letter.parts[-1].sentences[0].text == "Refer to cardiology on [DATE-1] with Dr. [NAME-2]."
    assert letter.warnings == ()
    assert not any("Continue lisinopril" in s.text for part in letter.parts for s in part.sentences)


@pytest.mark.parametrize("to", ["cardiology", "Cardiologist", ""])
def test_the_request_is_found_by_the_specialty(to: str) -> None:
    assert referral_letter(checked(*NOTE), to=to).warnings == ()


def test_a_letter_without_a_request_says_so() -> None:
    letter = referral_letter(checked(*NOTE), to="neurology")
    assert letter.warnings == (NO_REQUEST,)
    assert "Request" not in [part.title for part in letter.parts]


def test_what_failed_the_gate_is_in_no_letter() -> None:
    letter = referral_letter(checked(*NOTE, failed=frozenset({"s8", "s4"})))
    assert letter.warnings == (NO_REQUEST,)
    assert not any(s.statements in (("s8",), ("s4",)) for part in letter.parts for s in part.sentences)
