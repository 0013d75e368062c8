"""An audit record as a FHIR R4 AuditEvent, in the manner of IHE BALP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from osler.audit.event import DCM, EVENTS, OSLER, Agent, AuditRecord, printable


def to_fhir(record: AuditRecord, *, seq: int, recorded_at: float, site: str = "Osler") -> dict[str, Any]:
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

    Returns
    -------
    dict
        JSON-able; type, subtype, action, outcome, agents, source and entities as IHE BALP orders them.

    References
    ----------
    HL7 FHIR R4 AuditEvent; IHE ITI Basic Audit Log Patterns 1.1; DICOM PS3.15 A.5.3
    """
    kind = EVENTS[record.event]
    subtypes = [_coding(*kind.subtype)] if kind.subtype else []
    entities = list(_entities(record))
    moment = datetime.fromtimestamp(recorded_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(seq),
        "type": _coding(*kind.type),
        "subtype": [*subtypes, {"system": OSLER, "code": kind.name}],
        "action": kind.action,
        "recorded": moment,
        "outcome": str(record.outcome),
        "agent": list(_agents(record.agent, site)),
        "source": {
            "observer": {"type": "Device", "display": site},
            "type": [
                _coding("4", "http://terminology.hl7.org/CodeSystem/security-source-type", "Application Server"),
            ],
        },
    }
    if entities:
        resource["entity"] = entities
    return resource


def _agents(agent: Agent, site: str) -> Iterator[dict[str, Any]]:
    role = ("110150", "Application") if agent.kind == "system" else ("110153", "Source Role ID")
    who: dict[str, Any] = {
        "type": {"coding": [_coding(role[0], DCM, role[1])]},
        "who": {
            "type": "Practitioner" if agent.kind == "person" else "Device",
            "identifier": {"system": f"urn:osler:{agent.kind}", "value": agent.name or "unknown"},
        },
        "requestor": True,
    }
    if agent.address:
        who["network"] = {"address": agent.address, "type": "2"}
    yield who
    if agent.kind != "system":
        yield {
            "type": {"coding": [_coding("110152", DCM, "Destination Role ID")]},
            "who": {"type": "Device", "display": site},
            "requestor": False,
        }


def _entities(record: AuditRecord) -> Iterator[dict[str, Any]]:
    if record.patient is not None:
        yield {
            "what": {"type": "Patient", "identifier": {"system": "urn:osler:pseudonym", "value": record.patient}},
            "type": _coding("1", "http://terminology.hl7.org/CodeSystem/audit-entity-type", "Person"),
            "role": _coding("1", "http://terminology.hl7.org/CodeSystem/object-role", "Patient"),
        }
    for entity in record.entities:
        yield {
            "what": _what(printable(entity)),
            "type": _coding("2", "http://terminology.hl7.org/CodeSystem/audit-entity-type", "System Object"),
            "role": _coding("4", "http://terminology.hl7.org/CodeSystem/object-role", "Domain Resource"),
        }
    if record.detail:
        yield {
            "type": _coding("4", "http://terminology.hl7.org/CodeSystem/audit-entity-type", "Other"),
            "detail": [
                {"type": name, "valueString": printable(str(value)) or "-"} for name, value in record.detail.items()
            ],
        }


def _what(entity: str) -> dict[str, Any]:
    kind, colon, value = entity.partition(":")
    if not colon:
        return {"reference": entity}
    if value.startswith("2.25."):
        return {"identifier": {"type": {"text": kind}, "system": "urn:dicom:uid", "value": f"urn:oid:{value}"}}
    return {"identifier": {"system": f"urn:osler:{kind}", "value": value}}


def _coding(code: str, system: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}
