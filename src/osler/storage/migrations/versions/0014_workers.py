"""Workers on other hosts, what they hand in, and whose work a job is."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("gpu_memory_mb", sa.Integer(), nullable=False),
        sa.Column("busy", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "handed_in",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("lease", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("handed_in_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_handed_in_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "lease", name=op.f("pk_handed_in")),
    )
    op.add_column("job", sa.Column("site", sa.Text(), server_default="", nullable=False))
    op.add_column("job", sa.Column("turn", sa.Double(), server_default="0", nullable=False))
    op.execute("UPDATE job SET turn = created_at")
    op.create_index("ix_job_site", "job", ["site", "priority", "state"])
