"""Bulk exports, subscriptions, and what subscribers are still to be told."""

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, LargeBinary, Table, Text

from osler.storage.tables.schema import metadata

export = Table(
    "export",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("scope", Text, nullable=False),  # of the token that asked
    Column("asked_sealed", LargeBinary, nullable=False),  # JSON: filters and addresses may hold patient values
    Column("state", Text, nullable=False),  # running, complete, failed, ended
    Column("step", Integer, nullable=False),  # goes up with each piece that is done: of two who do it, one counts
    Column("position", Text, nullable=False),  # JSON: where the next piece begins
    Column("written", Integer, nullable=False),  # resources so far
    Column("created_at", Double, nullable=False),  # what was changed later is not in it
    Column("stepped_at", Double, nullable=False),
    Column("expires_at", Double),  # once it is complete
    Index("ix_export_state", "state", "stepped_at"),
)

export_file = Table(
    "export_file",
    metadata,
    Column("export_id", Text, ForeignKey("export.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("type", Text, nullable=False),  # of its resources; OperationOutcome for what went wrong
    Column("count", Integer, nullable=False),
)

# Whose data an export holds: each patient is put on record once.
export_patient = Table(
    "export_patient",
    metadata,
    Column("export_id", Text, ForeignKey("export.id"), primary_key=True),
    Column("patient", Text, primary_key=True),  # pseudonym
    sqlite_with_rowid=False,
)

# Those that are active; all of them stand as resources too.
subscription = Table(
    "subscription",
    metadata,
    Column("id", Text, primary_key=True),  # of the Subscription
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),  # who wrote it last: as far as they reach
    Column("scope", Text, nullable=False),
    Column("grant_id", Text),  # none for a client of its own
    Column("type", Text, nullable=False),  # of the resources that it waits for
    Column("sealed", LargeBinary, nullable=False),  # JSON: criteria, endpoint, payload, headers
    Column("ends_at", Double),
    Column("attempts", Integer, nullable=False),  # that failed, since one did not
    Column("available_at", Double, nullable=False),
    Index("ix_subscription_type", "type"),
)

notification = Table(
    "notification",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("subscription_id", Text, ForeignKey("subscription.id"), nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_notification_subscription_id", "subscription_id", "seq"),
)
