"""A note with the identities back: what is published. It never leaves the identified zone.

A placeholder that is left in it, or that a model misspelt, refuses the whole note.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.domain.note import DraftAuthor, Topic
from osler.domain.transcript import SpeechModel
from osler.errors import DeliveryRefused, IntegrityError
from osler.standards.fhir import Resource

_CATEGORIES: Final = (
    "NAME|LOCATION|DATE|AGE|PHONE|FAX|EMAIL|SSN|MRN|HEALTH_PLAN|ACCOUNT|LICENSE|VEHICLE|DEVICE|URL|IP|BIOMETRIC|PHOTO"
    "|OTHER_ID"
)
_LEFT: Final = re.compile(
    rf"\[\s*(?i:{_CATEGORIES}|HEALTH[ -]PLAN|OTHER[ -]ID)\s*[-_ #]?\s*[0-9]{{0,5}}\s*\]"
    rf"|\b(?:{_CATEGORIES})-[0-9]{{1,5}}\b"
)


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


def refuse_placeholders(text: str, where: str) -> None:
    """Refuse a text that still has a placeholder, in whatever spelling.

    Raises
    ------
    DeliveryRefused
    """
    if _LEFT.search(text):
        raise DeliveryRefused(f"{where} has a placeholder that stands for nothing in this encounter")
