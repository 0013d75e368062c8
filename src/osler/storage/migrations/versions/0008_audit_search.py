"""What the audit log is searched by: patient, agent and kind, each in the order of time."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_audit_event_patient", "audit_event")
    op.create_index("ix_audit_event_patient", "audit_event", ["patient", "recorded_at"])
    op.create_index("ix_audit_event_agent", "audit_event", ["agent", "recorded_at"])
    op.create_index("ix_audit_event_kind", "audit_event", ["kind", "recorded_at"])
