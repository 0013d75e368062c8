"""Capture: consent first, parts that may come again, nothing left of what was refused or taken back."""

from pathlib import Path

import pytest

from osler.domain.encounter import EncounterState
from osler.domain.transcript import Transcript
from osler.errors import AccessDenied, Conflict, InputRejected, Malformed, NotFound, TooLarge
from osler.scribe.capture import Limits
from osler.scribe.desk import SOON_S, ScribeDesk
from osler.scribe.own import OwnBlobs
from osler.scribe.retention import delete_at
from osler.storage import Database
from scribe_lab import ANN, RIFF, Killed, Lab


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path, limits=Limits(audio_bytes=100, part_bytes=50))


def test_without_consent_no_audio_and_nothing_is_kept(lab: Lab) -> None:
    key, before = lab.open(consent=False), lab.kept()
    with pytest.raises(AccessDenied, match="consent"):
        lab.capture.add(ANN, key, [(0, 0, RIFF)])
    with pytest.raises(AccessDenied):
        lab.capture.stage(key, None, 0, RIFF)
    assert lab.kept() == before


def test_a_part_that_comes_again_changes_nothing_and_another_under_its_number_is_refused(lab: Lab) -> None:
    key = lab.open()
    lab.capture.add(ANN, key, [(0, 0, RIFF)])
    kept = lab.kept()
    assert lab.capture.add(ANN, key, [(0, 0, RIFF)]).audio_bytes == len(RIFF)
    with pytest.raises(Conflict, match="another content"):
        lab.capture.add(ANN, key, [(0, 0, RIFF + b"x")])
    assert lab.kept() == kept
    assert lab.events().count("audio-received") == 1


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([(0, 0, b"")], Malformed),
        ([(0, 0, b"x" * 51)], TooLarge),
        ([(0, n, b"x" * 40) for n in range(3)], TooLarge),
    ],
)
def test_what_is_refused_leaves_no_blob(lab: Lab, pieces: list[tuple[int, int, bytes]], error: type[Exception]) -> None:
    key, before = lab.open(), lab.kept()
    with pytest.raises(error):
        lab.capture.add(ANN, key, pieces)
    assert lab.kept() == before
    assert lab.capture.parts(key) == []


