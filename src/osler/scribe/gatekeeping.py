"""A note under review held to its encounter: what the gate finds of a person's words, and what the note leaves out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from osler.domain.note import Draft, DraftAuthor, Evidence, Section, Severity, Statement, Support, Topic, Verdict
from osler.domain.note_json import omission_to_json
from osler.domain.transcript import DeidentifiedTranscript, Transcript
from osler.draft.gate import Gate
from osler.scribe import note as notes
from osler.scribe.hiding import hide
from osler.scribe.papers import Json
from osler.scribe.revealing import Revealing


@dataclass(frozen=True, slots=True)
class Encountered:
    """What was said.

    Parameters
    ----------
    heard : Transcript
    deidentified : DeidentifiedTranscript
        The same with placeholders.
    originals : mapping of str to sequence of str
        What each placeholder stands for.
    """

    heard: Transcript
    deidentified: DeidentifiedTranscript
    originals: Mapping[str, Sequence[str]]


class Gatekeeper:
    """Holds a note to its encounter.

    Parameters
    ----------
    read : callable
        Returns what was said; it is called when the gate is first asked, and once.
    """

    def __init__(self, read: Callable[[], Encountered]) -> None:
        self._read = read

    @cached_property
    def _said(self) -> Encountered:
        return self._read()

    @cached_property
    def _gate(self) -> Gate:
        return Gate(self._said.deidentified)

    def judge(self, text: str, evidence: Sequence[Mapping[str, Any]]) -> Verdict:
        """Ask the gate about words of a person, with the same placeholders as the transcript."""
        found = (self._said.deidentified.utterance(n) for n in dict.fromkeys(each["utterance"] for each in evidence))
        quoted = tuple(Evidence(u.number, u.text) for u in found if u is not None)
        if not quoted:
            return Verdict(Support.UNMENTIONED, Severity.MINOR, reasons=("no-evidence",))
        statement = Statement("p", hide(text, self._said.originals), quoted, Topic.HISTORY)
        draft = Draft("", (Section("", "", "", (statement,)),), DraftAuthor("person", "", ""))
        return self._gate.check(draft).verdicts["p"]

    def omissions(self, note: Json) -> list[Json]:
        """Return what was said, weighs, and does not stand in a note as it is now.

        A person's words count whatever the gate thinks of them; those of the draft where it does not contradict them.
        """
        said, texts = self._said, notes.noted(note)
        found = [omission_to_json(one) for one in self._gate.omissions(hide(text, said.originals) for text in texts)]
        notes.reveal_omissions(found, said.heard, Revealing(said.deidentified, said.originals))
        return [one for one in found if not notes.stands_in(note, one)]
