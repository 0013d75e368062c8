"""Review and signature: each change once, against the revision that was seen; what the gate refused is never signed."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osler.domain.encounter import EncounterState
from osler.domain.transcript import SpeakerRole
from osler.draft.port import Style
from osler.errors import Conflict, Malformed, NotFound, PreconditionFailed, TooLarge, Unprocessable
from osler.scribe.note import (
    LONGEST_NOTE,
    LONGEST_STATEMENT,
    as_text,
    find,
    require_room,
    review_of,
    statements,
)
from osler.scribe.papers import Paper, Papers
from osler.storage import Database
from scribe_lab import ANN, LINES, REFUSED, SAID, Lab
from scribe_site import ScriptedWriter, conversation

Change = Callable[[Lab, str, int], Any]

CHANGES: dict[str, Change] = {
    "edit": lambda lab, key, revision: lab.reviewing.edit(ANN, key, revision, "s1", "Cough for three days."),
    "remove": lambda lab, key, revision: lab.reviewing.remove(ANN, key, revision, "s1"),
    "restore": lambda lab, key, revision: lab.reviewing.restore(ANN, key, revision, "s1"),
    "add": lambda lab, key, revision: lab.reviewing.add(ANN, key, revision, "plan", "Rest.", utterances=[5]),
    "regenerate": lambda lab, key, revision: lab.reviewing.regenerate(ANN, key, revision, "plan", Style("brief")),
    "roles": lambda lab, key, revision: lab.reviewing.roles(ANN, key, revision, {"S1": SpeakerRole.PATIENT}),
    "sign": lambda lab, key, revision: lab.signing.sign(ANN, key, revision, practitioner=None),
}


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_made_to_the_revision_that_was_seen(lab: Lab, name: str) -> None:
    key = lab.drafted()
    before = lab.events()
    with pytest.raises(PreconditionFailed):
        CHANGES[name](lab, key, 7)
    assert lab.events() == before
    CHANGES[name](lab, key, 1)
    assert lab.held(key).revision == (1 if name in ("roles", "sign") else 2)


@pytest.mark.parametrize("name", CHANGES)
def test_where_there_is_no_draft_there_is_nothing_to_change(lab: Lab, name: str) -> None:
    key = lab.open()
    with pytest.raises(Conflict) as refused:
        CHANGES[name](lab, key, 0)
    assert "open" in str(refused.value)


def test_words_of_a_person_replace_those_of_the_draft_until_they_are_brought_back(lab: Lab) -> None:
    key = lab.drafted()
    note = lab.reviewing.edit(ANN, key, 1, "s1", "  The patient has had\na cough for three days. ")
    one = find(note, "s1")
    assert (one["text"], one["state"], one["by"]) == ("The patient has had a cough for three days.", "edited", "ann")
    again = lab.reviewing.restore(ANN, key, 2, "s1")
    assert find(again, "s1")["state"] == "drafted"
    assert find(again, "s1")["by"] == ""
    assert lab.held(key).revision == 3


@pytest.mark.parametrize("text", ["", " \n ", "x" * (LONGEST_STATEMENT + 1)])
def test_words_that_are_none_or_too_many_are_refused(lab: Lab, text: str) -> None:
    key = lab.drafted()
    with pytest.raises(Malformed):
        lab.reviewing.edit(ANN, key, 1, "s1", text)
    with pytest.raises(Malformed):
        lab.reviewing.add(ANN, key, 1, "plan", text)


def test_what_is_not_there_is_not_found(lab: Lab) -> None:
    key, reviewing = lab.drafted(), lab.reviewing
    for change in (
        lambda: reviewing.edit(ANN, key, 1, "s99", "Words."),
        lambda: reviewing.remove(ANN, key, 1, "s99"),
        lambda: reviewing.restore(ANN, key, 1, "s99"),
        lambda: reviewing.add(ANN, key, 1, "poem", "Words."),
        lambda: reviewing.regenerate(ANN, key, 1, "poem", Style()),
        lambda: reviewing.code(ANN, key, 1, "Z99.9", accepted=True),
        lambda: reviewing.roles(ANN, key, 1, {"S9": SpeakerRole.PATIENT}),
    ):
        with pytest.raises(NotFound):
            change()
    with pytest.raises(Malformed):
        reviewing.add(ANN, key, 1, "plan", "Words.", utterances=[99])
    with pytest.raises(Malformed):
        reviewing.roles(ANN, key, 1, {})


def test_the_gate_reads_what_a_person_writes(lab: Lab) -> None:
    key = lab.drafted()
    right = lab.reviewing.add(ANN, key, 1, "plan", "Start azithromycin 250 mg daily.", utterances=[5])
    wrong = lab.reviewing.add(ANN, key, 2, "plan", "Start azithromycin 500 mg daily.", utterances=[5])
    assert find(right, "p1")["passed"]
    assert not find(wrong, "p2")["passed"]
    assert "Start azithromycin 500 mg daily." in as_text(wrong)  # a person's word all the same


@pytest.mark.parametrize("how", ["edit", "restore", "remove and restore"])
def test_what_the_gate_refused_is_not_let_through_by_being_written_again(lab: Lab, how: str) -> None:
    key = lab.drafted()
    refused = find(lab.note(key), REFUSED)
    assert not refused["passed"]
    lab.reviewing.edit(ANN, key, 1, REFUSED, "Takes lisinopril.")
    if how == "edit":
        note = lab.reviewing.edit(ANN, key, 2, REFUSED, refused["text"])
    elif how == "restore":
        note = lab.reviewing.restore(ANN, key, 2, REFUSED)
    else:
        lab.reviewing.remove(ANN, key, 2, REFUSED)
        note = lab.reviewing.restore(ANN, key, 3, REFUSED)
    assert find(note, REFUSED) == refused
    assert refused["text"] not in as_text(note)
    assert refused["text"] not in as_text(lab.sign(key)["note"])


def test_a_section_written_anew_brings_the_word_of_the_gate_with_it(lab: Lab) -> None:
    key = lab.drafted()
    lab.reviewing.add(ANN, key, 1, "subjective", "Sleeps badly.")
    lab.writer.said = (
        ("subjective", "The patient takes lisinopril 90 mg every morning.", 3, "I take lisinopril 10 milligrams"),
        *SAID[1:],
    )
    note = lab.reviewing.regenerate(ANN, key, 2, "subjective", Style("brief"))
    assert [s["text"] for s in note["sections"][0]["statements"]] == [
        "The patient takes lisinopril 90 mg every morning.",
        "Sleeps badly.",
    ]
    lab.reviewing.remove(ANN, key, 3, "s1")
    again = lab.reviewing.restore(ANN, key, 4, "s1")  # the first draft's s1 had passed
    assert not find(again, "s1")["passed"]
    assert "90 mg" not in as_text(again)


def test_roles_are_swapped_and_the_note_is_drafted_anew(lab: Lab) -> None:
    key = lab.drafted()
    held = lab.reviewing.roles(ANN, key, 1, {"S1": SpeakerRole.PATIENT, "S2": SpeakerRole.CLINICIAN})
    assert held.state is EncounterState.TRANSCRIBED
    with pytest.raises(Conflict):
        lab.signing.sign(ANN, key, 1, practitioner=None)
    assert lab.steps.draft()
    assert lab.held(key).revision == 2
    heard = lab.reviewing.read(ANN, key, Paper.TRANSCRIPT)[1]
    assert heard["utterances"][0]["role"] == "patient"


def test_a_signed_note_is_signed_once_and_each_change_is_an_amendment(lab: Lab) -> None:
    key = lab.drafted()
    signed = lab.sign(key)
    assert (signed["version"], signed["signed_by"], signed["review"]["refused"]) == (1, "ann", 1)
    assert lab.held(key).state is EncounterState.SIGNED
    with pytest.raises(Conflict, match="signed"):
        lab.sign(key)
    lab.now -= 600  # a clock that was put right
    lab.reviewing.edit(ANN, key, 1, "s1", "Cough for 3 days.")
    assert lab.sign(key)["version"] == 2
    assert [one.version for one in lab.sent(key)] == [1, 2]
    assert lab.events()[-1] == "note-amended"
    with lab.database.read() as connection:
        first = Papers(lab.blobs).load(connection, key, Paper.SIGNED, 1)
    assert find(first["note"], "s1")["state"] == "drafted"


def test_a_note_that_the_gate_refuses_as_a_whole_is_signed_only_when_a_person_wrote_it(lab: Lab) -> None:
    lab.writer = ScriptedWriter(
        [
            ("subjective", "The patient has burning pain in the belly after meals.", 2, "burning pain in my belly"),
            ("subjective", "The patient lost ten pounds.", 3, "I have lost about ten pounds"),
            ("subjective", "The patient takes metformin 1000 mg twice a day.", 4, "metformin a thousand milligrams"),
            ("assessment", "Stomach ulcer.", 4, "I suspect a stomach ulcer"),
            ("plan", "Schedule an endoscopy.", 5, "I'd like to schedule an endoscopy"),
            ("plan", "Start omeprazole 40 mg.", 5, "start you on omeprazole 40 milligrams"),
        ]
    )
    lab.means = type(lab.means)(lab.ear, [lab.writer], lab.means.templates, 1.0)
    key = lab.open()
    lab.capture.transcript(ANN, key, lab.ear.transcript)
    assert lab.steps_of("two").draft()
    note = lab.note(key)
    assert note["refusal"] == "another-encounter"
    assert as_text(note) == ""
    with pytest.raises(Unprocessable):
        lab.sign(key)
    for one in list(statements(note)):
        lab.reviewing.remove(ANN, key, lab.held(key).revision, one["id"])
    with pytest.raises(Unprocessable, match="nothing"):
        lab.sign(key)
    lab.reviewing.add(ANN, key, lab.held(key).revision, "plan", "Rest.")
    assert lab.sign(key)["version"] == 1


def test_reading_is_on_record_before_it_is_answered(lab: Lab) -> None:
    key = lab.drafted()
    for kind in (Paper.TRANSCRIPT, Paper.NOTE):
        lab.reviewing.read(ANN, key, kind)
        assert lab.events()[-1] == f"{kind.value}-read"


def left_out(note: dict[str, Any]) -> list[str]:
    return [one["text"] for one in note["omissions"]]


def test_what_is_left_out_is_looked_for_again_with_each_change(lab: Lab) -> None:
    key = lab.drafted()
    first = lab.note(key)["omissions"]
    assert "azithromycin" not in left_out(lab.note(key))
    without = lab.reviewing.remove(ANN, key, 1, "s4")
    assert "azithromycin" in left_out(without)
    (omission,) = [one for one in without["omissions"] if one["text"] == "azithromycin"]
    assert omission["kind"] == "medication"
    assert omission["evidence"][0]["utterance"] == 5
    assert omission["evidence"][0]["start"] == 4.0
    added = lab.reviewing.add(ANN, key, 2, "plan", "Azithromycin for five days.", utterances=[5])
    assert "azithromycin" not in left_out(added)
    assert "azithromycin" in left_out(lab.reviewing.edit(ANN, key, 3, "p1", "Rest for five days."))
    assert lab.reviewing.restore(ANN, key, 4, "s4")["omissions"] == first
    other = lab.reviewing.edit(ANN, key, 5, "s3", "A cold.")
    assert "bronchitis" in left_out(other)
    lab.writer.said = SAID
    assert "bronchitis" not in left_out(lab.reviewing.regenerate(ANN, key, 6, "assessment", Style()))


def test_the_very_words_of_a_person_count_where_they_were_said(lab: Lab) -> None:
    key = lab.drafted()
    lab.reviewing.remove(ANN, key, 1, "s4")
    note = lab.reviewing.add(ANN, key, 2, "plan", "No azithromycin after all.", utterances=[5])
    assert "azithromycin" not in left_out(note)
    assert "azithromycin" in left_out(lab.reviewing.remove(ANN, key, 3, "p1"))


def test_a_name_in_what_is_left_out_is_the_patients_own(lab: Lab) -> None:
    said = "Ada Amber is allergic to penicillin, said Ada."
    lab.ear.transcript = conversation((*LINES, (SpeakerRole.PATIENT, said)))
    key = lab.drafted()
    note = lab.reviewing.remove(ANN, key, 1, "s1")
    (allergy,) = [one for one in note["omissions"] if one["kind"] == "allergy"]
    assert allergy["text"] == "penicillin"
    assert allergy["evidence"][0]["quote"] == said


def test_a_note_that_grows_without_end_is_refused_and_measured_in_bounded_time(lab: Lab) -> None:
    key = lab.drafted()
    note = lab.note(key)
    words = "one two three four five six seven eight nine ten " * 78
    huge = copy.deepcopy(note)
    for number in range(LONGEST_NOTE // len(words) + 1):
        one = copy.deepcopy(find(note, "s1")) | {"id": f"x{number}", "text": words, "drafted": words[::-1]}
        huge["sections"][0]["statements"].append(one | {"state": "edited"})
    began = time.process_time()
    review = review_of(huge)
    assert time.process_time() - began < 5
    assert 0.5 < review.words_changed <= 1
    with pytest.raises(TooLarge):
        require_room(note, huge)
    require_room(huge, huge)  # what is too long may be made shorter


def test_words_moved_from_one_statement_to_another_are_no_change(lab: Lab) -> None:
    key = lab.drafted()
    first, last = (find(lab.note(key), name)["text"] for name in ("s3", "s4"))
    lab.reviewing.edit(ANN, key, 1, "s4", f"{first} {last}")
    moved = lab.reviewing.remove(ANN, key, 2, "s3")
    refused = find(moved, REFUSED)["text"].split()
    every = sum(len(s["drafted"].split()) for s in statements(moved))
    assert review_of(moved).words_changed == round(len(refused) / every, 4)  # what the gate took out, and no more
