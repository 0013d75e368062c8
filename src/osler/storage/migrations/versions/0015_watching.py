"""What is watched of the models' work, and the alarms of drift."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watched_case",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("scanner", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inference_id"], ["inference.id"], name=op.f("fk_watched_case_inference_id_inference")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_watched_case")),
        sa.UniqueConstraint("inference_id", "number", name=op.f("uq_watched_case_inference_id_number")),
    )
    op.create_index("ix_watched_case_model", "watched_case", ["model", "seq"])
    op.create_index("ix_watched_case_site", "watched_case", ["model", "site", "seq"])
    op.create_index("ix_watched_case_scanner", "watched_case", ["model", "scanner", "seq"])
    op.create_table(
        "drift_watch",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("reference_seq", sa.Integer(), nullable=False),
        sa.Column("looked_seq", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_drift_watch")),
    )
    op.create_table(
        "drift_alarm",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("variable", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("psi", sa.Double(), nullable=False),
        sa.Column("chance", sa.Double(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("seen_seq", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("told_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_alarm")),
    )
    op.create_index("ix_drift_alarm_model", "drift_alarm", ["model", "closed_at"])