def test_whole_files_become_takes_of_their_own(lab: Lab) -> None:
    key = lab.open()
    for _ in range(2):
        upload = lab.capture.stage(key, None, 0, RIFF)
        assert lab.capture.stage(key, upload, 1, b"end") == upload
        lab.capture.add_take(ANN, key, upload)
    assert [(p.take, p.number) for p in lab.capture.parts(key)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(lab.kept()) == 4


def test_a_file_that_broke_off_is_no_take_and_goes_with_the_rest(lab: Lab) -> None:
    key = lab.open()
    lab.capture.stage(key, None, 0, RIFF)  # the hub is killed here
    abandoned = lab.capture.stage(key, None, 0, RIFF)
    lab.capture.abandon(key, abandoned)
    assert len(lab.kept()) == 1
    assert (lab.capture.parts(key), lab.held(key).audio_bytes) == ([], 0)
    with pytest.raises(InputRejected):
        lab.capture.finish(ANN, key)
    lab.capture.add_take(ANN, key, lab.capture.stage(key, None, 0, RIFF))
    lab.capture.finish(ANN, key)
    assert lab.steps.transcribe()
    assert lab.ear.heard == [RIFF]
    lab.now += 3601
    assert lab.delete_due_audio()
    assert len(lab.kept()) == 1  # the transcript


def test_a_file_on_its_way_is_gone_with_the_consent_and_one_that_is_too_large_at_its_end(lab: Lab) -> None:
    key = lab.open()
    upload = lab.capture.stage(key, None, 0, RIFF)
    lab.capture.consent(ANN, key, None)
    assert lab.kept() == set()
    with pytest.raises(AccessDenied):
        lab.capture.stage(key, upload, 1, b"more")
    lab.capture.consent(ANN, key, lab.consent())
    with pytest.raises(TooLarge):
        lab.capture.add_take(ANN, key, lab.capture.stage(key, None, 0, b"x" * 101))
    assert lab.kept() == set()


def test_the_same_audio_of_two_encounters_is_deleted_of_one_alone(lab: Lab) -> None:
    first, second = lab.recorded(), lab.recorded()
    lab.capture.consent(ANN, first, None)
    assert lab.capture.parts(first) == []
    assert lab.steps.transcribe()
    assert lab.held(second).state is EncounterState.TRANSCRIBED
    assert lab.ear.heard == [RIFF + b"more"]


def test_consent_taken_back_deletes_the_audio_and_it_may_be_given_again(lab: Lab) -> None:
    key = lab.recorded()
    held = lab.capture.consent(ANN, key, None)
    assert (held.state, held.audio_bytes, held.consent) == (EncounterState.OPEN, 0, None)
    assert held.audio_deleted_at == lab.now
    assert lab.kept() == set()
    assert lab.events()[-2:] == ["consent-withdrawn", "audio-deleted"]
    lab.capture.consent(ANN, key, lab.consent())
    again = lab.capture.add(ANN, key, [(0, 0, RIFF)])
    assert (again.audio_bytes, again.audio_deleted_at) == (len(RIFF), None)
    assert not lab.delete_due_audio()


def test_a_hub_that_dies_after_consent_was_taken_back_deletes_the_audio_when_it_is_back(lab: Lab) -> None:
    lab.recorded()
    key = lab.recorded()
    lab.blobs.mortal = True
    with pytest.raises(Killed):
        lab.capture.consent(ANN, key, None)
    assert lab.delete_due_audio()
    assert lab.capture.parts(key) == []
    assert len(lab.kept()) == 2  # of the other
    assert lab.events()[-2:] == ["consent-withdrawn", "audio-deleted"]


def test_consent_given_again_after_that_does_not_bring_the_old_audio_back(lab: Lab) -> None:
    key = lab.recorded()
    lab.blobs.mortal = True
    with pytest.raises(Killed):
        lab.capture.consent(ANN, key, None)
    held = lab.capture.consent(ANN, key, lab.consent())
    assert (held.audio_bytes, lab.kept()) == (0, set())


def test_a_paused_encounter_takes_no_audio(lab: Lab) -> None:
    key = lab.open()
    assert lab.capture.pause(ANN, key, paused=True).paused
    with pytest.raises(Conflict, match="paused"):
        lab.capture.add(ANN, key, [(0, 0, RIFF)])
    lab.capture.pause(ANN, key, paused=False)
    assert lab.capture.add(ANN, key, [(0, 0, RIFF)]).audio_bytes
    lab.capture.pause(ANN, key, paused=True)
    assert not lab.capture.finish(ANN, key).paused
    with pytest.raises(Conflict, match="recorded"):
        lab.capture.pause(ANN, key, paused=True)


def test_to_finish_twice_is_to_finish_once(lab: Lab) -> None:
    key = lab.recorded()
    assert lab.capture.finish(ANN, key).state is EncounterState.RECORDED
    assert lab.events().count("recording-finished") == 1
    assert lab.steps.transcribe()
    assert lab.capture.finish(ANN, key).state is EncounterState.TRANSCRIBED


@pytest.mark.parametrize(
    ("parts", "expected", "missing"),
    [
        ([(0, 1)], {}, "part 0 of take 0"),
        ([(0, 0)], {0: 2}, "part 1 of take 0"),
        ([(0, 0), (1, 0), (1, 2)], {0: 1}, "part 1 of take 1"),
        ([(0, 0)], {0: 1, 1: 1}, "part 0 of take 1"),
    ],
)
def test_missing_parts_are_named(
    lab: Lab, parts: list[tuple[int, int]], expected: dict[int, int], missing: str
) -> None:
    key = lab.open()
    lab.capture.add(ANN, key, [(*place, b"x") for place in parts])
    with pytest.raises(Conflict, match=missing):
        lab.capture.finish(ANN, key, expected)
    assert lab.held(key).state is EncounterState.OPEN


def test_nothing_is_no_recording(lab: Lab) -> None:
    with pytest.raises(InputRejected, match="no audio"):
        lab.capture.finish(ANN, lab.open())


def test_a_transcript_needs_no_consent_and_does_not_come_beside_audio(lab: Lab) -> None:
    heard = lab.ear.transcript
    assert lab.capture.transcript(ANN, lab.open(consent=False), heard).state is EncounterState.TRANSCRIBED
    key = lab.open()
    lab.capture.add(ANN, key, [(0, 0, RIFF)])
    kept = lab.kept()
    with pytest.raises(Conflict, match="audio"):
        lab.capture.transcript(ANN, key, heard)
    assert lab.kept() == kept


def test_an_encounter_of_another_patient_is_refused(lab: Lab) -> None:
    for key, patient in (("V1", "P1"), ("V2", "P2")):
        lab.put({
            "resourceType": "Encounter", "id": key, "status": "in-progress", "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"},
        })  # fmt: skip
    assert lab.held(lab.open(encounter="V1")).subject.encounter == "V1"
    with pytest.raises(Malformed, match="another patient"):
        lab.open(encounter="V2")


def test_what_has_not_failed_is_not_tried_again(lab: Lab) -> None:
    with pytest.raises(Conflict, match="has not failed"):
        lab.capture.retry(ANN, lab.open())
    with pytest.raises(NotFound):
        lab.capture.retry(ANN, "nobody")


def test_audio_is_deleted_when_its_time_is_over_and_not_before(lab: Lab) -> None:
    key = lab.recorded()
    assert lab.steps.transcribe()
    assert not lab.delete_due_audio()
    lab.now += 3601
    assert lab.delete_due_audio()
    assert not lab.delete_due_audio()
    held = lab.held(key)
    assert (held.audio_bytes, held.audio_deleted_at) == (0, lab.now)
    assert len(lab.kept()) == 1  # the transcript
    assert lab.events().count("audio-deleted") == 1


