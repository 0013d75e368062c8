"""Who is the clinician and who the patient."""

import pytest

from osler.domain.transcript import SpeakerRole, Utterance
from osler.transcribe.pieces import Piece
from osler.transcribe.roles import clinician_score, roles_of
from osler.transcribe.speakers import by_dialogue

CLINICIAN, PATIENT, OTHER = SpeakerRole.CLINICIAN, SpeakerRole.PATIENT, SpeakerRole.OTHER


def spoken(*turns: tuple[str, str]) -> list[Utterance]:
    return [Utterance(number, speaker, OTHER, text) for number, (speaker, text) in enumerate(turns, 1)]


@pytest.mark.parametrize(
    ("text", "clinician"),
    [
        ("What brings you in today?", True),
        ("Any fever, chills, nausea or vomiting?", True),
        ("Your blood pressure looks a little high, so we'll go ahead and order some labs.", True),
        ("I've been having this pain in my shoulder for about two weeks.", False),
        ("My mother had diabetes, and I take metformin.", False),
        ("Yeah, that's right, doctor.", False),
    ],
)
def test_one_turn(text: str, clinician: bool) -> None:
    assert (clinician_score(text) > 0) is clinician


def test_roles_of_three_speakers() -> None:
    roles = roles_of(
        spoken(
            ("S1", "My daughter drove me here. I have had chest pain since Monday."),
            ("S2", "Okay. Does the pain go to your arm? Are you taking any medication?"),
            ("S1", "No, it doesn't. I take lisinopril for my blood pressure."),
            ("S3", "She was pale."),
            ("S2", "We'll do an ECG and check your troponin."),
        )
    )

    assert roles == {"S1": PATIENT, "S2": CLINICIAN, "S3": OTHER}


@pytest.mark.parametrize(
    ("text", "role"),
    [("I'm going to listen to your lungs now.", CLINICIAN), ("I've had a cough and my throat hurts.", PATIENT)],
)
def test_the_role_of_one_speaker_alone(text: str, role: SpeakerRole) -> None:
    assert roles_of(spoken(("S1", text))) == {"S1": role}


def test_nobody_has_no_role() -> None:
    assert roles_of([]) == {}


def test_speakers_by_what_they_say() -> None:
    turns = [
        ("S1", "Good morning, what brings you in today?"),
        ("S2", "I've been having headaches for three days."),
        ("S2", "My head hurts when I bend down."),
        ("S1", "Do you have any fever?"),
        ("S2", "No."),
        ("S1", "Okay, we'll go ahead and order a CT scan."),
        ("S2", "Thank you, doctor."),
    ]

    assert [speaker for _, speaker in by_dialogue([Piece(text) for _, text in turns])] == [one for one, _ in turns]


def test_a_dictation_is_one_speaker() -> None:
    note = (
        "The patient presents with abdominal pain. The abdomen is soft. Bowel sounds are present."
        " There is no rebound. The white count is normal."
    )

    labelled = by_dialogue([Piece(sentence + ".") for sentence in note.rstrip(".").split(". ")])

    assert len({speaker for _, speaker in labelled}) == 1
