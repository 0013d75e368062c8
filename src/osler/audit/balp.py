"""An audit record as a FHIR R4 AuditEvent, in the manner of IHE BALP."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from osler.audit.event import DCM, EVENTS, OSLER, Agent, AuditRecord, printable

PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
"""Where the canonical URLs of BALP's profiles begin."""

_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_RESOURCE_TYPE: Final = "http://hl7.org/fhir/resource-types"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""A logical id of FHIR."""
_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_REASONS: Final = {"BTG": "break the glass"}
_IP: Final = re.compile(r"[0-9a-fA-F.:\[\]]+")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")

_Role = tuple[str, str, str]
_APPLICATION: Final[_Role] = ("110150", DCM, "Application")
_SOURCE: Final[_Role] = ("110153", DCM, "Source Role ID")
_DESTINATION: Final[_Role] = ("110152", DCM, "Destination Role ID")
_RECIPIENT: Final[_Role] = ("IRCP", _PARTICIPATION, "information recipient")
_AUTHOR: Final[_Role] = ("AUT", _PARTICIPATION, "author (originator)")
_CUSTODIAN: Final[_Role] = (
    "custodian",
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "Custodian",
)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What one of BALP's patterns calls client, server and person, and the profile's name; none for no profile."""

    client: _Role = _SOURCE
    server: _Role = _DESTINATION
    person: _Role = _SOURCE
    name: str = ""


_PLAIN: Final = _Pattern()
_PATTERNS: Final[Mapping[str, _Pattern]] = {
    # What is read flows to the client; a query's parameters flow from it.
    "resource-read": _Pattern(_DESTINATION, _SOURCE, _RECIPIENT, "Read"),
    "version-read": _Pattern(_DESTINATION, _SOURCE, _RECIPIENT, "Read"),
    "resource-searched": _Pattern(_SOURCE, _DESTINATION, _RECIPIENT, "Query"),
    "resource-created": _Pattern(_SOURCE, _DESTINATION, _AUTHOR, "Create"),
    "resource-updated": _Pattern(_SOURCE, _DESTINATION, _AUTHOR, "Update"),
    "resource-patched": _Pattern(_SOURCE, _DESTINATION, _AUTHOR, "Update"),
    "resource-deleted": _Pattern(_APPLICATION, _CUSTODIAN, _AUTHOR, "Delete"),
}


def to_fhir(
    record: AuditRecord, *, seq: int, recorded_at: float, site: str = "Osler", address: str = ""
) -> dict[str, Any]:
    """Write a record as a FHIR R4 AuditEvent.

    Parameters
    ----------
    record : AuditRecord
    seq : int
        Number of the entry in the log; it becomes the logical id.
    recorded_at : float
        Seconds since the epoch, UTC, to the millisecond.
    site : str
        Name of the observer.
    address : str
        URL of the observer; without it no entry has all that a BALP profile demands.

    Returns
    -------
    dict
        JSON-able; type, subtype, action, outcome, agents, source and entities as IHE BALP orders them. ``meta.profile``
        names the profile of BALP whose mandatory elements are all there, if one fits.

    References
    ----------
    HL7 FHIR R4 AuditEvent; IHE ITI Basic Audit Log Patterns 1.1.3; DICOM PS3.15 A.5.3
    """
    own: dict[str, Any] = {"id": str(seq), "meta": {"lastUpdated": moment(recorded_at)}}
    if profile := profile_of(record, address):
        own["meta"]["profile"] = [profile]
    if entities := list(_entities(record)):
        own["entity"] = entities
    return common_part(record, recorded_at=recorded_at, site=site, address=address) | own


def common_part(record: AuditRecord, *, recorded_at: float, site: str, address: str) -> dict[str, Any]:
    """Return what the records of one deed share: all but ``id``, ``meta`` and ``entity`` (see ``to_fhir``)."""
    kind = EVENTS[record.event]
    subtypes = [_coding(*kind.subtype)] if kind.subtype else []
    return {
        "resourceType": "AuditEvent",
        "type": _coding(*kind.type),
        "subtype": [*subtypes, {"system": OSLER, "code": kind.name}],
        "action": kind.action,
        "recorded": moment(recorded_at),
        "outcome": str(record.outcome),
        **_purpose(record.purpose),
        "agent": list(_agents(record, site, address)),
        "source": {
            "observer": {"type": "Device", "display": site},
            "type": [_coding("4", _SOURCE_TYPE, "Application Server")],
        },
    }


