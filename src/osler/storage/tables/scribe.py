"""Documented encounters: their audio, what was made of it, and where the signed note goes."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from osler.storage.tables.schema import metadata

scribe_encounter = Table(
    "scribe_encounter",
    metadata,
    Column("id", Text, primary_key=True),
    Column("patient", Text, nullable=False),  # logical ids of FHIR resources
    Column("practitioner", Text, nullable=False),
    Column("encounter", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("consent", Text),  # JSON: method, time, who recorded it
    Column("paused", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("progress_s", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("available_at", Double, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Double),
    Column("audio_until", Double),  # deleted then
    Column("audio_deleted_at", Double),
    Column("by_problem", Boolean),  # none: as the template says
    Column("patient_called", Text),
    Index("ix_scribe_encounter_state", "state", "available_at"),
    Index("ix_scribe_encounter_patient", "patient"),
    Index("ix_scribe_encounter_audio_until", "audio_until"),
)

# One container of audio comes in parts; a recorder that was loaded again begins another take.
scribe_part = Table(
    "scribe_part",
    metadata,
    Column("encounter_id", Text, ForeignKey("scribe_encounter.id"), primary_key=True),
    Column("take", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("blob", Text, nullable=False),  # sealed
    Column("size", Integer, nullable=False),
    Column("received_at", Double, nullable=False),
    Index("ix_scribe_part_blob", "blob"),
)

# Every version of what was made: transcript, de-identified transcript, draft, note.
scribe_document = Table(
    "scribe_document",
    metadata,
    Column("encounter_id", Text, ForeignKey("scribe_encounter.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("blob", Text, nullable=False),  # sealed
    Column("created_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

scribe_delivery = Table(
    "scribe_delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("encounter_id", Text, ForeignKey("scribe_encounter.id"), nullable=False),
    Column("version", Integer, nullable=False),  # of the signed note
    Column("destination", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("items", Text, nullable=False),  # JSON: what became of each item
    Column("available_at", Double, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Double),
    Column("finished_at", Double),
    UniqueConstraint("encounter_id", "version", "destination"),
    Index("ix_scribe_delivery_due", "state", "available_at"),
)

# What was measured of drafts and of hearing, on corpora of invented or public encounters.
scribe_evaluation = Table(
    "scribe_evaluation",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("body", Text, nullable=False),  # the report, JSON; it has no word of an encounter
    Column("made_by", Text, nullable=False),
    Column("made_at", Double, nullable=False),
)
