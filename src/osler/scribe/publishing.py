"""A note as what is published of it: people and resources around it, and the items that stand in it."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from osler.clinical.lexicon import lexicon
from osler.domain.encounter import Documented
from osler.domain.note import DraftAuthor, Topic
from osler.domain.note_json import codes_from_json
from osler.errors import Conflict, DeliveryRefused
from osler.publish.ids import logical_id
from osler.publish.note.allergies import allergies
from osler.publish.note.document import encounter, practitioner
from osler.publish.note.identified import IdentifiedNote, IdentifiedSection, IdentifiedStatement, SaidAt, Signature
from osler.publish.note.items import Item, OrderItem, problems
from osler.publish.note.medications import medications
from osler.publish.note.vital_signs import vital_signs
from osler.scribe.note import StatementState, signable, statements
from osler.scribe.papers import Json, Paper, Papers
from osler.scribe.staging import kept
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.storage import encounters
from osler.stores import Stores
from osler.transcribe.formats import from_json


@dataclass(frozen=True, slots=True, repr=False)
class Published:
    """What is published of one version of a note.

    Parameters
    ----------
    note : IdentifiedNote
    items : tuple of Item
    around : tuple of dict
        Resources that the note refers to and that are not in the chart: an Encounter, a Practitioner.
    """

    note: IdentifiedNote
    items: tuple[Item, ...]
    around: tuple[Resource, ...]


def published(stores: Stores, connection: Connection, held: Documented, version: int) -> Published:
    """Put together what is published of a version of a signed note.

    Raises
    ------
    DeliveryRefused
        If the patient is not in the chart any more, or a placeholder is left.
    """
    signed = Papers(stores.identified).load(connection, held.id, Paper.SIGNED, version)
    return _put_together(stores, connection, held, signed, version)


def preliminary(stores: Stores, connection: Connection, held: Documented) -> Published:
    """Put together what a note under review would become if it were signed as it is, without a signature.

    It has the ids of the version that is signed next, which so supersedes it.

    Raises
    ------
    Conflict
        If the encounter names no practitioner.
    DeliveryRefused
        As of :func:`published`.
    """
    if not held.subject.practitioner:
        raise Conflict("the encounter names no practitioner: there is a document when somebody has signed")
    last = encounters.document(connection, held.id, Paper.SIGNED)
    note = Papers(stores.identified).load(connection, held.id, Paper.NOTE)
    leads = held.subject.practitioner
    unsigned = {"note": note, "signed_at": None, "signed_by": leads, "practitioner": leads}
    return _put_together(stores, connection, held, unsigned, (last.version if last else 0) + 1)


def _put_together(stores: Stores, connection: Connection, held: Documented, signed: Json, version: int) -> Published:
    papers = Papers(stores.identified)
    transcript = from_json(papers.text(connection, held.id, Paper.TRANSCRIPT))
    around: list[Resource] = []

    def known(kind: str, key: str, make: Callable[[], Resource]) -> Resource:
        stored = stores.resources.current(connection, kind, key) if key else None
        if stored is not None and not stored.deleted:
            return fhir.loads(stored.text)
        around.append(made := make())
        return made

    patient = stores.resources.current(connection, "Patient", held.subject.patient)
    if patient is None or patient.deleted:
        raise DeliveryRefused("the patient of the note is not in the chart")
    person, who, signed_at = fhir.loads(patient.text), signed["signed_by"], signed["signed_at"]
    key = signed["practitioner"].removeprefix("Practitioner/")
    signer = known("Practitioner", key or logical_id("Practitioner", who), lambda: practitioner(who, name=who))
    leader = known("Practitioner", held.subject.practitioner, lambda: signer) if held.subject.practitioner else signer
    visit = known(
        "Encounter",
        held.subject.encounter,
        lambda: encounter(held.id, patient=person, practitioner=leader, began_at=held.created_at, ended_at=signed_at),
    )
    content = signed["note"]
    note = IdentifiedNote(
        encounter_id=held.id,
        revision=version,
        title=content["title"],
        code=content["code"],
        sections=_sections(content),
        author=DraftAuthor(**content["author"]),
        patient=person,
        practitioner=leader,
        encounter=visit,
        began_at=held.created_at,
        drafted_at=_drafted_at(connection, held, signed_at),
        signature=Signature(signed_at, signer) if signed_at is not None else None,
        speech=transcript.model,
        edits=sum(s["state"] != StatementState.DRAFTED for s in statements(content)),
        amends=version - 1 or None,
    )
    distinct = {f"{one['resourceType']}/{one['id']}": one for one in around}
    return Published(note, _items(note, content), tuple(distinct.values()))


def _sections(content: Json) -> tuple[IdentifiedSection, ...]:
    made = (
        IdentifiedSection(
            section["key"],
            section["title"],
            section["code"],
            tuple(_statement(s) for s in section["statements"] if signable(s)),
            section["problem"],
        )
        for section in content["sections"]
    )
    return tuple(section for section in made if section.statements)


def _statement(statement: Json) -> IdentifiedStatement:
    return IdentifiedStatement(
        statement["id"],
        statement["text"],
        Topic(statement["topic"]) if statement["topic"] else Topic.HISTORY,
        tuple(SaidAt(e["utterance"], e["start"], e["end"], e["quote"]) for e in statement["evidence"]),
        edited=statement["state"] != StatementState.DRAFTED,
    )


def _items(note: IdentifiedNote, content: Json) -> tuple[Item, ...]:
    drugs = lexicon()
    taken, left = (
        codes_from_json([code for code in content["codes"] if code["accepted"] is accepted])
        for accepted in (True, False)
    )
    orders = (OrderItem(order) for order in kept(content))
    return (
        *problems(note, taken, left),
        *medications(note, drugs),
        *allergies(note, drugs),
        *vital_signs(note),
        *orders,
    )


def _drafted_at(connection: Connection, held: Documented, signed_at: float | None) -> float:
    drafted = encounters.document(connection, held.id, Paper.DRAFT)
    latest = held.updated_at if signed_at is None else signed_at
    return min(drafted.created_at, latest) if drafted else latest
