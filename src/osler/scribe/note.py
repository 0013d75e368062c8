"""The note under review: statements with identities, as drafted and as people changed them. Pure functions over JSON.

::

    {"template", "title", "code", "author", "refusal", "warnings", "patient_called",
     "sections": [{"key", "title", "code", "problem",
                   "statements": [{"id", "text", "drafted", "topic", "verbatim", "state", "by", "evidence",
                                   "support", "severity", "reasons", "passed", "gate"}]}],
     "omissions": [...], "codes": [...], "orders": [...]}

What the gate refused stands in the note and is never signed; what a person wrote is that person's own word. ``gate`` is
what the gate found of the words as drafted.
"""

import copy
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from osler.domain.note import Checked, CodeSuggestion, Support, Template, Verdict
from osler.domain.note_json import checked_to_json, codes_to_json
from osler.domain.transcript import Transcript
from osler.errors import Malformed, NotFound, TooLarge

Json = dict[str, Any]
Reveal = Callable[[str, Sequence[tuple[int, str]]], str]
"""Puts the identities back into a text that is from some utterances and quotes."""

LONGEST_STATEMENT: Final = 4000
"""Characters of a statement that a person writes."""

LONGEST_NOTE: Final = 200_000
"""Characters of all statements of a note that people add to; removed ones count, for they can be brought back."""

_COMPARED: Final = 360_000
"""Pairs of words up to which two texts are compared in their order."""


class StatementState(StrEnum):
    """What people did to a statement."""

    DRAFTED = "drafted"
    EDITED = "edited"
    ADDED = "added"
    REMOVED = "removed"


_OWN: Final = (StatementState.EDITED, StatementState.ADDED)


@dataclass(frozen=True, slots=True)
class Review:
    """How much of a draft people changed.

    Parameters
    ----------
    drafted, kept, edited, removed, added, refused : int
        Statements. ``refused`` were drafted and not let through by the gate.
    words_changed : float
        Words that differ between draft and note, over the words of the longer of both: 0 is as drafted. Where very much
        was changed, words that only changed their order count as the same.
    """

    drafted: int
    kept: int
    edited: int
    removed: int
    added: int
    refused: int
    words_changed: float


def new_note(
    checked: Checked,
    codes: tuple[CodeSuggestion, ...],
    *,
    template: Template,
    transcript: Transcript,
    reveal: Reveal,
) -> Json:
    """Make the note of a draft.

    Parameters
    ----------
    checked : Checked
    codes : tuple of CodeSuggestion
    template : Template
    transcript : Transcript
        Tells when each utterance was.
    reveal : callable
        Puts the identities back into a text that is from some utterances.
    """
    note = checked_to_json(checked)
    note |= {"title": template.title, "code": template.code}
    for section in note["sections"]:
        section["problem"] = reveal(section["problem"], ())
    for statement in statements(note):
        text = reveal(statement["text"], _cited(statement["evidence"]))
        gate = {key: copy.copy(statement[key]) for key in ("verbatim", "support", "severity", "reasons", "passed")}
        statement |= {"text": text, "drafted": text, "state": StatementState.DRAFTED.value, "by": "", "gate": gate}
        _place(statement["evidence"], transcript, reveal)
    reveal_omissions(note["omissions"], transcript, reveal)
    note["codes"] = [{**code, "accepted": False} for code in codes_to_json(codes)]
    for code in note["codes"]:
        _place(code["evidence"], transcript, reveal)
    return note


def reveal_omissions(omissions: list[Json], transcript: Transcript, reveal: Reveal) -> None:
    """Put the identities back into what was left out, and say when it was said."""
    for omission in omissions:
        omission["text"] = reveal(omission["text"], _cited(omission["evidence"]))
        _place(omission["evidence"], transcript, reveal)


def noted(note: Json) -> Iterator[str]:
    """Yield what stands in a note: heads, what people wrote, and of the draft what the gate does not contradict."""
    for section in note["sections"]:
        here = [s["text"] for s in section["statements"] if s["state"] != StatementState.REMOVED and _counts(s)]
        yield from ([section["problem"]] if section["problem"] and here else [])
        yield from here


def stands_in(note: Json, omission: Json) -> bool:
    """Tell whether a person wrote the very words of what was left out, from where it was said."""
    words, said = omission["text"].lower(), {each["utterance"] for each in omission["evidence"]}
    return any(
        words in s["text"].lower() and said & {each["utterance"] for each in s["evidence"]}
        for s in statements(note)
        if s["state"] in _OWN
    )