def test_blobs_of_the_same_content_are_not_the_same(lab: Lab) -> None:
    own = OwnBlobs(lab.blobs)
    one, other = own.put(b"words"), own.put(b"words")
    own.delete(one)
    assert own.get(other) == b"words"
    with pytest.raises(NotFound):
        own.get(one)


def test_an_empty_transcript_is_no_reason_to_fail_badly(lab: Lab) -> None:
    key = lab.open()
    lab.capture.transcript(ANN, key, Transcript(()))
    assert lab.steps.draft()
    assert lab.held(key).state in (EncounterState.DRAFTED, EncounterState.FAILED)


def test_audio_that_nobody_finished_is_deleted_and_whatever_is_done_begins_its_time_anew(lab: Lab) -> None:
    keep_s = lab.capture.limits.keep_unfinished_s
    key = lab.open()
    lab.capture.add(ANN, key, [(0, 0, RIFF)])
    upload = lab.capture.stage(key, None, 0, RIFF)  # broke off
    lab.now += keep_s - 1
    lab.capture.stage(key, upload, 1, b"more")  # somebody goes on
    lab.now += keep_s - 1
    assert not lab.delete_due_audio()
    assert delete_at(lab.held(key), keep_s) == lab.now + 1
    lab.capture.pause(ANN, key, paused=True)
    lab.now += keep_s - 1
    assert not lab.delete_due_audio()
    lab.now += 1
    assert lab.delete_due_audio()
    assert not lab.delete_due_audio()
    held = lab.held(key)
    assert (held.state, held.audio_bytes, held.audio_deleted_at) == (EncounterState.OPEN, 0, lab.now)
    assert delete_at(held, keep_s) is None
    assert lab.kept() == set()
    assert lab.events().count("audio-deleted") == 1
    lab.capture.pause(ANN, key, paused=False)
    assert lab.capture.add(ANN, key, [(0, 0, RIFF)]).audio_bytes == len(RIFF)  # recorded anew


def test_audio_that_waits_for_the_hub_is_not_deleted_and_of_what_failed_after_its_time(lab: Lab) -> None:
    keep_s = lab.capture.limits.keep_unfinished_s
    key = lab.recorded()
    lab.now += 10 * keep_s
    assert not lab.delete_due_audio()
    assert delete_at(lab.held(key), keep_s) is None
    lab.ear.meanwhile = lambda: (_ for _ in ()).throw(InputRejected("there is no speech in the recording"))
    assert lab.steps.transcribe()
    assert lab.held(key).state is EncounterState.FAILED
    assert not lab.delete_due_audio()
    lab.now += keep_s
    assert lab.delete_due_audio()
    assert lab.held(key).audio_deleted_at == lab.now
    assert lab.capture.retry(ANN, key).state is EncounterState.OPEN  # it may be recorded anew


def test_pieces_of_a_file_that_broke_off_before_a_transcript_came_do_not_stay(lab: Lab) -> None:
    key = lab.open()
    lab.capture.stage(key, None, 0, RIFF)
    lab.capture.transcript(ANN, key, lab.ear.transcript)
    assert lab.steps.draft()
    before = len(lab.kept())
    lab.now += lab.capture.limits.keep_unfinished_s
    assert lab.delete_due_audio()
    assert len(lab.kept()) == before - 1
    assert lab.held(key).state is EncounterState.DRAFTED


def test_who_comes_while_it_is_deleted_waits_and_a_hub_that_dies_then_goes_on(lab: Lab) -> None:
    key = lab.open()
    lab.capture.add(ANN, key, [(0, 0, RIFF), (0, 1, b"more")])
    lab.now += lab.capture.limits.keep_unfinished_s
    lab.blobs.mortal = True
    with pytest.raises(Killed):
        lab.delete_due_audio()
    for late in (
        lambda: lab.capture.finish(ANN, key),
        lambda: lab.capture.add(ANN, key, [(0, 2, b"late")]),
        lambda: lab.capture.stage(key, None, 0, b"late"),
    ):
        with pytest.raises(Conflict, match="being deleted"):
            late()
    assert lab.delete_due_audio()
    assert lab.kept() == set()
    assert lab.events().count("audio-deleted") == 1


def test_people_are_warned_before_it_happens(lab: Lab) -> None:
    desk = ScribeDesk(lab.stores, lab.capture, lab.reviewing, lab.signing, {}, "soap")
    lab.open()  # without audio
    key = lab.open()
    lab.capture.add(ANN, key, [(0, 0, RIFF)])
    lab.now += lab.capture.limits.keep_unfinished_s - SOON_S - 1
    assert desk.ending() == []
    lab.now += 1
    assert [one.id for one in desk.ending()] == [key]
    lab.capture.consent(ANN, key, lab.consent())
    assert desk.ending() == []
