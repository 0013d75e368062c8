"""What goes on record of an encounter."""

from osler.audit import Agent, AuditRecord
from osler.domain.encounter import Documented


def record(event: str, agent: Agent, held: Documented, **detail: str | int | float) -> AuditRecord:
    """Return the audit entry of something that happened to an encounter."""
    entities = (f"encounter:{held.id}",)
    return AuditRecord(event, agent=agent, patient=held.subject.patient, entities=entities, detail=detail)
