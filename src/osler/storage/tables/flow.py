"""Keys, the vault, the audit chain, and the flow from ingest to the alert."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from osler.storage.tables.schema import metadata

# ---------------------------------------------------------------------------------------- keys and vault

data_key = Table(
    "data_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("purpose", Text, nullable=False),  # blob, vault, index
    Column("wrapped", LargeBinary, nullable=False),  # AES-256-GCM under the master key
    Column("active", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

pseudonym = Table(
    "pseudonym",
    metadata,
    Column("kind", Text, primary_key=True),  # patient, accession, uid
    Column("lookup", LargeBinary, primary_key=True),  # HMAC-SHA-256 of kind, issuer, value
    Column("pseudonym", Text, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),  # issuer and value
    Column("created_at", Double, nullable=False),
)

document = Table(
    "document",
    metadata,
    Column("token", Text, primary_key=True),  # random; a text that can be put back carries it
    Column("sealed", LargeBinary, nullable=False),  # JSON: placeholder -> originals, in the order of the text
    Column("created_at", Double, nullable=False),
)

# ------------------------------------------------------------------------------------------------- audit

audit_event = Table(
    "audit_event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("action", Text, nullable=False),  # C R U D E
    Column("outcome", Text, nullable=False),  # 0 4 8 12
    Column("agent", Text, nullable=False),
    Column("patient", Text),  # pseudonym
    Column("body", Text, nullable=False),  # canonical JSON, a FHIR AuditEvent
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("ix_audit_event_recorded_at", "recorded_at"),
    Index("ix_audit_event_patient", "patient", "recorded_at"),
    Index("ix_audit_event_agent", "agent", "recorded_at"),
    Index("ix_audit_event_kind", "kind", "recorded_at"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

# --------------------------------------------------------------------------------------- identified zone

study = Table(
    "study",
    metadata,
    Column("id", Text, primary_key=True),
    Column("lookup", LargeBinary, nullable=False, unique=True),  # keyed index of the Study Instance UID
    Column("patient_lookup", LargeBinary, nullable=False),  # of Patient ID and issuer: bound at ingest
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("priority", Text, nullable=False),
    Column("first_received_at", Double, nullable=False),  # of this revision
    Column("last_received_at", Double, nullable=False),
    Column("completed_at", Double),
    Column("study_uid", Text),  # pseudonym, once de-identified
    Column("patient", Text),  # pseudonym
    Column("accession", Text),  # pseudonym
    Column("age_band", Text),
    Column("owner", Text),  # who de-identifies it now
    Column("lease_until", Double),
    Column("attempts", Integer, nullable=False, default=0),
    Index("ix_study_state", "state", "last_received_at"),
)

instance = Table(
    "instance",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study_id", Text, ForeignKey("study.id"), nullable=False),
    Column("lookup", LargeBinary, nullable=False),  # keyed index of the SOP Instance UID
    Column("blob", Text, nullable=False),  # identified blob: SHA-256 of the received bytes
    Column("size", BigInteger, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("source", Text, nullable=False),  # dimse:<calling AE title>, stow:<client>, folder
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),  # received, conflict, deidentified, quarantined, damaged, discarded
    Column("received_at", Double, nullable=False),
    Column("deidentified_blob", Text),
    Column("sop_uid", Text),  # pseudonym
    Column("series_uid", Text),  # pseudonym
    UniqueConstraint("lookup", "blob"),
    Index("ix_instance_study_id", "study_id", "state"),
    Index("ix_instance_sop_uid", "sop_uid"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study_id", Text, ForeignKey("study.id"), nullable=False),
    Column("instance_id", Text, ForeignKey("instance.id")),
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),  # held, released, discarded
    Column("created_at", Double, nullable=False),
    Column("decided_at", Double),
    Column("decided_by", Text),  # the person; empty when it was received once more
    Column("why", Text),
)

# -------------------------------------------------------------------------------------- de-identified zone

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("study_uid", Text, nullable=False),  # pseudonym
    Column("revision", Integer, nullable=False),
    Column("model", Text, nullable=False),  # name@version
    Column("role", Text, nullable=False, server_default="champion"),  # domain.states.Role
    Column("site", Text, nullable=False, server_default=""),  # whose work it is: a spoke, or a sender; for fair shares
    Column("turn", Double, nullable=False, server_default="0"),  # when it counts as having arrived
    Column("priority", Text, nullable=False),
    Column("state", Text, nullable=False),  # domain.states.JobState
    Column("body", Text, nullable=False),  # JSON: instances (pseudonymous UIDs, blob references), age band
    Column("attempts", Integer, nullable=False),
    Column("available_at", Double, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Double),
    Column("dead", Boolean, nullable=False),
    Column("reason", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("published_at", Double),  # when a broker had it last; null: it is to be published
    Index("ix_job_state", "state", "available_at"),
    Index("ix_job_published_at", "state", "published_at"),
    Index("ix_job_site", "site", "priority", "state"),
)

inference = Table(
    "inference",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("job.id"), nullable=False, unique=True),
    Column("study_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("role", Text, nullable=False, server_default="champion"),  # that of the job; a shadow's is not published
    Column("body", Text, nullable=False),  # JSON of domain.findings.Inference
    Column("critical", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_inference_study_uid", "study_uid"),
    Index("ix_inference_model", "model", "created_at"),
)

# ---------------------------------------------------------------------------------- identified zone again

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("inference_id", Text, ForeignKey("inference.id"), nullable=False),
    Column("kind", Text, nullable=False),  # fhir, sr, sc, alert
    Column("destination", Text, nullable=False),  # name in the configuration; "" for the hub's own FHIR store
    Column("state", Text, nullable=False),  # domain.states.DeliveryState
    Column("attempts", Integer, nullable=False),
    Column("available_at", Double, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Double),
    Column("reason", Text),
    Column("reference", Text),  # what was made: a FHIR reference, a SOP Instance UID, an alert id
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Index("ix_outbox_state", "state", "available_at"),
    Index("ix_outbox_inference_id", "inference_id"),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True),
    Column("inference_id", Text, ForeignKey("inference.id"), nullable=False, unique=True),
    Column("state", Text, nullable=False),  # raised, acknowledged
    Column("level", Integer, nullable=False),  # escalations so far
    Column("raised_at", Double, nullable=False),
    Column("escalate_at", Double),
    Column("acknowledged_at", Double),
    Column("acknowledged_by", Text),
    Index("ix_alert_state", "state", "escalate_at"),
)
