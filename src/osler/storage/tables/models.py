"""What was measured of models, and who changed which version reads."""

from sqlalchemy import Column, Double, Index, Table, Text

from osler.storage.tables.schema import metadata

model_evaluation = Table(
    "model_evaluation",
    metadata,
    Column("sha256", Text, primary_key=True),  # of the document, as it was written to the file
    Column("model", Text, nullable=False),  # name@version
    Column("weights", Text, nullable=False),  # SHA-256 of the weights
    Column("dataset", Text, nullable=False),  # SHA-256 of the data set
    Column("body", Text, nullable=False),  # the document, JSON
    Column("made_by", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    Index("ix_model_evaluation_model", "model", "dataset"),
)

model_promotion = Table(
    "model_promotion",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # promotion, rollback
    Column("from_version", Text, nullable=False),
    Column("to_version", Text, nullable=False),
    Column("state", Text, nullable=False),  # requested, confirmed, superseded
    Column("evidence", Text, nullable=False),  # JSON
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Double, nullable=False),
    Column("confirmed_by", Text),
    Column("confirmed_at", Double),
    Index("ix_model_promotion_name", "name", "requested_at"),
)
