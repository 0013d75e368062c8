"""Merges that are not whole yet, and how far an index is built."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("patient_merge", sa.Column("moving", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("resource_index", sa.Column("built_to", sa.Text(), nullable=True))