def words_of(text: str) -> str:
    """Return what a person wrote as the text of a statement.

    Raises
    ------
    Malformed
        If it has no words, or too many.
    """
    if len(text) > LONGEST_STATEMENT:
        raise Malformed(f"a statement of more than {LONGEST_STATEMENT} characters")
    if not (words := " ".join(text.split())):
        raise Malformed("a statement without words: remove it instead")
    return words


def require_room(before: Json, after: Json) -> None:
    """Let a note grow no longer than what is read again with each change.

    Raises
    ------
    TooLarge
    """
    length = _length(after)
    if length > LONGEST_NOTE and length > _length(before):
        raise TooLarge(f"a note of more than {LONGEST_NOTE} characters")


def statements(note: Json) -> Iterator[Json]:
    """Yield all statements, removed ones too."""
    for section in note["sections"]:
        yield from section["statements"]


def find(note: Json, statement_id: str) -> Json:
    """Return a statement.

    Raises
    ------
    NotFound
    """
    for statement in statements(note):
        if statement["id"] == statement_id:
            return statement
    raise NotFound("there is no statement of that id")


def signable(statement: Json) -> bool:
    """Tell whether a statement goes into the signed note."""
    if statement["state"] == StatementState.REMOVED:
        return False
    return bool(statement["passed"]) or statement["state"] in _OWN


def edited(note: Json, statement_id: str, text: str, *, verdict: Verdict, by: str) -> Json:
    """Return the note with another text of a statement, which is from now on the word of who wrote it.

    ``verdict`` is what the gate finds of the new text, for people to see. With the words of the draft it is a draft
    again, and what the gate found of that.
    """
    changed = copy.deepcopy(note)
    statement, text = find(changed, statement_id), words_of(text)
    if text == statement["drafted"]:
        return _as_drafted(changed, statement)
    state = StatementState.EDITED if statement["drafted"] else StatementState.ADDED
    statement |= {"text": text, "state": state.value, "by": by, "verbatim": False, **_found(verdict)}
    return changed


def removed(note: Json, statement_id: str, *, by: str) -> Json:
    """Return the note without a statement; it can be brought back."""
    changed = copy.deepcopy(note)
    find(changed, statement_id).update(state=StatementState.REMOVED.value, by=by)
    return changed


def restored(note: Json, statement_id: str, *, by: str) -> Json:
    """Return the note with a statement as it was drafted, or with what a person wrote and somebody removed."""
    changed = copy.deepcopy(note)
    statement = find(changed, statement_id)
    if statement["drafted"]:
        return _as_drafted(changed, statement)
    if statement["state"] != StatementState.REMOVED:
        raise Malformed("a person wrote that statement: there is no draft of it")
    statement |= {"state": StatementState.ADDED.value, "by": by}
    return changed


def added(note: Json, key: str, text: str, *, verdict: Verdict, by: str, evidence: list[Json]) -> Json:
    """Return the note with a statement that a person wrote, at the end of a section."""
    changed = copy.deepcopy(note)
    section = next((s for s in changed["sections"] if s["key"] == key), None)
    if section is None:
        raise NotFound("the note has no section of that name")
    numbers = [int(s["id"][1:]) for s in statements(changed) if s["id"][:1] == "p" and s["id"][1:].isdecimal()]
    statement: Json = {
        "id": f"p{max(numbers, default=0) + 1}",
        "text": words_of(text),
        "drafted": "",
        "topic": "",
        "verbatim": False,
        "state": StatementState.ADDED.value,
        "by": by,
        "evidence": evidence,
        "gate": {},
        **_found(verdict),
    }
    section["statements"].append(statement)
    return changed


def with_section(note: Json, key: str, fresh: Json) -> Json:
    """Return the note with the sections of a name as another draft has them; what people added to them stays."""
    changed = copy.deepcopy(note)
    held = [s for s in changed["sections"] if s["key"] == key]
    if not held:
        raise NotFound("the note has no section of that name")
    rest = [s for s in changed["sections"] if s["key"] != key]
    new = copy.deepcopy([s for s in fresh["sections"] if s["key"] == key]) or [{**held[0], "statements": []}]
    names = _renamed(new, {s["id"] for section in rest for s in section["statements"]})
    new[-1]["statements"] += [s for section in held for s in section["statements"] if not s["drafted"]]
    gone = {s["id"] for section in held for s in section["statements"]}
    codes = [code for code in changed["codes"] if code["statement"] not in gone]
    codes += [{**code, "statement": names[code["statement"]]} for code in fresh["codes"] if code["statement"] in names]
    at = changed["sections"].index(held[0])
    changed["sections"] = [*rest[:at], *new, *rest[at:]]
    return changed | {"codes": codes, "refusal": fresh["refusal"] or changed["refusal"]}


