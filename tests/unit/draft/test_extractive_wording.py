"""From what was said to what is written: each row is a sentence as it is spoken and as a note has it."""

import pytest

from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.draft.extractive.english import cased
from osler.draft.extractive.person import FEMALE, MALE, UNKNOWN, Pronouns, clinicians_words, patients_words
from osler.draft.extractive.spoken import figures, trimmed, written
from osler.draft.extractive.statements import Candidate, candidates
from osler.draft.extractive.units import units


def encounter(text: str) -> DeidentifiedTranscript:
    roles = {"D": SpeakerRole.CLINICIAN, "P": SpeakerRole.PATIENT, "O": SpeakerRole.OTHER}
    lines = [line.strip().split(": ", 1) for line in text.strip().splitlines()]
    return DeidentifiedTranscript(
        tuple(DeidentifiedUtterance(n, who, roles[who], said) for n, (who, said) in enumerate(lines, start=1))
    )


def made(text: str, pronouns: Pronouns = UNKNOWN) -> list[Candidate]:
    return candidates(units(encounter(text)), pronouns)


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("i do n't know", "i don't know"),
        ("i 'm gon na , um , listen", "i'm going to listen"),
        ("it , it , it hurts , uh , a lot", "it hurts a lot"),
        ("i , i've had it", "i've had it"),
        ("the pa- pain is sh- sharp", "the pain is sharp"),
        ("you know , it burns", "it burns"),
        ("lem me see", "let me see"),
        ("i saw [NAME-1] on , um , [DATE-2] .", "i saw [NAME-1] on [DATE-2]."),
    ],
)
def test_hesitation_and_split_words_go(said: str, note: str) -> None:
    assert written(said) == note


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("okay , so , my knee hurts , okay ?", "my knee hurts"),
        ("no , i feel fine", "i feel fine"),
        ("no focal deficit", "no focal deficit"),
        ("no fever", "no fever"),
        ("it's been okay .", "it's been okay"),
    ],
)
def test_words_that_only_open_and_close_a_turn_go_and_a_negation_stays(said: str, note: str) -> None:
    assert trimmed(written(said)).rstrip("?.") == note


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("two weeks", "2 weeks"),
        ("twenty five milligrams", "25 mg"),
        ("one twenty two over seventy", "122/70"),
        ("one eighteen over seventy two", "118/72"),
        ("a hundred and forty over ninety", "140/90"),
        ("three out of six murmur", "3/6 murmur"),
        ("one plus edema", "1+ edema"),
        ("eight hundred milligrams", "800 mg"),
        ("ninety eight point six", "98.6"),
        ("forty five %", "45%"),
        ("a fifty eight year old male", "a 58-year-old male"),
        ("she is fifty eight years old", "she is 58 years old"),
        ("one of them", "one of them"),
        ("one week", "1 week"),
        ("a six or seven", "a 6 or 7"),
        ("[AGE-1] years", "[AGE-1] years"),
    ],
)
def test_numbers_and_units_as_figures(said: str, note: str) -> None:
    assert figures(said) == note


@pytest.mark.parametrize(
    ("said", "pronouns", "note"),
    [
        ("i've had a cough for two weeks", UNKNOWN, "the patient has had a cough for two weeks"),
        ("i feel tired and i don't sleep", UNKNOWN, "the patient feels tired and they do not sleep"),
        ("i feel tired and i don't sleep", FEMALE, "the patient feels tired and she does not sleep"),
        ("i was on a ladder when i twisted my knee", MALE, "the patient was on a ladder when he twisted his knee"),
        ("my wife told me to come", MALE, "the patient's wife told him to come"),
        ("it's heard and it's been better", UNKNOWN, "it is heard and it has been better"),
        ("i don't smoke", UNKNOWN, "the patient does not smoke"),
        ("i'm not sure if i should go", FEMALE, "the patient is not sure if she should go"),
        ("i usually take ibuprofen and go to bed", UNKNOWN, "the patient usually takes ibuprofen and goes to bed"),
        ("i'd been dizzy", UNKNOWN, "the patient had been dizzy"),
        ("i'd like to wait", UNKNOWN, "the patient would like to wait"),
        ("my wife and i walk", UNKNOWN, "the patient's wife and they walk"),
        ("[NAME-1] told me", UNKNOWN, "[NAME-1] told the patient"),
    ],
)
def test_the_patients_words_are_told_of_the_patient(said: str, pronouns: Pronouns, note: str) -> None:
    assert patients_words(said, pronouns) == note


