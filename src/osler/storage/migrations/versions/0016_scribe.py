"""Documented encounters: their audio, what was made of it, and where the signed note goes."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scribe_encounter",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("practitioner", sa.Text(), nullable=False),
        sa.Column("encounter", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("progress_s", sa.Double(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("available_at", sa.Double(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("audio_until", sa.Double(), nullable=True),
        sa.Column("audio_deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scribe_encounter")),
    )
    op.create_index("ix_scribe_encounter_audio_until", "scribe_encounter", ["audio_until"])
    op.create_index("ix_scribe_encounter_patient", "scribe_encounter", ["patient"])
    op.create_index("ix_scribe_encounter_state", "scribe_encounter", ["state", "available_at"])
    op.create_table(
        "scribe_part",
        sa.Column("encounter_id", sa.Text(), nullable=False),
        sa.Column("take", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encounter_id"], ["scribe_encounter.id"], name=op.f("fk_scribe_part_encounter_id_scribe_encounter")
        ),
        sa.PrimaryKeyConstraint("encounter_id", "take", "number", name=op.f("pk_scribe_part")),
    )
    op.create_index("ix_scribe_part_blob", "scribe_part", ["blob"])
    op.create_table(
        "scribe_document",
        sa.Column("encounter_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encounter_id"], ["scribe_encounter.id"], name=op.f("fk_scribe_document_encounter_id_scribe_encounter")
        ),
        sa.PrimaryKeyConstraint("encounter_id", "kind", "version", name=op.f("pk_scribe_document")),
    )
    op.create_table(
        "scribe_delivery",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("encounter_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("available_at", sa.Double(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["encounter_id"], ["scribe_encounter.id"], name=op.f("fk_scribe_delivery_encounter_id_scribe_encounter")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scribe_delivery")),
        sa.UniqueConstraint(
            "encounter_id", "version", "destination", name=op.f("uq_scribe_delivery_encounter_id_version_destination")
        ),
    )
    op.create_index("ix_scribe_delivery_due", "scribe_delivery", ["state", "available_at"])
