"""Studies between an edge and its hub: what waits at the edge, and what the hub has of each site."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text

from osler.storage.tables.schema import metadata

edge_outbox = Table(
    "edge_outbox",
    metadata,
    Column("study_uid", Text, primary_key=True),  # pseudonym
    Column("revision", Integer, primary_key=True),
    Column("state", Text, nullable=False),  # storage.edge_outbox.State
    Column("priority", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON of domain.manifest.Manifest
    Column("size", BigInteger, nullable=False),  # bytes of its files; 0 until it is admitted
    Column("kept", Boolean, nullable=False),  # whether its files are still here
    Column("attempts", Integer, nullable=False),
    Column("available_at", Double, nullable=False),
    Column("reason", Text),
    Column("created_at", Double, nullable=False),
    Column("forwarded_at", Double),
    Column("answered_at", Double),
    Index("ix_edge_outbox_state", "state", "available_at"),
)

spoke_study = Table(
    "spoke_study",
    metadata,
    Column("study_uid", Text, primary_key=True),  # a pseudonym of the site's vault
    Column("site", Text, nullable=False),  # client id of the spoke
    Column("revision", Integer, nullable=False),  # the last that was whole; 0: none yet
    Column("received_at", Double, nullable=False),
    Index("ix_spoke_study_site", "site"),
)

spoke_instance = Table(
    "spoke_instance",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("sop_uid", Text, primary_key=True),
    Column("series_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Column("received_at", Double, nullable=False),
)