@pytest.mark.parametrize("said", ["can you help me", "i ain't well", "i my knee", "you should see it"])
def test_what_cannot_be_told_safely_is_left(said: str) -> None:
    assert patients_words(said) is None


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("you have a little fluid in your legs", "the patient has a little fluid in the legs"),
        ("i want to start you on lasix", "I want to start the patient on Lasix"),
        ("you're doing well and i'm happy for you", "the patient is doing well and I am happy for them"),
        ("we will prescribe you some motrin", "we will prescribe the patient some Motrin"),
        ("your wife should drive", "the patient's wife should drive"),
        ("if you have pain , call us", "if the patient has pain , call us"),
    ],
)
def test_the_clinicians_you_is_the_patient_and_i_stays(said: str, note: str) -> None:
    told = clinicians_words(said, your="the")
    assert told is not None
    assert cased(told) == cased(note)


@pytest.mark.parametrize(
    ("asked", "answer", "note"),
    [
        ("any fever or chills ?", "no .", "Denies fever or chills."),
        ("have you had any nausea , vomiting ?", "no , nothing like that .", "Denies nausea, vomiting."),
        ("do you feel short of breath ?", "no .", "Denies feeling short of breath."),
        ("are you taking your medication ?", "yes .", "The patient is taking their medication."),
        ("do you smoke ?", "no .", "The patient does not smoke."),
        ("do you take it every day ?", "yeah .", "The patient takes it every day."),
        ("did you hit your head ?", "yes , i did .", "The patient hit their head."),
        ("does it hurt at night ?", "no .", "It does not hurt at night."),
        ("any chest pain ?", "not really .", "Denies chest pain (“not really”)."),
        ("have you had any chest pain ?", "yes .", "The patient has had chest pain."),
        ("how long has that been going on ?", "about five weeks .", "Duration: about 5 weeks."),
        ("where does it hurt ?", "the left knee .", "Location: the left knee."),
        ("have you had any fever", "no", "Denies fever."),
        ("no fever , no chills ?", "no .", "Denies fever, chills."),
    ],
)
def test_a_question_and_its_answer_are_one_statement_that_cites_both(asked: str, answer: str, note: str) -> None:
    (found,) = made(f"D: {asked}\nP: {answer}")
    assert found.text == note
    assert [part.utterance for part in found.evidence] == [1, 2]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("any chest pain ?", "no , yes , i do ."),
        ("any chest pain ?", "yeah no ."),
        ("no chest pain ?", "yes ."),
        ("is it sharp or dull ?", "yes ."),
        ("any chest pain ?", "what do you mean ?"),
        ("how is your chest pain ?", "no ."),
    ],
)
def test_an_answer_that_may_mean_either_is_no_statement_of_its_question(asked: str, answer: str) -> None:
    assert not [found for found in made(f"D: {asked}\nP: {answer}") if found.kind == "answer"]


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("i'm going to go ahead and order an mri .", "We will order an MRI."),
        ("i want you to weigh yourself every day .", "The patient was advised to weigh themselves every day."),
        (
            "let's increase your lisinopril to 40 milligrams a day , okay ?",
            "We will increase the lisinopril to 40 mg a day.",
        ),
        ("hey , dragon , order an echocardiogram .", "We will order an echocardiogram."),
        ("on your heart exam , i do appreciate a two out of six murmur .", "Heart exam: a 2/6 murmur."),
        ("on your lung exam , i do not appreciate any crackles .", "Lung exam: I do not appreciate any crackles."),
        ("looking at your chest x-ray , it looks normal .", "Chest x-ray: it looks normal."),
        (
            "for your first problem , your gout , i think it may be getting worse .",
            "Gout: I think it may be getting worse.",
        ),
        ("i would probably recommend we wait .", "I would probably recommend we wait."),
    ],
)
def test_findings_and_plans_as_a_note_has_them_with_their_hedges(said: str, note: str) -> None:
    (found,) = made(f"D: {said}")
    assert found.full_text == note


def test_commands_to_the_device_are_no_statements() -> None:
    assert made("D: hey , dragon , show me the vital signs .\nD: hey dragon , finalize the note .") == []


def test_a_sentence_cut_by_a_word_of_another_is_one_with_two_quotes() -> None:
    found = made("D: your neck has some swelling on-\nP: mm-hmm .\nD: the left side .")
    (whole,) = [candidate for candidate in found if "swelling" in candidate.text]
    assert whole.text == "The neck has some swelling on the left side."
    assert [(part.utterance, part.quote) for part in whole.evidence] == [
        (1, "your neck has some swelling on-"),
        (3, "the left side ."),
    ]


def test_words_of_a_patient_under_the_clinicians_name_are_quoted() -> None:
    (found,) = made("D: my back hurts since my wife left .")
    assert (found.kind, found.text) == ("quote", "“My back hurts since my wife left.”")
