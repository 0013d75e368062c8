"""No identifier of a conversation is left in what goes on, and all of them lead back."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from osler.deidentify.reversible import restore
from osler.deidentify.transcript import deidentify_transcript
from osler.domain.transcript import SpeakerRole, Transcript, Utterance

GIVEN = ["thandolwethu", "brian", "martha", "siobhan", "xiomara", "wayne", "ogechi", "frank", "joy"]
FAMILY = ["okwuosa", "pellegrino", "brooks", "hill", "vandermolen", "nguyen", "szczepanik", "white"]
SAID = [
    "hi {g} how are you doing today",
    "i'm doctor {d} , nice to meet you",
    "so {g} , what's going on with your knee",
    "{g} {f} is a 58 year old male with hypertension",
    "this is {g} {f} , date of birth {dob}",
    "my mrn is {mrn}",
    "you can call me at {phone}",
    "thank you doctor {d}",
    "okay ms. {f} , let's look at your blood pressure , it was 128 over 72",
    "i was seen on {dob} and again two weeks ago",
    "it hurts on the inside of my right knee",
    "let's increase the lisinopril to 20 milligrams a day",
]
FACTS = ["128 over 72", "two weeks ago", "right knee", "lisinopril to 20 milligrams"]


@settings(max_examples=60)
@given(
    lines=st.lists(st.sampled_from(SAID), min_size=1, max_size=14),
    given_name=st.sampled_from(GIVEN),
    family=st.sampled_from(FAMILY),
    doctor=st.sampled_from(FAMILY),
    digits=st.integers(10**6, 10**7 - 1),
    day=st.dates(),
    cased=st.booleans(),
)
def test_no_canary_is_left_and_every_one_leads_back(lines, given_name, family, doctor, digits, day, cased) -> None:
    mrn, phone, dob = f"{digits}", f"617-555-{digits % 10000:04}", f"{day.month}/{day.day}/{max(day.year, 1930)}"
    if cased:
        given_name, family, doctor = given_name.title(), family.title(), doctor.title()
    values = {"g": given_name, "f": family, "d": doctor, "mrn": mrn, "phone": phone, "dob": dob}
    said = [line.format(**values) for line in lines]
    said = [text[0].upper() + text[1:] if cased else text for text in said]
    transcript = Transcript(
        tuple(Utterance(i, f"{given_name} {family}", SpeakerRole.OTHER, text) for i, text in enumerate(said, 1))
    )
    known = {"name": [{"given": [given_name], "family": family}, {"family": doctor}], "identifier": [{"value": mrn}]}
    without, originals = deidentify_transcript(transcript, known)

    out = "\n".join(f"{u.speaker} {u.text}" for u in without.utterances).lower()
    for canary in values.values():
        assert not re.search(rf"(?<!\w){re.escape(canary.lower())}(?!\w)", out)
    for fact in FACTS:
        assert sum(fact in text.lower() for text in said) == sum(fact in u.text.lower() for u in without.utterances)
    whole = restore("\n".join(u.text for u in without.utterances), originals)
    assert whole.text == "\n".join(said)
    assert whole.unknown == ()
