"""Deleted and restricted resources, how each version came to be, and the index anew: spans and references apart."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAMES = ("type", "parameter", "value", "date_at", "id")


def upgrade() -> None:
    no = sa.false()
    op.add_column("resource", sa.Column("deleted", sa.Boolean(), nullable=False, server_default=no))
    op.add_column("resource", sa.Column("restricted", sa.Boolean(), nullable=False, server_default=no))
    op.add_column("resource", sa.Column("present", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("resource", sa.Column("method", sa.Text(), nullable=False, server_default="PUT"))
    op.create_index("ix_resource_patient", "resource", ["patient", "type", "date_at", "id"])
    op.add_column("resource_history", sa.Column("patient", sa.Text(), nullable=True))
    op.add_column("resource_history", sa.Column("method", sa.Text(), nullable=False, server_default="PUT"))
    op.add_column("resource_history", sa.Column("restricted", sa.Boolean(), nullable=False, server_default=no))
    op.create_index("ix_resource_history_updated_at", "resource_history", ["type", "updated_at", "id", "version"])
    op.create_table(
        "resource_reference",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("date_at", sa.Double(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("type", "parameter", "target", "date_at", "id", name=op.f("pk_resource_reference")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_resource_reference_target", "resource_reference", ["target"])
    _rebuild_index()


def _rebuild_index() -> None:
    """Make the tables of the index anew, empty: they are filled when the ledger is opened."""
    op.drop_table("resource_token")
    op.create_table(
        "resource_token",
        *_key(),
        sa.PrimaryKeyConstraint(*_NAMES, name=op.f("pk_resource_token")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "resource_span",
        *_key(),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(*_NAMES, "low", "high", name=op.f("pk_resource_span")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_resource_span_low", "resource_span", ["type", "parameter", "value", "low", "high"])
    op.create_table(
        "resource_index",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_index")),
    )


def _key() -> list[sa.Column[Any]]:
    types: tuple[Any, ...] = (sa.Text(), sa.Text(), sa.LargeBinary(), sa.Double(), sa.Text())
    return [sa.Column(name, kind, nullable=False) for name, kind in zip(_NAMES, types, strict=True)]
