"""The ledger's tables, as SQLAlchemy Core.

Times are seconds since the epoch, UTC, as double precision. No column holds a patient value in clear: what is
identified is sealed (AES-256-GCM) or a keyed index (HMAC-SHA-256).
"""

from osler.storage.tables.access import (
    access_grant,
    access_token,
    authorization_code,
    client,
    launch,
    refresh_token,
    signing_key,
    used_assertion,
)
from osler.storage.tables.cds import cds_card, cds_feedback
from osler.storage.tables.edge import edge_outbox, spoke_instance, spoke_study
from osler.storage.tables.events import export, export_file, export_patient, notification, subscription
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
from osler.storage.tables.messages import hl7_message, imaging_order, patient_merge
from osler.storage.tables.models import model_evaluation, model_promotion
from osler.storage.tables.people import broken_glass, recovery_code, session, sign_in_failure, user
from osler.storage.tables.resources import (
    resource,
    resource_history,
    resource_index,
    resource_reference,
    resource_span,
    resource_token,
)
from osler.storage.tables.schema import metadata
from osler.storage.tables.scribe import (
    scribe_delivery,
    scribe_document,
    scribe_encounter,
    scribe_evaluation,
    scribe_part,
)
from osler.storage.tables.watching import drift_alarm, drift_watch, watched_case
from osler.storage.tables.workers import handed_in, worker

__all__ = [
    "access_grant",
    "access_token",
    "alert",
    "audit_event",
    "audit_head",
    "authorization_code",
    "broken_glass",
    "cds_card",
    "cds_feedback",
    "client",
    "data_key",
    "document",
    "drift_alarm",
    "drift_watch",
    "edge_outbox",
    "export",
    "export_file",
    "export_patient",
    "handed_in",
    "hl7_message",
    "imaging_order",
    "inference",
    "instance",
    "job",
    "launch",
    "metadata",
    "model_evaluation",
    "model_promotion",
    "notification",
    "outbox",
    "patient_merge",
    "pseudonym",
    "quarantine",
    "recovery_code",
    "refresh_token",
    "resource",
    "resource_history",
    "resource_index",
    "resource_reference",
    "resource_span",
    "resource_token",
    "scribe_delivery",
    "scribe_document",
    "scribe_encounter",
    "scribe_evaluation",
    "scribe_part",
    "session",
    "sign_in_failure",
    "signing_key",
    "spoke_instance",
    "spoke_study",
    "study",
    "subscription",
    "used_assertion",
    "user",
    "watched_case",
    "worker",
]
