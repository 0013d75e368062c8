"""HL7 v2 messages, orders, and merged patients."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hl7_message",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_hl7_message")),
    )
    op.create_index("ix_hl7_message_received_at", "hl7_message", ["received_at"])
    op.create_table(
        "imaging_order",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("accession", sa.LargeBinary(), nullable=True),
        sa.Column("patient", sa.LargeBinary(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_order")),
    )
    op.create_index("ix_imaging_order_accession", "imaging_order", ["accession"])
    op.create_table(
        "patient_merge",
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("survivor", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("patient", name=op.f("pk_patient_merge")),
    )
    op.create_index("ix_patient_merge_survivor", "patient_merge", ["survivor"])
