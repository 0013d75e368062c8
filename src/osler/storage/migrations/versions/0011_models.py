"""In what role a model read a study, what was measured of models, and who promoted which."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("role", sa.Text(), server_default="champion", nullable=False))
    op.add_column("inference", sa.Column("role", sa.Text(), server_default="champion", nullable=False))
    op.create_index("ix_inference_model", "inference", ["model", "created_at"])
    op.create_table(
        "model_evaluation",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_model_evaluation")),
    )
    op.create_index("ix_model_evaluation_model", "model_evaluation", ["model", "dataset"])
    op.create_table(
        "model_promotion",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_version", sa.Text(), nullable=False),
        sa.Column("to_version", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.Double(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_promotion")),
    )
    op.create_index("ix_model_promotion_name", "model_promotion", ["name", "requested_at"])
