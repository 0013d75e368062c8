"""HL7 v2 messages that were taken, the orders that they brought, and patients that were merged."""

from sqlalchemy import Boolean, Column, Double, Index, LargeBinary, Table, Text, false

from osler.storage.tables.schema import metadata

hl7_message = Table(
    "hl7_message",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # keyed index of sender and control id
    Column("digest", LargeBinary, nullable=False),  # keyed index of the content
    Column("received_at", Double, nullable=False),
    Index("ix_hl7_message_received_at", "received_at"),
)

imaging_order = Table(
    "imaging_order",
    metadata,
    Column("id", Text, primary_key=True),  # of the ServiceRequest
    Column("accession", LargeBinary),  # keyed index
    Column("patient", LargeBinary, nullable=False),  # keyed index of the record number, without its issuer
    Column("priority", Text, nullable=False),  # domain.states.Priority
    Column("status", Text, nullable=False),  # of the ServiceRequest
    Index("ix_imaging_order_accession", "accession"),
)

patient_merge = Table(
    "patient_merge",
    metadata,
    Column("patient", Text, primary_key=True),  # pseudonym of the patient that is no more
    Column("survivor", Text, nullable=False),
    Column("merged_at", Double, nullable=False),
    Column("moving", Boolean, nullable=False, server_default=false()),  # some of its resources are not moved yet
    Index("ix_patient_merge_survivor", "survivor"),
)
