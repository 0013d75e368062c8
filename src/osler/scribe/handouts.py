"""What is made of a note for other readers: a summary for the patient, a letter to a colleague."""

from dataclasses import asdict

from osler.domain.note import Checked, Draft, DraftAuthor, Section, Severity, Statement, Support, Topic, Verdict
from osler.draft.letter import referral_letter
from osler.draft.patient_summary import patient_summary
from osler.scribe.note import Json, signable

_CARRIED = Verdict(Support.DIRECT, Severity.NONE)


def summary_of(note: Json) -> Json:
    """Return what the patient may read of a note, in plain words, each sentence with the statements that it says."""
    called = note.get("patient_called", "the patient")
    return asdict(patient_summary(_signable(note, called if called != "patient" else "the patient")))


def letter_of(note: Json, *, to: str = "") -> Json:
    """Return a letter of referral, to a specialty or to whomever the plan asks for."""
    return asdict(referral_letter(_signable(note), to=to))


def _signable(note: Json, called: str = "the patient") -> Checked:
    """Return what may be signed of a note, whoever wrote it, as what both are made of.

    ``called`` is what stands for the patient in the note; what is made of it knows "the patient" alone.
    """
    sections = tuple(
        Section(
            section["key"],
            section["title"],
            section["code"],
            tuple(
                _statement(s, called) for s in section["statements"] if signable(s) and (s["by"] or not note["refusal"])
            ),
            section["problem"],
        )
        for section in note["sections"]
    )
    draft = Draft(note["template"], sections, DraftAuthor(**note["author"]))
    return Checked(draft, {one.id: _CARRIED for one in draft.statements()})


def _statement(statement: Json, called: str) -> Statement:
    topic = Topic(statement["topic"]) if statement["topic"] else Topic.HISTORY
    text = statement["text"].replace(called, "the patient").replace(called.capitalize(), "The patient")
    return Statement(statement["id"], text, (), topic, statement["verbatim"])
