"""Who decided on what is in quarantine; the originals of reversible texts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("quarantine", sa.Column("decided_at", sa.Double(), nullable=True))
    op.add_column("quarantine", sa.Column("decided_by", sa.Text(), nullable=True))
    op.add_column("quarantine", sa.Column("why", sa.Text(), nullable=True))
    op.create_table(
        "document",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_document")),
    )
