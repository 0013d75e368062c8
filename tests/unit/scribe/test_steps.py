"""The steps: claimed once, done again after a kill, failed in words that quote nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from osler.domain.encounter import EncounterState
from osler.domain.note import Draft, Template
from osler.domain.transcript import DeidentifiedTranscript
from osler.draft.port import Style
from osler.errors import InputRejected, OslerError, PeerUnavailable
from osler.scribe.papers import Paper, Papers
from osler.scribe.steps import LEASE_S
from osler.storage import Database
from scribe_lab import ANN, RIFF, SAID, Killed, Lab
from scribe_site import ScriptedWriter

SECRET = "Quillfeather 4711"


class BrokenWriter:
    """Fails as it was told to."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.asked = 0

    def write(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        """Fail."""
        self.asked += 1
        raise self.error


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path)


def until_settled(lab: Lab, step: Callable[[], bool], most: int = 10) -> int:
    """Do a step whenever it is due; return how often it was done."""
    done = 0
    for _ in range(most):
        done += step()
        lab.now += 60
    return done


def test_a_recording_becomes_a_note_under_review(lab: Lab) -> None:
    key = lab.recorded()
    assert lab.steps.transcribe()
    assert not lab.steps.transcribe()
    assert lab.steps.draft()
    assert not lab.steps.draft()
    held = lab.held(key)
    assert (held.state, held.revision, held.reason) == (EncounterState.DRAFTED, 1, "")
    with lab.database.read() as connection:
        seen = Papers(lab.blobs).text(connection, key, Paper.DEIDENTIFIED)
    assert "cough" in seen
    assert "Ada" not in seen
    assert lab.note(key)["sections"]


def test_a_killed_step_is_done_by_another_when_its_claim_has_expired(lab: Lab) -> None:
    key = lab.recorded()
    lab.ear.meanwhile = fails(Killed())
    with pytest.raises(Killed):
        lab.steps.transcribe()
    other = lab.steps_of("two")
    lab.ear.meanwhile = lambda: None
    assert not other.transcribe()
    lab.now += LEASE_S + 1
    assert other.transcribe()
    assert lab.held(key).state is EncounterState.TRANSCRIBED
    assert lab.events().count("encounter-transcribed") == 1


def test_who_lost_the_claim_files_nothing(lab: Lab) -> None:
    key = lab.recorded()

    def overtaken() -> None:
        lab.ear.meanwhile = lambda: None
        lab.now += LEASE_S + 1
        assert lab.steps_of("two").transcribe()

    lab.ear.meanwhile = overtaken
    assert lab.steps.transcribe()
    assert lab.held(key).state is EncounterState.TRANSCRIBED
    assert lab.events().count("encounter-transcribed") == 1
    assert len(lab.kept()) == 3  # two parts, one transcript


@pytest.mark.parametrize("again", [False, True])
def test_consent_taken_back_while_it_is_heard_leaves_neither_audio_nor_transcript(lab: Lab, again: bool) -> None:
    key = lab.recorded()

    def taken_back() -> None:
        lab.capture.consent(ANN, key, None)
        if again:
            lab.capture.consent(ANN, key, lab.consent())
            lab.capture.add(ANN, key, [(0, 0, RIFF)])
            lab.capture.finish(ANN, key)

    lab.ear.meanwhile = taken_back
    assert lab.steps.transcribe()
    assert lab.held(key).state is (EncounterState.RECORDED if again else EncounterState.OPEN)
    assert len(lab.kept()) == int(again)
    assert "encounter-transcribed" not in lab.events()
    assert "encounter-failed" not in lab.events()


def test_a_hub_that_dies_of_a_recording_gives_it_up(lab: Lab) -> None:
    key = lab.recorded()
    lab.ear.meanwhile = fails(Killed())
    for _ in range(4):
        with pytest.raises(Killed):
            lab.steps.transcribe()
        lab.now += LEASE_S + 1
    assert lab.steps.transcribe()
    held = lab.held(key)
    assert held.state is EncounterState.FAILED
    assert "ended each time" in held.reason
    assert held.audio_bytes


