"""What is watched of the models' work, how far the watch has come, and its alarms."""

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from osler.storage.tables.schema import metadata

watched_case = Table(
    "watched_case",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("inference_id", Text, ForeignKey("inference.id"), nullable=False),
    Column("number", Integer, nullable=False),  # of the case in its inference
    Column("model", Text, nullable=False),  # name@version
    Column("site", Text, nullable=False),  # who sent the study: a peer or a spoke, never a patient
    Column("scanner", Text, nullable=False),  # manufacturer and model, as far as de-identification keeps them
    Column("body", Text, nullable=False),  # JSON: figures and categories
    Column("created_at", Double, nullable=False),
    UniqueConstraint("inference_id", "number"),
    Index("ix_watched_case_model", "model", "seq"),
    Index("ix_watched_case_site", "model", "site", "seq"),
    Index("ix_watched_case_scanner", "model", "scanner", "seq"),
)

drift_watch = Table(
    "drift_watch",
    metadata,
    Column("model", Text, primary_key=True),
    Column("reference_seq", Integer, nullable=False),  # the reference begins after this case
    Column("looked_seq", Integer, nullable=False),
    Column("looked_at", Double, nullable=False),
    Column("changes", Text, nullable=False),  # JSON: what the last look saw of each variable
)

drift_alarm = Table(
    "drift_alarm",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("stream", Text, nullable=False),  # all, site:NAME, scanner:NAME
    Column("variable", Text, nullable=False),
    Column("kind", Text, nullable=False),  # input, output
    Column("psi", Double, nullable=False),
    Column("chance", Double, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("seen_seq", Integer, nullable=False),  # the last look that saw it
    Column("closed_at", Double),
    Column("told_at", Double),
    Index("ix_drift_alarm_model", "model", "closed_at"),
)
