"""What a sentence loses when it stands in a note by itself: who, which medicine, how sure; and where it belongs."""

import pytest

from osler.domain.note import Topic
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.draft.extractive import ExtractiveWriter
from osler.draft.extractive.relatives import for_relative, relatives
from osler.draft.gate import check
from osler.draft.port import Style
from osler.draft.templates import load_templates

ROLES = {"D": SpeakerRole.CLINICIAN, "P": SpeakerRole.PATIENT, "O": SpeakerRole.OTHER}
SAID = [
    # what was said, topic, the statement
    ("D: Your dad had a stroke, right?\nP: He had a stroke at 62.", None, "The patient's dad had a stroke at 62."),
    ("D: Any chest pain, Mr. [NAME-1]?\nP: I don't think so.", None, "Denies chest pain (“I don't think so”)."),
    ("D: And the Flovent?\nP: I stopped that in August, it was too expensive.", None,
     "The patient stopped Flovent in August, it was too expensive."),
    ("D: How often do you use your albuterol?\nP: Four or five times a day.", Topic.MEDICATIONS,
     "Albuterol: 4 or 5 times a day."),
    ("D: Any allergies to medicines?\nO: She got a rash with amoxicillin when she was a baby.", Topic.ALLERGIES,
     "Allergies: she got a rash with amoxicillin when she was a baby."),
    ("D: Any medicines?\nP: I take metformin 500 milligrams twice a day.", Topic.MEDICATIONS,
     "The patient takes metformin 500 mg twice a day."),
    ("D: Are you having any thoughts of hurting yourself?\nP: No.", None, "Denies thoughts of hurting themselves."),
    ("D: I hear crackles in the right lower lung.", Topic.EXAM, "I hear crackles in the right lower lung."),
    ("D: I'd like to get a chest x-ray and start azithromycin 500 milligrams today.", Topic.PLAN,
     "I would like to get a chest x-ray and start azithromycin 500 mg today."),
    ("P: I have had a cough.\nP: It is dry.\nD: This is acute bronchitis.", Topic.DIAGNOSIS,
     "This is acute bronchitis."),
    ("P: I have had a cough.\nP: It is dry.\nD: I think you have pneumonia.", Topic.DIAGNOSIS,
     "I think the patient has pneumonia."),
    ("P: I twisted my knee playing soccer, and it swelled up right away.", None,
     "The patient twisted their knee playing soccer, and it swelled up right away."),
]  # fmt: skip


def heard(dialogue: str) -> DeidentifiedTranscript:
    lines = [line.split(": ", 1) for line in dialogue.splitlines()]
    return DeidentifiedTranscript(
        tuple(DeidentifiedUtterance(n, who, ROLES[who], text) for n, (who, text) in enumerate(lines, start=1)), "en"
    )


@pytest.mark.parametrize(("dialogue", "topic", "text"), SAID, ids=[text for _, _, text in SAID])
def test_a_statement_keeps_its_sense_and_the_gate_takes_it(dialogue: str, topic: Topic | None, text: str) -> None:
    transcript = heard(dialogue)

    draft = ExtractiveWriter().write(transcript, load_templates()["soap"], Style(detail="full"))

    (one,) = [statement for statement in draft.statements() if statement.text == text] or [None]
    assert one is not None, [statement.text for statement in draft.statements()]
    assert topic in (None, one.topic)
    assert check(draft, transcript).passes(one)


def test_politeness_is_left_out() -> None:
    said = "D: Morning, Mr. [NAME-1].\nP: Have a nice day.\nD: You're in the right place.\nP: I have a cough at night."

    draft = ExtractiveWriter().write(heard(said), load_templates()["soap"], Style(detail="full"))

    assert [statement.text for statement in draft.statements()] == ["The patient has a cough at night."]


def test_she_is_not_the_father() -> None:
    assert relatives("My mom and my dad") == "dad"
    assert for_relative("She had a stroke.", "dad") == "She had a stroke."
    assert for_relative("He's had a stroke.", "dad") == "my dad's had a stroke."
    assert for_relative("My brother says he smokes.", "dad") == "My brother says he smokes."