def _renamed(sections: list[Json], taken: set[str]) -> dict[str, str]:
    """Give statements ids that are not taken; return the new of each old."""
    names: dict[str, str] = {}
    for section in sections:
        for statement in section["statements"]:
            name = statement["id"]
            while name in taken:
                name += "r"
            taken.add(name)
            names[statement["id"]] = statement["id"] = name
    return names


def with_code(note: Json, code: str, *, accepted: bool) -> Json:
    """Return the note with a suggested code taken or left."""
    changed = copy.deepcopy(note)
    found = [c for c in changed["codes"] if c["code"] == code]
    if not found:
        raise NotFound("the note suggests no such code")
    for each in found:
        each["accepted"] = accepted
    return changed


def review_of(note: Json) -> Review:
    """Measure how much people changed."""
    every = list(statements(note))
    drafted = [s for s in every if s["drafted"]]
    before, after = _words(s["drafted"] for s in drafted), _words(s["text"] for s in every if signable(s))
    kept = [signable(s) and s["text"] == s["drafted"] for s in every]
    changed = [s for s, as_drafted in zip(every, kept, strict=True) if not as_drafted]
    same = len(_words(s["text"] for s, as_drafted in zip(every, kept, strict=True) if as_drafted))
    same += _same(_words(s["drafted"] for s in changed), _words(s["text"] for s in changed if signable(s)))
    return Review(
        drafted=len(drafted),
        kept=sum(s["state"] == StatementState.DRAFTED and signable(s) for s in drafted),
        edited=sum(s["state"] == StatementState.EDITED for s in drafted),
        removed=sum(s["state"] == StatementState.REMOVED for s in drafted),
        added=sum(s["state"] == StatementState.ADDED for s in every),
        refused=sum(s["state"] == StatementState.DRAFTED and not signable(s) for s in drafted),
        words_changed=round(1 - same / max(len(before), len(after), 1), 4),
    )


def _words(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in text.split()]


def _same(before: list[str], after: list[str]) -> int:
    """Return how many words both have, in their order; without it where they are long."""
    if len(before) * len(after) > _COMPARED:
        return (Counter(before) & Counter(after)).total()
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks)


def as_text(note: Json) -> str:
    """Write what may be signed as plain text."""
    parts = []
    for section in note["sections"]:
        lines = [s["text"] for s in section["statements"] if signable(s) and (s["by"] or not note["refusal"])]
        if lines:
            heading = f"{section['title']}: {section['problem']}" if section["problem"] else section["title"]
            parts.append("\n".join([heading.upper(), *lines]))
    return "\n\n".join(parts) + ("\n" if parts else "")


def _counts(statement: Json) -> bool:
    return statement["state"] in _OWN or statement["support"] != Support.CONTRADICTED


def _length(note: Json) -> int:
    return sum(len(statement["text"]) for statement in statements(note))


def _found(verdict: Verdict) -> Json:
    return {
        "support": verdict.support.value,
        "severity": verdict.severity.value,
        "reasons": list(verdict.reasons),
        "passed": verdict.passed,
    }


def _as_drafted(note: Json, statement: Json) -> Json:
    """Bring a statement back as it was; the gate's word of the draft with it, and never that of an edit."""
    statement |= {"text": statement["drafted"], "state": StatementState.DRAFTED.value, "by": ""}
    statement |= copy.deepcopy(statement["gate"])
    return note


def _cited(evidence: list[Json]) -> list[tuple[int, str]]:
    return [(each["utterance"], each["quote"]) for each in evidence]


def _place(evidence: list[Json], transcript: Transcript, reveal: Reveal) -> None:
    by_number = {utterance.number: utterance for utterance in transcript.utterances}
    for each in evidence:
        said = by_number.get(each["utterance"])
        quote = reveal(each["quote"], _cited([each]))
        if said is not None and quote not in said.text:
            quote = said.text  # one person may be called in several ways
        each |= {"quote": quote, "start": said and said.start_s, "end": said and said.end_s}
