"""Identities come back as they were said in the very place."""

import pytest

from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.scribe.revealing import Revealing

SAID = DeidentifiedTranscript(
    (
        DeidentifiedUtterance(1, "S1", SpeakerRole.CLINICIAN, "Hello [NAME-1], I saw [NAME-2] on [DATE-1]."),
        DeidentifiedUtterance(2, "S2", SpeakerRole.PATIENT, "[NAME-1]. Call me [NAME-1], please."),
    )
)
ORIGINALS = {"[NAME-1]": ["Mr. Ott", "Oskar Ott", "Ossi"], "[NAME-2]": ["Dr. Bee"], "[DATE-1]": ["March 3rd"]}


@pytest.mark.parametrize(
    ("text", "evidence", "revealed"),
    [
        ("[NAME-1] saw [NAME-2].", [(1, "Hello [NAME-1], I saw [NAME-2]")], "Mr. Ott saw Dr. Bee."),
        ("Is called [NAME-1].", [(2, "Call me [NAME-1]")], "Is called Ossi."),
        ("[NAME-1], or [NAME-1].", [(2, "[NAME-1]. Call me [NAME-1]")], "Oskar Ott, or Ossi."),
        ("[NAME-1] and [NAME-1].", [(2, "Call me [NAME-1]")], "Ossi and Oskar Ott."),
        ("[NAME-1] since [DATE-1].", [], "Oskar Ott since March 3rd."),
        ("[NAME-1] since [DATE-1].", [(7, "nothing")], "Oskar Ott since March 3rd."),
        ("[NAME-9] is nobody.", [(1, "Hello")], "[NAME-9] is nobody."),
    ],
)
def test_what_stood_there_comes_back(text, evidence, revealed):
    assert Revealing(SAID, ORIGINALS)(text, evidence) == revealed
