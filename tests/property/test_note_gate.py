"""The gate answers whatever it is given, and a changed number, side or name never passes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from encounters import draft_of, heard
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.draft.facts.extract import extract
from osler.draft.gate import check, check_text
from osler.draft.gate.quotes import fold

_SPOKEN = (
    "no not denies left right knee pain lisinopril 20 mg twice a day one twenty over eighty mother sorry I mean any "
    "? . , ; [NAME-1] [DATE-2] if may allergic to penicillin stop increase first half point 3/6 q8h don't 12/2020 -"
)
_WORDS = st.sampled_from([*_SPOKEN.split(), "\n"])
_TEXT = st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=40).map(" ".join))
_ROLE = st.sampled_from(list(SpeakerRole))
_DRUGS = ("lisinopril", "metformin", "sertraline", "warfarin", "omeprazole", "gabapentin")


@st.composite
def _transcripts(draw):
    said = draw(st.lists(st.tuples(_ROLE, _TEXT), max_size=6))
    return DeidentifiedTranscript(
        tuple(DeidentifiedUtterance(at, role.value, role, text) for at, (role, text) in enumerate(said, start=1))
    )


@given(_TEXT)
def test_facts_lie_inside_the_text(text):
    facts = extract(text, spoken=True)
    assert len(facts.flags) == len(facts.kin) == len(facts.words)
    assert all(0 <= word.start < word.end <= len(text) for word in facts.words)
    for row in (facts.quantities, facts.rates, facts.days, facts.mentions):
        assert all(0 <= one.start < one.end <= len(facts.words) for one in row)
    assert all(0 <= one.at < len(facts.words) for one in facts.sides)


@settings(deadline=None, max_examples=150)
@given(_transcripts(), _TEXT, st.integers(-1, 8), _TEXT)
def test_the_gate_is_total_and_passes_nothing_without_its_quote(transcript, text, utterance, quote):
    checked = check(draft_of((text, utterance, quote)), transcript)
    statement = next(checked.draft.statements())
    assert set(checked.verdicts) == {"s1"}
    if checked.passes(statement):
        said = transcript.utterance(utterance)
        assert said is not None
        assert fold(said.text).find(quote) is not None


@settings(deadline=None, max_examples=100)
@given(_transcripts(), _TEXT)
def test_a_foreign_note_cites_only_what_was_said(transcript, note):
    checked = check_text(note, transcript)
    for statement in checked.draft.statements():
        assert all(one.quote in transcript.utterances[one.utterance - 1].text for one in statement.evidence)
    for omission in checked.omissions:
        assert omission.evidence.quote in transcript.utterances[omission.evidence.utterance - 1].text


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from(_DRUGS), st.sampled_from(_DRUGS))
def test_only_the_dose_and_the_drug_that_were_said_pass(said, noted, drug, other):
    quote = f"I take {drug} {said} milligrams once a day"
    checked = check(draft_of((f"The patient takes {other} {noted} mg daily.", 1, quote)), heard(f"P: {quote}"))
    assert checked.verdicts["s1"].passed is (said == noted and drug == other)


@given(st.sampled_from(["left", "right"]), st.sampled_from(["left", "right"]), st.sampled_from(["knee", "hip", "ear"]))
def test_only_the_side_that_was_said_passes(said, noted, site):
    quote = f"my {said} {site} hurts"
    checked = check(draft_of((f"Pain of the {noted} {site}.", 1, quote)), heard(f"P: {quote}"))
    assert checked.verdicts["s1"].passed is (said == noted)


@given(st.booleans(), st.booleans(), st.sampled_from(["fever", "chest pain", "a cough", "diarrhea", "a rash"]))
def test_only_the_yes_or_no_that_was_said_passes(said, noted, symptom):
    quote = f"I {'have' if said else 'do not have'} {symptom}"
    text = f"The patient {'reports' if noted else 'denies'} {symptom}."
    assert check(draft_of((text, 1, quote)), heard(f"P: {quote}")).verdicts["s1"].passed is (said == noted)
