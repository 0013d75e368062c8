"""The ledger's tables, as SQLAlchemy Core.

Times are seconds since the epoch, UTC, as double precision. No column holds a patient value in clear: what is
identified is sealed (AES-256-GCM) or a keyed index (HMAC-SHA-256).
"""

from osler.storage.tables.access import access_token, client, used_assertion, user
from osler.storage.tables.flow import (
    alert,
    audit_event,
    audit_head,
    data_key,
    document,
    inference,
    instance,
    job,
    outbox,
    pseudonym,
    quarantine,
    study,
)
from osler.storage.tables.resources import resource, resource_history, resource_reference, resource_token
from osler.storage.tables.schema import metadata

__all__ = [
    "access_token",
    "alert",
    "audit_event",
    "audit_head",
    "client",
    "data_key",
    "document",
    "inference",
    "instance",
    "job",
    "metadata",
    "outbox",
    "pseudonym",
    "quarantine",
    "resource",
    "resource_history",
    "resource_reference",
    "resource_token",
    "study",
    "used_assertion",
    "user",
]
