"""A transcript without its identifiers."""

import random
import time
from collections.abc import Iterable

import pytest

from osler.deidentify.reversible import restore
from osler.deidentify.text import Document, Span
from osler.deidentify.text.engine import Deidentifier
from osler.deidentify.transcript import deidentify_transcript
from osler.domain.transcript import DeidentifiedTranscript, SpeakerRole, Transcript, Utterance
from osler.errors import DeidentificationRefused

KNOWN = {
    "name": [
        {"given": ["Andrew"], "family": "Pellegrino"},
        {"prefix": ["Dr."], "given": ["Ruth"], "family": "Hill"},
        {"given": ["Maura"], "family": "Pellegrino"},
    ],
    "birthDate": "1961-03-09",
    "telecom": [{"system": "phone", "value": "617-555-0187"}],
    "identifier": [{"value": "00483920"}],
}


def conversation(*said: str, speakers: Iterable[str] = ("S1", "S2")) -> Transcript:
    labels = list(speakers)
    roles = (SpeakerRole.CLINICIAN, SpeakerRole.PATIENT)
    return Transcript(
        tuple(
            Utterance(i + 1, labels[i % len(labels)], roles[i % 2], text, float(i), i + 0.5)
            for i, text in enumerate(said)
        )
    )


def texts(transcript: DeidentifiedTranscript) -> list[str]:
    return [one.text for one in transcript.utterances]


def test_one_person_has_one_placeholder_from_the_greeting_to_the_last_word() -> None:
    said = conversation(
        "hi andrew how are you", "fine thank you doctor hill", "mr. pellegrino your knee is better", "call me andy"
    )
    without, originals = deidentify_transcript(said, KNOWN)
    assert texts(without) == [
        "hi [NAME-1] how are you",
        "fine thank you doctor [NAME-2]",
        "mr. [NAME-1] your knee is better",
        "call me [NAME-1]",
    ]
    assert originals == {"[NAME-1]": ["andrew", "pellegrino", "andy"], "[NAME-2]": ["hill"]}
    assert without.placeholders == {"NAME": 2}


def test_relatives_of_one_surname_have_placeholders_of_their_own() -> None:
    without, _ = deidentify_transcript(conversation("andrew pellegrino is here with maura pellegrino"), KNOWN)
    assert texts(without) == ["[NAME-1] is here with [NAME-3]"]


@pytest.mark.parametrize(
    "known",
    [
        {"name": "Tsvetelina Brown"},
        {"name": {"text": "Tsvetelina Brown", "use": "usual"}},
        {"name": [{"given": "Tsvetelina", "family": "Brown"}]},
        {"contact": [{"name": {"given": ["Tsvetelina"], "family": "Brown"}}]},
    ],
)
def test_what_is_known_may_be_written_in_several_ways(known: dict[str, object]) -> None:
    said = conversation("okay brown , as usual", "and tsvetelina smiled with her brown teeth")
    without, _ = deidentify_transcript(said, known)
    assert texts(without) == ["okay [NAME-1] , as usual", "and [NAME-1] smiled with her brown teeth"]


def test_numbers_roles_and_times_are_kept_and_words_are_not() -> None:
    said = conversation("hi andrew", "hello")
    without, _ = deidentify_transcript(said, KNOWN)
    kept = [(u.number, u.role, u.speaker, u.start_s, u.end_s) for u in without.utterances]
    assert kept == [(u.number, u.role, u.speaker, u.start_s, u.end_s) for u in said.utterances]
    assert not hasattr(without.utterances[0], "words")


def test_labels_that_are_names_become_numbers_and_the_names_are_looked_for() -> None:
    said = conversation(
        "so how is the knee", "better , my brother tarlow drove me", speakers=("Dr Quill Varga", "Ed Tarlow")
    )
    without, _ = deidentify_transcript(said, {})
    assert [u.speaker for u in without.utterances] == ["S1", "S2"]
    assert "tarlow" not in texts(without)[1]


