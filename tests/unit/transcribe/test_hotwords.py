"""Misheard names of drugs are written right, and nothing else is touched."""

import pytest

from osler.clinical.lexicon import drug_names
from osler.domain.transcript import SpeakerRole, Utterance, Word
from osler.transcribe.hotwords import Corrector, Hints, common_words
from osler.transcribe.phonetics import distance, sound

LEXICON = frozenset(drug_names())
CORRECTOR = Corrector(Hints(lexicon=LEXICON))


def written(text: str, corrector: Corrector = CORRECTOR) -> str:
    utterances, _ = corrector.correct([Utterance(1, "S1", SpeakerRole.CLINICIAN, text)])
    return utterances[0].text


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("I take lisinapril every day.", "I take lisinopril every day."),
        ("Metphormin, twice a day.", "Metformin, twice a day."),
        ("my atorvastaten's side effects", "my atorvastatin's side effects"),
        ("the ator vastatin works", "the atorvastatin works"),
        ("hydrochloro thiazide", "hydrochlorothiazide"),
        ("(amlodopine)", "(amlodipine)"),
        ("apixiban and warferin", "apixaban and warfarin"),
        ("furosamide", "furosemide"),
        ("sertralene", "sertraline"),
    ],
)
def test_corrected(heard: str, meant: str) -> None:
    assert written(heard) == meant


@pytest.mark.parametrize(
    "said",
    [
        # Names that look or sound alike, all of them drugs: none is ever written as another.
        *("hydroxyzine hydralazine", "prednisone prednisolone", "clonidine clonazepam", "lamotrigine lamivudine"),
        *("Celebrex Celexa", "bupropion buspirone", "metformin metronidazole", "tramadol trazodone"),
        *("sulfadiazine sulfasalazine", "vinblastine vincristine", "cetirizine sertraline", "Zantac Zyrtec Xanax"),
        # Between two of them: it could be either.
        *("hydroxazine", "vincrastine", "prednisole"),
        # Words that are near to a drug's name and are words.
        *("dilation of the remodeling", "arthritic and carbonated", "a statue is forming", "the patient is in"),
        *("anti-inflammatory", "an allergy to androgens", "a cardiac problem", "he is inspired", "in cruise control"),
        # Nothing of the kind.
        *("Mr. Kowalczyk lives in Gdansk", "20 mg b.i.d.", "", "the x2000 device", "MRI-compatible"),
    ],
)
def test_never_changed(said: str) -> None:
    assert written(said) == said


def test_a_word_of_the_chart_is_corrected_to_where_the_lexicon_would_not_dare() -> None:
    chart = Corrector(Hints(medications=("Rosuvastatin 10 MG Oral Tablet",), problems=("Sarcoidosis of lung",)))

    utterances, corrections = chart.correct(
        [Utterance(7, "S2", SpeakerRole.PATIENT, "the rosuvastitan for my sarcodosis")]
    )

    assert utterances[0].text == "the rosuvastatin for my sarcoidosis"
    assert [(c.utterance, c.heard, c.written, c.source) for c in corrections] == [
        (7, "rosuvastitan", "rosuvastatin", "medications"),
        (7, "sarcodosis", "sarcoidosis", "problems"),
    ]


def test_the_chart_does_not_override_a_drug_that_was_heard() -> None:
    chart = Corrector(Hints(medications=("hydroxyzine",), lexicon=LEXICON))

    assert written("hydralazine", chart) == "hydralazine"
    assert written("hydroxazine", chart) == "hydroxazine"


def test_words_keep_their_times_when_two_become_one() -> None:
    words = (Word("my", 0, 0.2, 0.9), Word("ator", 0.2, 0.5, 0.4), Word("vastatin.", 0.5, 1.0, 0.8))

    utterances, _ = CORRECTOR.correct([Utterance(1, "S1", SpeakerRole.PATIENT, "my ator vastatin.", 0, 1, words)])

    assert utterances[0].words == (words[0], Word("atorvastatin.", 0.2, 1.0, 0.4))


def test_the_prompt_has_names_and_no_doses_or_common_words() -> None:
    hints = Hints(("Lisinopril 20 MG Oral Tablet", "metFORMIN 500 mg"), ("Essential hypertension",), LEXICON)

    assert hints.prompt() == "lisinopril, metformin"
    assert hints.prompt_words() == {"lisinopril", "metformin"}


def test_drugs_are_no_common_words() -> None:
    assert not {"lisinopril", "metformin", "aspirin", "atorvastatin", "warfarin"} - LEXICON
    assert not {"lisinopril", "metformin", "atorvastatin", "warfarin"} & common_words()
    assert {"hypertension", "forming", "statue", "patient"} <= common_words()


@pytest.mark.parametrize(
    ("first", "second"),
    [("xyrtec", "zyrtec"), ("phenytoin", "fenitoin"), ("celebrecs", "celebrex"), ("metphormin", "metformin")],
)
def test_words_that_sound_alike(first: str, second: str) -> None:
    assert distance(sound(first), sound(second), 3) <= 1


@pytest.mark.parametrize(
    ("first", "second", "most", "expected"),
    [("abc", "abc", 2, 0), ("abc", "acb", 2, 1), ("kitten", "sitting", 5, 3), ("abc", "xyz", 1, 2), ("", "ab", 1, 2)],
)
def test_distance(first: str, second: str, most: int, expected: int) -> None:
    assert distance(first, second, most) == expected
