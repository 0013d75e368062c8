"""Cards that were shown, and what became of them."""

from sqlalchemy import Column, Double, ForeignKey, Index, LargeBinary, Table, Text

from osler.storage.tables.schema import metadata

cds_card = Table(
    "cds_card",
    metadata,
    Column("id", Text, primary_key=True),  # the card's UUID
    Column("service", Text, nullable=False),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("patient", Text),  # pseudonym
    Column("topic", Text, nullable=False),
    Column("about", Text, nullable=False),  # a FHIR reference, or empty
    Column("model", Text, nullable=False),  # name@version, or empty
    Column("shown_at", Double, nullable=False),
    Index("ix_cds_card_model", "model", "shown_at"),
)

cds_feedback = Table(
    "cds_feedback",
    metadata,
    Column("card_id", Text, ForeignKey("cds_card.id"), primary_key=True),
    Column("outcome", Text, nullable=False),  # accepted, overridden
    Column("reason", Text, nullable=False),  # code of the override reason, or empty
    Column("comment_sealed", LargeBinary),  # what the person wrote: it may name the patient
    Column("outcome_at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
)