@pytest.mark.parametrize(
    ("said", "placeholder"),
    [
        ("the fracture was on march 3rd 2021", "[DATE-1]"),
        ("her date of birth is 07/01/1954", "[DATE-1]"),
        ("i was born march ninth nineteen sixty one", "[DATE-1]"),
        ("she is a 93 year old woman", "[AGE-1]"),
        ("call me at 617 555 0187", "[PHONE-1]"),
    ],
)
def test_what_is_too_exact_has_a_placeholder_that_leads_back(said: str, placeholder: str) -> None:
    without, originals = deidentify_transcript(conversation(said), KNOWN)
    assert placeholder in texts(without)[0]
    assert restore(texts(without)[0], originals).text == said


@pytest.mark.parametrize(
    "said",
    [
        "it started two weeks ago and got worse over three days",
        "i had it out in 2014",
        "she is a 58 year old woman with type two diabetes",
        "take 800 milligrams of ibuprofen three times a day",
        "does it hurt when i bend your knee , does that seem to hurt",
        "your white count is fine and there is no wilson's disease",
        "i i i do n't know",
        "i ran two miles down the road and fell three steps from the court",
        "the e k g and the m r i were normal , and the c o p d is stable",
        "the doctor told me that the nurse will call",
        "Um, I don't know. Yeah, I guess so. Yeah.",
        "i use my salbutamol inhaler , and i was on seroxat",
        "Metformin, OK. Do you have any allergies? Right, OK.",
    ],
)
def test_clinical_words_stay(said: str) -> None:
    without, originals = deidentify_transcript(conversation(said), {})
    assert texts(without) == [said]
    assert originals == {}


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("hi brian how are you", "brian"),
        ("i'm doctor jones", "jones"),
        ("martha is a 50-year-old female with a past medical history of depression", "martha"),
        ("today i'm seeing junior little . her date of birth is 5/21/1969", "little"),
        ("ms. brooks is here for her finger", "brooks"),
        ("mr . white is here", "white"),
        ("hey dr. good , i am fine", "good"),
        ("it's smith s m i t h", "smith"),
        ("it's smith s m i t h", "s m i t h"),
        ("my last name is spelled o k a f o r", "o k a f o r"),
        ("that's b as in boy r as in red a n t", "a n t"),
        ("my name is xiomaralyn", "xiomaralyn"),
        ("so quvondiq good to see you", "quvondiq"),
        ("she lives with her husband desmond", "desmond"),
        ("okay russell let's listen to your lungs", "russell"),
        ("good morning ms. reyes !", "reyes"),
        ("Hi, Siobhán. I'm Dr. Nguyễn.", "Siobhán"),
        ("Hi, Siobhán. I'm Dr. Nguyễn.", "Nguyễn"),
    ],
)
def test_names_go_however_they_are_said(said: str, name: str) -> None:
    without, originals = deidentify_transcript(conversation(said), {})
    assert name not in texts(without)[0]
    assert any(name in value for values in originals.values() for value in values)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("um , thirty , redbridge street , the second floor", "thirty , redbridge street"),
        ("i live at twenty eight great oak road", "twenty eight great oak road"),
        ("it's 1200 peachtree lane", "1200 peachtree lane"),
        ("my zip code is nine four one one two", "nine four one one two"),
        ("London street, SW nineteen one EZ.", "SW nineteen one EZ"),
    ],
)
def test_addresses_go_as_they_are_said(said: str, place: str) -> None:
    without, originals = deidentify_transcript(conversation(said), {})
    assert place not in texts(without)[0]
    assert restore(texts(without)[0], originals).text == said


def test_a_name_learnt_from_an_introduction_goes_where_nothing_shows_it() -> None:
    without, _ = deidentify_transcript(conversation("hi , vincent", "hi", "does it hurt here vincent or not"), {})
    assert "vincent" not in " ".join(texts(without))


