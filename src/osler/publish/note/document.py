"""A note as a FHIR document: Bundle, Composition with what it refers to, and the DocumentReference that indexes it.

Preliminary and labelled as made by artificial intelligence until a person signs; then the person's signature stands
on it, and the Provenance goes on saying who drafted it. An amendment is a Composition of its own that replaces the
one before. Logical ids are made from the encounter and the revision, so that a repeat makes nothing twice.

References
----------
HL7 FHIR R4 4.0.1, 3.3 Documents, Bundle, Composition, DocumentReference; US Core 6.1 (category of a clinical note)
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from osler.domain.note import DraftAuthor
from osler.domain.transcript import SpeechModel
from osler.publish.fhir import AI_ASSERTED
from osler.publish.ids import logical_id
from osler.publish.model_card import AI_TRANSPARENCY
from osler.publish.note.characters import printable
from osler.publish.note.entries import NPI, entry, headed, identifier, loinc, reference
from osler.publish.note.identified import IdentifiedNote, IdentifiedSection
from osler.publish.note.items import Item, OrderItem, statements_of
from osler.publish.note.orders import request
from osler.publish.note.provenance import provenance
from osler.publish.note.wording import made_by, narrative, paragraph, parts, plain_text
from osler.standards.fhir import Resource, instant

_CATEGORY: Final = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
_ACT: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def resources(note: IdentifiedNote, items: Sequence[Item], *, base_url: str) -> list[Resource]:
    """Build all resources of a note that are ours, each after those that it refers to.

    Parameters
    ----------
    note : IdentifiedNote
    items : sequence of Item
        One whose statement is not in the note is left out; of two that say the same, the second.
    base_url : str
        Of the hub, without a slash at the end: the transcript is kept there.

    Returns
    -------
    list of dict
        Device (one or two), DocumentReference of the transcript, items, Composition, DocumentReference of the note,
        Provenance of each item and of the note.
    """
    devices = _devices(note)
    transcript = _transcript(note, devices, base_url)
    entries = _entries(note, items)
    composition = _composition(note, devices[0], entries)
    indexed = _document_reference(note, devices[0])
    by_id = {statement.id: statement for statement in note.statements()}
    provenances = [
        provenance(note, [made], from_statements, device=devices[0], transcript=transcript)
        for item, made in entries
        for from_statements in [[by_id[one] for one in statements_of(item) if one in by_id]]
    ]
    whole = provenance(note, [composition, indexed], list(note.statements()), device=devices[0], transcript=transcript)
    return [*devices, transcript, *(made for _, made in entries), composition, indexed, *provenances, whole]


def document(note: IdentifiedNote, items: Sequence[Item], *, base_url: str) -> Resource:
    """Build the document Bundle: the Composition first, then all that it or another entry refers to.

    Parameters
    ----------
    note : IdentifiedNote
    items : sequence of Item
    base_url : str
        Of the hub; ``fullUrl`` of each entry begins with it.

    References
    ----------
    FHIR R4 3.3.1, Bundle invariants bdl-9 to bdl-11
    """
    mine = resources(note, items, base_url=base_url)
    composition = next(one for one in mine if one["resourceType"] == "Composition")
    indexed = document_reference_id(note)
    people = [
        note.patient,
        note.practitioner,
        *([note.signature.practitioner] if note.signature else []),
        note.encounter,
    ]
    placed = {
        f"{one['resourceType']}/{one['id']}": one for one in [composition, *people, *mine] if one["id"] != indexed
    }
    placed = {name: _without(one, f"DocumentReference/{indexed}") for name, one in placed.items()}
    made = headed(note, "Bundle", str(note.revision))
    return made | {
        "identifier": made["identifier"][0],
        "type": "document",
        "timestamp": instant(note.written_at),
        "entry": [{"fullUrl": f"{base_url}/fhir/R4/{name}", "resource": one} for name, one in placed.items()],
    }


def encounter(
    encounter_id: str, *, patient: Resource, practitioner: Resource, began_at: float, ended_at: float | None = None
) -> Resource:
    """Build the Encounter for a conversation of which no other Encounter is known.

    Parameters
    ----------
    encounter_id : str
    patient, practitioner : dict
    began_at, ended_at : float
        Seconds since the epoch, UTC; without an end it is still in progress.
    """
    period = {"start": instant(began_at)} | ({"end": instant(ended_at)} if ended_at is not None else {})
    logical = logical_id("Encounter", encounter_id)
    return {
        "resourceType": "Encounter",
        "id": logical,
        "identifier": [identifier(logical)],
        "status": "in-progress" if ended_at is None else "finished",
        "class": {"system": _ACT, "code": "AMB", "display": "ambulatory"},
        "subject": reference(patient),
        "participant": [{"individual": reference(practitioner)}],
        "period": period,
    }


def practitioner(account: str, *, name: str, npi: str = "") -> Resource:
    """Build the Practitioner for a person of whom no other Practitioner is known.

    Parameters
    ----------
    account, name : str
        User name, and how the person is called.
    npi : str
        National Provider Identifier, when it is known.
    """
    logical = logical_id("Practitioner", account)
    known = [{"system": NPI, "value": npi}] if npi else []
    return {
        "resourceType": "Practitioner",
        "id": logical,
        "identifier": [*known, identifier(logical)],
        "name": [{"text": printable(name)}],
    }


def composition_id(note: IdentifiedNote, revision: int | None = None) -> str:
    """Return the logical id of the Composition of a revision, of this one unless another is given."""
    return logical_id("Composition", note.encounter_id, str(revision or note.revision))


def document_reference_id(note: IdentifiedNote, revision: int | None = None) -> str:
    """Return the logical id of the DocumentReference of a revision, of this one unless another is given."""
    return logical_id("DocumentReference", note.encounter_id, str(revision or note.revision))


def superseded(document_reference: Resource) -> Resource:
    """Return the DocumentReference of a revision that an amendment has replaced; it is kept."""
    return document_reference | {"status": "superseded"}


def _entries(note: IdentifiedNote, items: Iterable[Item]) -> list[tuple[Item, Resource]]:
    known = {statement.id for statement in note.statements()}
    made: dict[str, tuple[Item, Resource]] = {}
    for item in items:
        if item.statement in known:
            resource = request(note, item.order) if isinstance(item, OrderItem) else entry(note, item)
            made.setdefault(resource["id"], (item, resource))
    return list(made.values())


def _devices(note: IdentifiedNote) -> list[Resource]:
    """Return what drafted the note and, when it is known, what heard the conversation."""
    author = note.author
    kind = (
        "Language model that drafts notes" if author.kind == "language-model" else "Extractive model that drafts notes"
    )
    return [_device(author, kind), *([_device(note.speech, "Speech recognition")] if note.speech else [])]


def _device(model: DraftAuthor | SpeechModel, purpose: str) -> Resource:
    logical = logical_id("Device", printable(model.name), printable(model.version), model.sha256)
    facts = {"Weights SHA-256": model.sha256} if model.sha256 else {}
    made: Resource = {
        "resourceType": "Device",
        "id": logical,
        "meta": {"profile": [f"{AI_TRANSPARENCY}/StructureDefinition/AI-Device"]},
        "identifier": [identifier(logical)],
        "status": "active",
        "deviceName": [{"name": printable(model.name), "type": "model-name"}],
        "type": {
            "coding": [{"system": f"{AI_TRANSPARENCY}/CodeSystem/AIdeviceTypeCS", "code": "Artificial-Intelligence"}],
            "text": purpose,
        },
        "version": [{"value": printable(model.version)}],
    }
    if facts:
        made["property"] = [{"type": {"text": name}, "valueCode": [{"text": value}]} for name, value in facts.items()]
    return made


def _transcript(note: IdentifiedNote, devices: Sequence[Resource], base_url: str) -> Resource:
    """Return where the transcript is; its text stays in the hub."""
    made = headed(note, "DocumentReference", "transcript")
    made.pop("meta", None)
    if note.speech:
        made |= {"meta": {"security": [AI_ASSERTED]}, "author": [reference(devices[1])]}
    url = f"{base_url}/scribe/encounters/{note.encounter_id}/transcript"
    return made | {
        "status": "current",
        "type": {"text": "Transcript of the encounter"},
        "subject": reference(note.patient),
        "date": instant(note.drafted_at),
        "content": [{"attachment": {"contentType": "application/json", "url": url, "title": "Transcript"}}],
        "context": {"encounter": [reference(note.encounter)]},
    }


def _composition(note: IdentifiedNote, device: Resource, entries: Sequence[tuple[Item, Resource]]) -> Resource:
    made = headed(note, "Composition", str(note.revision))
    placed: dict[str, list[Resource]] = {}
    for item, resource in entries:
        placed.setdefault(item.statement, []).append(reference(resource))
    made |= {
        "identifier": made["identifier"][0],
        "text": paragraph(made_by(note)),
        "status": note.status,
        "type": loinc(note.code, note.title),
        "subject": reference(note.patient),
        "encounter": reference(note.encounter),
        "date": instant(note.written_at),
        "author": _authors(note, device),
        "title": printable(note.title),
        "section": [_section(group, placed) for group in parts(note)],
    }
    if note.signature:
        party = reference(note.signature.practitioner)
        made["attester"] = [{"mode": "legal", "time": instant(note.signature.at), "party": party}]
    if note.amends is not None:
        target = identifier(composition_id(note, note.amends))
        made["relatesTo"] = [{"code": "replaces", "targetIdentifier": target}]
    return made


def _section(group: Sequence[IdentifiedSection], placed: Mapping[str, list[Resource]]) -> Resource:
    """Return one section; the parts of a plan by problem as sections in it."""
    first = group[0]
    made: Resource = {"title": printable(first.title), "code": loinc(first.code, first.title)}
    if len(group) == 1 and not first.problem.strip():
        return made | _content(first, placed)
    inner = [
        {"title": printable(one.problem if one.problem.strip() else one.title)} | _content(one, placed) for one in group
    ]
    return made | {"section": inner}


def _content(section: IdentifiedSection, placed: Mapping[str, list[Resource]]) -> Resource:
    made: Resource = {"text": narrative(section.statements)}
    entries = [one for statement in section.statements for one in placed.get(statement.id, [])]
    return made | ({"entry": entries} if entries else {})


def _document_reference(note: IdentifiedNote, device: Resource) -> Resource:
    made = headed(note, "DocumentReference", str(note.revision))
    content = plain_text(note).encode()
    attachment = {
        "contentType": "text/plain; charset=utf-8",
        "language": "en",
        "data": base64.b64encode(content).decode(),
        "size": len(content),
        "hash": base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),  # R4 says SHA-1
        "title": printable(note.title),
        "creation": instant(note.written_at),
    }
    made |= {
        "masterIdentifier": made["identifier"][0],
        "status": "current",
        "docStatus": note.status,
        "type": loinc(note.code, note.title),
        "category": [{"coding": [{"system": _CATEGORY, "code": "clinical-note", "display": "Clinical Note"}]}],
        "subject": reference(note.patient),
        "date": instant(note.written_at),
        "author": _authors(note, device),
        "description": made_by(note),
        "content": [{"attachment": attachment}],
        "context": {"encounter": [reference(note.encounter)], "period": {"start": instant(note.began_at)}},
    }
    if note.signature:
        made["authenticator"] = reference(note.signature.practitioner)
    if note.amends is not None:
        earlier = document_reference_id(note, note.amends)
        target = {"reference": f"DocumentReference/{earlier}", "identifier": identifier(earlier)}
        made["relatesTo"] = [{"code": "replaces", "target": target}]
    return made


def _authors(note: IdentifiedNote, device: Resource) -> list[Resource]:
    signer = [reference(note.signature.practitioner)] if note.signature else []
    return [*signer, reference(device)]


def _without(resource: Resource, target: str) -> Resource:
    """Return a Provenance without what the document does not hold: the document is not indexed in itself."""
    if resource["resourceType"] != "Provenance":
        return resource
    return resource | {"target": [one for one in resource["target"] if one["reference"] != target]}
