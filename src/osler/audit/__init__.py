"""The audit log: append-only, hash-chained, signed; each entry a FHIR AuditEvent."""

from osler.audit.balp import to_fhir
from osler.audit.event import EVENTS, HUB, Agent, AuditRecord, EventType
from osler.audit.log import AuditEntry, AuditLog
from osler.audit.signing import create_signing_key, read_signing_key
from osler.audit.verify import Problem, VerifyReport

__all__ = [
    "EVENTS",
    "HUB",
    "Agent",
    "AuditEntry",
    "AuditLog",
    "AuditRecord",
    "EventType",
    "Problem",
    "VerifyReport",
    "create_signing_key",
    "read_signing_key",
    "to_fhir",
]
