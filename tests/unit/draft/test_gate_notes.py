import pytest

from encounters import KNEE, KNEE_NOTE, STOMACH, STOMACH_NOTE, draft_of, heard, verbatim_draft
from osler.domain.note import Draft, DraftAuthor, Severity, Support
from osler.draft.gate import ANOTHER, Gate, check, check_text
from osler.draft.gate.quotes import fold


def _failed(checked):
    return {
        one.text: checked.verdicts[one.id].reasons
        for one in checked.draft.statements()
        if not checked.verdicts[one.id].passed
    }


@pytest.mark.parametrize(("said", "note"), [(KNEE, KNEE_NOTE), (STOMACH, STOMACH_NOTE)])
def test_a_foreign_note_of_the_encounter_passes(said, note):
    checked = check_text(note, heard(said))
    assert checked.refusal == ""
    assert _failed(checked) == {}


@pytest.mark.parametrize(("said", "note"), [(KNEE, STOMACH_NOTE), (STOMACH, KNEE_NOTE)])
def test_another_patients_note_is_refused_whole(said, note):
    checked = check_text(note, heard(said))
    assert checked.refusal == ANOTHER
    assert not any(checked.passes(one) for one in checked.draft.statements())


@pytest.mark.parametrize(("said", "other"), [(KNEE, STOMACH), (STOMACH, KNEE)])
def test_another_patients_draft_is_refused_whole(said, other):
    draft = verbatim_draft(heard(other))
    assert check(draft, heard(said)).refusal == ANOTHER
    assert check(draft, heard(other)).refusal == ""


@pytest.mark.parametrize("said", [KNEE, STOMACH])
def test_what_was_said_as_it_was_said_passes(said):
    checked = check(verbatim_draft(heard(said)), heard(said))
    assert {
        one.text: checked.verdicts[one.id].reasons for one in checked.draft.statements() if not checked.passes(one)
    } == {}


def test_every_statement_has_a_verdict_and_a_foreign_one_its_evidence():
    checked = check_text(KNEE_NOTE, heard(KNEE))
    statements = list(checked.draft.statements())
    assert set(checked.verdicts) == {one.id for one in statements}
    assert all(one.evidence for one in statements)
    assert all(
        item.quote in heard(KNEE).utterances[item.utterance - 1].text for one in statements for item in one.evidence
    )


def test_an_empty_draft_is_no_refusal():
    checked = check(Draft("soap", (), DraftAuthor("extractive", "x", "1")), heard(KNEE))
    assert checked.verdicts == {}
    assert checked.refusal == ""
    assert checked.omissions


def test_an_empty_transcript_carries_nothing():
    checked = check_text(KNEE_NOTE, heard(""))
    assert checked.refusal == ANOTHER
    assert {verdict.reasons for verdict in checked.verdicts.values()} == {("no-evidence",)}


def test_one_gate_holds_many_notes():
    gate = Gate(heard(KNEE))
    assert gate.check_text(KNEE_NOTE) == check_text(KNEE_NOTE, heard(KNEE))
    assert gate.check_text(STOMACH_NOTE).refusal == ANOTHER


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("600 mg bid", "800 mg bid", "dose"),
        ("Start meloxicam", "Start naproxen", "drug"),
        ("Order MRI of the right knee", "Order MRI of the left knee", "laterality"),
        ("He denies numbness", "He reports numbness", "negation"),
        ("Blood pressure 132/84", "Blood pressure 142/84", "number"),
        ("Possible meniscus tear", "Meniscus tear", "certainty"),
        ("Stop ibuprofen.", "Continue ibuprofen.", "action"),
        ("\nPenicillin.", "\nNo known drug allergies.", "allergy"),
        ("for 3 weeks", "for 3 months", "number"),
    ],
)
def test_a_change_of_a_foreign_note_is_found(old, new, reason):
    assert old in KNEE_NOTE
    checked = check_text(KNEE_NOTE.replace(old, new), heard(KNEE))
    reasons = [reason for verdict in checked.verdicts.values() for reason in verdict.reasons]
    assert reason in reasons
    assert checked.refusal == ""


def test_headings_and_labels_are_no_statements():
    texts = [one.text for one in check_text(KNEE_NOTE, heard(KNEE)).draft.statements()]
    assert "CHIEF COMPLAINT" not in texts
    assert "Penicillin." in texts
    assert "swelling, tenderness along the medial joint line." in texts


def test_a_contradiction_is_worse_than_silence():
    draft = draft_of(
        ("The patient has left knee pain.", 2, "my right knee has been hurting"),
        ("The patient works as a baker.", 2, "my right knee has been hurting"),
    )
    verdicts = check(draft, heard(KNEE)).verdicts
    assert verdicts["s1"].support is Support.CONTRADICTED
    assert verdicts["s1"].severity is Severity.MAJOR
    assert verdicts["s2"].support is Support.UNMENTIONED
    assert verdicts["s2"].severity is Severity.MINOR


@pytest.mark.parametrize(
    ("text", "quote", "place"),
    [
        ("I  don’t\tknow", "don't KNOW", (3, 13)),
        ("pain , pain", "pain", (0, 4)),
        ("painful pain", "pain", (8, 12)),
        ("é 😀 ja", "😀 ja", (2, 6)),
        ("İstanbul trip", "trip", (9, 13)),
        ("abc", "abcd", None),
        ("abc", "", None),
    ],
)
def test_where_a_quote_stands(text, quote, place):
    assert fold(text).find(quote) == place


def test_a_title_ends_no_sentence():
    checked = check_text("Mrs. Roe saw Dr. Poe. She has knee pain.", heard(KNEE))

    assert [one.text for one in checked.draft.statements()] == ["Mrs. Roe saw Dr. Poe.", "She has knee pain."]