def test_a_known_name_that_is_a_word_goes_where_somebody_is_meant() -> None:
    known = {"name": [{"given": ["Will"], "family": "White"}]}
    said = ("hey will how are you", "good", "will is a 59 year old with a high white count , and he will return")
    without, _ = deidentify_transcript(conversation(*said), known)
    assert texts(without)[0] == "hey [NAME-1] how are you"
    assert texts(without)[2] == "[NAME-1] is a 59 year old with a high white count , and he will return"


def test_an_identifier_does_not_cross_from_one_utterance_into_the_next() -> None:
    without, originals = deidentify_transcript(conversation("this is Andrew", "Pellegrino speaking"), KNOWN)
    assert texts(without) == ["this is [NAME-1]", "[NAME-1] speaking"]
    assert originals == {"[NAME-1]": ["Andrew", "Pellegrino"]}


def test_a_placeholder_that_the_transcript_brought_is_never_one_of_ours() -> None:
    without, originals = deidentify_transcript(conversation("[NAME-7] said hi andrew"), {})
    assert texts(without) == ["[NAME-7] said hi [NAME-8]"]
    assert list(originals) == ["[NAME-8]"]


def test_lines_within_an_utterance_are_kept() -> None:
    without, _ = deidentify_transcript(conversation("hi andrew\nand welcome", "thanks"), KNOWN)
    assert texts(without) == ["hi [NAME-1]\nand welcome", "thanks"]


def test_an_empty_transcript_and_silent_utterances_are_themselves() -> None:
    assert deidentify_transcript(Transcript(()), KNOWN) == (DeidentifiedTranscript(()), {})
    without, originals = deidentify_transcript(conversation("", "", "hi andrew"), KNOWN)
    assert texts(without) == ["", "", "hi [NAME-1]"]
    assert originals == {"[NAME-1]": ["andrew"]}


def test_another_language_is_refused() -> None:
    with pytest.raises(DeidentificationRefused) as refusal:
        deidentify_transcript(Transcript((), language="de-CH"), KNOWN)
    assert refusal.value.rule == "text-language"


class _Fails:
    def spans(self, document: Document) -> Iterable[Span]:
        raise ValueError(document.text)


def test_when_the_engine_fails_nothing_comes_and_nothing_is_quoted() -> None:
    with pytest.raises(DeidentificationRefused) as refusal:
        deidentify_transcript(conversation("hi andrew"), KNOWN, engine=Deidentifier(recognisers=(_Fails(),)))
    assert "andrew" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["letters", "names", "titles", "one word", "numbers"])
def test_a_flood_is_taken_in_linear_time(kind: str) -> None:
    rng = random.Random(7)
    letters = "bcdefghjklmnopqrstuvwxyz"
    made = {
        "letters": lambda: " ".join(rng.choices(letters, k=50_000)),
        "names": lambda: " ".join(f"dr {''.join(rng.choices(letters, k=8))}" for _ in range(10_000)),
        "titles": lambda: "mr " * 30_000,
        "one word": lambda: "a" * 100_000,
        "numbers": lambda: "twenty two " * 10_000,
    }[kind]()
    before = time.thread_time()
    without, _ = deidentify_transcript(conversation(made), KNOWN)
    assert time.thread_time() - before < 15
    assert len(without.utterances) == 1


def test_a_sentence_keeps_its_end_and_who_speaks() -> None:
    known = {"name": [{"family": "Quillfeather", "given": ["Ottoline"]}]}
    said = "My name is Ottoline Quillfeather, I live at 77 Canary Lane. I have had a cough."

    without, originals = deidentify_transcript(
        Transcript((Utterance(1, "S1", SpeakerRole.PATIENT, said),), "en"), known
    )

    assert without.utterances[0].text == "My name is [NAME-1], I live at [LOCATION-1]. I have had a cough."
    assert originals == {"[NAME-1]": ["Ottoline Quillfeather"], "[LOCATION-1]": ["77 Canary Lane"]}
