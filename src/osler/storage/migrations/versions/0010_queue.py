"""Which jobs a broker has been told of."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("published_at", sa.Double(), nullable=True))
    op.create_index("ix_job_published_at", "job", ["state", "published_at"])