def moment(at: float) -> str:
    """Write a time as a FHIR instant, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def profile_of(record: AuditRecord, address: str) -> str:
    """Return the canonical URL of the BALP profile of which a record has all that is mandatory; empty for none."""
    name = _profile(record, address)
    return PROFILES + name if name else ""


def _profile(record: AuditRecord, address: str) -> str:
    agent, recipient = record.agent, record.recipient
    if not address or record.outcome:
        return ""
    if recipient is not None:
        whole = EVENTS[record.event].type[0] == "110106" and recipient.address and record.patient and record.entities
        return "PrivacyDisclosure.Source" if whole else ""
    pattern = _PATTERNS.get(record.event, _PLAIN)
    by_client = agent.kind == "client" or (agent.kind == "person" and agent.via)
    one_thing = len(record.entities) == 1 and _is_reference(record.entities[0])
    told = _query(record) if pattern.name == "Query" else one_thing
    if not (pattern.name and by_client and agent.address and told):
        return ""
    return f"Patient{pattern.name}" if record.patient and ID.fullmatch(record.patient) else pattern.name


def _purpose(code: str) -> dict[str, Any]:
    return {"purposeOfEvent": [{"coding": [_coding(code, _ACT_REASON, _REASONS.get(code, code))]}]} if code else {}


def _agents(record: AuditRecord, site: str, address: str) -> Iterator[dict[str, Any]]:
    agent, pattern = record.agent, _PATTERNS.get(record.event, _PLAIN)
    server: dict[str, Any] = {"who": {"type": "Device", "display": site}, "requestor": False}
    if address:
        server["network"] = {"address": address, "type": "5"}
    if record.recipient is not None:  # the hub sends
        yield _type(_SOURCE) | server | {"requestor": agent.kind == "system"}
        yield _agent(record.recipient, _DESTINATION, requestor=False)
        if agent.kind != "system":
            yield _agent(agent, pattern.person)
        return
    if agent.kind == "system":
        yield _agent(agent, _APPLICATION)
        return
    if agent.kind == "person":
        yield _agent(agent, pattern.person, on_network=not agent.via)
        if agent.via:
            role = pattern.client if pattern.name else _APPLICATION
            yield _agent(Agent(agent.via, "client", agent.address), role, requestor=False)
    else:
        yield _agent(agent, pattern.client)
    yield _type(pattern.server) | server


def _agent(agent: Agent, role: _Role, *, requestor: bool = True, on_network: bool = True) -> dict[str, Any]:
    written: dict[str, Any] = _type(role) | {
        "who": {
            "type": "Practitioner" if agent.kind == "person" else "Device",
            "identifier": {"system": f"urn:osler:{agent.kind}", "value": agent.name or "unknown"},
        },
        "requestor": requestor,
    }
    if agent.kind == "person" and agent.name:
        written["name"] = agent.name
    if agent.address and on_network:
        kind = "5" if "://" in agent.address else "2" if _IP.fullmatch(agent.address) else "1"
        written["network"] = {"address": agent.address, "type": kind}  # URI, IP address, machine name
    return written


def _type(role: _Role) -> dict[str, Any]:
    return {"type": {"coding": [_coding(*role)]}}


def _entities(record: AuditRecord) -> Iterator[dict[str, Any]]:
    if record.patient is not None:
        yield patient_entity(record.patient)
    query = query_entity(record)
    if query is not None:
        yield query
    for entity in record.entities:
        yield thing_entity(entity, found=query is not None)
    if record.detail:
        yield detail_entity(record)


def patient_entity(patient: str) -> dict[str, Any]:
    """Return the entity that says of whom a record is."""
    return {
        "what": _patient(patient),
        "type": _coding("1", _ENTITY_TYPE, "Person"),
        "role": _coding("1", _ENTITY_ROLE, "Patient"),
    }


def query_entity(record: AuditRecord) -> dict[str, Any] | None:
    """Return the entity that says what was searched for; None where nothing was."""
    query = _query(record)
    if not query:
        return None
    return {
        "type": _coding("2", _ENTITY_TYPE, "System Object"),
        "role": _coding("24", _ENTITY_ROLE, "Query"),
        "description": query,
        "query": base64.b64encode(query.encode()).decode(),
    }


def thing_entity(entity: str, *, found: bool) -> dict[str, Any]:
    """Return the entity of one thing that a record is about; ``found`` when a search led to it."""
    return {
        "what": _what(printable(entity)),
        "type": _found_type(entity) if found else _coding("2", _ENTITY_TYPE, "System Object"),
        "role": _coding("4", _ENTITY_ROLE, "Domain Resource"),
    }


def detail_entity(record: AuditRecord) -> dict[str, Any]:
    """Return the entity that holds the further facts of a record."""
    return {
        "type": _coding("4", _ENTITY_TYPE, "Other"),
        "detail": [
            {"type": name, "valueString": printable(str(value)) or "-"} for name, value in record.detail.items()
        ],
    }


def _query(record: AuditRecord) -> str:
    """Return what was searched for, by the names of its parameters: their values may be identifiers."""
    if "parameters" not in record.detail or "type" not in record.detail:
        return ""
    names = printable(str(record.detail["parameters"])).replace(",", "&")
    return f"{record.detail['type']}?{names}".rstrip("?")


def _patient(patient: str) -> dict[str, Any]:
    if ID.fullmatch(patient):
        return {"reference": f"Patient/{patient}"}
    return {"type": "Patient", "identifier": {"system": "urn:osler:pseudonym", "value": patient}}


def _found_type(entity: str) -> dict[str, str]:
    """Return the type of what a search found: BALP keeps "System Object" there for the query alone."""
    name = entity.partition("/")[0]
    return _coding(name, _RESOURCE_TYPE, name) if _TYPE.fullmatch(name) else _coding("4", _ENTITY_TYPE, "Other")


def _is_reference(entity: str) -> bool:
    return "/" in entity and ":" not in entity


def _what(entity: str) -> dict[str, Any]:
    kind, colon, value = entity.partition(":")
    if not colon:
        return {"reference": entity}
    if value.startswith("2.25."):
        return {"identifier": {"type": {"text": kind}, "system": "urn:dicom:uid", "value": f"urn:oid:{value}"}}
    return {"identifier": {"system": f"urn:osler:{kind}", "value": value}}


def _coding(code: str, system: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}
