"""A note with the identities back: what is published. It never leaves the identified zone.

A statement that the gate refused is left out unless the person who signs has written or changed it. A placeholder
that stands for nothing, or that a model misspelt, refuses the whole note.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from osler.domain.note import Checked, DraftAuthor, Evidence, Section, Statement, Topic
from osler.domain.transcript import DeidentifiedTranscript, SpeechModel
from osler.errors import DeliveryRefused, IntegrityError
from osler.publish.note.characters import printable
from osler.standards.fhir import Resource

_CATEGORIES: Final = (
    "NAME|LOCATION|DATE|AGE|PHONE|FAX|EMAIL|SSN|MRN|HEALTH_PLAN|ACCOUNT|LICENSE|VEHICLE|DEVICE|URL|IP|BIOMETRIC|PHOTO"
    "|OTHER_ID"
)
_PLACEHOLDER: Final = re.compile(rf"\[(?:{_CATEGORIES})-[0-9]{{1,5}}\]")
_LEFT: Final = re.compile(
    rf"\[\s*(?i:{_CATEGORIES}|HEALTH[ -]PLAN|OTHER[ -]ID)\s*[-_ #]?\s*[0-9]{{0,5}}\s*\]"
    rf"|\b(?:{_CATEGORIES})-[0-9]{{1,5}}\b"
)

Originals = Mapping[str, Sequence[str]]
"""What stood in the place of each placeholder, in the order of the conversation."""


@dataclass(frozen=True, slots=True, repr=False)
class SaidAt:
    """Where a statement was said.

    Parameters
    ----------
    utterance : int
    start_s, end_s : float or None
        From the beginning of the recording, seconds; None where the transcript came without times.
    quote : str
        Words of the utterance, as they were said.
    """

    utterance: int
    start_s: float | None
    end_s: float | None
    quote: str


@dataclass(frozen=True, slots=True, repr=False)
class IdentifiedStatement:
    """One sentence of a note, identified.

    Parameters
    ----------
    id : str
        Unique in the note.
    text : str
    topic : Topic
    evidence : tuple of SaidAt
        Empty only where a person wrote the sentence.
    edited : bool
        Whether a person wrote or changed it.
    """

    id: str
    text: str
    topic: Topic
    evidence: tuple[SaidAt, ...] = ()
    edited: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class IdentifiedSection:
    """A section of a note, identified; ``problem`` heads a part of a problem-oriented plan."""

    key: str
    title: str
    code: str
    statements: tuple[IdentifiedStatement, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Signature:
    """A person has signed.

    Parameters
    ----------
    at : float
        Seconds since the epoch, UTC.
    practitioner : dict
        The Practitioner who signed.
    """

    at: float
    practitioner: Resource


@dataclass(frozen=True, slots=True, repr=False)
class IdentifiedNote:
    """One revision of a note.

    Parameters
    ----------
    encounter_id : str
        Ours, random; identifiers of what is published are made from it.
    revision : int
        From 1; an amendment has the next number.
    title, code : str
        Of the template: title and LOINC document type.
    sections : tuple of IdentifiedSection
    author : DraftAuthor
        What drafted it.
    patient, practitioner, encounter : dict
        The resources Patient, Practitioner (who led the encounter) and Encounter.
    began_at, drafted_at : float
        When the encounter began, and when the draft was written: seconds since the epoch, UTC.
    signature : Signature or None
        None as long as nobody has signed.
    speech : SpeechModel or None
        The model that heard; None when the transcript came from elsewhere.
    edits : int
        Statements that a person wrote, changed or took out.
    amends : int or None
        The revision in whose place this one stands.

    Raises
    ------
    DeliveryRefused
        If a placeholder is left in it, it says nothing, or an id comes twice.
    IntegrityError
        If the encounter is another patient's.
    """

    encounter_id: str
    revision: int
    title: str
    code: str
    sections: tuple[IdentifiedSection, ...]
    author: DraftAuthor
    patient: Resource
    practitioner: Resource
    encounter: Resource
    began_at: float
    drafted_at: float
    signature: Signature | None = None
    speech: SpeechModel | None = None
    edits: int = 0
    amends: int | None = None

    def __post_init__(self) -> None:
        subject = self.encounter.get("subject", {}).get("reference")
        if subject != f"Patient/{self.patient['id']}":
            raise IntegrityError("the encounter of a note is another patient's")
        ids = [statement.id for statement in self.statements()]
        if not ids or len(ids) != len(set(ids)):
            raise DeliveryRefused("a note needs statements, each with an id of its own")
        for section in self.sections:
            refuse_placeholders(f"{section.title}\n{section.problem}", "a heading")
        for statement in self.statements():
            refuse_placeholders(statement.text, f"statement {statement.id}")

    def statements(self) -> Iterator[IdentifiedStatement]:
        """Yield all statements, in order."""
        for section in self.sections:
            yield from section.statements

    @property
    def status(self) -> str:
        """How far it has come, as Composition.status says it."""
        if self.signature is None:
            return "preliminary"
        return "final" if self.amends is None else "amended"

    @property
    def written_at(self) -> float:
        """When it became what it is: signed, or drafted."""
        return self.signature.at if self.signature else self.drafted_at


def reidentify(
    checked: Checked,
    transcript: DeidentifiedTranscript,
    originals: Originals,
    *,
    edited: Collection[str] = (),
) -> tuple[IdentifiedSection, ...]:
    """Put the identities back into what may be published of a draft.

    Parameters
    ----------
    checked : Checked
        The draft as it stands after review, and what the gate says of it.
    transcript : DeidentifiedTranscript
        That it was written from.
    originals : mapping of str to sequence of str
        From the vault.
    edited : collection of str
        Ids of the statements that the person who signs wrote or changed, and answers for.

    Returns
    -------
    tuple of IdentifiedSection
        Without the statements that neither passed nor were edited, and without sections that are empty then.

    Raises
    ------
    DeliveryRefused
        If the gate refused the note, a placeholder stands for nothing, or a statement cites what was not said.
    """
    if checked.refusal:
        raise DeliveryRefused("the gate refused the note")
    spoken = _Spoken(transcript, originals)
    kept = (
        replace(section, statements=tuple(s for s in section.statements if s.id in edited or checked.passes(s)))
        for section in checked.draft.sections
    )
    return tuple(_section(section, spoken, edited) for section in kept if section.statements)


def refuse_placeholders(text: str, where: str) -> None:
    """Refuse a text that still has a placeholder, in whatever spelling.

    Raises
    ------
    DeliveryRefused
    """
    if _LEFT.search(text):
        raise DeliveryRefused(f"{where} has a placeholder that stands for nothing in this encounter")


class _Spoken:
    """What was said, with the identities back: each place of a placeholder with what stood there."""

    def __init__(self, transcript: DeidentifiedTranscript, originals: Originals) -> None:
        self._transcript = transcript
        self._longest = {name: max(values, key=len) for name, values in originals.items() if values}
        places: dict[str, list[int]] = {}
        for utterance in transcript.utterances:
            for match in _PLACEHOLDER.finditer(utterance.text):
                places.setdefault(match[0], []).append(utterance.number)
        self._exact: dict[tuple[str, int], list[str]] = {}
        for name, numbers in places.items():
            values = originals.get(name, ())
            if len(values) == len(numbers):
                for number, value in zip(numbers, values, strict=True):
                    self._exact.setdefault((name, number), []).append(value)

    def text(self, text: str) -> str:
        """Return a text with the fullest form of what each placeholder stands for."""
        return printable(_PLACEHOLDER.sub(lambda match: self._longest.get(match[0], match[0]), text))

    def said_at(self, evidence: Evidence, statement: str) -> SaidAt:
        """Return where something was said, in the very words."""
        utterance = self._transcript.utterance(evidence.utterance)
        place = utterance.text.find(evidence.quote) if utterance and evidence.quote else -1
        if utterance is None or place < 0:
            raise DeliveryRefused(f"statement {statement} cites what was not said")
        quote = self._quote(evidence, utterance.text[:place])
        refuse_placeholders(quote, f"the evidence of statement {statement}")
        return SaidAt(utterance.number, utterance.start_s, utterance.end_s, quote)

    def _quote(self, evidence: Evidence, before: str) -> str:
        seen: dict[str, int] = {}
        for match in _PLACEHOLDER.finditer(before):
            seen[match[0]] = seen.get(match[0], 0) + 1

        def original(match: re.Match[str]) -> str:
            name = match[0]
            index = seen[name] = seen.get(name, 0) + 1
            exact = self._exact.get((name, evidence.utterance), ())
            return exact[index - 1] if index <= len(exact) else self._longest.get(name, name)

        return printable(_PLACEHOLDER.sub(original, evidence.quote))


def _section(section: Section, spoken: _Spoken, edited: Collection[str]) -> IdentifiedSection:
    made = IdentifiedSection(
        section.key,
        section.title,
        section.code,
        tuple(_statement(statement, spoken, edited) for statement in section.statements),
        spoken.text(section.problem),
    )
    refuse_placeholders(made.problem, "a heading")
    return made


def _statement(statement: Statement, spoken: _Spoken, edited: Collection[str]) -> IdentifiedStatement:
    text = spoken.text(statement.text)
    refuse_placeholders(text, f"statement {statement.id}")
    mine = statement.id in edited
    if not statement.evidence and not mine:
        raise DeliveryRefused(f"statement {statement.id} cites nothing")
    evidence = tuple(spoken.said_at(one, statement.id) for one in statement.evidence)
    return IdentifiedStatement(statement.id, text, statement.topic, evidence, mine)
