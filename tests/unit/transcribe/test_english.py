"""English is told from other languages, whole and utterance by utterance."""

import pytest

from osler.domain.transcript import SpeakerRole, Utterance
from osler.transcribe.english import look

ENGLISH = "i've had this cough for about two weeks and it gets worse at night"
SPANISH = "tengo mucho dolor de cabeza desde hace tres dias y no puedo dormir bien"
GERMAN = "ich habe seit drei Tagen Kopfschmerzen und mir ist dauernd schlecht davon"


def said(*texts: str) -> list[Utterance]:
    return [Utterance(n, "S1", SpeakerRole.PATIENT, text) for n, text in enumerate(texts, start=1)]


@pytest.mark.parametrize(
    ("texts", "english", "others"),
    [
        ([ENGLISH], True, ()),
        ([ENGLISH.upper()], True, ()),
        ([SPANISH], False, (1,)),
        ([GERMAN, SPANISH], False, (1, 2)),
        ([ENGLISH, SPANISH, ENGLISH, ENGLISH], True, (2,)),
        (["hola"], True, ()),
        (["Am I going to be okay?", "Oh no. I knew it. I haven't been exercising."], True, ()),
        ([ENGLISH, "Me duele el pecho cuando subo las escaleras", ENGLISH, ENGLISH], True, (2,)),
        (["metoprolol lisinopril atorvastatin"], True, ()),
        ([], True, ()),
    ],
)
def test_what_is_english(texts, english, others):
    found = look(said(*texts))
    assert (found.english, found.others) == (english, others)
