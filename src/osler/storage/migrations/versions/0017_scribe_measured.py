"""How a note is to be written, and what was measured of drafts and of hearing."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scribe_encounter", sa.Column("by_problem", sa.Boolean(), nullable=True))
    op.add_column("scribe_encounter", sa.Column("patient_called", sa.Text(), nullable=True))
    op.create_table(
        "scribe_evaluation",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_scribe_evaluation")),
    )
