"""Deleted and restricted resources, how each version came to be, and references in a table of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    no = sa.false()
    op.add_column("resource", sa.Column("deleted", sa.Boolean(), nullable=False, server_default=no))
    op.add_column("resource", sa.Column("restricted", sa.Boolean(), nullable=False, server_default=no))
    op.create_index("ix_resource_patient", "resource", ["patient", "type", "date_at"])
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
