"""What needs no database: notes, takes, transcripts of several takes, placeholders."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encounters import draft_of, heard
from osler.domain.note import Checked, CodeSuggestion, Severity, Support, Verdict
from osler.domain.note_json import (
    checked_from_json,
    checked_to_json,
    codes_from_json,
    codes_to_json,
    transcript_from_json,
    transcript_to_json,
)
from osler.domain.transcript import (
    Correction,
    DeidentifiedTranscript,
    DeidentifiedUtterance,
    SpeakerRole,
    Transcript,
    Utterance,
)
from osler.draft.templates import load_templates
from osler.errors import Malformed
from osler.scribe import note as notes
from osler.scribe.hiding import hide
from osler.scribe.takes import takes
from osler.storage.encounters import AudioPart
from osler.transcribe.transcriber import joined

GOOD = Verdict(Support.DIRECT, Severity.NONE)
BAD = Verdict(Support.CONTRADICTED, Severity.MAJOR, ("number",))
LINES = heard("D: how are you ?\nP: I have a cough .\nP: I take lisinopril .")
SOAP = load_templates()["soap"]
SENTENCES = ("The patient has a cough.", "The patient takes lisinopril 90 mg.", "Bronchitis.")

texts = st.text(min_size=1, max_size=40).filter(str.strip)
verdicts = st.builds(
    Verdict,
    st.sampled_from(Support),
    st.sampled_from(Severity),
    st.lists(st.sampled_from(["number", "drug"])).map(tuple),
)


def new_note(*verdict: Verdict, refusal: str = "") -> dict[str, Any]:
    draft = draft_of(*((text, 2, "I have a cough") for text in SENTENCES))
    every = [*verdict, *[GOOD] * (3 - len(verdict))]
    checked = Checked(draft, {f"s{n}": one for n, one in enumerate(every, start=1)}, refusal=refusal)
    said = Transcript(tuple(Utterance(u.number, "S1", u.role, u.text) for u in LINES.utterances))
    code = CodeSuggestion("http://hl7.org/fhir/sid/icd-10-cm", "R05.9", "Cough", "s1")
    return notes.new_note(checked, (code,), template=SOAP, transcript=said, reveal=lambda text, _evidence=(): text)


Step = tuple[str, int, str, Verdict]
steps = st.lists(
    st.tuples(st.sampled_from(["edit", "remove", "restore", "add"]), st.integers(1, 3), texts, verdicts), max_size=8
)


def applied(note: dict[str, Any], many: list[Step]) -> dict[str, Any]:
    for what, number, text, verdict in many:
        name = f"s{number}"
        if what == "edit":
            note = notes.edited(note, name, text, verdict=verdict, by="ann")
        elif what == "remove":
            note = notes.removed(note, name, by="ann")
        elif what == "restore":
            note = notes.restored(note, name, by="ann")
        else:
            note = notes.added(note, "note", text, verdict=verdict, by="ann", evidence=[])
    return note


@settings(max_examples=60)
@given(steps)
def test_whatever_people_did_the_draft_comes_back_as_it_was(many: list[Step]) -> None:
    first = new_note(GOOD, BAD)
    note = applied(first, many)
    for number in (1, 2, 3):
        note = notes.restored(note, f"s{number}", by="ann")
    drafted = [s for s in notes.statements(note) if s["drafted"]]
    assert drafted == list(notes.statements(first))


@settings(max_examples=60)
@given(steps)
def test_what_the_gate_refused_is_in_no_text_unless_a_person_wrote_other_words(many: list[Step]) -> None:
    note = applied(new_note(GOOD, BAD), [one for one in many if SENTENCES[1] not in one[2]])
    assert SENTENCES[1] not in notes.as_text(note)
    shown = notes.find(note, "s2")
    assert notes.signable(shown) == (shown["state"] == "edited")


@settings(max_examples=60)
@given(steps)
def test_changes_leave_what_they_were_given_alone_and_figures_add_up(many: list[Step]) -> None:
    note = new_note(GOOD, BAD)
    before = repr(note)
    review = notes.review_of(applied(note, many))
    assert repr(note) == before
    assert review.kept + review.edited + review.removed + review.refused == review.drafted == 3
    assert 0 <= review.words_changed <= 1


def test_a_note_that_is_refused_as_a_whole_has_no_text_but_what_people_wrote() -> None:
    note = new_note(refusal="another-encounter")
    assert notes.as_text(note) == ""
    own = notes.edited(note, "s1", "Coughs.", verdict=GOOD, by="ann")
    assert [line for line in notes.as_text(own).splitlines()[1:] if line] == ["Coughs."]


def test_what_a_person_wrote_and_somebody_removed_comes_back() -> None:
    note = notes.added(new_note(), "note", "Rest.", verdict=BAD, by="ann", evidence=[])
    with pytest.raises(Malformed):
        notes.restored(note, "p1", by="bob")
    gone = notes.removed(note, "p1", by="bob")
    assert "Rest." not in notes.as_text(gone)
    assert "Rest." in notes.as_text(notes.restored(gone, "p1", by="ann"))
    assert notes.find(notes.edited(gone, "p1", "Sleep.", verdict=BAD, by="bob"), "p1")["state"] == "added"


def test_a_section_anew_takes_its_codes_along_and_its_refusal() -> None:
    held = notes.with_code(new_note(), "R05.9", accepted=True)
    fresh = new_note(BAD, refusal="another-encounter")
    fresh["codes"] = []
    changed = notes.with_section(held, "note", fresh)
    assert changed["codes"] == []
    assert changed["refusal"] == "another-encounter"
    assert notes.as_text(changed) == ""
    again = notes.with_section(held, "note", new_note())
    assert [(c["code"], c["accepted"]) for c in again["codes"]] == [("R05.9", False)]


def test_ids_of_a_section_anew_are_nobody_elses() -> None:
    held = new_note()
    held["sections"].append({**held["sections"][0], "key": "plan"})
    changed = notes.with_section(held, "plan", {**new_note(), "sections": held["sections"][1:]})
    ids = [s["id"] for s in notes.statements(changed)]
    assert len(ids) == len(set(ids)) == 6
    assert {c["statement"] for c in changed["codes"]} <= set(ids)


# ---------------------------------------------------------------------------------------------------- takes


@settings(max_examples=80)
@given(
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 170), st.integers(0, 40)), max_size=8),
)
def test_a_take_reads_as_its_bytes_do(pieces: list[bytes], reads: list[tuple[int, int]]) -> None:
    kept = {f"b{n}": piece for n, piece in enumerate(pieces)}
    parts = [AudioPart(0, n, f"b{n}", len(piece)) for n, piece in enumerate(pieces)]
    (file,) = takes(parts, kept.__getitem__)
    whole = io.BytesIO(b"".join(pieces))
    for at, count in reads:
        assert file.seek(at) == whole.seek(at)
        assert file.read(count) == whole.read(count)
    assert file.seek(0, io.SEEK_END) == len(whole.getvalue())
    assert file.seek(0) == 0
    assert file.read() == whole.getvalue()


def test_takes_are_files_of_their_own_and_nothing_is_none() -> None:
    parts = [AudioPart(0, 0, "a", 1), AudioPart(0, 1, "b", 1), AudioPart(2, 0, "c", 1)]
    assert [file.read() for file in takes(parts, str.encode)] == [b"ab", b"c"]
    assert list(takes([], str.encode)) == []


def test_transcripts_of_takes_follow_one_another() -> None:
    one = Transcript(
        (Utterance(1, "S1", SpeakerRole.PATIENT, "a"), Utterance(2, "S1", SpeakerRole.PATIENT, "b")),
        corrections=(Correction(2, "x", "y", "lexicon"),), warnings=("noise",), duration_s=2.0,
    )  # fmt: skip
    whole = joined([one, Transcript((), duration_s=1.0), one])
    assert [u.number for u in whole.utterances] == [1, 2, 3, 4]
    assert [c.utterance for c in whole.corrections] == [2, 4]
    assert (whole.warnings, whole.duration_s) == (("noise",), 5.0)
    assert joined([one]) is one


# ------------------------------------------------------------------------------------------------------ json

utterances = st.lists(
    st.tuples(texts, st.sampled_from(SpeakerRole), st.none() | st.floats(0, 1e4, allow_nan=False)), max_size=5
)


@given(utterances, st.dictionaries(st.sampled_from(["NAME", "DATE"]), st.integers(1, 9)))
def test_a_transcript_survives_json(rows: list[tuple[str, SpeakerRole, float | None]], counts: dict[str, int]) -> None:
    made = DeidentifiedTranscript(
        tuple(DeidentifiedUtterance(n, "S1", role, text, at, at) for n, (text, role, at) in enumerate(rows, start=1)),
        "en",
        counts,
    )
    assert transcript_from_json(transcript_to_json(made)) == made


@given(st.lists(st.tuples(texts, st.integers(1, 9), texts, verdicts), max_size=5), texts)
def test_a_checked_draft_survives_json(rows: list[tuple[str, int, str, Verdict]], refusal: str) -> None:
    made = Checked(
        draft_of(*(row[:3] for row in rows)), {f"s{n}": row[3] for n, row in enumerate(rows, start=1)}, (), refusal
    )
    assert checked_from_json(checked_to_json(made)) == made


def test_codes_survive_json() -> None:
    codes = (CodeSuggestion("urn:x", "R05.9", "Cough", "s1"),)
    assert codes_from_json(codes_to_json(codes)) == codes


# --------------------------------------------------------------------------------------------------- hiding


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Ada takes 500 mg.", "[NAME-1] takes 500 mg."),
        ("Adamant.", "Adamant."),
        ("Ada Amber came.", "[NAME-1] came."),
        ("5 tablets, 50 mg.", "[AGE-1] tablets, 50 mg."),
        ("On NAME day.", "On NAME day."),
    ],
)
def test_only_whole_words_are_hidden(text: str, hidden: str) -> None:
    assert hide(text, {"[NAME-1]": ["Ada", "Ada Amber"], "[AGE-1]": ["5"], "[NAME-2]": [" "]}) == hidden
    assert hide(text, {}) == text


def test_speech_is_not_shown_by_what_holds_it() -> None:
    said = Transcript((Utterance(1, "S1", SpeakerRole.PATIENT, "Quillfeather"),))
    assert "Quillfeather" not in repr(said)
    assert "Quillfeather" not in repr(said.utterances[0])