@pytest.mark.parametrize(
    ("error", "times", "words"),
    [
        (ValueError(SECRET), 4, "ValueError"),
        (RecursionError(SECRET), 4, "RecursionError"),
        (InputRejected("nobody is heard"), 1, "nobody is heard"),
        (PeerUnavailable("away"), 4, "away"),
    ],
)
def test_what_cannot_be_transcribed_waits_for_a_person_and_loses_nothing(
    lab: Lab, error: Exception, times: int, words: str
) -> None:
    key = lab.recorded()
    lab.ear.meanwhile = fails(error)
    assert until_settled(lab, lab.steps.transcribe) == times
    held = lab.held(key)
    assert held.state is EncounterState.FAILED
    assert words in held.reason
    assert SECRET not in held.reason
    assert len(lab.kept()) == 2
    assert lab.events().count("encounter-failed") == 1
    lab.ear.meanwhile = lambda: None
    assert lab.capture.retry(ANN, key).state is EncounterState.RECORDED
    assert lab.steps.transcribe()
    assert lab.held(key).state is EncounterState.TRANSCRIBED


def test_a_failed_recording_whose_consent_is_taken_back_can_be_recorded_anew(lab: Lab) -> None:
    key = lab.recorded()
    lab.ear.meanwhile = fails(InputRejected("nobody is heard"))
    assert lab.steps.transcribe()
    lab.capture.consent(ANN, key, None)
    assert lab.kept() == set()
    assert lab.capture.retry(ANN, key).state is EncounterState.OPEN


@pytest.mark.parametrize("error", [PeerUnavailable("away"), InputRejected("no"), KeyError(SECRET)])
def test_when_a_language_model_fails_the_extractive_writer_writes_and_says_so(
    database: Database, tmp_path: Path, error: Exception
) -> None:
    broken = BrokenWriter(error)
    lab = Lab(database, tmp_path, writers=[broken, ScriptedWriter(SAID)])
    key = lab.open()
    lab.capture.transcript(ANN, key, lab.ear.transcript)
    assert until_settled(lab, lab.steps.draft) == 4
    assert broken.asked == 3
    assert lab.held(key).state is EncounterState.DRAFTED
    assert any("language model did not answer" in words for words in lab.note(key)["warnings"])


def test_a_writer_that_fails_fails_the_encounter_and_a_retry_drafts_from_the_transcript(lab: Lab) -> None:
    lab.means = type(lab.means)(lab.ear, [BrokenWriter(ValueError(SECRET))], lab.means.templates, 1.0)
    key = lab.open()
    lab.capture.transcript(ANN, key, lab.ear.transcript)
    assert until_settled(lab, lab.steps_of("two").draft) == 4
    held = lab.held(key)
    assert held.state is EncounterState.FAILED
    assert SECRET not in held.reason
    assert lab.capture.retry(ANN, key).state is EncounterState.TRANSCRIBED
    assert lab.steps.draft()
    assert lab.held(key).state is EncounterState.DRAFTED


def test_a_template_that_is_no_more_fails_in_words(lab: Lab) -> None:
    key = lab.open(template="sonnet")
    lab.capture.transcript(ANN, key, lab.ear.transcript)
    assert lab.steps.draft()
    assert "no template of that name" in lab.held(key).reason


def test_errors_of_steps_quote_nobody(lab: Lab) -> None:
    key = lab.recorded()
    lab.ear.meanwhile = fails(TypeError(SECRET))
    until_settled(lab, lab.steps.transcribe)
    with lab.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM scribe_encounter").all()
    assert SECRET not in repr(rows)
    assert SECRET not in repr(lab.audit.search(limit=100))
    with pytest.raises(OslerError) as refused:
        lab.reviewing.read(ANN, key, Paper.NOTE)
    assert SECRET not in str(refused.value)
